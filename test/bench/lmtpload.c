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

#include "core/base/buf.h"
#include "test/bench/bench.h"

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

/* What letters are about; "letter" is in all of them, "needle" in one of 1,000. */
static const char *const words[] = {"harbour", "winter", "ledger", "meeting",
	"garden", "invoice", "bridge", "quarter", "orchard", "signal", "marble",
	"railway", "pepper", "castle", "window", "thunder"};

/* Three in a row are a Thread, whichever client sends them. */
static void head(struct buf *b, const struct client *c, long i)
{
	long first = i - i % 3;

	buf_fmt(b,
		"From: Bob <bob@example.net>\r\nTo: <%s>\r\n"
		"Subject: %sMatter %ld\r\n"
		"Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
		"Message-ID: <%ld.%d@example.net>\r\n",
		c->to, i == first ? "" : "Re: ", first, i, getpid());
	if (i != first)
		buf_fmt(b, "References: <%ld.%d@example.net>\r\n", first,
			getpid());
	buf_addz(b, "\r\n");
}

static void message(struct buf *b, const struct client *c, long i)
{
	uint64_t r = (uint64_t)i;

	head(b, c, i);
	if (i % 1000 == 0)
		buf_addz(b, "A needle.\r\n");
	while (b->n < (size_t)job.bytes) {
		r = r * 6364136223846793005u + 1442695040888963407u;
		buf_fmt(b, "A letter about the %s and the %s of today.\r\n",
			words[r >> 60], words[r >> 56 & 15]);
	}
	buf_addz(b, ".\r\n");
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
		message(&b, c, i);
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
		c[i].fd = dial(job.port);
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
