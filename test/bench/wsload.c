/*
 * A crowd of WebSocket clients. CARRIER is plain, tls, h2c or h2, each also with
 * +deflate.
 *
 *   wsload rpc CARRIER:PORT PATH AUTH MESSAGE CONNECTIONS IN-FLIGHT COUNT PID...
 *	each connection keeps so many of MESSAGE in flight; times when it is one
 *   wsload push CARRIER:PORT PATH AUTH HELLO CONNECTIONS MAKER-PORT SET UNSET
 *		ROUNDS QUIET-MS DOWNLOAD PID...
 *	connections that were enabled by HELLO hear of one change at a time,
 *	which one more connection makes by SET and UNSET in turn, plain, at
 *	MAKER-PORT; DOWNLOAD is a path that the first one fetches all the time
 *	beside (HTTP/2), or -
 *   wsload setup CARRIER:PORT PATH AUTH full|resumed COUNT PID...
 *	connections, one after the other, each closed when it is open
 *   wsload hold CARRIER:PORT PATH AUTHS CONNECTIONS
 *	opens them, the i-th with the i-th line of the file AUTHS, says "ready"
 *	and does what it is told by lines: "enable HELLO", "wait N" (until N
 *	more pushes have come); says "done" after each
 *
 * PIDs are the processes whose CPU time is told, the worker first. Figures are
 * told once for each slice of the run.
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "test/bench/bench.h"
#include "test/bench/lib/crowd.h"
#include "test/bench/lib/peek.h"

#define SLICES 5
/* Else what is measured beside a download is how fast we read. */
#define AHEAD 262144

static void print_rate(uint64_t events, uint64_t from_ns)
{
	printf("per_s %.0f\n",
		(double)events * 1e9 / (double)(clock_mono_ns() - from_ns));
}

/* ---- requests and answers ---- */

/* Until so many answers have come; each is followed by another request. */
static void rpc_turn(struct crowd *w, const struct buf *one, size_t in_flight,
	uint64_t count, uint64_t *ns)
{
	struct buf many cleanup(buf_fini) = {0};
	struct epoll_event ev[64];
	uint64_t sent = 0, came = 0, from = 0;

	for (size_t i = 0; i < in_flight; i++)
		buf_adds(&many, buf_str(one));
	for (size_t i = 0; i < w->n; i++, sent += in_flight) {
		from = clock_mono_ns();
		wire_say(w->c[i].wire, many.p, many.n);
	}
	while (came < sent) {
		int got = epoll_wait(w->ep, ev, countof(ev), -1);

		for (int i = 0; i < got; i++) {
			struct client *c = ev[i].data.ptr;
			size_t k = crowd_take(w, c);

			if (ns && k)
				ns[came] = clock_mono_ns() - from;
			came += k;
			k = min_of(k, count > sent ? count - sent : 0);
			sent += k;
			from = clock_mono_ns();
			if (k)
				wire_say(c->wire, many.p, one->n * k);
		}
	}
}

static void rpc(const struct wire_to *to, char **arg)
{
	size_t in_flight = (size_t)atoi(arg[2]);
	uint64_t count = (uint64_t)atoi(arg[3]) / SLICES + 1, *ns = NULL;
	struct buf one cleanup(buf_fini) = {0};
	struct cpu cpu = {.pids = arg + 4};
	struct crowd w;

	crowd_open(&w, to, (size_t)atoi(arg[1]), NULL, 0);
	crowd_encode(&w, &one, arg[0]);
	rpc_turn(&w, &one, in_flight, count / 2 + 1, NULL);
	if (w.n * in_flight == 1)
		ns = mem_new((count + 1) * sizeof(*ns));
	for (int i = 0; i < SLICES; i++) {
		uint64_t from = clock_mono_ns();

		cpu_begin(&cpu);
		rpc_turn(&w, &one, in_flight, count, ns);
		print_rate(count, from);
		cpu_print(&cpu, count);
		if (ns)
			print_times("latency", ns, count);
	}
	printf("deflated %d\n", w.deflated > 0);
}

/* ---- one change, many that hear of it ---- */

struct watch {
	struct crowd watchers, maker;
	char **change;		       /* two requests */
	const struct notice_shm *peek; /* NULL where we may not look */
	uint64_t pushed_ns; /* when the first of them had something */
};

/* Changes once, and returns when all know. */
static void change(struct watch *w, int round)
{
	struct crowd *of = &w->watchers;
	struct client *maker = w->maker.c;
	uint64_t answers = maker->answers, pushes = of->pushes;

	crowd_say(&w->maker, maker, w->change[round & 1]);
	w->pushed_ns = 0;
	while (of->pushes < pushes + of->n) {
		struct epoll_event ev[64];
		int got = epoll_wait(of->ep, ev, countof(ev), -1);
		uint64_t now = clock_mono_ns();

		for (int i = 0; i < got; i++)
			crowd_take(of, ev[i].data.ptr);
		if (!w->pushed_ns && of->pushes > pushes)
			w->pushed_ns = now;
	}
	while (maker->answers == answers)
		crowd_wait(&w->maker, -1);
}

/* What comes meanwhile is taken: a download fills no socket. */
static void be_quiet(struct crowd *w, int ms)
{
	uint64_t until = clock_mono_ns() + (uint64_t)ms * 1000000, now;

	while ((now = clock_mono_ns()) < until)
		crowd_wait(w, (int)((until - now) / 1000000) + 1);
}

