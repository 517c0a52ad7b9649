/*
 * What the load generators share. They say "NAME NUMBER" a line, and end with
 * status 1 and a sentence when something is not as it should be: they measure a
 * server that works, and judge nothing.
 */
#pragma once

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/clock.h"

#define need(cond)                                                            \
	((cond) ? (void)0                                                     \
		: (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
			   #cond),                                            \
			  exit(1)))

/* CPU time that all threads of a process have had, by the scheduler's clock. */
static inline uint64_t cpu_of(const char *pid)
{
	char path[600];
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	d = opendir(path);
	need(d);
	for (struct dirent *e; (e = readdir(d));) {
		unsigned long long ns = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid,
			e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		fclose(f);
	}
	closedir(d);
	return sum;
}

/* What the processes of a run cost. */
struct cpu {
	char **pids; /* NULL ends them */
	uint64_t at[8];
};

static inline void cpu_begin(struct cpu *c)
{
	for (size_t i = 0; c->pids[i]; i++) {
		need(i < countof(c->at));
		c->at[i] = cpu_of(c->pids[i]);
	}
}

/* A line for each, and their sum. */
static inline void cpu_print(const struct cpu *c, uint64_t events)
{
	double sum = 0;

	for (size_t i = 0; c->pids[i]; i++) {
		double us = (double)(cpu_of(c->pids[i]) - c->at[i]) / 1e3 /
			    (double)events;

		printf("cpu%zu_us %.3f\n", i, us);
		sum += us;
	}
	printf("cpu_us %.3f\n", sum);
}

/*
 * From 127.0.0.1, or its n-th neighbour. ahead: bytes that the socket takes before
 * they are read; 0 for as many as it likes.
 */
static inline int dial(unsigned port, unsigned neighbour, int ahead)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + neighbour)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	need(fd >= 0);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (ahead)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &ahead, sizeof(ahead));
	if (neighbour)
		need(bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0);
	need(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static inline void say_all(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t got = write(fd, p, n);
		need(got > 0);
		p += got;
		n -= (size_t)got;
	}
}

static inline int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static inline void print_times(const char *name, uint64_t *ns, size_t n)
{
	need(n > 0);
	qsort(ns, n, sizeof(*ns), by_size);
	printf("%s_p50_us %.1f\n", name, (double)ns[n / 2] / 1e3);
	printf("%s_p99_us %.1f\n", name, (double)ns[n * 99 / 100] / 1e3);
}
