#include "cmd/jmapd/worker/worker.h"

#include <sys/mman.h>
#include <unistd.h>

#include "cmd/jmapd/role.h"
#include "cmd/jmapd/worker/rings.h"
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/base/log.h"
#include "core/io/conn_sends.h"
#include "core/io/listener.h"
#include "core/io/tls.h"
#include "ipc/census.h"
#include "proto/front/front.h"
#include "proto/http/http.h"
#include "proto/lmtp/lmtp.h"
#include "proto/push/push.h"

/* How long a drain may take before the connections that are left are cut. */
#define DRAIN_MS 8000

struct worker {
	struct role role;
	struct loop *loop;
	struct rings *rings;
	struct push_hub *hub;
	struct front *front;
	struct http_pool *http;
	struct lmtp_pool *lmtp;
	struct census *census;
	struct tls_ctx *tls; /* NULL: no tls listener */
	struct tls_tickets tickets;
	struct cds_list_head doors;
	uint64_t serve; /* bit set of owners */
	struct timer drain;
	uint64_t drain_end_ms;
};

/* A listening socket that the master made; it may belong to a sibling. */
struct door {
	struct cds_list_head node;
	struct worker *w;
	uint64_t id;
	unsigned owner; /* UINT_MAX: shared by all */
	uint32_t flags;
	int fd;
	struct listener *listener; /* NULL: not served by us now */
};

static void on_accept(void *ctx, int fd)
{
	struct door *d = ctx;
	struct worker *w = d->w;
	if (d->flags & CTL_LISTEN_LMTP)
		lmtp_accept(w->lmtp, fd);
	else if (!(d->flags & CTL_LISTEN_TLS))
		http_accept(w->http, fd, NULL);
	else if (w->tls)
		http_accept(w->http, fd, w->tls);
	else
		close(fd); /* the certificate could not be read: logged */
}

static void door_serve(struct door *d)
{
	bool mine = d->owner >= 64 || (d->w->serve >> d->owner & 1);
	if (mine && !d->listener) {
		d->listener = listener_new(d->w->loop, d->fd, on_accept, d);
	} else if (!mine && d->listener) {
		listener_free(d->listener);
		d->listener = NULL;
	}
}

static void door_close(struct door *d)
{
	if (d->listener)
		listener_free(d->listener);
	cds_list_del(&d->node);
	close(d->fd);
	free(d);
}

static void take_door(struct worker *w, struct ctl_packet *p)
{
	if (p->fds != 1)
		return;
	struct door *d = mem_new(sizeof(*d));
	d->w = w;
	d->id = p->head.a;
	d->owner = (unsigned)p->head.b;
	d->flags = p->head.flags;
	d->fd = p->fd[0];
	p->fd[0] = -1;
	cds_list_add_tail(&d->node, &w->doors);
	door_serve(d);
}

static void close_door(struct worker *w, uint64_t id)
{
	struct door *d, *next;
	cds_list_for_each_entry_safe (d, next, &w->doors, node) {
		if (d->id != id)
			continue;
		if (d->listener)
			listener_accept_rest(d->listener);
		door_close(d);
	}
}

static void serve(struct worker *w, uint64_t owners)
{
	struct door *d;
	w->serve = owners;
	cds_list_for_each_entry (d, &w->doors, node)
		door_serve(d);
}

/* Certificate and keys come in either order. */
static void use_tickets(struct worker *w)
{
	if (w->tls && w->tickets.keys_n)
		tls_server_tickets(w->tls, &w->tickets);
}

