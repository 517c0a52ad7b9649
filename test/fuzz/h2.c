/*
 * What an HTTP/2 client may send: frames of any kind, whole and byte by byte. A
 * server answers from a socket pair; each request is answered, echoed or tunneled,
 * and each stream must be told of its end exactly once.
 *
 * An input is a tape of pieces: its first byte chooses raw bytes, or a frame of
 * which length and stream are right, so that mutations get behind the first check.
 */
#include "proto/http/h2.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "core/base/log.h"
#include "test/fuzz/fuzz.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PIECES 64

static unsigned begun, ended;

static size_t on_data(struct stream *s, char *p, size_t n)
{
	size_t k = n > 3 ? n - n / 3 : n;

	stream_resume(s); /* nothing, from within */
	if (s->up)
		stream_write(s, str_n(p, k));
	return k;
}

static void on_eof(struct stream *s)
{
	if (s->up)
		stream_end(s);
	else
		stream_respond(s, 200, "text/plain", NULL, 0, STR("x"));
}

static void on_room(struct stream *s)
{
	stream_resume(s);
}

static void on_done(struct stream *s, bool clean)
{
	ended++;
}

static void on_drain(struct stream *s)
{
	if (s->up)
		stream_end(s);
}

static const struct stream_ops ops = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_room = on_room,
	.on_done = on_done,
	.on_drain = on_drain,
};

static void on_request(
	void *ctx, struct stream *s, const struct http_request *r)
{
	for (size_t i = 0; i < r->headers_n; i++)
		check(r->headers[i].name.n);
	check(r->method.n && r->path.n && r->authority.n);
	check(r->extended_connect || !r->protocol.n);
	begun++;
	s->ops = &ops;
	if (r->extended_connect) {
		s->up = s;
		stream_tunnel(s, NULL, 0);
	} else if (r->path.n > 1 && r->path.p[1] == 'r') {
		stream_reset(s);
	} else if (r->path.n > 1 && r->path.p[1] == 'e') {
		stream_problem(s, 404, NULL);
	}
}

static void turns(struct loop *l, int fd, int n)
{
	char drop[4096];

	for (int i = 0; i < n; i++) {
		loop_turn(l, 0, NULL);
		while (fd >= 0 && recv(fd, drop, sizeof(drop), 0) > 0)
			;
	}
}

static void say(struct loop *l, int fd, struct str s, size_t piece)
{
	while (s.n) {
		size_t n = min_of(piece, s.n);

		if (send(fd, s.p, n, MSG_NOSIGNAL) < 0) {
			if (errno != EAGAIN)
				return;
			turns(l, fd, 1);
			continue;
		}
		s = str_skip(s, n);
		if (piece < s.n)
			turns(l, fd, 1);
	}
}

static void add_frame(struct buf *out, struct tape *t)
{
	size_t n = (size_t)min_of(tape_take(t, 1), (uint64_t)t->n);
	uint8_t type = (uint8_t)tape_take(t, 1), flags;
	uint8_t stream = (uint8_t)tape_take(t, 1);
	uint8_t head[9] = {0};

	flags = (uint8_t)tape_take(t, 1);
	n = min_of(n, t->n);
	head[2] = (uint8_t)n;
	head[3] = type % 12; /* those that are known, and two more */
	head[4] = flags;
	head[8] = stream;
	buf_add(out, head, sizeof(head));
	buf_add(out, t->p, n);
	t->p += n;
	t->n -= n;
}

static void compose(struct buf *out, struct tape t)
{
	uint64_t kind = tape_take(&t, 1);

	if (kind & 1)
		buf_addz(out, PREFACE);
	if (kind & 2)
		buf_add(out, "\0\0\0\4\0\0\0\0\0", 9);
	for (int i = 0; kind & 4 && i < PIECES && t.n; i++)
		add_frame(out, &t);
	buf_add(out, t.p, t.n);
}

static void run(struct str in, size_t piece)
{
	static const struct http_server srv = {.on_request = on_request};
	struct loop *l = loop_new(NULL);
	struct h2_pool *p = h2_pool_new(l, &srv);
	int fd[2];

	begun = ended = 0;
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		      fd) == 0);
	h2_take(p, conn_new(l, fd[1], NULL, NULL, 0, NULL, NULL),
		&(struct http_share){.id = 1});
	say(l, fd[0], in, piece);
	turns(l, fd[0], 4);
	h2_drain(p);
	turns(l, fd[0], 2);
	close(fd[0]);
	turns(l, -1, 4);
	h2_pool_free(p);
	turns(l, -1, 3);
	loop_free(l);
	check(begun == ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct conf conf;
	struct buf in cleanup(buf_fini) = {0};

	if (!conf.http_timeout) {
		conf_defaults(&conf);
		conf_swap(&conf, false);
		log_init("fuzz", LOG_ERROR);
	}
	compose(&in, (struct tape){data, n});
	run(buf_str(&in), SIZE_MAX);
	if (in.n < 300)
		run(buf_str(&in), 1);
	return 0;
}
