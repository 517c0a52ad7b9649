/*
 * Each test forks, shuts the sandbox of a role around the child, and sees how the
 * child ends. A byte on a pipe says that it lived until the call in question.
 */
#include "cmd/jmapd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/db/db.h"

#define W SANDBOX_WORKER
#define S SANDBOX_STORE
#define BOTH (W | S)

static char dir[] = "/tmp/jmapd-sandbox-XXXXXX"; /* its data/ is the store's */

/* ---- a child in a sandbox ------------------------------------------------- */

struct child {
	pid_t pid;
	int said; /* what it writes to stderr, and the byte */
};

enum { LANDLOCK_NONE = 77 };

__attribute__((noreturn)) static void live(enum sandbox_role role, int ring_fd,
	bool landlock, int (*act)(void *), void *ctx)
{
	struct err e = {0};
	const char *why;
	char data[64];
	snprintf(data, sizeof(data), "%s/data", dir);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(99);
	check_init();
	int abi = sandbox_enter(role, data, ring_fd, &why, &e);
	if (abi < 0) {
		dprintf(2, "%s\n", e.text);
		_exit(99);
	}
	if (landlock && !abi)
		_exit(LANDLOCK_NONE);
	_exit(act(ctx));
}

/* Returns its status and all that it said. */
static int run(enum sandbox_role role, int ring_fd, bool landlock,
	int (*act)(void *), void *ctx, struct buf *said)
{
	int end[2], status;
	ssize_t n;
	if (sandbox_never)
		skip(); /* threads of the sanitizer's own make calls, too */
	assert_return_code(pipe2(end, O_CLOEXEC), errno);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(end[1], 2);
		live(role, ring_fd, landlock, act, ctx);
	}
	assert_return_code(pid, errno);
	close(end[1]);
	while ((n = read(end[0], buf_room(said, 4096), 4096)) > 0)
		said->n += (size_t)n;
	close(end[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* ---- one system call ------------------------------------------------------ */

struct call {
	const char *name;
	unsigned roles;
	long nr, a[6];
};

static int make_call(void *ctx)
{
	const struct call *c = ctx;
	if (write(2, "!", 1) != 1)
		return 98;
	syscall(c->nr, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
	syscall(SYS_exit_group, 0);
	return 0;
}

static bool call_ends_it(
	enum sandbox_role role, const struct call *c, int ring_fd)
{
	struct buf said cleanup(buf_fini) = {0};
	int status = run(role, ring_fd, false, make_call, (void *)c, &said);
	if (!str_eq(buf_str(&said), STR("!")))
		fail_msg("%s: never made: %s", c->name, buf_z(&said));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("%s: status %x", c->name, (unsigned)status);
	return true;
}

#define PTR(p) ((long)(p))
static struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_port = 9};
static const char *const argv_true[] = {"/bin/true", NULL};

/* Descriptor 1000 is none: what may be tried fails. */
static const struct call forbidden[] = {
	{"open", W, SYS_openat, {AT_FDCWD, PTR("/etc/passwd"), O_RDONLY}},
	{"make a file", W, SYS_openat, {AT_FDCWD, PTR("/tmp/x"), O_CREAT}},
	{"open by handle", BOTH, SYS_open_by_handle_at, {AT_FDCWD}},
	{"openat2", BOTH, SYS_openat2, {AT_FDCWD, PTR("/")}},
	{"stat", W, SYS_newfstatat, {AT_FDCWD, PTR("/"), 0, 0}},
	{"unlink", W, SYS_unlinkat, {AT_FDCWD, PTR("/tmp/x"), 0}},
	{"getdents", W, SYS_getdents64, {0}},
	{"fsync", W, SYS_fsync, {1000}},
	{"pwrite", W, SYS_pwrite64, {1000}},
	{"symlink", BOTH, SYS_symlinkat, {PTR("/etc"), AT_FDCWD, PTR("/tmp")}},
	{"mknod", BOTH, SYS_mknodat, {AT_FDCWD, PTR("/tmp/x"), S_IFIFO}},
	{"chmod", BOTH, SYS_fchmodat, {AT_FDCWD, PTR("/tmp/x")}},
	{"chdir", BOTH, SYS_chdir, {PTR("/")}},
	{"chroot", BOTH, SYS_chroot, {PTR("/")}},
	{"mount", BOTH, SYS_mount, {0}},
	{"socket", BOTH, SYS_socket, {AF_INET, SOCK_STREAM, 0}},
	{"unix socket", BOTH, SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
	{"socketpair", BOTH, SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0}},
	{"connect", BOTH, SYS_connect, {1000, PTR(&loopback), 16}},
	{"bind", BOTH, SYS_bind, {1000, PTR(&loopback), 16}},
	{"listen", BOTH, SYS_listen, {1000, 1}},
	{"accept", S, SYS_accept4, {1000}},
	{"shut down both", W, SYS_shutdown, {1000, SHUT_RDWR}},
	{"shut down reading", W, SYS_shutdown, {1000, SHUT_RD}},
	{"a filter", W, SYS_setsockopt, {1000, SOL_SOCKET, SO_ATTACH_FILTER}},
	{"a terminal's ioctl", W, SYS_ioctl, {0, TIOCSTI}},
	{"ioctl", S, SYS_ioctl, {1000, SIOCOUTQ}},
	{"execve", BOTH, SYS_execve, {PTR("/bin/true"), PTR(argv_true)}},
	{"execveat", BOTH, SYS_execveat, {1000, PTR(""), PTR(argv_true)}},
	{"fork", BOTH, SYS_clone, {SIGCHLD}},
	{"fork by clone3", W, SYS_clone3, {0}},
	{"thread", W, SYS_clone, {CLONE_THREAD | CLONE_SIGHAND | CLONE_VM}},
	{"unshare", BOTH, SYS_unshare, {CLONE_NEWUSER}},
	{"ptrace", BOTH, SYS_ptrace, {PTRACE_TRACEME}},
	{"another's memory", BOTH, SYS_process_vm_readv, {1}},
	{"kill", BOTH, SYS_kill, {1, 0}},
	{"tgkill another", BOTH, SYS_tgkill, {1, 1, 0}},
	{"pidfd", BOTH, SYS_pidfd_open, {1}},
	{"blocking", BOTH, SYS_fcntl, {0, F_SETFL, 0}},
	{"signals by fcntl", BOTH, SYS_fcntl, {0, F_SETOWN, 1}},
	{"a limit", BOTH, SYS_prlimit64, {0, 0, PTR(&loopback), 0}},
	{"prctl", BOTH, SYS_prctl, {PR_SET_DUMPABLE, 1}},
	{"setuid", BOTH, SYS_setuid, {0}},
	{"capset", BOTH, SYS_capset, {0}},
	{"code by mmap", BOTH, SYS_mmap,
		{0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1}},
	{"code by mprotect", BOTH, SYS_mprotect, {0, 4096, PROT_EXEC}},
	{"code by pkey", BOTH, SYS_pkey_mprotect, {0, 4096, PROT_EXEC, -1}},
	{"memfd", BOTH, SYS_memfd_create, {PTR("x"), 0}},
	{"io_uring_setup", BOTH, SYS_io_uring_setup, {1, 0}},
	{"io_uring_register", BOTH, SYS_io_uring_register, {1000}},
	{"io_uring_enter", BOTH, SYS_io_uring_enter, {1000}},
	{"userfaultfd", BOTH, SYS_userfaultfd, {0}},
	{"bpf", BOTH, SYS_bpf, {0}},
	{"perf", BOTH, SYS_perf_event_open, {0}},
	{"keys", BOTH, SYS_keyctl, {0}},
	{"another filter", BOTH, SYS_seccomp, {0}},
};

static void forbid(enum sandbox_role role)
{
	for (size_t i = 0; i < countof(forbidden); i++)
		if (forbidden[i].roles & role &&
			!call_ends_it(role, &forbidden[i], -1))
			fail_msg("%s is allowed", forbidden[i].name);
}

static void forbidden_calls_end_a_worker(void **state)
{
	forbid(SANDBOX_WORKER);
}

static void forbidden_calls_end_the_store(void **state)
{
	forbid(SANDBOX_STORE);
}

/* The counterparts of conditions that are above. */
static const struct call allowed[] = {
	{"nothing", BOTH, SYS_getpid, {0}},
	{"shut down writing", W, SYS_shutdown, {1000, SHUT_WR}},
	{"shut down", S, SYS_shutdown, {1000, SHUT_RDWR}},
	{"TCP option", W, SYS_setsockopt, {1000, IPPROTO_TCP, 1}},
	{"bytes unsent", W, SYS_ioctl, {1000, SIOCOUTQ}},
	{"accept", W, SYS_accept4, {1000}},
	{"open", S, SYS_openat, {AT_FDCWD, PTR("/etc/passwd"), O_RDONLY}},
	{"lock", S, SYS_fcntl, {1000, F_SETLK}},
	{"clone3", S, SYS_clone3, {0}},
	{"a limit", BOTH, SYS_prlimit64, {0, 0, 0, 0}},
	{"code read only", BOTH, SYS_mprotect, {0, 0, PROT_READ}},
};

static void permit(enum sandbox_role role)
{
	for (size_t i = 0; i < countof(allowed); i++)
		if (allowed[i].roles & role &&
			call_ends_it(role, &allowed[i], -1))
			fail_msg("%s is forbidden", allowed[i].name);
}

static void a_worker_may_call_what_it_needs(void **state)
{
	permit(SANDBOX_WORKER);
}

static void the_store_may_call_what_it_needs(void **state)
{
	permit(SANDBOX_STORE);
}

static void a_worker_enters_the_ring_that_it_was_given(void **state)
{
	struct call enter = {"enter", W, SYS_io_uring_enter, {999}};
	assert_false(call_ends_it(SANDBOX_WORKER, &enter, 999));
	assert_true(call_ends_it(SANDBOX_WORKER, &enter, 998));
	assert_true(call_ends_it(SANDBOX_STORE, &enter, 999));
}

/* ---- what needs more than a call ------------------------------------------ */

/* The status of act() in the sandbox. */
static int status_of(enum sandbox_role role, bool landlock, int (*act)(void *),
	void *ctx, struct buf *said)
{
	int status = run(role, -1, landlock, act, ctx, said);
	if (WIFEXITED(status) && WEXITSTATUS(status) == LANDLOCK_NONE)
		skip();
	return status;
}

/* act() returned 0; else it returned the number of the line that failed. */
static void works(enum sandbox_role role, bool landlock, int (*act)(void *))
{
	struct buf said cleanup(buf_fini) = {0};
	int status = status_of(role, landlock, act, NULL, &said);
	if (status)
		fail_msg("status %x: %s", (unsigned)status, buf_z(&said));
}

static int fail_at(int line)
{
	dprintf(2, "line %d: errno=%d", line, errno);
	return 1;
}
#define NEED(cond)                                \
	do {                                      \
		if (!(cond))                      \
			return fail_at(__LINE__); \
	} while (0)

static const char *in(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int use_data(void *ctx)
{
	int fd = open(in("data/a/new"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	NEED(fd >= 0 && write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0);
	NEED(mkdir(in("data/b"), 0700) == 0);
	NEED(rename(in("data/a/new"), in("data/b/moved")) == 0);
	NEED(link(in("data/b/moved"), in("data/a/linked")) == 0);
	NEED(unlink(in("data/b/moved")) == 0);
	NEED(unlink(in("data/a/linked")) == 0);
	NEED(rmdir(in("data/b")) == 0);
	return 0;
}

static void the_store_moves_files_about_in_its_directory(void **state)
{
	works(SANDBOX_STORE, false, use_data);
}

static bool denied(int ret)
{
	return ret < 0 && (errno == EACCES || errno == EXDEV);
}

static int leave_data(void *ctx)
{
	NEED(denied(open(in("secret"), O_RDONLY)));
	NEED(denied(open(in("secret"), O_WRONLY)));
	NEED(denied(open(in("new"), O_WRONLY | O_CREAT, 0600)));
	NEED(denied(open("/etc/passwd", O_RDONLY)));
	NEED(denied(open("/proc/self/maps", O_RDONLY)));
	NEED(denied(open("/", O_RDONLY | O_DIRECTORY)));
	NEED(denied(open(in("data/out"), O_RDONLY)));
	NEED(denied(open(in("data/../secret"), O_RDONLY)));
	NEED(denied(unlink(in("secret"))));
	NEED(denied(mkdir(in("new"), 0700)));
	NEED(denied(rename(in("data/a/kept"), in("moved"))));
	NEED(denied(link(in("secret"), in("data/a/stolen"))));
	return 0;
}

static void the_store_reaches_nothing_outside(void **state)
{
	works(SANDBOX_STORE, true, leave_data);
}

static int use_database(void *ctx)
{
	struct err e = {0};
	struct db *db;
	if (db_open(in("data/x.db"), DB_CREATE, &db, &e) < 0 ||
		db_exec(db,
			"CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(9))"
			";DROP TABLE t",
			&e) < 0) {
		dprintf(2, "%s", e.text);
		return 1;
	}
	db_close(db);
	return 0;
}

static void the_store_has_a_database(void **state)
{
	works(SANDBOX_STORE, false, use_database);
}

static void *idle(void *ctx)
{
	return ctx;
}

static int use_threads(void *ctx)
{
	pthread_t t[8];
	void *got;
	for (size_t i = 0; i < countof(t); i++)
		NEED(pthread_create(&t[i], NULL, idle, dir) == 0);
	for (size_t i = 0; i < countof(t); i++)
		NEED(pthread_join(t[i], &got) == 0 && got == dir);
	return 0;
}

static void the_store_starts_threads(void **state)
{
	works(SANDBOX_STORE, false, use_threads);
}

static void *open_passwd(void *ctx)
{
	return (void *)(intptr_t)denied(open("/etc/passwd", O_RDONLY));
}

static int open_in_thread(void *ctx)
{
	pthread_t t;
	void *got;
	NEED(pthread_create(&t, NULL, open_passwd, NULL) == 0);
	NEED(pthread_join(t, &got) == 0 && got);
	return 0;
}

static void the_store_s_threads_are_as_confined(void **state)
{
	works(SANDBOX_STORE, true, open_in_thread);
}

/* Enough to make malloc take, move and give back memory in each of its ways. */
static int use_memory(void *ctx)
{
	char *p = NULL;
	for (size_t n = 1; n <= 64u << 20; n *= 2) {
		p = mem_grow(p, n);
		memset(p, 1, n);
	}
	free(p);
	return 0;
}

static void memory_grows_and_shrinks(void **state)
{
	works(SANDBOX_WORKER, false, use_memory);
	works(SANDBOX_STORE, false, use_memory);
}

static int find_bug(void *ctx)
{
	check(!"a bug");
	return 0;
}

static int smash(void *ctx)
{
	abort();
}

static void dies_of(
	enum sandbox_role role, int signo, int (*act)(void *), const char *last)
{
	struct buf said cleanup(buf_fini) = {0};
	int status = status_of(role, false, act, NULL, &said);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signo);
	if (last && !strstr(buf_z(&said), last))
		fail_msg("\"%s\" is not in: %s", last, buf_z(&said));
}

static void a_failed_check_says_where_and_aborts(void **state)
{
	dies_of(SANDBOX_WORKER, SIGABRT, find_bug, "check failed: !\"a bug\"");
	dies_of(SANDBOX_STORE, SIGABRT, find_bug, "[0x");
	dies_of(SANDBOX_STORE, SIGABRT, smash, NULL);
}

/* ---- a file system for the store ------------------------------------------ */

static int touch(const char *name)
{
	int fd = open(in(name), O_WRONLY | O_CREAT, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int setup(void **state)
{
	return !mkdtemp(dir) || mkdir(in("data"), 0700) < 0 ||
	       mkdir(in("data/a"), 0700) < 0 || touch("data/a/kept") < 0 ||
	       touch("secret") < 0 || symlink("../secret", in("data/out")) < 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {"data/a/kept", "data/out",
		"data/x.db", "data/x.db-wal", "data/x.db-shm", "secret"};
	for (size_t i = 0; i < countof(files); i++)
		unlink(in(files[i]));
	return rmdir(in("data/a")) < 0 || rmdir(in("data")) < 0 ||
	       rmdir(dir) < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls_end_a_worker),
		cmocka_unit_test(forbidden_calls_end_the_store),
		cmocka_unit_test(a_worker_may_call_what_it_needs),
		cmocka_unit_test(the_store_may_call_what_it_needs),
		cmocka_unit_test(a_worker_enters_the_ring_that_it_was_given),
		cmocka_unit_test(the_store_moves_files_about_in_its_directory),
		cmocka_unit_test(the_store_reaches_nothing_outside),
		cmocka_unit_test(the_store_has_a_database),
		cmocka_unit_test(the_store_starts_threads),
		cmocka_unit_test(the_store_s_threads_are_as_confined),
		cmocka_unit_test(memory_grows_and_shrinks),
		cmocka_unit_test(a_failed_check_says_where_and_aborts),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
