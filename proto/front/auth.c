/*
 * Credentials on their way to the store, and what came of them.
 */
#include "proto/front/auth.h"

#include <stdio.h>

#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/base/utf8.h"
#include "proto/front/peer.h"

#define VALUE_MAX 8192 /* bytes of an Authorization value */

struct auth {
	struct loop *loop;
	struct backend *backend;
	uint8_t key[SHA256_LEN];
	struct map good;	     /* of struct good */
	struct cds_list_head by_age; /* the oldest first */
	struct map asked;	     /* of struct asked */
};

struct good {
	struct map_node node;
	struct cds_list_head age;
	uint8_t digest[SHA256_LEN];
	uint64_t since_ms;
	struct login login;
	size_t name_n;
	char name[];
};

struct revoked {
	uint64_t account;
	uint32_t version;
};

/* A credential that the store is just looking at, and who waits for it. */
struct asked {
	struct call call;
	struct auth *a;
	struct map_node node;
	uint8_t digest[SHA256_LEN];
	struct cds_list_head waiting;
	/* Revocations meanwhile: the store may have looked before them. */
	struct buf revoked; /* of struct revoked */
};

struct auth *auth_new(struct loop *l, struct backend *b)
{
	struct auth *a = mem_new(sizeof(*a));

	a->loop = l;
	a->backend = b;
	random_bytes(a->key, sizeof(a->key));
	CDS_INIT_LIST_HEAD(&a->by_age);
	return a;
}

static void forget(struct auth *a, struct good *g)
{
	map_del(&a->good, &g->node);
	cds_list_del(&g->age);
	secret_wipe(&g->login, sizeof(g->login));
	free(g);
}

static void asked_free(struct asked *q)
{
	map_del(&q->a->asked, &q->node);
	buf_fini(&q->revoked);
	free(q);
}

static bool give_up(struct map_node *n, void *ctx)
{
	struct asked *q = container_of(n, struct asked, node);
	struct auth *a = ctx;

	check(cds_list_empty(&q->waiting));
	call_cancel(a->backend, &q->call);
	asked_free(q);
	return true;
}

void auth_free(struct auth *a)
{
	struct good *g, *next;

	map_walk(&a->asked, give_up, a);
	cds_list_for_each_entry_safe (g, next, &a->by_age, age)
		forget(a, g);
	map_fini(&a->asked);
	map_fini(&a->good);
	secret_wipe(a->key, sizeof(a->key));
	free(a);
}

size_t auth_remembered(const struct auth *a)
{
	return a->good.n;
}

/* What the request says. */

/* "Basic dXNlcjpwdw==": scheme, the spaces, and what follows them. */
static bool scheme_is(struct str value, struct str scheme, struct str *rest_r)
{
	size_t n = str_find(value, ' ');

	if (n == value.n || !str_ieq(str_n(value.p, n), scheme))
		return false;
	*rest_r = str_trim(str_skip(value, n));
	return true;
}

bool auth_is_bearer(const struct http_request *r)
{
	struct str ignored;

	return scheme_is(
		http_field(r, "Authorization"), STR("Bearer"), &ignored);
}

/* RFC 6750 2.1: b64token. */
static bool token_well_formed(struct str t)
{
	size_t i = 0;

	while (i < t.n && ((t.p[i] >= '0' && t.p[i] <= '9') ||
				  (t.p[i] >= 'A' && t.p[i] <= 'Z') ||
				  (t.p[i] >= 'a' && t.p[i] <= 'z') ||
				  memchr("-._~+/", t.p[i], 6)))
		i++;
	if (!i)
		return false;
	while (i < t.n && t.p[i] == '=')
		i++;
	return i == t.n;
}

static void wipe(struct buf *b)
{
	if (b->p)
		secret_wipe(b->p, b->n);
	buf_fini(b);
}

/* RFC 7617 2: user-id up to the first colon, then the password; UTF-8. */
static bool head_basic(struct str token, struct buf *head)
{
	struct buf pair = {0};
	struct str text;
	bool good;
	size_t colon;

	buf_room(&pair, token.n); /* no copies by growing */
	good = base64_decode(token, &pair);
	text = buf_str(&pair);
	colon = good ? str_find(text, ':') : 0;
	good = good && colon < text.n && !memchr(text.p, 0, text.n) &&
	       utf8_valid(text);
	if (good) {
		buf_add(head, "basic", 6);
		buf_add(head, text.p, colon);
		buf_addc(head, '\0');
		buf_adds(head, str_skip(text, colon + 1));
	}
	wipe(&pair);
	return good;
}

