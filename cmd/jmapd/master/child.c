#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "ipc/shm.h"

#define SILENCE_MS 10000   /* without a PONG: killed */
#define SHORT_LIFE_MS 1000 /* dying sooner counts as "keeps dying" */
#define BACKOFF_MS 100	   /* doubled each time, up to: */
#define BACKOFF_MAX_MS 5000
#define HEAR_A_TURN 64	  /* packets: others want to be heard as well */
#define HEAR_AT_LAST 4096 /* more than a line holds */

void child_init(
	struct master *m, struct child *c, enum child_kind k, unsigned index)
{
	c->m = m;
	c->kind = k;
	c->index = index;
	c->line = c->ctl.fd = c->census = -1;
	c->state = CHILD_DOWN;
}

const char *child_name(const struct child *c)
{
	return c->kind == CHILD_STORE ? "store" : "worker";
}

bool child_alive(const struct child *c)
{
	return c->state == CHILD_STARTING || c->state == CHILD_UP;
}

void each_child(struct master *m, child_fn *fn)
{
	fn(&m->store);
	for (unsigned i = 0; i < m->workers; i++)
		fn(&m->worker[i]);
}

void child_kill(struct child *c, const char *why)
{
	if (!child_alive(c) || c->doomed || kill(c->pid, SIGKILL) < 0)
		return;
	c->doomed = true;
	log_warn("killed role=%s index=%u pid=%d: %s", child_name(c), c->index,
		(int)c->pid, why);
}

void child_tell(struct child *c, const struct ctl_head *h, struct str rest,
	const int *fds, size_t n)
{
	struct err e = {0};
	if (!child_alive(c))
		return;
	int ret = ctl_send(c->line, h, rest, fds, n, &e);
	if (ret == 0 && h->type == CTL_PING)
		return; /* its silence is counted anyway */
	if (ret == 0) {
		struct pollfd p = {.fd = c->line, .events = POLLOUT};
		if (poll(&p, 1, 1000) > 0)
			ret = ctl_send(c->line, h, rest, fds, n, &e);
	}
	if (ret == 0)
		child_kill(c, "it does not read what the master says");
}

/* ---- birth ---------------------------------------------------------------- */

/* In the new process: its descriptors to their numbers, nothing else, exec. */
__attribute__((noreturn)) static void become(
	struct child *c, int ctl, int stats)
{
	char role[32], index[16];
	int book = c->kind == CHILD_STORE ? c->m->notebook_fd : -1;
	sigset_t none;
	snprintf(role, sizeof(role), "@%s", child_name(c));
	snprintf(index, sizeof(index), "%u", c->index);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(1);
	/* First out of the way of the fixed numbers. */
	ctl = fcntl(ctl, F_DUPFD, 16);
	stats = fcntl(stats, F_DUPFD, 16);
	book = book < 0 ? -1 : fcntl(book, F_DUPFD, 16);
	if (dup2(ctl, ROLE_FD_CTL) < 0 || dup2(stats, ROLE_FD_STATS) < 0)
		_exit(1);
	if (book >= 0 && dup2(book, ROLE_FD_NOTEBOOK) < 0)
		_exit(1);
	unsigned first = ROLE_FD_FIRST_FREE - (book < 0);
	if (close_range(first, ~0u, 0) < 0)
		_exit(1);
	/* This very program, also when its file was replaced; valgrind, which is
	 * /proc/self/exe itself, is told by the environment. */
	const char *exe = getenv("JMAPD_EXE");
	execl(exe ? exe : "/proc/self/exe", "jmapd", role, index, (char *)NULL);
	_exit(1);
}

