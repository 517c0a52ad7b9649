/*
 * Sealed memfds. F_SEAL_SEAL goes on too, so that what was checked at shm_map()
 * holds as long as the mapping does.
 */
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

int shm_new(const char *name, size_t size, struct err *e)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret = 0;

	if (fd < 0)
		return err_sys(e, "memfd_create %s", name);
	if (ftruncate(fd, (off_t)size) < 0)
		ret = err_sys(e, "memfd %s: %zu bytes", name, size);
	else if (fcntl(fd, F_ADD_SEALS, SHM_SEALS | F_SEAL_SEAL) < 0)
		ret = err_sys(e, "memfd %s: seal", name);
	if (ret == 0)
		return fd;
	close(fd);
	return ret;
}

static int map(int fd, size_t size, int prot, void **p_r, struct err *e)
{
	struct stat st;
	void *p;
	/* Fails with EINVAL on a file that can have no seals at all. */
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 && errno != EINVAL)
		return err_sys(e, "shared memory: read seals");
	if (seals < 0 || (seals & SHM_SEALS) != SHM_SEALS)
		return err_set(e, -EPROTO, "shared memory is not sealed");
	/* After the seals: from here on the size cannot change. */
	if (fstat(fd, &st) < 0)
		return err_sys(e, "shared memory: stat");
	if (st.st_size < 0 || (uint64_t)st.st_size != size)
		return err_set(e, -EPROTO,
			"shared memory has %lld bytes, expected %zu",
			(long long)st.st_size, size);
	p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, "shared memory: map %zu bytes", size);
	*p_r = p;
	return 0;
}

int shm_map(int fd, size_t size, void **p_r, struct err *e)
{
	return map(fd, size, PROT_READ | PROT_WRITE, p_r, e);
}

int shm_map_read(int fd, size_t size, const void **p_r, struct err *e)
{
	void *p = NULL;
	int ret = map(fd, size, PROT_READ, &p, e);

	if (ret == 0)
		*p_r = p;
	return ret;
}

void shm_unmap(void *p, size_t size)
{
	check(munmap(p, size) == 0);
}
