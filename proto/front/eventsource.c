/*
 * GET /jmap/eventsource?types=...&closeafter=...&ping=... (RFC 8620 7.3): an answer
 * that goes on, with an event for each StateChange.
 *
 * Its head is sent when the account's changes are sure to come, so whoever sees it
 * open misses nothing from then on; the id that comes first says from where, and a
 * client that loses its connection before any event resumes there. Behind unsent
 * bytes nothing is written: changes merge, and Pings wait. A client that takes none
 * of them for ws-client-timeout is cut, as one of a WebSocket is.
 *
 * A source counts as a request only while it logs in.
 */
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/front/file_name.h"
#include "proto/front/priv.h"
#include "proto/front/push_enable.h"

/* RFC 8620 7.3: no minimum above 30 and no maximum below 300. */
#define PING_MIN 5    /* seconds */
#define PING_MAX 3600 /* seconds */
#define QUIET_MAX 300 /* seconds without a byte, when no Pings are wanted */

struct source {
	struct stream *s;
	struct front *f;
	struct push_client push;
	struct cds_list_head node; /* front.sources */
	struct timer timer;
	struct login login;
	uint64_t event_ms; /* when the last was sent */
	uint32_t ping_s;   /* 0: none */
	uint32_t place;	   /* of its account in the crowd */
	bool once : 1;	   /* closeafter=state */
	bool resumes : 1;  /* it brought an id */
	bool bearer : 1;
	bool open : 1; /* the head is sent */
	bool ended : 1;
};

/* ---- what is asked for ----------------------------------------------------- */

struct wish {
	unsigned types;
	uint64_t ping_s;
	bool once, head;
	const char *why; /* it is refused; NULL: it is not */
	struct buf id;	 /* Last-Event-ID */
};

/* The value, or nothing when it is not there or malformed. */
static struct str value_of(struct str query, struct str name, struct buf *out)
{
	buf_reset(out);
	return query_value(query, name, out) ? buf_str(out) : STR_NONE;
}

static const char *read_query(struct wish *w, struct str query)
{
	struct buf out cleanup(buf_fini) = {0};
	struct str after;

	if (!push_types_read(value_of(query, STR("types"), &out), &w->types))
		return "types must be * or names joined by commas.";
	after = value_of(query, STR("closeafter"), &out);
	w->once = str_eq(after, STR("state"));
	if (!w->once && !str_eq(after, STR("no")))
		return "closeafter must be state or no.";
	if (!str_u64(value_of(query, STR("ping"), &out), &w->ping_s))
		return "ping must be a number of seconds.";
	if (w->ping_s)
		w->ping_s = min_of(max_of(w->ping_s, (uint64_t)PING_MIN),
			(uint64_t)PING_MAX);
	return NULL;
}

static void open(struct request *q, const struct http_request *r)
{
	struct wish *w = mem_new(sizeof(*w));

	w->why = read_query(w, r->query);
	w->head = str_eq(r->method, STR("HEAD"));
	buf_adds(&w->id, http_field(r, "Last-Event-ID"));
	q->own = w;
}

static void fini(struct request *q)
{
	struct wish *w = q->own;

	buf_fini(&w->id);
	free(w);
}

/* ---- what is sent ---------------------------------------------------------- */

static struct source *of_push(struct push_client *c)
{
	return container_of(c, struct source, push);
}

static uint64_t now_ms(const struct source *e)
{
	return loop_now_ms(e->f->loop);
}

static void send_head(struct stream *s)
{
	const struct http_header h[] = {
		{STR("Content-Type"), STR("text/event-stream")},
		{STR("Cache-Control"), STR("no-store")},
		/* nginx would collect it; others have learnt the field */
		{STR("X-Accel-Buffering"), STR("no")},
	};

	stream_head(s, 200, h, countof(h), UINT64_MAX);
}

/* Nothing more is said. */
static void quiet(struct source *e)
{
	e->ended = true;
	push_disable(&e->push);
	timer_stop(e->f->loop, &e->timer);
}

