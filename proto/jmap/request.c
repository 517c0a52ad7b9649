/*
 * The envelope: what a Request must look like, its calls in order, the Response.
 */
#include "proto/jmap/request.h"

#include <errno.h>
#include <stdio.h>
#include <urcu.h>

#include "conf/conf.h"
#include "core/base/log.h"
#include "core/store/text.h"
#include "proto/jmap/json.h"
#include "proto/jmap/raw.h"
#include "proto/jmap/refs.h"
#include "proto/jmap/scan.h"
#include "proto/jmap/session.h"

/* Bytes of the longest error response besides its call id, and of the tail. */
enum { ERROR_ROOM = 512, TAIL_ROOM = 512 };
enum { INDEX_TRIES = 100 };

static const char *const error_types[] = {
#define METHOD_ERROR(name, type) [ERROR_##name] = type,
#include "proto/jmap/errors.def"
#undef METHOD_ERROR
};

int req_error(struct req *r, enum method_error e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return (int)e;
}

size_t req_room(const struct req *r)
{
	size_t used = r->out->n - r->base + r->reserve;

	return used < r->limit.response ? r->limit.response - used : 0;
}

int req_wants(struct req *r, size_t n)
{
	if (n <= req_room(r))
		return 0;
	return req_error(r, ERROR_REQUEST_TOO_LARGE,
		"the response would exceed max-size-response");
}

int req_fits(struct req *r)
{
	size_t used = r->out->n - r->base + r->reserve;

	return used <= r->limit.response ? 0 : req_wants(r, SIZE_MAX / 2);
}

int req_read(struct req *r, struct tx **t_r)
{
	if (!r->snapshot) {
		int ret = tx_begin(
			r->call->account, TX_READ, &r->snapshot, &r->err);

		if (ret < 0)
			return ret;
	}
	*t_r = r->snapshot;
	return 0;
}

int req_read_indexed(struct req *r, struct tx **t_r)
{
	/* Mail may come between the index and the snapshot, but not each time. */
	for (int i = 0; i < INDEX_TRIES; i++) {
		int ret = req_read(r, t_r);

		if (ret == 0)
			ret = text_behind(*t_r, &r->err);
		if (ret <= 0)
			return ret;
		tx_end(steal(r->snapshot));
		ret = text_catch_up(r->call->account, &r->err);
		if (ret < 0)
			return ret;
	}
	return err_set(&r->err, -EBUSY, "the text index is not up to date");
}

int req_write(struct req *r, struct tx **t_r)
{
	if (!r->call->writable) {
		/* Only a worker that lies about "writes" gets here. */
		log_error("event=unannounced-write account=%s", r->account.z);
		return req_error(r, ERROR_SERVER_FAIL,
			"the request was not announced as one that writes");
	}
	if (!r->wrote && r->call->writing)
		r->call->writing(r->call);
	r->wrote = true;
	return tx_begin(r->call->account, TX_WRITE, t_r, &r->err);
}

void req_wrote(struct req *r)
{
	tx_end(steal(r->snapshot));
}

bool req_id(const struct req *r, const struct idmap *more, struct str s,
	struct str *id_r)
{
	const struct idmap_entry *e = NULL;

	if (s.n == 0 || s.p[0] != '#') {
		*id_r = s;
		return true;
	}
	s = str_skip(s, 1);
	if (more)
		e = idmap_find(more, s);
	if (!e)
		e = idmap_find(&r->created, s);
	if (e)
		*id_r = e->id;
	return e != NULL;
}

struct jw *req_reply(struct req *r, const char *name)
{
	struct invocation *c = &r->calls[r->now];

	jw_arr(&r->w);
	jw_strz(&r->w, name);
	c->reply = str_of(name);
	c->at = r->out->n + 1; /* behind the comma */
	return &r->w;
}

void req_reply_end(struct req *r)
{
	struct invocation *c = &r->calls[r->now];

	c->n = r->out->n - c->at;
	jw_raw(&r->w, c->id);
	jw_arr_end(&r->w);
}

/* ---- one call ------------------------------------------------------------- */

/* What the world did, as the client should hear it (RFC 8620 3.6.2). */
static int world(struct req *r, int ret)
{
	bool passes = ret == -ENOSPC || ret == -EBUSY || ret == -EAGAIN ||
		      ret == -ENOMEM || ret == -EDQUOT || ret == -EMFILE ||
		      ret == -ENFILE;

	r->unknown |= ret == -ENOTRECOVERABLE;
	log_error("event=method-failed account=%s error=\"%s\"", r->account.z,
		r->err.text);
	snprintf(r->why, sizeof(r->why), "%.150s", r->err.text);
	return passes ? ERROR_SERVER_UNAVAILABLE : ERROR_SERVER_FAIL;
}

