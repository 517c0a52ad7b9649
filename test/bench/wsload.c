/*
 * WebSocket clients that cost little themselves: one thread, one epoll, frames
 * encoded once (masked by zeroes, which RFC 6455 5.3 lets a client choose).
 *
 *   wsload rpc PORT PATH AUTH MESSAGE CONNECTIONS IN-FLIGHT COUNT PID...
 *	each connection keeps so many of MESSAGE in flight; times when it is one
 *   wsload push PORT PATH AUTH HELLO CONNECTIONS SET UNSET ROUNDS QUIET-US PID...
 *	connections that were enabled by HELLO hear of one change at a time,
 *	which one more connection makes by SET and UNSET in turn
 *
 * PIDs are the processes whose CPU time is told, each on a line of its own.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "core/base/buf.h"
#include "test/bench/bench.h"

#define ECHO                                                                \
	"{\"@type\":\"Request\",\"id\":\"b\",\"using\":[\"urn:ietf:params:" \
	"jmap:core\"],\"methodCalls\":[[\"Core/echo\",{},\"0\"]]}"

struct client {
	int fd;
	struct buf in;
	uint64_t pushes, answers; /* frames that came */
};

struct load {
	unsigned port;
	const char *path, *auth;
	int ep;
	struct client *c;
	size_t n;
	size_t frame_n; /* bytes of the last push */
	char **pids;
	uint64_t cpu[8];
};

static void encode(struct buf *out, const char *text)
{
	size_t n = strlen(text);
	unsigned char h[8] = {
		0x81, 0xfe, (unsigned char)(n >> 8), (unsigned char)n};

	need(n < 65536);
	if (n < 126)
		h[1] = (unsigned char)(0x80 | n);
	buf_add(out, h, n < 126 ? 2 : 4);
	buf_add(out, "\0\0\0\0", 4);
	buf_addz(out, text);
}

static void say(const struct client *c, const char *text)
{
	struct buf b cleanup(buf_fini) = {0};

	encode(&b, text);
	say_all(c->fd, b.p, b.n);
}

/* One whole frame at the front of the buffer, or false. */
static bool frame_cut(struct buf *in, struct str *payload_r)
{
	const unsigned char *p = (const unsigned char *)in->p;
	size_t head = 2, n;

	if (in->n < 4)
		return false;
	n = p[1];
	if (n == 126) {
		head = 4;
		n = (size_t)p[2] << 8 | p[3];
	} else if (n == 127) {
		head = 10;
		if (in->n < 10)
			return false;
		n = 0;
		for (int i = 2; i < 10; i++)
			n = n << 8 | p[i];
	}
	need((p[0] & 0xf) != 8);
	if (in->n < head + n)
		return false;
	*payload_r = str_n(in->p + head, n);
	return true;
}

/* Takes what is there; counts frames by kind. */
static size_t take(struct load *l, struct client *c)
{
	ssize_t got = read(c->fd, buf_room(&c->in, 65536), 65536);
	size_t frames = 0;
	struct str s;

	if (got < 0 && errno == EAGAIN)
		return 0;
	need(got > 0);
	c->in.n += (size_t)got;
	while (frame_cut(&c->in, &s)) {
		size_t whole = (size_t)(s.p - c->in.p) + s.n;

		if (memmem(s.p, min_of(s.n, 60), "StateChange", 11)) {
			c->pushes++;
			l->frame_n = whole;
		} else {
			need(!memmem(s.p, min_of(s.n, 60), "RequestError", 12));
			c->answers++;
		}
		buf_drop(&c->in, whole);
		frames++;
	}
	return frames;
}