/* A control line and fresh counters for one life. */
static int make_life(struct child *c, int line[2], int *stats_fd, struct err *e)
{
	void *mem;
	int ret = sock_pair(line, e);
	if (ret < 0)
		return ret;
	ret = *stats_fd = shm_new("jmapd-stats", sizeof(struct metrics), e);
	if (ret >= 0)
		ret = shm_map(*stats_fd, sizeof(struct metrics), &mem, e);
	if (ret >= 0) {
		if (c->stats)
			shm_unmap(c->stats, sizeof(struct metrics));
		c->stats = mem;
		return 0;
	}
	close(line[0]);
	close(line[1]);
	if (*stats_fd >= 0)
		close(*stats_fd);
	return ret;
}

/*
 * Workers face the network: one that says more than READY once and a PONG for each
 * PING is not what it was. Returns whether it may say that.
 */
static bool may_say(struct child *c, const struct ctl_packet *p)
{
	if (p->fds)
		return false;
	if (p->head.type == CTL_READY)
		return c->state == CHILD_STARTING;
	if (p->head.type == CTL_PONG)
		return c->pings && c->pings--;
	return c->kind == CHILD_STORE;
}

static void on_packet(struct child *c, struct ctl_packet *p)
{
	struct master *m = c->m;
	if (!may_say(c, p)) {
		child_kill(c, "what it said is not for it to say");
		return;
	}
	switch (p->head.type) {
	case CTL_READY:
		c->state = CHILD_UP;
		log_info("ready role=%s index=%u pid=%d", child_name(c),
			c->index, (int)c->pid);
		doors_share(m);
		break;
	case CTL_PONG:
		break;
	case CTL_ADMIN_OUTPUT:
	case CTL_ADMIN_OK:
	case CTL_ADMIN_ERROR:
		admin_on_packet(m, p);
		break;
	case CTL_BAD_WORKER:
		if (p->head.a < m->workers &&
			m->worker[p->head.a].life == p->head.b)
			child_kill(&m->worker[p->head.a],
				"it broke the rules of its ring");
		break;
	default:
		log_warn("role=%s said %s", child_name(c),
			ctl_name(p->head.type));
	}
}

/* A worker may send what takes its time to close. */
static void drop_fds(struct ctl_packet *p)
{
	for (size_t i = 0; i < p->fds; i++)
		sock_drop(p->fd[i]);
	p->fds = 0;
}

/* At most n packets; returns false when there is no more to be heard of it. */
static bool hear(struct child *c, unsigned n)
{
	struct ctl_packet p;
	struct err e = {0};
	bool was = c->doomed;
	int ret = 1;
	while (n-- && (ret = ctl_recv(c->line, &c->m->in, &p, &e)) == 1) {
		c->pong_ms = loop_now_ms(c->m->loop);
		on_packet(c, &p);
		drop_fds(&p);
		if (c->doomed && !was)
			return false; /* by what it said */
	}
	if (ret < 0)
		drop_fds(&p);
	if (ret == -EPROTO || ret == -EMSGSIZE || ret == -EMFILE)
		child_kill(c, e.text);
	return ret >= 0;
}

static void on_ctl(struct watch *w, uint32_t events)
{
	struct child *c = container_of(w, struct child, ctl);
	if (!hear(c, HEAR_A_TURN)) /* SIGCHLD will say the rest */
		loop_unwatch(c->m->loop, w);
}

/* Everything that a role must know before it starts. */
static void brief(struct child *c)
{
	struct master *m = c->m;
	struct door *d;
	struct ctl_head key = {.type = CTL_KEY}, start = {.type = CTL_START};
	config_tell(c);
	if (c->kind == CHILD_STORE) {
		child_tell(c, &key, str_n(m->key, sizeof(m->key)), NULL, 0);
	} else {
		config_tell_tls(c);
		tickets_tell(c);
		census_birth(c);
		cds_list_for_each_entry (d, &m->doors, node)
			door_tell(d, c);
		c->serves = 0;
		doors_share(m);
	}
	links_make(c);
	child_tell(c, &start, STR_NONE, NULL, 0);
}

