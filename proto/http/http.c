#include "proto/http/http.h"

#include "conf/conf.h"
#include "core/base/metrics.h"
#include "proto/http/h1.h"
#include "proto/http/h2.h"

#define LINGER_MS 5000
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 3.4 */

struct http_pool {
	struct loop *loop;
	struct h1_pool *h1;
	struct h2_pool *h2;
	struct cds_list_head fresh;
	size_t fresh_n;
	uint64_t next_id;
	bool dying; /* goes with its last fresh one */
};

/* A connection of which nothing is known yet. */
struct fresh {
	struct http_pool *p;
	struct conn *c;
	struct cds_list_head node;
	struct timer timer;
	struct defer free;
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
		h2_take(pool->h2, c, ++pool->next_id);
	else
		h1_take(pool->h1, c, ++pool->next_id);
	return 0;
}

static void on_eof(struct conn *c)
{
	conn_close(c, LINGER_MS);
}

static void on_closed(struct conn *c, enum conn_end why)
{
	fresh_drop(conn_up(c));
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
	p->h1 = h1_pool_new(l, srv);
	p->h2 = h2_pool_new(l, srv);
	CDS_INIT_LIST_HEAD(&p->fresh);
	return p;
}

void http_accept(struct http_pool *p, int fd, struct tls_ctx *tls)
{
	struct fresh *f = mem_new(sizeof(*f));
	unsigned timeout_ms = (unsigned)conf_get()->http_timeout * 1000;

	f->p = p;
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
	uint64_t due = loop_now_ms(p->loop) + conf_get()->http_timeout * 1000;
	struct fresh *f;

	cds_list_for_each_entry (f, &p->fresh, node)
		timer_set(p->loop, &f->timer, min_of(f->timer.due_ms, due));
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
