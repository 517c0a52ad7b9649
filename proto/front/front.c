/*
 * The paths of the server, and the front's life.
 */
#include "proto/front/front.h"

#include "conf/conf.h"
#include "proto/front/priv.h"
#include "proto/ws/echo.h"

enum {
	GET = 1 << 0,
	HEAD = 1 << 1,
	POST = 1 << 2,
	ANY = 1 << 3, /* it says itself what it takes */
};

static const struct {
	const char *name;
	unsigned bit;
} methods[] = {
	{"GET", GET},
	{"HEAD", HEAD},
	{"POST", POST},
};

typedef void serve_fn(
	struct front *f, struct stream *s, const struct http_request *r);

static void serve_session(
	struct front *f, struct stream *s, const struct http_request *r)
{
	request_new(f, s, r, &session_kind, NULL);
}

static void serve_api(
	struct front *f, struct stream *s, const struct http_request *r)
{
	request_new(f, s, r, &api_kind, NULL);
}

static void serve_upload(
	struct front *f, struct stream *s, const struct http_request *r)
{
	request_new(f, s, r, &upload_kind, NULL);
}

static void serve_download(
	struct front *f, struct stream *s, const struct http_request *r)
{
	request_new(f, s, r, &download_kind, NULL);
}

static void serve_events(
	struct front *f, struct stream *s, const struct http_request *r)
{
	request_new(f, s, r, &source_kind, NULL);
}

static void serve_health(
	struct front *f, struct stream *s, const struct http_request *r)
{
	const struct http_header no_store = {
		STR("Cache-Control"), STR("no-store")};

	if (f->backend->ops->ready(f->backend))
		stream_respond(s, 200, "text/plain", &no_store, 1, STR("ok\n"));
	else
		stream_problem_with(s, 503, "The store is away.", &no_store, 1);
}

static void serve_echo(
	struct front *f, struct stream *s, const struct http_request *r)
{
	ws_echo_serve(s, r, &f->sockets);
}

/* What is left for a path that is a WebSocket and nothing else. */
static void serve_upgrade(
	struct front *f, struct stream *s, const struct http_request *r)
{
	ws_refuse(s, 426, "This is a WebSocket.");
}

static void serve_websocket(
	struct front *f, struct stream *s, const struct http_request *r)
{
	struct ws_handshake hs;

	if (jws_handshake(f, s, r, &hs))
		request_new(f, s, r, &jws_kind, &hs);
}

/*
 * path ending in a slash, with more: everything below. methods 0: the path is
 * there for WebSockets only, and all else does not find it.
 */
static const struct route {
	const char *path;
	bool more;
	bool websocket; /* RFC 8887, also where RFC 8307 looks for it */
	unsigned methods;
	serve_fn *serve;
} routes[] = {
	{"/", false, true, 0, NULL},
	{"/.well-known/jmap", false, true, GET | HEAD, serve_session},
	{"/jmap/session", false, false, GET | HEAD, serve_session},
	{"/jmap/api", false, false, POST, serve_api},
	{"/jmap/ws", false, true, GET, serve_upgrade},
	{"/jmap/ws/", false, true, GET, serve_upgrade},
	{"/jmap/ws-echo", false, false, ANY, serve_echo},
	{"/jmap/upload/", true, false, POST, serve_upload},
	{"/jmap/download/", true, false, GET | HEAD, serve_download},
	{"/jmap/eventsource", false, false, GET | HEAD, serve_events},
	{"/healthz", false, false, GET | HEAD, serve_health},
};

static bool route_is(const struct route *route, struct str path)
{
	struct str own = str_of(route->path);

	if (route->more)
		return path.n > own.n && str_starts(path, own);
	return str_eq(path, own);
}

static const struct route *route_of(struct str path)
{
	for (size_t i = 0; i < countof(routes); i++)
		if (route_is(&routes[i], path))
			return &routes[i];
	return NULL;
}

static bool route_allows(const struct route *route, struct str method)
{
	for (size_t i = 0; i < countof(methods); i++)
		if (route->methods & methods[i].bit &&
			str_eq(method, str_of(methods[i].name)))
			return true;
	return route->methods & ANY;
}

/* RFC 9110 15.5.6. */
static void refuse_method(const struct route *route, struct stream *s)
{
	struct buf list cleanup(buf_fini) = {0};
	struct http_header allow = {STR("Allow"), STR_NONE};

	for (size_t i = 0; i < countof(methods); i++) {
		if (!(route->methods & methods[i].bit))
			continue;
		if (list.n)
			buf_addz(&list, ", ");
		buf_addz(&list, methods[i].name);
	}
	allow.value = buf_str(&list);
	stream_problem_with(s, 405, NULL, &allow, 1);
}

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	struct front *f = ctx;
	const struct route *route = route_of(r->path);

	if (s->share->crowded)
		crowded_serve(f, s, r);
	else if (route && route->websocket && ws_wanted(r))
		serve_websocket(f, s, r);
	else if (!route || !route->methods)
		stream_problem(s, 404, NULL);
	else if (!route_allows(route, r->method))
		refuse_method(route, s);
	else
		route->serve(f, s, r);
}

struct front *front_new(struct loop *l, struct backend *b, struct push_hub *h,
	struct crowd *crowd)
{
	struct front *f = mem_new(sizeof(*f));

	f->loop = l;
	f->backend = b;
	f->hub = h;
	f->server = (struct http_server){on_request, f, crowd};
	f->auth = auth_new(l, b);
	f->gzip = gzip_new();
	CDS_INIT_LIST_HEAD(&f->requests);
	CDS_INIT_LIST_HEAD(&f->sources);
	ws_set_init(&f->sockets);
	return f;
}

void front_free(struct front *f)
{
	check(cds_list_empty(&f->requests) && !f->sockets.n &&
		cds_list_empty(&f->sources));
	ws_set_fini(&f->sockets);
	gzip_free(f->gzip);
	auth_free(f->auth);
	map_fini(&f->accounts);
	free(f);
}

const struct http_server *front_server(struct front *f)
{
	return &f->server;
}

static bool is_of_older(
	const struct request *q, uint64_t account, uint32_t version)
{
	return q->known && q->login.account == account &&
	       q->login.version < version;
}

/*
 * A request whose body still comes is refused, an answer that still goes is cut,
 * however slow its client is; of a request that was sent whole the store judges.
 */
static void revoke_request(struct request *q)
{
	bool comes = q->kind->data && !q->eof;

	if (q->answered && q->call.id) {
		stream_reset(q->s);
	} else if (!q->answered && (comes || !q->call.id)) {
		call_cancel(q->f->backend, &q->call);
		request_fail(q, 401, STR_NONE);
	}
}

void front_revoke(struct front *f, uint64_t account, uint32_t version)
{
	struct request *q, *next;

	auth_revoke(f->auth, account, version);
	cds_list_for_each_entry_safe (q, next, &f->requests, node)
		if (is_of_older(q, account, version))
			revoke_request(q);
	jws_revoke(f, account, version);
	source_revoke(f, account, version);
}

void front_reconfigure(struct front *f)
{
	ws_reconfigure(&f->sockets);
	source_reconfigure(f);
	push_reconfigure(f->hub);
}

void front_drain(struct front *f)
{
	f->draining = true;
	jws_drain(f);
	source_drain(f);
}

size_t front_websockets(const struct front *f)
{
	return f->sockets.n;
}
