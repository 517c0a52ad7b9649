/*
 * The configuration between processes: a memfd that nobody can change any more,
 * mapped read-only by each role, and this process's pointer to it.
 *
 * Readers follow the pointer (conf_get); the one who swaps publishes the new map,
 * waits for the readers of the old one (synchronize_rcu), and unmaps it. The
 * swapping thread may be one that RCU never heard of, but holds no read lock. The
 * pointer is an atomic of C's and not rcu_xchg_pointer(), whose release lies in
 * the library, where a thread sanitizer does not see it.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static struct {
	const struct conf *_Atomic now; /* NULL until the first swap */
	bool mapped;
	pthread_mutex_t swap; /* one swap at a time */
	pthread_once_t once;
	struct conf defaults;
} here = {.swap = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static int write_all(int fd, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(e, "write the configuration");
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int conf_seal(const struct conf *c, struct err *e)
{
	int fd cleanup(fd_close) = -1, sealed, ret;

	fd = memfd_create("jmapd-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, "memory for the configuration");
	ret = write_all(fd, c, sizeof(*c), e);
	if (ret < 0)
		return ret;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		return err_sys(e, "seal the configuration");
	sealed = fd;
	fd = -1;
	return sealed;
}

int conf_map(int fd, const struct conf **c_r, struct err *e)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *p;

	if (seals < 0)
		return err_sys(e, "the configuration's seals");
	if ((seals & SEALS) != SEALS)
		return err_set(e, -EPERM, "the configuration is not sealed");
	if (fstat(fd, &st) < 0)
		return err_sys(e, "the configuration's size");
	if (st.st_size != (off_t)sizeof(struct conf))
		return err_set(e, -EINVAL,
			"the configuration is that of another jmapd");
	/* Shared would need write access to the seal's eyes before Linux 6.7. */
	p = mmap(NULL, sizeof(struct conf), PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "map the configuration");
	*c_r = p;
	return 0;
}

static void make_defaults(void)
{
	conf_defaults(&here.defaults);
}

const struct conf *conf_get(void)
{
	/* pairs: atomic_exchange_explicit in conf_swap */
	const struct conf *c =
		atomic_load_explicit(&here.now, memory_order_acquire);

	if (c)
		return c;
	check(pthread_once(&here.once, make_defaults) == 0);
	return &here.defaults;
}

void conf_swap(const struct conf *c, bool mapped)
{
	const struct conf *old;
	bool was_mapped;

	check(c);
	check(pthread_mutex_lock(&here.swap) == 0);
	/* pairs: atomic_load_explicit in conf_get */
	old = atomic_exchange_explicit(&here.now, c, memory_order_acq_rel);
	was_mapped = here.mapped;
	here.mapped = mapped;
	if (old != c && was_mapped) {
		synchronize_rcu();
		check(munmap((void *)(uintptr_t)old, sizeof(*old)) == 0);
	}
	check(pthread_mutex_unlock(&here.swap) == 0);
}
