#include "cmd/jmapd/master/master.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "ipc/shm.h"

#define TICK_MS 500
#define LATE_MS 2000   /* a tick later than that: we were stopped */
#define DRAIN_MS 20000 /* both phases: workers, then the store */

/* ---- systemd -------------------------------------------------------------- */

/* sd_notify(3): one datagram to the socket that the environment names. */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = path ? strlen(path) : 0;
	if (n < 2 || n >= sizeof(a.sun_path))
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	int fd cleanup(fd_close) =
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		sendto(fd, text, strlen(text), MSG_NOSIGNAL,
			(struct sockaddr *)&a,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    n)) < 0)
		log_warn("sd_notify: errno=%d", errno);
}

static void tell_ready(struct master *m)
{
	if (m->told_ready || m->store.state != CHILD_UP)
		return;
	for (unsigned i = 0; i < m->workers; i++)
		if (m->worker[i].state != CHILD_UP)
			return;
	m->told_ready = true;
	log_info("jmapd %s is ready workers=%u", JMAPD_VERSION, m->workers);
	notify("READY=1");
}

/* ---- the end -------------------------------------------------------------- */

static void close_doors(struct master *m)
{
	struct door *d, *next;
	cds_list_for_each_entry_safe (d, next, &m->doors, node)
		door_close(m, d);
}

static void kill_late(struct child *c)
{
	child_kill(c, "the drain took too long");
}

static void kill_now(struct child *c)
{
	child_kill(c, "a second signal");
}

static void end_if_down(struct child *c)
{
	if (c->state == CHILD_DOWN)
		c->state = CHILD_ENDED;
}

void master_drain(struct master *m)
{
	struct ctl_head h = {.type = CTL_DRAIN};
	if (m->draining)
		return;
	log_info("draining");
	notify("STOPPING=1");
	m->draining = true;
	m->drain_end_ms = loop_now_ms(m->loop) + DRAIN_MS;
	close_doors(m);
	each_child(m, end_if_down);
	for (unsigned i = 0; i < m->workers; i++)
		child_tell(&m->worker[i], &h, STR_NONE, NULL, 0);
}

/* Workers first; the store when none of them can ask it anything more. */
static void drain_on(struct master *m)
{
	struct ctl_head h = {.type = CTL_DRAIN};
	for (unsigned i = 0; i < m->workers; i++)
		if (m->worker[i].state != CHILD_ENDED)
			return;
	if (m->store.state == CHILD_ENDED) {
		loop_stop(m->loop, 0);
	} else if (!m->drained_workers) {
		m->drained_workers = true;
		child_tell(&m->store, &h, STR_NONE, NULL, 0);
	}
}

/* ---- signals and the tick ------------------------------------------------- */

static void on_terminate(int signo, void *ctx)
{
	struct master *m = ctx;
	if (!m->draining) {
		master_drain(m);
		drain_on(m);
		return;
	}
	log_warn("second signal: ending at once");
	each_child(m, kill_now);
	loop_stop(m->loop, 0);
}

static void on_hup(int signo, void *ctx)
{
	struct master *m = ctx;
	struct err e = {0};
	if (!m->draining)
		config_reload(m, &e);
}

static struct child *by_pid(struct master *m, pid_t pid)
{
	if (m->store.pid == pid && child_alive(&m->store))
		return &m->store;
	for (unsigned i = 0; i < m->workers; i++)
		if (m->worker[i].pid == pid && child_alive(&m->worker[i]))
			return &m->worker[i];
	return NULL;
}

static void on_chld(int signo, void *ctx)
{
	struct master *m = ctx;
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = by_pid(m, pid);
		if (c)
			child_on_exit(c, status);
	}
	each_child(m, child_tick); /* those that start again at once */
	if (m->draining)
		drain_on(m);
}

/* What was said while the master itself was stopped is still to be heard. */
static void count_anew(struct child *c)
{
	c->pong_ms = loop_now_ms(c->m->loop);
}

static void on_tick(struct timer *t)
{
	struct master *m = container_of(t, struct master, tick);
	uint64_t now = loop_now_ms(m->loop);
	if (now - m->ticked_ms > LATE_MS)
		each_child(m, count_anew);
	m->ticked_ms = now;
	each_child(m, child_tick);
	tickets_tick(m);
	tell_ready(m);
	doors_mend(m);
	doors_share(m);
	if (m->draining && loop_now_ms(m->loop) >= m->drain_end_ms)
		each_child(m, kill_late);
	timer_set(m->loop, t, loop_now_ms(m->loop) + TICK_MS);
}