int child_start(struct child *c, struct err *e)
{
	int line[2], stats_fd;
	int ret = make_life(c, line, &stats_fd, e);
	if (ret < 0)
		return ret;
	pid_t pid = fork();
	if (pid == 0)
		become(c, line[1], stats_fd);
	close(line[1]);
	close(stats_fd);
	if (pid < 0) {
		close(line[0]);
		return err_sys(e, "fork");
	}
	c->pid = pid;
	c->line = line[0];
	c->life = ++c->m->lives;
	c->state = CHILD_STARTING;
	c->silent = c->doomed = false;
	c->pings = 0;
	c->born_ms = c->pong_ms = loop_now_ms(c->m->loop);
	loop_watch(c->m->loop, &c->ctl, line[0], EPOLLIN, on_ctl);
	brief(c);
	return 0;
}

/* ---- death ---------------------------------------------------------------- */

static bool crashed(int status)
{
	if (!WIFSIGNALED(status))
		return false;
	int s = WTERMSIG(status);
	return s == SIGSEGV || s == SIGABRT || s == SIGBUS || s == SIGFPE ||
	       s == SIGILL || s == SIGSYS;
}

static void report(const struct child *c, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_error("died role=%s index=%u pid=%d signal=%d: its sandbox "
			  "forbids a system call that the kernel's log names",
			child_name(c), c->index, (int)c->pid, SIGSYS);
	else if (WIFSIGNALED(status))
		log_warn("died role=%s index=%u pid=%d signal=%d",
			child_name(c), c->index, (int)c->pid, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		log_warn("died role=%s index=%u pid=%d status=%d",
			child_name(c), c->index, (int)c->pid,
			WEXITSTATUS(status));
	else
		log_info("ended role=%s index=%u pid=%d", child_name(c),
			c->index, (int)c->pid);
}

static void plan_restart(struct child *c)
{
	uint64_t now = loop_now_ms(c->m->loop), wait = 0;
	c->short_lives =
		now - c->born_ms < SHORT_LIFE_MS ? c->short_lives + 1 : 0;
	if (c->short_lives > 1)
		wait = (uint64_t)BACKOFF_MS << min_of(c->short_lives - 2, 6u);
	c->died_ms = now;
	c->due_ms = now + min_of(wait, (uint64_t)BACKOFF_MAX_MS);
	c->state = CHILD_DOWN;
}

void child_on_exit(struct child *c, int status)
{
	struct master *m = c->m;
	bool was_up = c->state == CHILD_UP;
	report(c, status);
	if (!c->doomed) {
		c->doomed = true; /* its number may be another's by now */
		hear(c, HEAR_AT_LAST);
	}
	loop_unwatch(m->loop, &c->ctl);
	close(c->line);
	c->line = -1;
	if (c->kind == CHILD_STORE) {
		if (crashed(status) || c->silent)
			notebook_death(m->notebook);
		else
			notebook_forget(m->notebook);
		admin_on_store_death(m);
	}
	plan_restart(c);
	links_cut(c);
	if (c->kind == CHILD_WORKER)
		census_death(c);
	if (m->draining)
		c->state = CHILD_ENDED;
	else if (!was_up && !m->told_ready)
		master_drain(m); /* it cannot start: it has said why */
	doors_share(m);
}

void child_tick(struct child *c)
{
	uint64_t now = loop_now_ms(c->m->loop);
	struct ctl_head ping = {.type = CTL_PING};
	struct err e = {0};
	if (c->state == CHILD_DOWN && now >= c->due_ms && !c->m->draining) {
		if (child_start(c, &e) < 0) {
			log_error("start role=%s: %s", child_name(c), e.text);
			c->due_ms = now + BACKOFF_MAX_MS;
		}
		return;
	}
	if (!child_alive(c))
		return;
	/* Opening the store may take its time: it is not silent yet. */
	if (c->state == CHILD_UP && now - c->pong_ms > SILENCE_MS &&
		!c->silent) {
		c->silent = true;
		child_kill(c, "silent for 10 seconds");
	}
	c->pings++;
	child_tell(c, &ping, STR_NONE, NULL, 0);
}
