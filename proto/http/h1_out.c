/*
 * The stream seam over HTTP/1.1: what the server of a stream calls. The answer's
 * framing is chosen here (RFC 9112 6.3); what is left of a request's body when
 * the answer begins ends the connection after it (RFC 9112 9.3).
 */
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "core/base/clock.h"
#include "core/base/metrics.h"
#include "proto/http/h1_priv.h"

#define KERNEL_STEP 16384 /* bytes: the peer is reading */

static struct h1 *of(const struct stream *s)
{
	return container_of(s, struct h1, s);
}

static const char *connection_field(const struct h1 *h)
{
	if (h->close)
		return "close";
	return h->http10 ? "keep-alive" : NULL;
}

static void v_head(struct stream *s, unsigned status,
	const struct http_header *fields, size_t n, uint64_t length)
{
	struct h1 *h = of(s);
	struct buf out cleanup(buf_fini) = {0};
	struct h1_answer a = {.status = status, .length = length};

	if (h->state != H1_STREAM)
		return;
	check(!h->head_sent && status >= 200);
	h->framing = length != UINT64_MAX ? H1_BY_LENGTH
		     : h->http10	  ? H1_BY_CLOSE
					  : H1_BY_CHUNKS;
	if (status == 204 || status == 304)
		h->framing = H1_NO_FRAMING;
	/* RFC 9112 9.3: what is left of the body is not waited for. */
	h->close |=
		!h->in_done || h->pool->draining || h->framing == H1_BY_CLOSE;
	h->out_drop = h->is_head || h->framing == H1_NO_FRAMING;
	h->q->out_left = length;
	h->head_sent = true;
	a.framing = h->framing;
	a.date = h1_date(&h->pool->date, clock_real_ms());
	a.connection = connection_field(h);
	h1_answer_head(&out, &a, fields, n);
	conn_write_buf(h->c, &out);
	metrics_add(METRIC_HTTP_REQUESTS, 1);
}

static void v_write(struct stream *s, struct str a, struct str b)
{
	struct h1 *h = of(s);
	char size[24];
	int n;

	if (h->state == H1_TUNNEL) {
		conn_write2(h->c, a, b);
		return;
	}
	if (h->state != H1_STREAM || !(a.n + b.n))
		return;
	check(h->head_sent && !h->out_ended);
	if (h->out_drop)
		return;
	if (h->framing != H1_BY_CHUNKS) {
		if (h->framing == H1_BY_LENGTH) {
			check(a.n + b.n <= h->q->out_left);
			h->q->out_left -= a.n + b.n;
		}
		conn_write2(h->c, a, b);
		return;
	}
	n = snprintf(size, sizeof(size), "%zx\r\n", a.n + b.n);
	conn_write2(h->c, str_n(size, (size_t)n), a);
	conn_write2(h->c, b, STR("\r\n"));
}

static void v_end(struct stream *s)
{
	struct h1 *h = of(s);

	if (h->state == H1_TUNNEL) {
		h->out_ended = true;
		h1_close(h);
		return;
	}
	if (h->state != H1_STREAM)
		return;
	check(h->head_sent && !h->out_ended);
	if (h->framing == H1_BY_LENGTH && !h->out_drop && h->q->out_left) {
		h1_abort(h); /* the peer must not take it for whole */
		return;
	}
	if (h->framing == H1_BY_CHUNKS && !h->out_drop)
		conn_write(h->c, STR("0\r\n\r\n"));
	h->out_ended = true;
	h1_finish_soon(h);
	if (h->held && !h->in_done)
		h1_release(h);
}

static void v_reset(struct stream *s)
{
	struct h1 *h = of(s);

	h1_abort(h);
}

static void v_tunnel(struct stream *s, const struct http_header *f, size_t n)
{
	struct h1 *h = of(s);
	struct buf out cleanup(buf_fini) = {0};
	struct h1_answer a = {.status = 101, .framing = H1_NO_FRAMING};
	struct http_header all[8] = {{STR("Upgrade"), STR("websocket")}};

	if (h->state != H1_STREAM)
		return;
	check(h->in_done && !h->head_sent && n < countof(all));
	for (size_t i = 0; i < n; i++)
		all[i + 1] = f[i];
	a.date = h1_date(&h->pool->date, clock_real_ms());
	a.connection = "Upgrade";
	h1_answer_head(&out, &a, all, n + 1);
	conn_write_buf(h->c, &out);
	metrics_add(METRIC_HTTP_REQUESTS, 1);
	h1_to(h, H1_TUNNEL);
	h->was_backed_up = false;
	h1_req_drop(h);
	h1_release(h);
}

static void v_resume(struct stream *s)
{
	struct h1 *h = of(s);

	if (h->state == H1_TUNNEL || (h->state == H1_STREAM && !h->in_done)) {
		if (h->held && h->q)
			h1_arm(h);
		h1_release(h);
	}
}

static size_t v_unsent(const struct stream *s)
{
	return of(s)->state == H1_CLOSED ? 0 : conn_unsent(of(s)->c);
}

static uint64_t v_last_in_ms(const struct stream *s)
{
	return of(s)->state == H1_CLOSED ? 0 : conn_last_in_ms(of(s)->c);
}

/*
 * Bytes that went straight into the kernel say nothing of the peer. Progress is
 * what leaves our queue while it is backed up, and, as megabytes may wait in the
 * kernel after that, the kernel's queue shrinking by more than a few frames since
 * it was last looked at.
 */
static uint64_t v_last_out_ms(const struct stream *s)
{
	struct h1 *h = of(s);
	int unsent = 0;
	bool backed_up;

	if (h->state == H1_CLOSED)
		return h->out_ms;
	backed_up = conn_unsent(h->c) > 0;
	if (backed_up || h->was_backed_up)
		h->out_ms = max_of(h->out_ms, conn_last_out_ms(h->c));
	h->was_backed_up = backed_up;
	if (ioctl(conn_fd(h->c), SIOCOUTQ, &unsent) < 0 || unsent < 0)
		unsent = 0; /* not a socket that can tell */
	if ((uint32_t)unsent + KERNEL_STEP <= h->kernel_unsent)
		h->out_ms = loop_now_ms(h->pool->loop);
	h->kernel_unsent = (uint32_t)unsent;
	return h->out_ms;
}

static struct loop *v_loop(const struct stream *s)
{
	return of(s)->pool->loop;
}

const struct stream_vt h1_stream_vt = {
	.head = v_head,
	.write = v_write,
	.end = v_end,
	.reset = v_reset,
	.tunnel = v_tunnel,
	.resume = v_resume,
	.unsent = v_unsent,
	.last_in_ms = v_last_in_ms,
	.last_out_ms = v_last_out_ms,
	.loop = v_loop,
};
