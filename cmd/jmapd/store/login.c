/*
 * Who is it? Passwords are hashed in the hasher's threads; app passwords are 256
 * random bits and checked by one SHA-256 and one look-up, here and now. What comes
 * out is a login handle under a MAC that no worker can make.
 *
 * Over the limit (failures.h) no password is hashed. That is asked before it queues
 * and again when its turn comes, since those before it may all have failed.
 */
#include "cmd/jmapd/store/call.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/log.h"

#define PROVEN_MAX 65536 /* checked handles remembered per link */

struct proven {
	struct map_node node;
	struct login login;
};

/* The worker's life too: no handle outlives the process that it was given to. */
static void sign(
	const struct store_link *l, const struct login *who, uint8_t mac[16])
{
	struct {
		uint8_t who[offsetof(struct login, mac)];
		uint64_t life;
	} of = {.life = l->life};
	uint8_t full[SHA256_LEN];
	memcpy(of.who, who, sizeof(of.who));
	hmac_sha256(str_n(l->st->key, sizeof(l->st->key)),
		str_n(&of, sizeof(of)), full);
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
	sign(l, who, mac);
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

unsigned login_refused(
	struct store_link *l, const struct login *who, struct dir_account *a_r)
{
	struct known_account *k;
	if (who->worker != l->worker || !prove(l, who))
		return 401;
	int ret = store_account(l->st, who->account, &k);
	if (ret < 0)
		return 503;
	if (!ret || k->gone || k->a.version != who->version)
		return 401;
	if (a_r)
		*a_r = k->a;
	return 0;
}

static void grant(struct store_call *c, const struct dir_account *a)
{
	struct login who = {
		.account = a->id,
		.worker = c->link->worker,
		.version = a->version,
	};
	sign(c->link, &who, who.mac);
	buf_add(&c->answer, &who, sizeof(who));
	buf_addz(&c->answer, a->name);
	c->status = 200;
}

/* ---- those that fail ------------------------------------------------------- */

/* A credential as it came. */
struct offered {
	struct call_from from;
	struct str method, user, secret;
};

/* False: the worker's head is none. */
static bool read_offer(struct store_call *c, struct offered *o)
{
	struct str head = buf_str(&c->head);
	*o = (struct offered){0};
	if (head.n < sizeof(o->from))
		return false;
	memcpy(&o->from, head.p, sizeof(o->from));
	head = str_skip(head, sizeof(o->from));
	str_cut(&head, '\0', &o->method);
	if (str_eq(o->method, STR("basic"))) {
		if (!str_cut(&head, '\0', &o->user))
			return false;
	} else if (!str_eq(o->method, STR("bearer"))) {
		return false;
	}
	o->secret = head;
	return true;
}

static void address_text(const struct call_from *from, char z[INET6_ADDRSTRLEN])
{
	static const struct call_from none;
	struct in6_addr a;
	memcpy(&a, from->address, sizeof(a));
	if (memcmp(from, &none, sizeof(none)) == 0)
		snprintf(z, INET6_ADDRSTRLEN, "unix");
	else if (IN6_IS_ADDR_V4MAPPED(&a))
		inet_ntop(AF_INET, &a.s6_addr[12], z, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &a, z, INET6_ADDRSTRLEN);
}

/*
 * The lines that conf/fail2ban-jmapd.conf and jmapd.8 know. What the client chose
 * comes last and quoted, so that no name can look like an address.
 */
static void log_failed(const struct offered *o, unsigned full)
{
	char address[INET6_ADDRSTRLEN];
	struct log_quoted user = log_quote(o->user);
	address_text(&o->from, address);
	log_info("login failed address=%s reason=%s user=\"%s\"", address,
		str_eq(o->method, STR("basic")) ? "password" : "token", user.z);
	if (full & FAILURES_ADDRESS)
		log_warn("login limit address=%s", address);
	if (full & FAILURES_ACCOUNT)
		log_warn("login limit user=\"%s\"", user.z);
}

/* Fills in status (and answer) when it is refused without a look. Any thread. */
static bool held_up(struct store_call *c)
{
	struct failures *f = c->link->st->failures;
	uint64_t now = clock_mono_ms();
	uint32_t wait = failures_wait(f, &c->tried, now);
	if (wait) {
		metrics_add(METRIC_LOGINS_LIMITED, 1);
		buf_add(&c->answer, &wait, sizeof(wait));
		c->status = 429;
		return true;
	}
	/* Asked after the limit, so that over it nothing can be learnt. */
	if (failures_known(f, &c->tried, now)) {
		metrics_add(METRIC_LOGINS_FAILED, 1);
		c->status = 401;
		return true;
	}
	return false;
}

static void failed(struct store_call *c, const struct offered *o)
{
	metrics_add(METRIC_LOGINS_FAILED, 1);
	log_failed(o, failures_count(c->link->st->failures, &c->tried,
			      clock_mono_ms()));
	c->status = 401;
}

static void let_in(
	struct store_call *c, const struct offered *o, struct dir_account *a)
{
	struct login_try t =
		login_try_of(o->from.address, str_of(a->name), STR_NONE);
	failures_good(c->link->st->failures, &t);
	metrics_add(METRIC_LOGINS, 1);
	grant(c, a);
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

static void check_password(struct store_call *c)
{
	struct offered o;
	struct buf hash cleanup(buf_fini) = {0};
	struct dir_account a = {0};
	struct err e = {0};
	check(read_offer(c, &o)); /* it was read before */
	c->tried.changes = failures_changes(c->link->st->failures);
	int found = dir_by_name(c->link->st->store, o.user, &a, &hash, &e);
	if (found < 0) {
		log_error("login: %s", e.text);
		c->status = 503;
		return;
	}
	bool has = found && hash.n;
	bool good =
		password_verify(o.secret, has ? buf_z(&hash) : decoy_hash());
	if (has && good)
		let_in(c, &o, &a);
	else
		failed(c, &o);
}

static void on_password(struct slow_task *t)
{
	struct store_call *c = container_of(t, struct store_call, slow);
	if (!held_up(c))
		check_password(c);
	secret_wipe(c->head.p, c->head.n);
	call_done(c);
}

/* ---- at once ----------------------------------------------------------------*/

/* 1 = an app password of that user (empty: of anybody), 0 = it is none, < 0: who
 * knows. */
static int try_token(struct store_call *c, const struct offered *o)
{
	uint8_t sha[SHA256_LEN];
	struct dir_account a;
	struct err e = {0};
	sha256(o->secret, sha);
	int ret = dir_by_token(c->link->st->store, sha, &a, &e);
	if (ret < 0) {
		log_error("token: %s", e.text);
		return ret;
	}
	if (!ret || (o->user.n && !str_ieq(o->user, str_of(a.name))))
		return 0;
	let_in(c, o, &a);
	return 1;
}

static void queue_password(struct store_call *c)
{
	c->slow.run = on_password;
	c->slow.flow = c->tried.from;
	c->running = true;
	if (hasher_submit(c->link->st->hasher, &c->slow))
		return;
	c->running = false;
	call_refuse(c, 503);
}

void login_start(struct store_call *c)
{
	struct offered o;
	if (!read_offer(c, &o)) {
		metrics_add(METRIC_LOGINS_FAILED, 1);
		call_refuse(c, 401);
		return;
	}
	c->tried = login_try_of(o.from.address, o.user, o.secret);
	c->tried.changes = failures_changes(c->link->st->failures);
	int token = try_token(c, &o);
	if (token < 0) {
		call_refuse(c, 503);
	} else if (token || held_up(c)) {
		call_refuse(c, c->status);
	} else if (str_eq(o.method, STR("basic"))) {
		queue_password(c);
	} else {
		failed(c, &o);
		call_refuse(c, c->status);
	}
}