/* ---- start ---------------------------------------------------------------- */

/* Made when missing; given to the user that the roles become. */
static int make_dir(
	struct master *m, const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(e, "make %s", path);
	}
	const struct passwd *pw =
		geteuid() == 0 ? getpwnam(m->conf.user) : NULL;
	if (pw && chown(path, pw->pw_uid, pw->pw_gid) < 0)
		return err_sys(e, "give %s to %s", path, m->conf.user);
	return 0;
}

static int check_user(struct master *m, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	const struct passwd *pw = getpwnam(m->conf.user);
	if (!pw)
		return err_set(e, -ENOENT,
			"user %s does not exist: make it (adduser "
			"--system --group %s) or set user",
			m->conf.user, m->conf.user);
	if (pw->pw_uid == 0)
		log_warn("user is root: the roles own what root owns");
	return 0;
}

static int make_notebook(struct master *m, struct err *e)
{
	void *mem;
	int ret = m->notebook_fd =
		shm_new("jmapd-notebook", sizeof(struct notebook), e);
	if (ret >= 0)
		ret = shm_map(m->notebook_fd, sizeof(struct notebook), &mem, e);
	if (ret >= 0)
		m->notebook = mem;
	return min_of(ret, 0);
}

static int listen_to_signals(struct master *m, struct err *e)
{
	static const struct {
		int signo;
		void (*fn)(int signo, void *ctx);
	} all[] = {
		{SIGTERM, on_terminate},
		{SIGINT, on_terminate},
		{SIGHUP, on_hup},
		{SIGCHLD, on_chld},
	};
	for (size_t i = 0; i < countof(all); i++) {
		int ret = loop_signal(m->loop, all[i].signo, all[i].fn, m, e);
		if (ret < 0)
			return ret;
	}
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int start_children(struct master *m, struct err *e)
{
	child_init(m, &m->store, CHILD_STORE, 0);
	int ret = child_start(&m->store, e);
	for (unsigned i = 0; i < m->workers; i++)
		child_init(m, &m->worker[i], CHILD_WORKER, i);
	for (unsigned i = 0; !ret && i < m->workers; i++)
		ret = child_start(&m->worker[i], e);
	return ret;
}

static int start(struct master *m, struct err *e)
{
	int ret = config_start(m, e);
	tickets_make(m);
	if (!ret)
		ret = check_user(m, e);
	if (!ret)
		ret = make_dir(m, m->conf.run_dir, 0755, e);
	if (!ret)
		ret = make_dir(m, m->conf.data_dir, 0700, e);
	if (!ret)
		ret = make_notebook(m, e);
	if (!ret)
		ret = listen_to_signals(m, e);
	if (!ret)
		ret = admin_open(m, e);
	if (!ret)
		ret = start_children(m, e);
	return ret;
}

static void destroy(struct master *m)
{
	close_doors(m);
	admin_close(m);
	loop_free(m->loop);
	buf_fini(&m->cert);
	if (m->key_pem.n)
		secret_wipe(m->key_pem.p, m->key_pem.n);
	buf_fini(&m->key_pem);
	buf_fini(&m->in);
	secret_wipe(m->key, sizeof(m->key));
	secret_wipe(&m->tickets, sizeof(m->tickets));
}

int master_main(const char *path)
{
	static struct master m; /* large: tables for 64 workers */
	struct err e = {0};
	log_init("master", LOG_INFO);
	m.path = path;
	m.notebook_fd = -1;
	m.started_ms = clock_real_ms();
	CDS_INIT_LIST_HEAD(&m.doors);
	random_bytes(m.key, sizeof(m.key));
	random_bytes(&m.census_key, sizeof(m.census_key));
	m.loop = loop_new(&e);
	if (!m.loop || start(&m, &e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	timer_init(&m.tick, on_tick);
	timer_set(m.loop, &m.tick, loop_now_ms(m.loop) + 50);
	int ret = loop_run(m.loop, &e);
	if (ret < 0)
		log_error("loop: %s", e.text);
	bool failed = ret < 0 || !m.told_ready;
	destroy(&m);
	log_info("ended");
	return failed;
}