/* Live connections keep the context that they began with. */
static void take_tls(struct worker *w, struct ctl_packet *p)
{
	struct tls_ctx *t;
	struct err e = {0};
	size_t cert = p->head.a, key = p->head.b;
	if (p->fds != 1 || !cert || !key)
		return;
	size_t all = cert + key;
	char *pem = mmap(NULL, all, PROT_READ, MAP_PRIVATE, p->fd[0], 0);
	if (pem == MAP_FAILED) {
		log_error("certificate: cannot map it");
		return;
	}
	if (tls_server_new(str_n(pem, cert), str_n(pem + cert, key),
		    STR(HTTP_ALPN), &t, &e) < 0) {
		log_error("certificate: %s", e.text);
	} else {
		if (w->tls)
			tls_unref(w->tls);
		w->tls = t;
		use_tickets(w);
	}
	munmap(pem, all);
}

/* They outlive a certificate: all workers have the same at any time. */
static void take_tickets(struct worker *w, struct ctl_packet *p)
{
	struct tls_tickets keys;
	if (p->rest.n != sizeof(keys))
		return;
	memcpy(&keys, p->rest.p, sizeof(keys));
	if (keys.keys_n && keys.keys_n <= TLS_TICKET_KEYS)
		w->tickets = keys;
	secret_wipe(&keys, sizeof(keys));
	use_tickets(w);
}

static void link_up(struct worker *w, struct ctl_packet *p)
{
	struct err e = {0};
	if (p->fds != LINK_FDS)
		return;
	if (rings_link(w->rings, p->fd, &e) < 0)
		log_error("link to the store: %s", e.text);
	p->fds = 0; /* taken over either way */
}

/* Without it, caps hold for each worker by itself, or not at all. */
static void take_census(struct worker *w, struct ctl_packet *p)
{
	struct census_key key;
	struct err e = {0};
	unsigned index = (unsigned)p->head.a;
	int ret = 0;
	if (!p->fds) {
		census_forget(w->census, index);
	} else if (index != w->role.index) {
		ret = census_see(w->census, index, p->fd[0], &e);
	} else if (p->rest.n == sizeof(key)) {
		memcpy(&key, p->rest.p, sizeof(key));
		ret = census_own(w->census, p->fd[0], &key, &e);
	}
	if (ret < 0)
		log_error("census worker=%u: %s", index, e.text);
}

static void on_drain_tick(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, drain);
	size_t left = http_count(w->http) + lmtp_count(w->lmtp);
	uint64_t now = loop_now_ms(w->loop);
	if (!left || now >= w->drain_end_ms) {
		log_info("drained left=%zu", left);
		loop_stop(w->loop, 0);
		return;
	}
	timer_set(w->loop, t, now + 20);
}

static void drain(struct worker *w)
{
	struct door *d, *next;
	if (w->drain_end_ms)
		return;
	cds_list_for_each_entry_safe (d, next, &w->doors, node)
		door_close(d);
	w->drain_end_ms = loop_now_ms(w->loop) + DRAIN_MS;
	http_drain(w->http);
	front_drain(w->front);
	lmtp_drain(w->lmtp);
	timer_set(w->loop, &w->drain, loop_now_ms(w->loop) + 1);
}

static void on_packet(struct role *r, struct ctl_packet *p)
{
	struct worker *w = container_of(r, struct worker, role);
	switch (p->head.type) {
	case CTL_TLS:
		take_tls(w, p);
		break;
	case CTL_TICKETS:
		take_tickets(w, p);
		break;
	case CTL_LISTEN:
		take_door(w, p);
		break;
	case CTL_UNLISTEN:
		close_door(w, p->head.a);
		break;
	case CTL_SERVE:
		serve(w, p->head.a);
		break;
	case CTL_LINK:
		link_up(w, p);
		break;
	case CTL_UNLINK:
		rings_unlink(w->rings);
		break;
	case CTL_CENSUS:
		take_census(w, p);
		break;
	case CTL_DRAIN:
		drain(w);
		break;
	default:
		log_warn("control packet %s is not for a worker",
			ctl_name(p->head.type));
	}
}

static void on_conf(struct role *r)
{
	struct worker *w = container_of(r, struct worker, role);
	if (!w->front)
		return; /* at start */
	front_reconfigure(w->front);
	http_reconfigure(w->http);
}