static void reply_error(struct req *r, int ret)
{
	struct jw *w = req_reply(r, "error");

	jw_obj(w);
	jw_kstrz(w, "type", error_types[ret]);
	if (r->why[0])
		jw_kstrz(w, "description", r->why);
	jw_obj_end(w);
	req_reply_end(r);
}

/* RFC 8620 4: what was sent, byte for byte. */
static int echo(struct req *r, struct str args)
{
	int ret = req_wants(r, args.n + 32);

	if (ret)
		return ret;
	jw_raw(req_reply(r, "Core/echo"), args);
	req_reply_end(r);
	return 0;
}

static int run(struct req *r, struct invocation *c)
{
	const struct method *m = method_by_name(c->name);
	struct json_object *args cleanup(json_free) = NULL;
	struct buf resolved cleanup(buf_fini) = {0};
	const char *why;
	int ret;

	if (!m || !r->using[m->cap])
		return req_error(r, ERROR_UNKNOWN_METHOD, "%s", "");
	if (refs_in(c->args)) {
		ret = refs_resolve(r, c->args, &resolved);
		if (ret)
			return ret;
		c->args = buf_str(&resolved);
	}
	if (!m->run)
		return echo(r, c->args);
	args = json_parse(c->args, &why);
	if (!args)
		return req_error(r, ERROR_INVALID_ARGUMENTS, "%s", why);
	return m->run(r, m, args);
}

static void call(struct req *r)
{
	struct invocation *c = &r->calls[r->now];
	struct jw before = r->w;
	size_t at = r->out->n;
	int ret;

	/* The room that this call's own error has is in r->reserve still. */
	r->why[0] = '\0';
	r->err = (struct err){0};
	ret = run(r, c);
	if (ret != 0) {
		r->out->n = at;
		r->w = before;
		reply_error(r, ret < 0 ? world(r, ret) : ret);
	}
	c->args = STR_NONE;
	r->reserve -= c->id.n + ERROR_ROOM;
}

/* ---- the envelope ---------------------------------------------------------- */

struct envelope {
	struct str using, calls, created;
};

static bool open_envelope(struct str text, struct envelope *v)
{
	size_t at = raw_space(text, 0);
	struct raw_iter i = raw_iter(str_skip(text, at));
	struct str name, value;

	*v = (struct envelope){0};
	while (raw_next(&i, &name, &value)) {
		if (raw_is(name, STR("using")))
			v->using = value;
		else if (raw_is(name, STR("methodCalls")))
			v->calls = value;
		else if (raw_is(name, STR("createdIds")))
			v->created = value;
	}
	return raw_type(v->using) == '[' && raw_type(v->calls) == '[' &&
	       (!v->created.p || raw_type(v->created) == '{');
}

/* -1: not strings; 0: one is unknown; 1: all are known. */
static int read_using(struct req *r, struct str using)
{
	struct raw_iter i = raw_iter(using);
	struct str v;
	int all = 1;

	while (raw_next(&i, NULL, &v)) {
		enum capability c;

		if (raw_type(v) != '"')
			return -1;
		c = capability_by_urn(raw_text(v, &r->arena));
		if (c == CAPS)
			all = 0;
		else
			r->using[c] = true;
	}
	return all;
}

/* RFC 8620 3.3 createdIds: Id[Id]. */
static bool read_created(struct req *r, struct str created)
{
	struct raw_iter i;
	struct str name, v;

	r->created_given = created.p != NULL;
	if (!created.p)
		return true;
	for (i = raw_iter(created); raw_next(&i, &name, &v);) {
		struct str key = raw_text(name, &r->arena);

		if (raw_type(v) != '"')
			return false;
		v = raw_text(v, &r->arena);
		if (!id_valid(key) || !id_valid(v))
			return false;
		idmap_put(&r->created, &r->arena, key, v);
	}
	return true;
}

/* RFC 8620 3.2: [ name, arguments, call id ]. */
static bool read_call(struct req *r, struct str v, struct invocation *c)
{
	struct raw_iter i;
	struct str part[3], more;

	if (raw_type(v) != '[')
		return false;
	i = raw_iter(v);
	for (int k = 0; k < 3; k++)
		if (!raw_next(&i, NULL, &part[k]))
			return false;
	if (raw_next(&i, NULL, &more) || raw_type(part[0]) != '"' ||
		raw_type(part[1]) != '{' || raw_type(part[2]) != '"')
		return false;
	*c = (struct invocation){.name = raw_text(part[0], &r->arena),
		.args = part[1],
		.id = part[2]};
	return true;
}

