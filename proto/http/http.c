#include "proto/http/http.h"

#include "conf/conf.h"
#include "core/base/log.h"
#include "core/base/metrics.h"
#include "core/io/sock.h"
#include "proto/http/address.h"
#include "proto/http/h1.h"
#include "proto/http/h2.h"

#define LINGER_MS 5000
#define CROWDED_LOG_MS 1000
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 3.4 */

struct http_pool {
	struct loop *loop;
	struct h1_pool *h1;
	struct h2_pool *h2;
	struct crowd *crowd;
	struct cds_list_head fresh;
	size_t fresh_n;
	uint64_t next_id;
	uint64_t crowded_ms; /* when a crowded one was logged */
	bool dying;	     /* goes with its last fresh one */
};

/* A connection of which nothing is known yet. */
struct fresh {
	struct http_pool *p;
	struct conn *c;
	struct cds_list_head node;
	struct timer timer;
	struct defer free;
	struct http_share share;
};

static void fresh_free(struct defer *d)
{
	free(container_of(d, struct fresh, free));
}

static void fresh_drop(struct fresh *f)
{
	struct http_pool *p = f->p;

	timer_stop(p->loop, &f->timer);
	cds_list_del(&f->node);
	p->fresh_n--;
	metrics_add(METRIC_CONNECTIONS, -1);
	defer_init(&f->free, fresh_free);
	loop_defer(p->loop, &f->free, LOOP_FREE);
	if (p->dying && !p->fresh_n)
		free(p);
}

enum carrier { UNKNOWN, H1, H2 };

static enum carrier carrier_of(const struct conn *c, struct str start)
{
	struct str preface = STR(PREFACE);

	if (conn_is_tls(c))
		return str_eq(conn_alpn(c), STR("h2")) ? H2 : H1;
	if (start.n >= preface.n)
		return str_starts(start, preface) ? H2 : H1;
	return str_starts(preface, start) ? UNKNOWN : H1;
}

/* Nothing is taken: the carrier gets the bytes from the first on. */
static size_t on_data(struct conn *c, char *p, size_t n)
{
	struct fresh *f = conn_up(c);
	struct http_pool *pool = f->p;
	enum carrier carrier = carrier_of(c, str_n(p, n));

	if (carrier == UNKNOWN)
		return 0;
	fresh_drop(f);
	if (carrier == H2)
		h2_take(pool->h2, c, &f->share);
	else
		h1_take(pool->h1, c, &f->share);
	return 0;
}

static void on_eof(struct conn *c)
{
	conn_close(c, LINGER_MS);
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct fresh *f = conn_up(c);

	crowd_leave(f->p->crowd, CROWD_ADDRESS, &f->share.place);
	fresh_drop(f);
}

static const struct conn_ops fresh_ops = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

static void on_timer(struct timer *t)
{
	conn_abort(container_of(t, struct fresh, timer)->c);
}

struct http_pool *http_pool_new(struct loop *l, const struct http_server *srv)
{
	struct http_pool *p = mem_new(sizeof(*p));

	p->loop = l;
	p->crowd = srv->crowd;
	p->h1 = h1_pool_new(l, srv);
	p->h2 = h2_pool_new(l, srv);
	CDS_INIT_LIST_HEAD(&p->fresh);
	return p;
}

/* Is there room for one more of its address? A client that is gone needs none. */
static bool enter(struct http_pool *p, int fd, struct http_share *share)
{
	struct sockaddr_storage peer;
	struct sockaddr *a = (struct sockaddr *)&peer;
	socklen_t len = sizeof(peer);
	char key[ADDRESS_KEY_MAX];
	struct str who;

	if (!p->crowd || getpeername(fd, a, &len) < 0)
		return true;
	who = address_key(a, key);
	return !who.n ||
	       crowd_enter(p->crowd, CROWD_ADDRESS, who,
		       conf_get()->max_connections_per_address, &share->place);
}

/* Whoever dials without end fills no log. */
static void log_crowded(
	struct http_pool *p, int fd, const struct http_share *share)
{
	uint64_t now = loop_now_ms(p->loop);
	char peer[SOCK_TEXT_MAX];

	metrics_add(METRIC_REFUSED_PER_ADDRESS, 1);
	if (now < p->crowded_ms + CROWDED_LOG_MS)
		return;
	p->crowded_ms = now;
	sock_peer_text(fd, peer);
	log_info("id=%llu peer=%s refused: too many connections of its address",
		(unsigned long long)share->id, peer);
}

void http_accept(struct http_pool *p, int fd, struct tls_ctx *tls)
{
	struct fresh *f = mem_new(sizeof(*f));
	unsigned timeout_ms;

	f->p = p;
	f->share.id = ++p->next_id;
	f->share.crowded = !enter(p, fd, &f->share);
	if (f->share.crowded)
		log_crowded(p, fd, &f->share);
	timeout_ms = (unsigned)http_timeout_ms(&f->share);
	timer_init(&f->timer, on_timer);
	cds_list_add_tail(&f->node, &p->fresh);
	p->fresh_n++;
	metrics_add(METRIC_ACCEPTS, 1);
	metrics_add(METRIC_CONNECTIONS, 1);
	f->c = conn_new(p->loop, fd, tls, NULL, timeout_ms, &fresh_ops, f);
	timer_set(p->loop, &f->timer, loop_now_ms(p->loop) + timeout_ms);
}

void http_drain(struct http_pool *p)
{
	struct fresh *f;

	/* They were told nothing that a reset could take from them. */
	cds_list_for_each_entry (f, &p->fresh, node)
		conn_close(f->c, 0);
	h1_drain(p->h1);
	h2_drain(p->h2);
}

void http_reconfigure(struct http_pool *p)
{
	uint64_t now = loop_now_ms(p->loop);
	struct fresh *f;

	cds_list_for_each_entry (f, &p->fresh, node)
		timer_set(p->loop, &f->timer,
			min_of(f->timer.due_ms,
				now + http_timeout_ms(&f->share)));
	h1_reconfigure(p->h1);
	h2_reconfigure(p->h2);
}

size_t http_count(const struct http_pool *p)
{
	return p->fresh_n + h1_count(p->h1) + h2_count(p->h2);
}

void http_pool_free(struct http_pool *p)
{
	struct fresh *f;

	h1_pool_free(p->h1);
	h2_pool_free(p->h2);
	p->dying = true;
	if (!p->fresh_n)
		free(p);
	else
		cds_list_for_each_entry (f, &p->fresh, node)
			conn_abort(f->c); /* on_closed comes in LOOP_SOON */
}