static void push_slice(struct watch *w, int rounds, int quiet, struct cpu *cpu)
{
	uint64_t *sent = mem_new((size_t)rounds * sizeof(*sent));
	uint64_t *commit = mem_new((size_t)rounds * sizeof(*commit));

	cpu_begin(cpu);
	for (int r = 0; r < rounds; r++) {
		if (quiet)
			be_quiet(&w->watchers, quiet);
		sent[r] = clock_mono_ns();
		change(w, r);
		sent[r] = w->pushed_ns - sent[r];
		if (w->peek)
			commit[r] = w->pushed_ns - peek_committed_ns(w->peek);
	}
	cpu_print(cpu, w->watchers.n * (uint64_t)rounds);
	print_times("sent_to_push", sent, (size_t)rounds);
	if (w->peek)
		print_times("commit_to_push", commit, (size_t)rounds);
	free(sent);
	free(commit);
}

static void push(const struct wire_to *to, char **arg)
{
	struct wire_to plain = *to, mine = *to;
	struct watch w = {.change = arg + 3};
	struct cpu cpu = {.pids = arg + 8};
	int rounds = atoi(arg[5]), quiet = atoi(arg[6]);
	uint64_t from, had;

	rounds += rounds & 1; /* what is set is unset */
	plain.port = (unsigned)atoi(arg[2]);
	plain.tls = plain.h2 = plain.deflate = false;
	if (strcmp(arg[7], "-") != 0)
		mine.ahead = AHEAD;
	crowd_open(&w.watchers, &mine, (size_t)atoi(arg[1]), NULL, 0);
	crowd_open(&w.maker, &plain, 1, NULL, 0);
	crowd_enable(&w.watchers, w.watchers.n, arg[0]);
	for (int r = 0; r < 4; r++)
		change(&w, r);
	w.peek = peek_open(cpu.pids[0]);
	if (strcmp(arg[7], "-") != 0)
		wire_download(w.watchers.c[0].wire, arg[7]);
	be_quiet(&w.watchers, quiet ? 300 : 0);
	from = clock_mono_ns();
	had = wire_downloaded(w.watchers.c[0].wire);
	for (int i = 0; i < SLICES; i++)
		push_slice(&w, rounds, quiet, &cpu);
	printf("download_mb_s %.2f\n",
		(double)(wire_downloaded(w.watchers.c[0].wire) - had) * 1e3 /
			(double)(clock_mono_ns() - from));
	printf("frame_bytes %zu\n", w.watchers.frame_n);
}

/* ---- connections set up ---- */

static void setup(const struct wire_to *to, char **arg)
{
	bool resumed = strcmp(arg[0], "resumed") == 0;
	int count = atoi(arg[1]);
	struct cpu cpu = {.pids = arg + 2};

	for (int i = -1; i < SLICES; i++) {
		cpu_begin(&cpu);
		for (int k = 0; k < count; k++) {
			struct wire *w = wire_open(to, 0);

			need(i < 0 || wire_resumed(w) == resumed);
			if (i < 0 && k == 0 && resumed)
				wire_resume(w);
			wire_close(w);
		}
		usleep(20000); /* the last are closed */
		if (i >= 0)
			cpu_print(&cpu, (uint64_t)count);
	}
}

/* ---- as told ---- */

static char **lines_of(const char *path, size_t *n_r)
{
	FILE *f = fopen(path, "r");
	char **all = NULL, *line = NULL;
	size_t room = 0, n = 0;

	need(f);
	for (; getline(&line, &room, f) > 0; n++) {
		all = mem_grow(all, (n + 1) * sizeof(*all));
		line[strcspn(line, "\n")] = '\0';
		all[n] = mem_strdup(line);
	}
	free(line);
	fclose(f);
	*n_r = n;
	return all;
}

static void hold(struct wire_to *to, char **arg)
{
	char *line = NULL;
	size_t room = 0, auths;
	char **auth = lines_of(to->auth, &auths);
	uint64_t waited = 0;
	struct crowd w;

	need(auths > 0);
	crowd_open(&w, to, (size_t)atoi(arg[0]), auth, auths);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "enable ", 7) == 0) {
			crowd_enable(&w, w.n, line + 7);
		} else {
			need(strncmp(line, "wait ", 5) == 0);
			waited += (uint64_t)atol(line + 5);
			while (w.pushes < waited)
				crowd_wait(&w, -1);
		}
		puts("done");
	}
}

int main(int argc, char **argv)
{
	struct wire_to to = {0};
	struct rlimit lim;

	if (argc < 6)
		return 2;
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	wire_parse(argv[2], &to);
	to.path = argv[3];
	to.auth = argv[4];
	if (strcmp(argv[1], "rpc") == 0 && argc > 9)
		rpc(&to, argv + 5);
	else if (strcmp(argv[1], "push") == 0 && argc > 13)
		push(&to, argv + 5);
	else if (strcmp(argv[1], "setup") == 0 && argc > 7)
		setup(&to, argv + 5);
	else if (strcmp(argv[1], "hold") == 0)
		hold(&to, argv + 5);
	else
		return 2;
	return 0;
}