static void upgrade(struct load *l, struct client *c)
{
	struct buf b cleanup(buf_fini) = {0};
	char in[4096];
	size_t n = 0;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	c->fd = dial(l->port);
	buf_fmt(&b,
		"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		l->path);
	if (l->auth[0])
		buf_fmt(&b,
			"Sec-WebSocket-Protocol: jmap\r\n"
			"Authorization: %s\r\n",
			l->auth);
	buf_addz(&b, "\r\n");
	say_all(c->fd, b.p, b.n);
	while (n < 4 || memcmp(in + n - 4, "\r\n\r\n", 4) != 0)
		need(n < sizeof(in) && read(c->fd, in + n++, 1) == 1);
	need(memcmp(in, "HTTP/1.1 101", 12) == 0);
	need(epoll_ctl(l->ep, EPOLL_CTL_ADD, c->fd, &ev) == 0);
}

static void open_all(struct load *l, size_t n)
{
	l->ep = epoll_create1(0);
	l->n = n;
	l->c = calloc(n, sizeof(*l->c));
	for (size_t i = 0; i < n; i++)
		upgrade(l, &l->c[i]);
}

static void cpu_begin(struct load *l)
{
	for (size_t i = 0; l->pids[i]; i++) {
		need(i < countof(l->cpu));
		l->cpu[i] = cpu_of(l->pids[i]);
	}
}

static void cpu_end(struct load *l, uint64_t events)
{
	for (size_t i = 0; l->pids[i]; i++)
		printf("cpu%zu_us %.3f\n", i,
			(double)(cpu_of(l->pids[i]) - l->cpu[i]) / 1e3 /
				(double)events);
}

/* ---- requests and answers ---- */

/* Until so many answers have come; each is followed by another request. */
static void rpc_turn(struct load *l, const struct buf *one, size_t in_flight,
	uint64_t count, uint64_t *ns)
{
	struct buf many cleanup(buf_fini) = {0};
	struct epoll_event ev[64];
	uint64_t sent = 0, came = 0, from = 0;

	for (size_t i = 0; i < in_flight; i++)
		buf_adds(&many, buf_str(one));
	for (size_t i = 0; i < l->n; i++, sent += in_flight) {
		from = clock_mono_ns();
		say_all(l->c[i].fd, many.p, many.n);
	}
	while (came < sent) {
		int got = epoll_wait(l->ep, ev, 64, -1);

		for (int i = 0; i < got; i++) {
			struct client *c = ev[i].data.ptr;
			size_t k = take(l, c);

			if (ns && k)
				ns[came] = clock_mono_ns() - from;
			came += k;
			k = min_of(k, count > sent ? count - sent : 0);
			sent += k;
			from = clock_mono_ns();
			if (k)
				say_all(c->fd, many.p, one->n * k);
		}
	}
}

static void rpc(struct load *l, char **arg)
{
	size_t in_flight = (size_t)atoi(arg[2]);
	uint64_t count = (uint64_t)atoi(arg[3]), *ns = NULL, from;
	struct buf one cleanup(buf_fini) = {0};

	l->pids = arg + 4;
	open_all(l, (size_t)atoi(arg[1]));
	encode(&one, arg[0]);
	rpc_turn(l, &one, in_flight, count / 10 + 1, NULL);
	if (l->n * in_flight == 1)
		ns = calloc(count, sizeof(*ns));
	cpu_begin(l);
	from = clock_mono_ns();
	rpc_turn(l, &one, in_flight, count, ns);
	printf("per_s %.0f\n",
		(double)count * 1e9 / (double)(clock_mono_ns() - from));
	cpu_end(l, count);
	if (ns)
		print_times("latency", ns, count);
}

/* ---- one change, many that hear of it ---- */

/* Watchers are all but the last, which makes the changes. */
struct watch {
	uint64_t want, have;
	uint64_t pushed_ns; /* the first of them */
};

static void wait_change(struct load *l, struct watch *w)
{
	struct client *maker = &l->c[l->n - 1];
	uint64_t answers = maker->answers;
	struct epoll_event ev[64];

	while (w->have < w->want || maker->answers == answers) {
		int got = epoll_wait(l->ep, ev, 64, -1);

		for (int i = 0; i < got; i++) {
			struct client *c = ev[i].data.ptr;
			size_t k = take(l, c);

			if (c == maker)
				continue;
			if (w->have == 0)
				w->pushed_ns = clock_mono_ns();
			w->have += k;
		}
	}
}

/* Enabled, and known to be: the answer behind it has come. */
static void enable_all(struct load *l, const char *hello)
{
	struct epoll_event ev[64];
	size_t came = 0;

	for (size_t i = 0; i + 1 < l->n; i++) {
		say(&l->c[i], hello);
		say(&l->c[i], ECHO);
		while (l->c[i].answers == 0) {
			int got = epoll_wait(l->ep, ev, 64, -1);
			for (int k = 0; k < got; k++)
				came += take(l, ev[k].data.ptr);
		}
	}
	need(came >= l->n - 1);
}

static void push(struct load *l, char **arg)
{
	int rounds = atoi(arg[4]), quiet = atoi(arg[5]);
	uint64_t *all = calloc((size_t)rounds, 8), from;
	uint64_t frames = 0;
	size_t times = 0;

	l->pids = arg + 6;
	open_all(l, (size_t)atoi(arg[1]) + 1);
	enable_all(l, arg[0]);
	for (int r = -2; r < rounds; r++) {
		struct watch w = {.want = l->n - 1};

		if (r == 0)
			cpu_begin(l);
		if (quiet)
			usleep((useconds_t)quiet);
		from = clock_mono_ns();
		say(&l->c[l->n - 1], arg[2 + (r & 1)]);
		wait_change(l, &w);
		if (r < 0)
			continue;
		frames += w.have;
		all[times++] = w.pushed_ns - from;
	}
	cpu_end(l, frames);
	printf("frame_bytes %zu\n", l->frame_n);
	print_times("sent_to_push", all, times);
}

int main(int argc, char **argv)
{
	struct load l = {0};
	struct rlimit lim;

	if (argc < 9)
		return 2;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	l.port = (unsigned)atoi(argv[2]);
	l.path = argv[3];
	l.auth = argv[4];
	if (strcmp(argv[1], "rpc") == 0)
		rpc(&l, argv + 5);
	else if (strcmp(argv[1], "push") == 0 && argc > 10)
		push(&l, argv + 5);
	else
		return 2;
	return 0;
}
