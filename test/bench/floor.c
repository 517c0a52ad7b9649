/*
 * What this machine can do at best: the floors under the figures of the server.
 *
 *   floor fanout CONNECTIONS BYTES ROUNDS
 *	one thread writes the same bytes to each of many loopback connections;
 *	another process reads them
 *   floor hops ROUNDS
 *	there and back between two processes that sleep on eventfds
 *   floor setup COUNT
 *	connections accepted, a request read, an upgrade answered
 *   floor shake CERT KEY full|resumed COUNT
 *	bare OpenSSL handshakes, by the side that accepts
 *   floor sync DIR MS
 *	8 KB more in a file, and fdatasync(2), for so long
 *   floor mime BYTES
 *	a letter of lmtpload's taken apart
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "core/mime/mime.h"
#include "test/bench/bench.h"
#include "test/bench/lib/letter.h"

#define SLICES 5

static uint64_t own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Reads all that comes; a byte on tell says that one more round is whole. */
static void drain(const int *fd, int n, size_t bytes, int tell)
{
	int ep = epoll_create1(0), got;
	struct epoll_event ev[256];
	size_t round = bytes * (size_t)n, have = 0;
	char buf[65536];

	for (int i = 0; i < n; i++) {
		ev[0] = (struct epoll_event){.events = EPOLLIN};
		ev[0].data.fd = fd[i];
		need(epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], ev) == 0);
	}
	while ((got = epoll_wait(ep, ev, 256, -1)) > 0) {
		for (int i = 0; i < got; i++) {
			ssize_t in = read(ev[i].data.fd, buf, sizeof(buf));

			if (in <= 0)
				_exit(0);
			have += (size_t)in;
		}
		for (; have >= round; have -= round)
			say_all(tell, "", 1);
	}
}

static int listener(unsigned *port_r)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	need(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0);
	need(listen(fd, 1024) == 0);
	need(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*port_r = ntohs(a.sin_port);
	return fd;
}

static void on_death(int sig)
{
	_exit(1); /* of a child that should not have ended: it has said why */
}