static void on_orphan(struct role *r)
{
	drain(container_of(r, struct worker, role));
}

/* ---- the parts meet ------------------------------------------------------- */

static void on_notice(void *ctx, const struct notice *n)
{
	struct worker *w = ctx;
	struct push_notice p = {
		.account = n->account,
		.modseq = n->modseq,
		.generation = n->generation,
		.types = n->types,
		.baseline = n->kind != NOTICE_CHANGE,
		.baseline_end = n->kind == NOTICE_BASELINE_END,
	};
	push_notice(w->hub, &p);
}

static void on_revoke(void *ctx, uint64_t account, uint32_t version)
{
	struct worker *w = ctx;
	front_revoke(w->front, account, version);
}

static void watch_account(void *ctx, uint64_t account, const void *cookie)
{
	struct worker *w = ctx;
	struct backend *b = rings_backend(w->rings);
	b->ops->watch(b, cookie);
}

static void unwatch_account(void *ctx, uint64_t account)
{
	struct worker *w = ctx;
	struct backend *b = rings_backend(w->rings);
	b->ops->unwatch(b, account);
}

static void on_store(void *ctx)
{
	struct worker *w = ctx;
	if (!w->hub)
		return;
	push_restart(w->hub);
	push_each(w->hub, watch_account, w);
}

static const struct rings_ops rings_ops = {on_notice, on_revoke, on_store};
static const struct push_hub_ops hub_ops = {watch_account, unwatch_account};

static void build(struct worker *w)
{
	w->rings = rings_new(w->loop, &rings_ops, w);
	w->hub = push_hub_new(w->loop, &hub_ops, w);
	w->census = census_new();
	w->front = front_new(w->loop, rings_backend(w->rings), w->hub,
		census_crowd(w->census));
	w->http = http_pool_new(w->loop, front_server(w->front));
	w->lmtp = lmtp_pool_new(w->loop, rings_backend(w->rings));
	timer_init(&w->drain, on_drain_tick);
}

static void destroy(struct worker *w)
{
	struct door *d, *next;
	cds_list_for_each_entry_safe (d, next, &w->doors, node)
		door_close(d);
	lmtp_pool_free(w->lmtp);
	http_pool_free(w->http);
	/* Connections tell their layers of their end in the turn after. */
	for (int i = 0; i < 4; i++)
		loop_turn(w->loop, 0, NULL);
	front_free(w->front);
	census_free(w->census);
	push_hub_free(w->hub);
	rings_free(w->rings);
	if (w->tls)
		tls_unref(w->tls);
	buf_fini(&w->role.in);
	conn_sends_close(w->loop);
	loop_free(w->loop);
}

/* Before the sandbox. What it may do with it from then on, or -1. */
static int open_sends(struct worker *w)
{
	struct err e = {0};
	if (!conf_get()->io_uring)
		return -1;
	int fd = conn_sends_open(w->loop, &e);
	if (fd < 0)
		log_info("one write for each client: %s", e.text);
	return max_of(fd, -1);
}

int worker_main(unsigned index)
{
	struct worker w = {.role = {.on_packet = on_packet,
				   .on_conf = on_conf,
				   .on_orphan = on_orphan}};
	struct err e = {0};
	CDS_INIT_LIST_HEAD(&w.doors);
	role_inherit(&w.role, "worker", index);
	role_limits();
	role_pin(index);
	w.loop = w.role.loop = loop_new(&e);
	if (!w.loop) {
		log_error("%s", e.text);
		return 1;
	}
	crypto_setup();
	build(&w);
	role_settle(&w.role);
	role_drop();
	role_confine(SANDBOX_WORKER, open_sends(&w));
	role_ready(&w.role);
	int ret = loop_run(w.loop, &e);
	if (ret < 0)
		log_error("loop: %s", e.text);
	destroy(&w);
	return ret < 0;
}
