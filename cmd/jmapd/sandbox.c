/*
 * Two filters from one table, and a Landlock domain for each role (sandbox.h).
 *
 * Landlock's system calls are called by number, and its newer words are here: the
 * headers of Debian 12 are older than the kernels it may run on.
 */
#include "cmd/jmapd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
const bool sandbox_never = true;
#else
const bool sandbox_never = false;
#endif

CLEANUP_PTR(void, seccomp_release)

/* ---- Landlock: what may be named ------------------------------------------ */

/* struct landlock_ruleset_attr as of ABI 6; older kernels take its head. */
struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;	     /* ABI 6 */
};

#define FS_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define NET_BIND_CONNECT 3ull
#define SCOPE_UNIX_SIGNAL 3ull

static struct ruleset ruleset_of(int abi)
{
	return (struct ruleset){
		.handled_access_fs = FS_ABI_1 |
				     (abi < 2 ? 0 : LANDLOCK_ACCESS_FS_REFER) |
				     (abi < 3 ? 0 : FS_TRUNCATE) |
				     (abi < 5 ? 0 : FS_IOCTL_DEV),
		.handled_access_net = abi < 4 ? 0 : NET_BIND_CONNECT,
		.scoped = abi < 6 ? 0 : SCOPE_UNIX_SIGNAL,
	};
}

static size_t ruleset_size(int abi)
{
	return abi < 4	 ? offsetof(struct ruleset, handled_access_net)
	       : abi < 6 ? offsetof(struct ruleset, scoped)
			 : sizeof(struct ruleset);
}

/* Regular files and directories below dir, by every name they have there. */
static int allow_below(int rules, const char *dir, int abi, struct err *e)
{
	int fd cleanup(fd_close) = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr below = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE |
				  LANDLOCK_ACCESS_FS_WRITE_FILE |
				  LANDLOCK_ACCESS_FS_READ_DIR |
				  LANDLOCK_ACCESS_FS_MAKE_REG |
				  LANDLOCK_ACCESS_FS_MAKE_DIR |
				  LANDLOCK_ACCESS_FS_REMOVE_FILE |
				  LANDLOCK_ACCESS_FS_REMOVE_DIR |
				  LANDLOCK_ACCESS_FS_REFER |
				  (abi < 3 ? 0 : FS_TRUNCATE),
		.parent_fd = fd,
	};
	if (fd < 0)
		return err_sys(e, "open %s", dir);
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH,
		    &below, 0) < 0)
		return err_sys(e, "Landlock: allow %s", dir);
	return 0;
}

/* ABI 1 can allow no move from one directory to another, which blobs make. */
static int usable_abi(enum sandbox_role role, const char **why_r)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
		LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		*why_r = "the kernel does not offer it";
	else if (abi < 2 && role == SANDBOX_STORE)
		*why_r = "the kernel's is too old for the store";
	else
		return abi;
	return 0;
}

/* dir NULL: no path at all. */
static int landlock(int abi, const char *dir, struct err *e)
{
	struct ruleset set = ruleset_of(abi);
	int rules cleanup(fd_close) = (int)syscall(
		SYS_landlock_create_ruleset, &set, ruleset_size(abi), 0);
	int ret = rules < 0 ? err_sys(e, "Landlock rules") : 0;
	if (!ret && dir)
		ret = allow_below(rules, dir, abi, e);
	if (!ret && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		ret = err_sys(e, "Landlock");
	return ret;
}

/* ---- seccomp: what may be called ------------------------------------------ */

enum {
	WORKER = SANDBOX_WORKER,
	STORE = SANDBOX_STORE,
	BOTH = WORKER | STORE,
};
#define INT_MASK UINT32_MAX /* an int argument: the rest is not looked at */
#define ANY_ARG (-1)

struct row {
	const char *name;
	unsigned roles;
	int arg;
	uint64_t mask, value;
};

static int allow(scmp_filter_ctx f, const struct row *r)
{
	int nr = seccomp_syscall_resolve_name(r->name);
	if (nr < 0) /* not on this architecture */
		return 0;
	if (r->arg == ANY_ARG)
		return seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 0);
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, nr, 1,
		SCMP_CMP64((unsigned)r->arg, SCMP_CMP_MASKED_EQ, r->mask,
			r->value));
}

static int add_rows(scmp_filter_ctx f, enum sandbox_role role, int ring_fd)
{
	pid_t pid = getpid();
	const struct row rows[] = {
#define CALL(name, roles) {#name, roles, ANY_ARG, 0, 0},
#define WHEN(name, roles, arg, mask, value) {#name, roles, arg, mask, value},
#include "cmd/jmapd/sandbox.def"
#undef CALL
#undef WHEN
	};
	int ret = 0;
	for (size_t i = 0; !ret && i < countof(rows); i++)
		if (rows[i].roles & role)
			ret = allow(f, &rows[i]);
	if (!ret && role == SANDBOX_STORE)
		ret = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS),
			seccomp_syscall_resolve_name("clone3"), 0);
	return ret;
}

/*
 * Calls by another architecture's numbers end it, too. Our code runs nobody's
 * programs, so it needs no mitigation of what those could guess from timing
 * (kernels before 5.16 slow down whoever has a filter, unless asked not to).
 */
static int set_attributes(scmp_filter_ctx f)
{
	int ret = seccomp_attr_set(
		f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!ret)
		ret = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!ret)
		ret = seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	if (!ret) /* a tree instead of a list */
		ret = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return ret;
}

static int filter(enum sandbox_role role, int ring_fd, struct err *e)
{
	scmp_filter_ctx f cleanup(seccomp_release) =
		seccomp_init(SCMP_ACT_KILL_PROCESS);
	check(f);
	int ret = set_attributes(f);
	if (!ret)
		ret = add_rows(f, role, ring_fd);
	if (!ret)
		ret = seccomp_load(f);
	if (!ret)
		return 0;
	errno = -ret;
	return err_sys(e, "seccomp");
}

int sandbox_enter(enum sandbox_role role, const char *data_dir, int ring_fd,
	const char **why_r, struct err *e)
{
	const char *dir = role == SANDBOX_STORE ? data_dir : NULL;
	int ret, abi = usable_abi(role, why_r);
	if (abi) {
		ret = landlock(abi, dir, e);
		if (ret < 0)
			return ret;
	}
	ret = filter(role, ring_fd, e);
	return ret < 0 ? ret : abi;
}