static bool head_bearer(struct str token, struct buf *head)
{
	if (!token_well_formed(token))
		return false;
	buf_add(head, "bearer", 7);
	buf_adds(head, token);
	return true;
}

/* The head of CALL_LOGIN; false when no credential can be read from it. */
static bool head_of(
	struct str value, const struct call_from *from, struct buf *head)
{
	struct str rest;

	buf_room(head, sizeof(*from) + value.n + 16);
	buf_add(head, from, sizeof(*from));
	if (scheme_is(value, STR("Basic"), &rest))
		return head_basic(rest, head);
	if (scheme_is(value, STR("Bearer"), &rest))
		return head_bearer(rest, head);
	return false;
}

/* What is remembered. */

static uint64_t hash_of(const uint8_t digest[SHA256_LEN])
{
	uint64_t h;

	memcpy(&h, digest, sizeof(h)); /* keyed: nobody can choose it */
	return h;
}

static bool same(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN])
{
	return ct_equal(str_n(a, SHA256_LEN), str_n(b, SHA256_LEN));
}

static bool stale(const struct auth *a, const struct good *g)
{
	return g->since_ms + conf_get()->auth_cache * 1000 <=
	       loop_now_ms(a->loop);
}

static struct good *recall(struct auth *a, const uint8_t digest[SHA256_LEN])
{
	struct map_node *n;

	map_each (&a->good, hash_of(digest), n) {
		struct good *g = container_of(n, struct good, node);

		if (!same(g->digest, digest))
			continue;
		if (!stale(a, g))
			return g;
		forget(a, g);
		return NULL;
	}
	return NULL;
}

static void remember(struct auth *a, const uint8_t digest[SHA256_LEN],
	const struct login *login, struct str name)
{
	struct good *g;

	if (!conf_get()->auth_cache)
		return;
	while (!cds_list_empty(&a->by_age)) {
		g = cds_list_first_entry(&a->by_age, struct good, age);
		if (a->good.n < AUTH_MAX && !stale(a, g))
			break;
		forget(a, g);
	}
	g = mem_new(sizeof(*g) + name.n);
	memcpy(g->digest, digest, SHA256_LEN);
	g->since_ms = loop_now_ms(a->loop);
	g->login = *login;
	g->name_n = name.n;
	if (name.n)
		memcpy(g->name, name.p, name.n);
	map_put(&a->good, &g->node, hash_of(digest));
	cds_list_add_tail(&g->age, &a->by_age);
}

/* Asking the store. */

static struct asked *find_asked(
	struct auth *a, const uint8_t digest[SHA256_LEN])
{
	struct map_node *n;

	map_each (&a->asked, hash_of(digest), n) {
		struct asked *q = container_of(n, struct asked, node);

		if (same(q->digest, digest))
			return q;
	}
	return NULL;
}

static bool revoked_meanwhile(const struct asked *q, const struct login *login)
{
	struct revoked r;

	for (size_t at = 0; at < q->revoked.n; at += sizeof(r)) {
		memcpy(&r, q->revoked.p + at, sizeof(r));
		if (r.account == login->account && login->version < r.version)
			return true;
	}
	return false;
}

/* 200 only with a login that is good at this moment. */
static unsigned judge(const struct asked *q, unsigned status, struct str body,
	struct login *login_r)
{
	if (status != 200)
		return status == 401 || status == 429 || status >= 500 ? status
								       : 500;
	if (body.n < sizeof(*login_r))
		return 500;
	memcpy(login_r, body.p, sizeof(*login_r));
	return revoked_meanwhile(q, login_r) ? 401 : 200;
}

static uint32_t wait_of(struct str body)
{
	uint32_t wait_s = 0;

	if (body.n == sizeof(wait_s))
		memcpy(&wait_s, body.p, sizeof(wait_s));
	return max_of(wait_s, 1U);
}

static void on_answer(struct call *c, unsigned status, struct str body)
{
	struct asked *q = container_of(c, struct asked, call);
	struct cds_list_head waiting;
	struct login login = {0};
	struct str name = STR_NONE;
	uint32_t wait_s = status == 429 ? wait_of(body) : 0;

	status = judge(q, status, body, &login);
	if (status == 200) {
		name = str_skip(body, sizeof(login));
		remember(q->a, q->digest, &login, name);
	}
	CDS_INIT_LIST_HEAD(&waiting);
	cds_list_splice(&q->waiting, &waiting);
	asked_free(q);
	while (!cds_list_empty(&waiting)) {
		struct auth_wait *w =
			cds_list_first_entry(&waiting, struct auth_wait, node);

		auth_unwait(w);
		w->wait_s = wait_s;
		w->on_login(w, status, &login, name);
	}
}

