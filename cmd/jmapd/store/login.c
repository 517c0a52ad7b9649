/*
 * Who is it? Passwords are hashed in the hasher's threads; app passwords are 256
 * random bits and checked by one SHA-256 and one look-up, here and now. What comes
 * out is a login handle under a MAC that no worker can make.
 */
#include "cmd/jmapd/store/call.h"
#include "core/base/crypto.h"
#include "core/base/log.h"

#define PROVEN_MAX 65536 /* checked handles remembered per link */

struct proven {
	struct map_node node;
	struct login login;
};

static void sign(
	struct store_role *st, const struct login *who, uint8_t mac[16])
{
	uint8_t full[SHA256_LEN];
	hmac_sha256(str_n(st->key, sizeof(st->key)),
		str_n(who, offsetof(struct login, mac)), full);
	memcpy(mac, full, 16);
}

static uint64_t proven_hash(const struct login *who)
{
	return hash_u64(who->account ^ (uint64_t)who->version << 40);
}

static bool free_proven(struct map_node *n, void *ctx)
{
	free(container_of(n, struct proven, node));
	return true;
}

void login_forget(struct store_link *l)
{
	map_walk(&l->proven, free_proven, NULL);
	map_fini(&l->proven);
}

static bool was_proven(struct store_link *l, const struct login *who)
{
	struct map_node *n;
	map_each (&l->proven, proven_hash(who), n) {
		struct proven *p = container_of(n, struct proven, node);
		if (ct_equal(str_n(&p->login, sizeof(p->login)),
			    str_n(who, sizeof(*who))))
			return true;
	}
	return false;
}

static bool prove(struct store_link *l, const struct login *who)
{
	uint8_t mac[16];
	if (was_proven(l, who))
		return true;
	sign(l->st, who, mac);
	if (!ct_equal(str_n(mac, sizeof(mac)), str_n(who->mac, sizeof(mac))))
		return false;
	if (l->proven.n >= PROVEN_MAX) {
		login_forget(l);
		l->proven = (struct map){0};
	}
	struct proven *p = mem_new(sizeof(*p));
	p->login = *who;
	map_put(&l->proven, &p->node, proven_hash(who));
	return true;
}

bool login_holds(
	struct store_link *l, const struct login *who, struct dir_account *a_r)
{
	if (who->worker != l->worker || !prove(l, who))
		return false;
	const struct known_account *k = store_account(l->st, who->account);
	if (!k || k->gone || k->a.version != who->version)
		return false;
	if (a_r)
		*a_r = k->a;
	return true;
}

static void grant(struct store_call *c, const struct dir_account *a)
{
	struct login who = {
		.account = a->id,
		.worker = c->link->worker,
		.version = a->version,
	};
	sign(c->link->st, &who, who.mac);
	buf_add(&c->answer, &who, sizeof(who));
	buf_addz(&c->answer, a->name);
	c->status = 200;
}

/* ---- passwords: in a hasher thread ---------------------------------------- */

static struct buf decoy; /* what an unknown user's password is checked
				 * against: it costs the same */

static void make_decoy(void)
{
	uint8_t secret[16];
	struct err e = {0};
	random_bytes(secret, sizeof(secret));
	if (password_hash(str_n(secret, sizeof(secret)), &decoy, &e) < 0)
		log_error("password hash: %s", e.text);
}

static const char *decoy_hash(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_decoy);
	return buf_z(&decoy);
}

static void on_password(struct slow_task *t)
{
	struct store_call *c = container_of(t, struct store_call, slow);
	struct str head = buf_str(&c->head), method, user;
	struct buf hash cleanup(buf_fini) = {0};
	struct dir_account a = {0};
	struct err e = {0};
	str_cut(&head, '\0', &method);
	str_cut(&head, '\0', &user);
	int found = dir_by_name(c->link->st->store, user, &a, &hash, &e);
	bool has = found > 0 && hash.n;
	bool good = password_verify(head, has ? buf_z(&hash) : decoy_hash());
	c->status = found < 0 ? 503 : 401;
	if (has && good)
		grant(c, &a);
	metrics_add(c->status == 200 ? METRIC_LOGINS : METRIC_LOGINS_FAILED, 1);
	secret_wipe(c->head.p, c->head.n);
	call_done(c);
}

/* ---- at once ----------------------------------------------------------------*/

static void refuse(struct store_call *c)
{
	metrics_add(METRIC_LOGINS_FAILED, 1);
	call_refuse(c, 401);
}

/* 1 = an app password of that user (empty: of anybody), 0 = it is none. */
static int try_token(struct store_call *c, struct str user, struct str secret)
{
	uint8_t sha[SHA256_LEN];
	struct dir_account a;
	struct err e = {0};
	sha256(secret, sha);
	int ret = dir_by_token(c->link->st->store, sha, &a, &e);
	if (ret < 0)
		log_error("token: %s", e.text);
	if (ret <= 0 || (user.n && !str_ieq(user, str_of(a.name))))
		return 0;
	grant(c, &a);
	metrics_add(METRIC_LOGINS, 1);
	return 1;
}

void login_start(struct store_call *c)
{
	struct str head = buf_str(&c->head), method = STR_NONE, user = STR_NONE;
	str_cut(&head, '\0', &method);
	if (str_eq(method, STR("bearer"))) {
		if (try_token(c, STR_NONE, head))
			call_refuse(c, c->status);
		else
			refuse(c);
		return;
	}
	if (!str_eq(method, STR("basic")) || !str_cut(&head, '\0', &user)) {
		refuse(c);
		return;
	}
	if (try_token(c, user, head)) {
		call_refuse(c, c->status);
		return;
	}
	c->slow.run = on_password;
	c->running = true;
	if (!hasher_submit(c->link->st->hasher, &c->slow)) {
		c->running = false;
		call_refuse(c, 503);
	}
}
