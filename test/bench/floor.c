/*
 * What this machine can do at best: the floors under the figures of the server.
 *
 *   floor fanout CONNECTIONS BYTES ROUNDS
 *	one thread writes the same bytes to each of many loopback connections;
 *	another process reads them
 *   floor hops ROUNDS
 *	there and back between two processes that sleep on eventfds
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "test/bench/bench.h"

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

static void fanout(int n, size_t bytes, int rounds)
{
	int *in = calloc((size_t)n, sizeof(int)), tell[2];
	int *out = calloc((size_t)n, sizeof(int));
	char *frame = calloc(1, bytes), c;
	unsigned port;
	int l = listener(&port);
	uint64_t cpu, ns = 0;
	pid_t child;

	need(pipe(tell) == 0);
	for (int i = 0; i < n; i++) {
		in[i] = dial(port);
		out[i] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
		need(out[i] >= 0);
	}
	child = fork();
	if (child == 0)
		drain(in, n, bytes, tell[1]);
	for (int r = 0; r < rounds; r++) {
		cpu = own_cpu_ns();
		for (int i = 0; i < n; i++)
			need(write(out[i], frame, bytes) == (ssize_t)bytes);
		ns += own_cpu_ns() - cpu;
		need(read(tell[0], &c, 1) == 1);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("frames_per_cpu_s %.0f\n",
		(double)n * rounds / (double)ns * 1e9);
}

static void hops(int rounds)
{
	int there = eventfd(0, 0), back = eventfd(0, 0);
	uint64_t *ns = calloc((size_t)rounds, sizeof(*ns)), v = 1;
	pid_t child = fork();

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
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	print_times("two_hops", ns, (size_t)rounds);
}

int main(int argc, char **argv)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (argc == 5 && strcmp(argv[1], "fanout") == 0)
		fanout(atoi(argv[2]), (size_t)atoi(argv[3]), atoi(argv[4]));
	else if (argc == 3 && strcmp(argv[1], "hops") == 0)
		hops(atoi(argv[2]));
	else
		return 2;
	return 0;
}