static struct asked *ask(struct auth *a, const uint8_t digest[SHA256_LEN],
	uint64_t conn, struct str head)
{
	struct asked *q = mem_new(sizeof(*q));
	struct call_open o = {.kind = CALL_LOGIN, .conn = conn, .head = head};
	struct buf none = {0};

	q->a = a;
	q->call.on_answer = on_answer;
	memcpy(q->digest, digest, SHA256_LEN);
	CDS_INIT_LIST_HEAD(&q->waiting);
	map_put(&a->asked, &q->node, hash_of(digest));
	call_submit(a->backend, &q->call, &o, &none);
	return q;
}

/* By a call that is under way, or a new one; false: that is no credential. */
static bool wait_for_store(struct auth *a, const uint8_t digest[SHA256_LEN],
	const struct call_from *from, struct str value, uint64_t conn,
	struct auth_wait *w)
{
	struct asked *q = find_asked(a, digest);
	struct buf head = {0};

	if (!q && head_of(value, from, &head))
		q = ask(a, digest, conn, buf_str(&head));
	wipe(&head);
	if (q)
		cds_list_add_tail(&w->node, &q->waiting);
	return q;
}

static void digest_of(const struct auth *a, const struct call_from *from,
	struct str value, uint8_t digest[SHA256_LEN])
{
	uint8_t text[sizeof(*from) + VALUE_MAX];

	memcpy(text, from, sizeof(*from));
	if (value.n)
		memcpy(text + sizeof(*from), value.p, value.n);
	hmac_sha256(str_n(a->key, sizeof(a->key)),
		str_n(text, sizeof(*from) + value.n), digest);
	secret_wipe(text, sizeof(*from) + value.n);
}

void auth_login(struct auth *a, const struct http_request *r, uint64_t conn,
	struct auth_wait *w)
{
	struct str value = http_field(r, "Authorization");
	struct call_from from = peer_from(r->peer);
	uint8_t digest[SHA256_LEN];
	struct good *g;

	/* RFC 9110 5.3: two of a field that is no list mean nothing. */
	if (http_field_count(r, "Authorization") != 1 || value.n > VALUE_MAX) {
		w->on_login(w, 401, NULL, STR_NONE);
		return;
	}
	digest_of(a, &from, value, digest);
	g = recall(a, digest);
	if (g) {
		struct login login = g->login;

		w->on_login(w, 200, &login, str_n(g->name, g->name_n));
	} else if (!wait_for_store(a, digest, &from, value, conn, w)) {
		w->on_login(w, 401, NULL, STR_NONE);
	}
}

void auth_unwait(struct auth_wait *w)
{
	if (!w->node.next)
		return;
	cds_list_del(&w->node);
	w->node = (struct cds_list_head){0};
}

static bool note_revoked(struct map_node *n, void *ctx)
{
	struct asked *q = container_of(n, struct asked, node);

	buf_add(&q->revoked, ctx, sizeof(struct revoked));
	return true;
}

void auth_revoke(struct auth *a, uint64_t account, uint32_t version)
{
	struct revoked r = {.account = account, .version = version};
	struct good *g, *next;

	cds_list_for_each_entry_safe (g, next, &a->by_age, age)
		if (g->login.account == account && g->login.version < version)
			forget(a, g);
	map_walk(&a->asked, note_revoked, &r);
}

void auth_refuse(struct stream *s, bool bearer)
{
	/* RFC 7617 2.1; RFC 6750 3: no error code when no token was there. */
	const struct http_header challenges[] = {
		{STR("WWW-Authenticate"),
			STR("Basic realm=\"jmapd\", charset=\"UTF-8\"")},
		{STR("WWW-Authenticate"),
			bearer ? STR("Bearer realm=\"jmapd\", "
				     "error=\"invalid_token\"")
			       : STR("Bearer realm=\"jmapd\"")},
		{STR("Cache-Control"), STR("no-store")},
	};

	stream_problem_with(s, 401, "These credentials are not good here.",
		challenges, countof(challenges));
}

void auth_hold_off(struct stream *s, uint32_t wait_s)
{
	char seconds[16];
	struct http_header fields[] = {
		{STR("Retry-After"), STR_NONE},
		{STR("Cache-Control"), STR("no-store")},
	};

	snprintf(seconds, sizeof(seconds), "%u", (unsigned)wait_s);
	fields[0].value = str_of(seconds);
	stream_problem_with(s, 429, "Too many logins have failed.", fields,
		countof(fields));
}
