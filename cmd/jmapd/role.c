#include "cmd/jmapd/role.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cmd/jmapd/stats.h"
#include "conf/conf.h"
#include "core/base/log.h"
#include "ipc/shm.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

__attribute__((noreturn)) static void die(const struct err *e)
{
	log_error("%s", e->text);
	exit(1);
}

/* A crash says where; then the signal does what it always does. */
static void on_crash(int signo)
{
	void *frames[32];
	char line[] = "crash, signal 00, at:\n";
	line[14] = (char)('0' + signo / 10);
	line[15] = (char)('0' + signo % 10);
	ssize_t n = write(2, line, sizeof(line) - 1);
	(void)n;
	backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
	raise(signo);
}

static void report_crashes(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	void *warm[1];
	backtrace(warm, 1); /* loads libgcc now, not in the handler */
	for (size_t i = 0; i < countof(fatal); i++) {
		struct sigaction sa = {.sa_handler = on_crash};
		sa.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
		check(sigaction(fatal[i], &sa, NULL) == 0);
	}
}

void role_inherit(struct role *r, const char *name, unsigned index)
{
	struct err e = {0};
	void *stats;
	r->name = name;
	r->index = index;
	log_init(name, LOG_INFO);
	if (!SANITIZED) /* the sanitizer reports more */
		report_crashes();
	for (int fd = ROLE_FD_CTL; fd < ROLE_FD_FIRST_FREE; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 &&
			fd != ROLE_FD_NOTEBOOK) {
			err_sys(&e, "descriptor %d was not inherited", fd);
			die(&e);
		}
	signal(SIGPIPE, SIG_IGN);
	/* The master tells a role what to do; a terminal's Ctrl-C does not. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (shm_map(ROLE_FD_STATS, sizeof(struct metrics), &stats, &e) < 0)
		die(&e);
	metrics_map(stats);
}

static void take_conf(struct role *r, struct ctl_packet *p)
{
	const struct conf *c;
	struct err e = {0};
	if (p->fds != 1 || conf_map(p->fd[0], &c, &e) < 0) {
		log_error("configuration: %s", e.text);
		return;
	}
	conf_swap(c, true);
	r->configured = true;
	log_set_level(c->log_level);
	if (r->on_conf)
		r->on_conf(r);
}

static void handle(struct role *r, struct ctl_packet *p)
{
	if (p->head.type == CTL_CONF)
		take_conf(r, p);
	else if (p->head.type == CTL_PING)
		role_tell(r, CTL_PONG, 0, 0, STR_NONE);
	else
		r->on_packet(r, p);
	ctl_close_fds(p);
}

static void wait_packet(struct role *r, struct ctl_packet *p)
{
	struct err e = {0};
	int ret;
	do {
		struct pollfd pfd = {.fd = ROLE_FD_CTL, .events = POLLIN};
		if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
			check(!"poll of the control line");
		ret = ctl_recv(ROLE_FD_CTL, &r->in, p, &e);
		if (ret < 0)
			exit(1); /* the master went away: it has said why */
	} while (ret == 0);
}

void role_configure(struct role *r)
{
	struct ctl_packet p;
	while (!r->configured) {
		wait_packet(r, &p);
		if (p.head.type == CTL_START)
			exit(1); /* it could not be taken: that was logged */
		handle(r, &p);
	}
}

void role_settle(struct role *r)
{
	struct ctl_packet p;
	for (;;) {
		wait_packet(r, &p);
		if (p.head.type == CTL_START)
			return;
		handle(r, &p);
	}
}

void role_limits(void)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) < 0)
		log_warn("descriptor limit stays: errno=%d", errno);
}

void role_pin(unsigned index)
{
	cpu_set_t all, one;
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	unsigned n = (unsigned)CPU_COUNT(&all), want = index % (n ? n : 1);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (want-- == 0) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		log_warn("not pinned: errno=%d", errno);
}

static void become_user(const char *user)
{
	struct err e = {0};
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (!pw) {
		err_set(&e, -ENOENT, "user %s does not exist", user);
		die(&e);
	}
	if (setgroups(0, NULL) < 0 || setgid(pw->pw_gid) < 0 ||
		setuid(pw->pw_uid) < 0) {
		err_sys(&e, "become user %s", user);
		die(&e);
	}
}

/* None that could be had by an exec; who is not root may not, and has none. */
static void empty_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return;
}

/* What setuid() took from root, the user root and a service manager's ambient
 * ones still have. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	struct err e = {0};
	if (syscall(SYS_capset, &head, none) < 0 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
		err_sys(&e, "drop capabilities");
		die(&e);
	}
}

void role_drop(void)
{
	struct err e = {0};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		err_sys(&e, "no_new_privs");
		die(&e);
	}
	empty_bounding_set();
	if (geteuid() == 0)
		become_user(conf_get()->user);
	drop_capabilities();
}

void role_confine(enum sandbox_role role, int ring_fd)
{
	const char *why = "";
	struct err e = {0};
	if (!conf_get()->sandbox || sandbox_never) {
		log_info("no sandbox: %s",
			sandbox_never ? "a sanitizer is built in"
				      : "the configuration says so");
		return;
	}
	tzset(); /* reads the time zone, which gmtime() would do */
	int abi = sandbox_enter(role, conf_get()->data_dir, ring_fd, &why, &e);
	if (abi < 0) {
		log_error("%s; is the kernel made without it, set sandbox: no",
			e.text);
		exit(1);
	}
	if (abi)
		log_debug("sandbox landlock=%d", abi);
	else
		log_info("sandbox without Landlock: %s", why);
}

static void on_ctl(struct watch *w, uint32_t events)
{
	struct role *r = container_of(w, struct role, ctl);
	struct ctl_packet p;
	struct err e = {0};
	int ret;
	while ((ret = ctl_recv(w->fd, &r->in, &p, &e)) == 1)
		handle(r, &p);
	if (ret == 0)
		return;
	log_warn("the master is gone");
	loop_unwatch(r->loop, w);
	r->on_orphan(r);
}

void role_ready(struct role *r)
{
	loop_watch(r->loop, &r->ctl, ROLE_FD_CTL, EPOLLIN, on_ctl);
	role_tell(r, CTL_READY, 0, 0, STR_NONE);
}

int role_tell(struct role *r, enum ctl_type t, uint64_t a, uint64_t b,
	struct str rest)
{
	struct ctl_head h = {.type = t, .a = a, .b = b};
	struct err e = {0};
	int ret = ctl_send(ROLE_FD_CTL, &h, rest, NULL, 0, &e);
	if (ret < 0)
		log_debug("master: %s", e.text);
	return ret;
}