/* Clients of EventSource come again after a clean end. */
static void finish(struct source *e)
{
	quiet(e);
	stream_end(e->s);
}

static uint64_t interval_ms(const struct source *e)
{
	return (e->ping_s ? e->ping_s : QUIET_MAX) * UINT64_C(1000);
}

/* When what is unsent must have moved: since it did, or began to wait. */
static uint64_t move_by_ms(const struct source *e)
{
	return max_of(e->event_ms, stream_last_out_ms(e->s)) +
	       conf_get()->ws_client_timeout * 1000;
}

static void sent(struct source *e)
{
	uint64_t wait = conf_get()->ws_client_timeout * 1000;

	e->event_ms = now_ms(e);
	timer_set(e->f->loop, &e->timer,
		e->event_ms + min_of(wait, interval_ms(e)));
}

/*
 * RFC 8620 7.3: that time has passed since the last event. Who wants no pings still
 * gets a comment now and then, or nobody would notice that the client is gone.
 */
static void ping(struct source *e)
{
	struct buf out cleanup(buf_fini) = {0};

	if (now_ms(e) < e->event_ms + interval_ms(e)) {
		timer_set(e->f->loop, &e->timer, e->event_ms + interval_ms(e));
		return;
	}
	if (e->ping_s)
		buf_fmt(&out, "event: ping\ndata: {\"interval\":%u}\n\n",
			e->ping_s);
	else
		buf_addz(&out, ":\n\n");
	stream_write(e->s, buf_str(&out));
	sent(e);
}

static void look(struct source *e)
{
	if (e->ended || !e->open)
		return;
	if (!stream_unsent(e->s)) {
		ping(e);
	} else if (move_by_ms(e) <= now_ms(e)) {
		quiet(e);
		stream_reset(e->s);
	} else {
		timer_set(e->f->loop, &e->timer, move_by_ms(e));
	}
}

static void on_timer(struct timer *t)
{
	look(container_of(t, struct source, timer));
}

static void add_id(struct buf *out, const struct push_client *c)
{
	struct buf token cleanup(buf_fini) = {0};

	push_token(c, &token);
	buf_addz(out, "id: ");
	buf_adds(out, buf_str(&token));
	buf_addc(out, '\n');
}

static void push_send(struct push_client *c, struct str json)
{
	struct source *e = of_push(c);
	struct buf out cleanup(buf_fini) = {0};

	buf_addz(&out, "event: state\n");
	add_id(&out, c);
	buf_addz(&out, "data: ");
	buf_adds(&out, json);
	buf_addz(&out, "\n\n");
	stream_write(e->s, buf_str(&out));
	if (e->once)
		finish(e);
	else
		sent(e);
}

/* Its first bytes, and where it stands: an id alone is no event. */
static void push_stands(struct push_client *c)
{
	struct source *e = of_push(c);
	struct buf out cleanup(buf_fini) = {0};

	buf_addz(&out, ":\n");
	if (!e->resumes)
		add_id(&out, c);
	buf_addc(&out, '\n');
	e->open = true;
	send_head(e->s);
	stream_write(e->s, buf_str(&out));
	sent(e);
}

static size_t push_unsent(struct push_client *c)
{
	struct source *e = of_push(c);

	return e->open ? stream_unsent(e->s) : 1;
}

static uint64_t push_throttle_ms(void)
{
	return conf_get()->event_source_throttle;
}

static const struct push_client_ops push_ops = {
	.send = push_send,
	.unsent = push_unsent,
	.throttle_ms = push_throttle_ms,
	.stands = push_stands,
	.plain = true,
};

/* ---- its life -------------------------------------------------------------- */

static size_t on_data(struct stream *s, char *p, size_t n)
{
	return n;
}

static void on_room(struct stream *s)
{
	struct source *e = s->up;

	push_room(&e->push);
	look(e);
}