/* The other side. It ends with us, or who reads what we print would wait for it. */
static pid_t begin(void)
{
	pid_t child = fork();

	need(child >= 0);
	if (child == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static void end(pid_t child)
{
	signal(SIGCHLD, SIG_DFL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* CPU of writing the frame to each of them, rounds times. */
static uint64_t fan(const int *out, int n, const char *frame, size_t bytes,
	int rounds, int told)
{
	uint64_t ns = 0;
	char c;

	for (int r = 0; r < rounds; r++) {
		uint64_t cpu = own_cpu_ns();

		for (int i = 0; i < n; i++)
			need(write(out[i], frame, bytes) == (ssize_t)bytes);
		ns += own_cpu_ns() - cpu;
		need(read(told, &c, 1) == 1);
	}
	return ns;
}

/* The reading ends are the child's alone: descriptors are few. */
static void drain_all(unsigned port, int n, size_t bytes, int tell)
{
	int *in = calloc((size_t)n, sizeof(int));

	for (int i = 0; i < n; i++)
		in[i] = dial(port, (unsigned)i / 20000, 0);
	drain(in, n, bytes, tell);
}

static void fanout(int n, size_t bytes, int rounds)
{
	int *out = calloc((size_t)n, sizeof(int)), tell[2];
	char *frame = calloc(1, bytes);
	unsigned port;
	int l = listener(&port);
	pid_t child;

	need(pipe(tell) == 0);
	child = begin();
	if (child == 0)
		drain_all(port, n, bytes, tell[1]);
	for (int i = 0; i < n; i++) {
		out[i] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
		need(out[i] >= 0);
	}
	fan(out, n, frame, bytes, 2, tell[0]);
	for (int i = 0; i < SLICES; i++)
		printf("frames_per_cpu_s %.0f\n",
			(double)n * rounds * 1e9 /
				(double)fan(
					out, n, frame, bytes, rounds, tell[0]));
	end(child);
}

static void hops(int rounds)
{
	int there = eventfd(0, 0), back = eventfd(0, 0);
	uint64_t *ns = calloc((size_t)rounds, sizeof(*ns)), v = 1;
	pid_t child = begin();

	if (child == 0) {
		while (read(there, &v, 8) == 8)
			need(write(back, &v, 8) == 8);
		_exit(0);
	}
	for (int i = 0; i < rounds; i++) {
		uint64_t from = clock_mono_ns();

		need(write(there, &v, 8) == 8 && read(back, &v, 8) == 8);
		ns[i] = clock_mono_ns() - from;
		usleep(500); /* quiet, as the figure above it */
	}
	end(child);
	print_times("two_hops", ns, (size_t)rounds);
}

/* ---- connections ---- */

#define REQUEST 300 /* bytes of an upgrade with a login, and of its answer */
#define ANSWER 150

/* Until a read says that the peer has closed. */
static void till_end(int fd)
{
	char c;

	while (read(fd, &c, 1) > 0)
		;
	close(fd);
}

static void call_often(unsigned port)
{
	char b[REQUEST] = {0};

	for (;;) {
		int fd = dial(port, 0, 0);

		say_all(fd, b, REQUEST);
		need(recv(fd, b, ANSWER, MSG_WAITALL) == ANSWER);
		close(fd);
	}
}

static void setup(int count)
{
	char b[REQUEST] = {0};
	unsigned port;
	int l = listener(&port);
	pid_t child = begin();

	if (child == 0)
		call_often(port);
	for (int i = 0; i < SLICES; i++) {
		uint64_t cpu = own_cpu_ns();

		for (int k = 0; k < count; k++) {
			int fd = accept(l, NULL, NULL);

			need(recv(fd, b, REQUEST, MSG_WAITALL) == REQUEST);
			say_all(fd, b, ANSWER);
			till_end(fd);
		}
		printf("per_cpu_s %.0f\n",
			count * 1e9 / (double)(own_cpu_ns() - cpu));
	}
	end(child);
}

/* The client's; resumed: the session of the first one. */
static void shake_often(unsigned port, bool resumed)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session = NULL;

	for (bool first = true;; first = false) {
		SSL *s = SSL_new(ctx);
		char c;

		SSL_set_fd(s, dial(port, 0, 0));
		need(!session || SSL_set_session(s, session));
		need(SSL_connect(s) == 1);
		need(first || SSL_session_reused(s) == resumed);
		if (first && resumed) {
			need(SSL_read(s, &c, 1) == 1); /* behind the ticket */
			session = SSL_get1_session(s);
		}
		close(SSL_get_fd(s));
		/* Else its session counts as broken, and resumes no more. */
		SSL_set_shutdown(s, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(s);
	}
}

static void shake_one(SSL_CTX *ctx, int l, bool word)
{
	SSL *s = SSL_new(ctx);
	int fd = accept(l, NULL, NULL);

	/* A ticket for a client that is gone already is a broken pipe. */
	SSL_set_num_tickets(s, word);
	need(fd >= 0 && SSL_set_fd(s, fd) && SSL_accept(s) == 1);
	if (word)
		need(SSL_write(s, "", 1) == 1);
	SSL_free(s);
	till_end(fd);
}

static void shake(const char *cert, const char *key, bool resumed, int count)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	unsigned port;
	int l = listener(&port);
	pid_t child;

	need(SSL_CTX_use_certificate_chain_file(ctx, cert) == 1);
	need(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	child = begin();
	if (child == 0)
		shake_often(port, resumed);
	shake_one(ctx, l, resumed);
	for (int i = 0; i < SLICES; i++) {
		uint64_t cpu = own_cpu_ns();

		for (int k = 0; k < count; k++)
			shake_one(ctx, l, false);
		printf("per_cpu_s %.0f\n",
			count * 1e9 / (double)(own_cpu_ns() - cpu));
	}
	end(child);
}

/* ---- the disk; a message ---- */

static void sync_disk(const char *dir, uint64_t ms)
{
	static char row[8192];
	uint64_t *ns = calloc(100000, sizeof(*ns)), now = clock_mono_ns();
	uint64_t until = now + ms * 1000000;
	int fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	size_t n = 0;

	need(fd >= 0);
	while (n < 100000 && now < until) {
		uint64_t from = now;

		say_all(fd, row, sizeof(row));
		need(fdatasync(fd) == 0);
		now = clock_mono_ns();
		ns[n++] = now - from;
	}
	print_times("fdatasync", ns, n);
}

static void mime(size_t bytes)
{
	struct buf b cleanup(buf_fini) = {0};
	struct arena a = {0};

	mime_setup();
	letter(&b, "user1@example.org", 1, bytes);
	for (int i = 0; i < SLICES; i++) {
		uint64_t cpu = own_cpu_ns();

		for (int k = 0; k < 1000; k++) {
			mime_parse(buf_str(&b), &a);
			arena_fini(&a);
		}
		printf("cpu_us %.2f\n", (double)(own_cpu_ns() - cpu) / 1e6);
	}
}

int main(int argc, char **argv)
{
	struct rlimit l;

	signal(SIGCHLD, on_death);
	setvbuf(stdout, NULL, _IOLBF, 0); /* nothing is told twice by a fork */
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (argc == 5 && strcmp(argv[1], "fanout") == 0)
		fanout(atoi(argv[2]), (size_t)atoi(argv[3]), atoi(argv[4]));
	else if (argc == 3 && strcmp(argv[1], "hops") == 0)
		hops(atoi(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "setup") == 0)
		setup(atoi(argv[2]));
	else if (argc == 6 && strcmp(argv[1], "shake") == 0)
		shake(argv[2], argv[3], strcmp(argv[4], "resumed") == 0,
			atoi(argv[5]));
	else if (argc == 4 && strcmp(argv[1], "sync") == 0)
		sync_disk(argv[2], (uint64_t)atoi(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "mime") == 0)
		mime((size_t)atoi(argv[2]));
	else
		return 2;
	return 0;
}
