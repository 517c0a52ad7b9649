/*
 * LMTP clients, each a thread that waits for one 250 after the other.
 *
 *   lmtpload PORT CLIENTS COUNT BYTES RECIPIENT...
 *
 * COUNT messages in all, of about BYTES bytes; client i delivers to the i-th
 * recipient, and round again.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "test/bench/bench.h"
#include "test/bench/lib/letter.h"

static struct {
	unsigned port;
	int bytes;
	atomic_long left;
} job;

struct client {
	pthread_t thread;
	FILE *in;
	int fd;
	unsigned number;
	const char *to;
};

static void reply(struct client *c, char first)
{
	char line[1024];

	do
		need(fgets(line, sizeof(line), c->in));
	while (line[3] == '-');
	if (line[0] != first)
		fprintf(stderr, "%s", line);
	need(line[0] == first);
}

static void *run(void *arg)
{
	struct client *c = arg;
	struct buf b cleanup(buf_fini) = {0};
	long i;

	while ((i = atomic_fetch_sub(&job.left, 1)) > 0) {
		buf_reset(&b);
		buf_fmt(&b,
			"MAIL FROM:<bob@example.net>\r\nRCPT TO:<%s>\r\n"
			"DATA\r\n",
			c->to);
		say_all(c->fd, b.p, b.n);
		for (const char *want = "223"; *want; want++)
			reply(c, *want);
		buf_reset(&b);
		letter(&b, c->to, i, (size_t)job.bytes);
		buf_addz(&b, ".\r\n");
		say_all(c->fd, b.p, b.n);
		reply(c, '2');
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct client *c;
	int clients;
	uint64_t from;
	long count;

	if (argc < 6)
		return 2;
	job.port = (unsigned)atoi(argv[1]);
	clients = atoi(argv[2]);
	count = atol(argv[3]);
	job.bytes = atoi(argv[4]);
	atomic_store(&job.left, count);
	c = calloc((size_t)clients, sizeof(*c));
	for (int i = 0; i < clients; i++) {
		c[i].number = (unsigned)i;
		c[i].to = argv[5 + i % (argc - 5)];
		c[i].fd = dial(job.port, 0, 0);
		c[i].in = fdopen(dup(c[i].fd), "r");
		reply(&c[i], '2');
		say_all(c[i].fd, "LHLO bench\r\n", 12);
		reply(&c[i], '2');
	}
	from = clock_mono_ns();
	for (int i = 0; i < clients; i++)
		need(pthread_create(&c[i].thread, NULL, run, &c[i]) == 0);
	for (int i = 0; i < clients; i++)
		pthread_join(c[i].thread, NULL);
	printf("per_s %.1f\n",
		(double)count * 1e9 / (double)(clock_mono_ns() - from));
	return 0;
}
