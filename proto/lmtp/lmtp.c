#include "proto/lmtp/lmtp.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/metrics.h"
#include "proto/lmtp/session.h"

void lmtp_say(struct lmtp *s, const char *fmt, ...)
{
	struct buf line cleanup(buf_fini) = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&line, fmt, ap);
	va_end(ap);
	buf_addz(&line, "\r\n");
	conn_write(s->conn, buf_str(&line));
}

void lmtp_reset(struct lmtp *s)
{
	buf_fini(&s->sender);
	buf_fini(&s->rcpts);
	buf_fini(&s->data);
	s->rcpts_n = 0;
	if (s->state != LMTP_HELLO)
		s->state = LMTP_READY;
}

static void goodbye(struct lmtp *s)
{
	lmtp_say(s, "421 4.3.2 The server stops");
	conn_close(s->conn, 1000);
}

void lmtp_ready(struct lmtp *s)
{
	bool between = s->state == LMTP_HELLO || s->state == LMTP_READY;
	if (s->pool->draining && between)
		goodbye(s);
	else
		conn_pause(s->conn, false);
}

static void arm(struct lmtp *s)
{
	timer_set(s->pool->loop, &s->idle,
		loop_now_ms(s->pool->loop) + LMTP_IDLE_MS);
}

static void on_idle(struct timer *t)
{
	struct lmtp *s = container_of(t, struct lmtp, idle);
	if (s->state == LMTP_STORING || s->state == LMTP_ASKING) {
		arm(s); /* it waits for us, not we for it */
		return;
	}
	lmtp_say(s, "421 4.4.2 Nothing was heard for too long");
	conn_close(s->conn, 1000);
}

/* ---- the connection ------------------------------------------------------- */

/* Length of the line that starts at p, without CRLF; n + 1 when it is not whole. */
static size_t line_length(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *lf = memchr(p + i, '\n', n - i);
		if (!lf)
			return n + 1;
		i = (size_t)(lf - p);
		if (i > 0 && p[i - 1] == '\r')
			return i - 1;
	}
	return n + 1;
}

static size_t on_data(struct conn *c, char *p, size_t n)
{
	struct lmtp *s = conn_up(c);
	size_t done = 0;
	arm(s);
	while (done < n && !conn_closing(c)) {
		if (s->state == LMTP_DATA) {
			done += lmtp_data(s, p + done, n - done);
			if (s->data.n)
				break; /* the backend is full: on_room() */
			continue;
		}
		if (s->state == LMTP_ASKING || s->state == LMTP_STORING)
			break;
		size_t len = line_length(p + done, n - done);
		if (len > n - done && n - done <= LMTP_LINE_MAX)
			break;
		if (len > LMTP_LINE_MAX) {
			metrics_add(METRIC_PROTOCOL_ERRORS, 1);
			lmtp_say(s, "500 5.5.2 The line is too long");
			conn_close(c, 1000);
			break;
		}
		lmtp_command(s, str_n(p + done, len));
		done += len + 2;
	}
	return done;
}

/* Everything that was said has left: so has the delivery's answer. */
static void on_room(struct conn *c)
{
	struct lmtp *s = conn_up(c);
	struct backend *b = s->pool->backend;
	if (s->unseen && s->state != LMTP_DATA && s->state != LMTP_STORING) {
		b->ops->seen(b, s->unseen);
		s->unseen = 0;
	}
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct lmtp *s = conn_up(c);
	call_cancel(s->pool->backend, &s->call);
	timer_stop(s->pool->loop, &s->idle);
	cds_list_del(&s->node);
	s->pool->n--;
	metrics_add(METRIC_CONNECTIONS, -1);
	lmtp_reset(s);
	buf_fini(&s->asking);
	free((char *)(uintptr_t)s->hello.p);
	free(s);
}

static const struct conn_ops ops = {
	.on_data = on_data,
	.on_room = on_room,
	.on_closed = on_closed,
};

void lmtp_accept(struct lmtp_pool *p, int fd)
{
	struct lmtp *s = mem_new(sizeof(*s));
	s->pool = p;
	s->conn = conn_new(p->loop, fd, NULL, NULL, 0, &ops, s);
	timer_init(&s->idle, on_idle);
	cds_list_add_tail(&s->node, &p->sessions);
	p->n++;
	metrics_add(METRIC_ACCEPTS, 1);
	metrics_add(METRIC_CONNECTIONS, 1);
	arm(s);
	lmtp_say(s, "220 %s LMTP jmapd", p->host);
}

/* ---- the pool ------------------------------------------------------------- */

struct lmtp_pool *lmtp_pool_new(struct loop *l, struct backend *b)
{
	struct lmtp_pool *p = mem_new(sizeof(*p));
	p->loop = l;
	p->backend = b;
	CDS_INIT_LIST_HEAD(&p->sessions);
	if (gethostname(p->host, sizeof(p->host) - 1) < 0 || !p->host[0])
		snprintf(p->host, sizeof(p->host), "localhost");
	return p;
}

size_t lmtp_count(const struct lmtp_pool *p)
{
	return p->n;
}

void lmtp_drain(struct lmtp_pool *p)
{
	struct lmtp *s, *next;
	p->draining = true;
	cds_list_for_each_entry_safe (s, next, &p->sessions, node) {
		if (s->state == LMTP_HELLO || s->state == LMTP_READY)
			goodbye(s);
	}
}

/* Frees nothing that a connection may still look at: see conn.h. */
void lmtp_pool_free(struct lmtp_pool *p)
{
	struct lmtp *s, *next;
	cds_list_for_each_entry_safe (s, next, &p->sessions, node)
		conn_abort(s->conn);
	while (p->n)
		if (loop_turn(p->loop, 0, NULL) < 0)
			break;
	free(p);
}