/* False: no Request. Calls beyond the limit are counted, not kept. */
static bool read_calls(struct req *r, struct str calls)
{
	struct raw_iter i;
	struct invocation ignore;
	size_t cap = 0, n = 0;
	struct str v;

	for (i = raw_iter(calls); raw_next(&i, NULL, &v);)
		cap++;
	cap = min_of(cap, r->limit.calls);
	r->calls = arena_new(&r->arena, cap * sizeof(*r->calls));
	for (i = raw_iter(calls); raw_next(&i, NULL, &v); n++)
		if (!read_call(r, v, n < cap ? &r->calls[n] : &ignore))
			return false;
	r->calls_n = n;
	return true;
}

static void respond(struct req *r, const struct scan *s)
{
	char state[SESSION_STATE_MAX];

	session_state(r->account, r->call->user, state);
	jw_init(&r->w, r->out);
	jw_obj(&r->w);
	if (r->call->websocket) {
		jw_kstrz(&r->w, "@type", "Response");
		if (s->id.p) {
			jw_key(&r->w, STR("requestId"));
			jw_raw(&r->w, s->id);
		}
	}
	jw_key(&r->w, STR("methodResponses"));
	jw_arr(&r->w);
	for (r->now = 0; r->now < r->calls_n && !r->unknown; r->now++)
		call(r);
	jw_arr_end(&r->w);
	if (r->created_given) {
		jw_key(&r->w, STR("createdIds"));
		jw_obj(&r->w);
		for (const struct idmap_entry *e = r->created.first; e;
			e = e->next) {
			jw_key(&r->w, e->key);
			jw_str(&r->w, e->id);
		}
		jw_obj_end(&r->w);
	}
	jw_kstrz(&r->w, "sessionState", state);
	jw_obj_end(&r->w);
}

/* What the answer holds at least: it is set aside before the first call. */
static bool set_aside(struct req *r, const struct scan *s)
{
	r->reserve = TAIL_ROOM + s->id.n;
	for (size_t i = 0; i < r->calls_n; i++)
		r->reserve += r->calls[i].id.n + ERROR_ROOM;
	/* Ids need no escapes: quotes, colon, comma. */
	if (r->created_given)
		r->reserve += r->created.bytes + r->created.map.n * 6;
	return r->reserve <= r->limit.response;
}

static unsigned refuse(struct req *r, const struct scan *s,
	enum request_error e, const char *limit, const char *detail)
{
	return request_error(r->out, e, r->call->websocket,
		r->call->websocket ? s->id : STR_NONE, limit, detail);
}

static unsigned run_request(
	struct req *r, struct str text, const struct scan *s)
{
	struct envelope v;
	int known;

	if (!s->object ||
		(r->call->websocket && (s->kind != SCAN_REQUEST || s->id_bad)))
		return refuse(r, s, REQ_NOT_REQUEST, NULL, NULL);
	if (!open_envelope(text, &v) || !read_created(r, v.created))
		return refuse(r, s, REQ_NOT_REQUEST, NULL, NULL);
	known = read_using(r, v.using);
	if (known < 0 || !read_calls(r, v.calls))
		return refuse(r, s, REQ_NOT_REQUEST, NULL, NULL);
	if (!known)
		return refuse(r, s, REQ_UNKNOWN_CAPABILITY, NULL, NULL);
	if (r->calls_n > r->limit.calls)
		return refuse(r, s, REQ_LIMIT, "maxCallsInRequest", NULL);
	if (!set_aside(r, s))
		return refuse(r, s, REQ_LIMIT, "maxSizeRequest",
			"Even errors for all of its calls would exceed "
			"max-size-response.");
	respond(r, s);
	/* A method error would promise that nothing changed (RFC 8620 3.6.2). */
	if (r->unknown) {
		r->out->n = r->base;
		return refuse(r, s, REQ_UNAVAILABLE, NULL, NULL);
	}
	return 200;
}

static void read_limits(struct limits *l)
{
	const struct conf *c;

	rcu_read_lock();
	c = conf_get();
	*l = (struct limits){.response = c->max_size_response,
		.calls = c->max_calls_in_request,
		.get = c->max_objects_in_get,
		.set = c->max_objects_in_set,
		.query = c->query_max_results,
		.changes = c->changes_max_results,
		.message = c->max_size_message};
	rcu_read_unlock();
}

unsigned jmap_run(struct jmap_call *c, struct str request, struct buf *out)
{
	struct req r = {.call = c, .out = out, .base = out->n};
	struct scan s;
	unsigned status;

	idmap_init(&r.created);
	check(c->account_no);
	r.account = id_of('u', c->account_no);
	read_limits(&r.limit);
	scan_json(request, &r.arena, &s);
	if (s.valid)
		status = run_request(&r, request, &s);
	else
		status = refuse(&r, &s, REQ_NOT_JSON, NULL, s.why);
	tx_end(r.snapshot);
	idmap_fini(&r.created);
	arena_fini(&r.arena);
	return status;
}