static void drain(struct source *e)
{
	if (e->ended)
		return;
	if (e->open) {
		finish(e);
		return;
	}
	quiet(e);
	stream_problem(e->s, 503, "The server stops.");
}

static void on_drain(struct stream *s)
{
	drain(s->up);
}

/* A stream without end is of no use to who can end it only by going. */
static void on_hangup(struct stream *s)
{
	struct source *e = s->up;

	if (e->ended)
		return;
	if (e->open) {
		finish(e);
		return;
	}
	quiet(e);
	stream_reset(s);
}

static void on_done(struct stream *s, bool clean)
{
	struct source *e = s->up;

	log_info("id=%llu eventsource closed clean=%d",
		(unsigned long long)s->share->id, clean);
	quiet(e);
	cds_list_del(&e->node);
	crowded_leave(e->f, &e->place);
	metrics_add(METRIC_EVENT_SOURCES, -1);
	secret_wipe(&e->login, sizeof(e->login));
	free(e);
}

static const struct stream_ops source_ops = {
	.on_data = on_data,
	.on_room = on_room,
	.on_drain = on_drain,
	.on_hangup = on_hangup,
	.on_done = on_done,
};

static struct source *source_new(
	const struct request *q, const struct wish *w, uint32_t place)
{
	struct source *e = mem_new(sizeof(*e));

	e->s = q->s;
	e->f = q->f;
	e->login = q->login;
	e->bearer = q->bearer;
	e->ping_s = (uint32_t)w->ping_s;
	e->once = w->once;
	e->resumes = w->id.n > 0;
	e->place = place;
	timer_init(&e->timer, on_timer);
	push_client_init(&e->push, q->f->hub, &push_ops);
	cds_list_add_tail(&e->node, &q->f->sources);
	metrics_add(METRIC_EVENT_SOURCES, 1);
	return e;
}

/* The request becomes a source. */
static void become(struct request *q, struct str name, uint32_t place)
{
	struct wish *w = q->own;
	struct source *e = source_new(q, w, place);
	struct buf id cleanup(buf_fini) = {0};
	unsigned types = w->types;

	log_info("id=%llu peer=%s eventsource open account=%llu user=\"%s\"",
		(unsigned long long)q->s->share->id, q->peer,
		(unsigned long long)q->login.account, log_quote(name).z);
	buf_move(&id, &w->id);
	request_free(q);
	e->s->ops = &source_ops;
	e->s->up = e;
	push_enable(&e->push, e->login.account, &e->login, sizeof(e->login),
		types, buf_str(&id));
}

static void start(struct request *q, struct str name)
{
	struct wish *w = q->own;
	uint32_t place;

	if (w->why) {
		request_answering(q);
		stream_problem(q->s, 400, w->why);
	} else if (q->f->draining) {
		request_fail(q, 503, STR_NONE);
	} else if (w->head) {
		request_answering(q);
		send_head(q->s);
		stream_end(q->s);
	} else if (!crowded_enter(q, &place)) {
		crowded_refuse(q);
	} else {
		become(q, name, place);
	}
}

const struct request_kind source_kind = {
	.open = open,
	.fini = fini,
	.start = start,
};

static void revoke(struct source *e)
{
	if (e->open) {
		finish(e);
		return;
	}
	quiet(e);
	auth_refuse(e->s, e->bearer);
}

void source_revoke(struct front *f, uint64_t account, uint32_t version)
{
	struct source *e;

	/* Ending is never the end at once: the list stays as it is. */
	cds_list_for_each_entry (e, &f->sources, node)
		if (!e->ended && e->login.account == account &&
			e->login.version < version)
			revoke(e);
}

void source_reconfigure(struct front *f)
{
	struct source *e;

	/* By its own timer: what is due may end it. */
	cds_list_for_each_entry (e, &f->sources, node)
		if (timer_is_set(&e->timer))
			timer_set(f->loop, &e->timer, now_ms(e) + 1);
}

void source_drain(struct front *f)
{
	struct source *e;

	cds_list_for_each_entry (e, &f->sources, node)
		drain(e);
}
