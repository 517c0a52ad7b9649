/*
 * The life of a JMAP WebSocket: opened after the login, pushed to, revoked,
 * drained, closed.
 */
#include "proto/front/jws.h"

#include "conf/conf.h"
#include "core/base/log.h"

/* By account. */

static struct jws *first_of(struct front *f, uint64_t account)
{
	struct map_node *n;

	map_each (&f->accounts, hash_u64(account), n) {
		struct jws *j = container_of(n, struct jws, node);

		if (j->login.account == account)
			return j;
	}
	return NULL;
}

static void make_first(struct jws *j)
{
	j->first = true;
	map_put(&j->f->accounts, &j->node, hash_u64(j->login.account));
}

static void account_add(struct jws *j)
{
	struct jws *first = first_of(j->f, j->login.account);

	CDS_INIT_LIST_HEAD(&j->ring);
	if (first)
		cds_list_add_tail(&j->ring, &first->ring);
	else
		make_first(j);
}

static void account_del(struct jws *j)
{
	struct jws *next = cds_list_entry(j->ring.next, struct jws, ring);

	cds_list_del(&j->ring);
	if (!j->first)
		return;
	map_del(&j->f->accounts, &j->node);
	if (next != j)
		make_first(next);
}

/* Push. */

static struct jws *of_push(struct push_client *c)
{
	return container_of(c, struct jws, push);
}

static void push_send(struct push_client *c, struct str json)
{
	ws_send(of_push(c)->w, true, json);
}

static void push_pended(struct push_client *c)
{
	jws_writes_first(of_push(c));
}

static size_t push_unsent(struct push_client *c)
{
	struct jws *j = of_push(c);

	return ws_unsent(j->w) + j->goes_first;
}

static uint64_t push_throttle_ms(void)
{
	return conf_get()->ws_throttle;
}

static const struct push_client_ops push_ops = {
	.send = push_send,
	.pended = push_pended,
	.unsent = push_unsent,
	.throttle_ms = push_throttle_ms,
};

/* The WebSocket. */

static void on_room(struct ws *w)
{
	struct jws *j = ws_up(w);

	push_room(&j->push);
}

static void drain(struct jws *j)
{
	j->draining = true;
	if (!j->calls.next)
		ws_close(j->w, WS_GOING_AWAY, "the server stops");
}

static void on_drain(struct ws *w)
{
	drain(ws_up(w));
}

static void on_closed(struct ws *w, unsigned code)
{
	struct jws *j = ws_up(w);

	log_info("id=%llu websocket closed code=%u",
		(unsigned long long)ws_stream(w)->share->id, code);
	jws_cancel_calls(j);
	push_disable(&j->push);
	account_del(j);
	crowded_leave(j->f, &j->place);
	free(j);
}

static const struct ws_ops jws_ops = {
	.on_message = jws_on_message,
	.on_too_big = jws_on_too_big,
	.on_room = on_room,
	.on_drain = on_drain,
	.on_closed = on_closed,
};

static uint64_t max_message(void)
{
	return conf_get()->max_size_request;
}

static struct ws_want want_of(struct front *f)
{
	return (struct ws_want){
		.protocol = STR("jmap"),
		.check_origin = true,
		.max_message = max_message,
		.set = &f->sockets,
	};
}

bool jws_handshake(struct front *f, struct stream *s,
	const struct http_request *r, struct ws_handshake *hs_r)
{
	struct ws_want want = want_of(f);
	const char *why = NULL;
	unsigned status = ws_check(r, &want, &why);

	if (status)
		ws_refuse(s, status, why);
	else
		ws_remember(r, &want, hs_r);
	return !status;
}

struct ws *jws_accept(struct front *f, struct stream *s,
	const struct ws_handshake *hs, const struct ws_ops *ops, void *up)
{
	struct ws_want want = want_of(f);

	return ws_accept(s, hs, &want, ops, up);
}

/* The handshake's login is known: the request becomes a WebSocket. */
static void start(struct request *q, struct str name)
{
	struct front *f = q->f;
	struct stream *s = q->s;
	struct ws_handshake hs = q->handshake;
	struct jws *j;
	uint32_t place;

	if (f->draining) {
		request_fail(q, 503, STR_NONE);
		return;
	}
	if (!crowded_enter(q, &place)) {
		crowded_refuse_websocket(q);
		return;
	}
	log_info("id=%llu peer=%s websocket open account=%llu user=\"%s\"",
		(unsigned long long)s->share->id, q->peer,
		(unsigned long long)q->login.account, log_quote(name).z);
	j = mem_new(sizeof(*j));
	j->f = f;
	j->login = q->login;
	j->place = place;
	push_client_init(&j->push, f->hub, &push_ops);
	account_add(j);
	request_free(q);
	j->w = jws_accept(f, s, &hs, &jws_ops, j);
}

const struct request_kind jws_kind = {
	.start = start,
};

void jws_revoke(struct front *f, uint64_t account, uint32_t version)
{
	struct jws *first = first_of(f, account), *j = first;

	/* Closing is never the end at once: the ring stays as it is. */
	while (j) {
		if (j->login.version < version) {
			push_disable(&j->push);
			ws_close(j->w, WS_POLICY, "credentials changed");
		}
		j = cds_list_entry(j->ring.next, struct jws, ring);
		if (j == first)
			break;
	}
}

static bool drain_account(struct map_node *n, void *ctx)
{
	struct jws *first = container_of(n, struct jws, node), *j = first;

	do {
		drain(j);
		j = cds_list_entry(j->ring.next, struct jws, ring);
	} while (j != first);
	return true;
}

void jws_drain(struct front *f)
{
	map_walk(&f->accounts, drain_account, NULL);
}
