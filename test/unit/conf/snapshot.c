/*
 * The sealed snapshot: whole, unchangeable, swapped under readers.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>
#include <urcu.h>

#include "test/unit/conf/fixture.h"

static struct conf numbered(uint64_t n)
{
	struct conf c;

	conf_defaults(&c);
	c.ws_throttle = n;
	c.query_max_results = n;
	return c;
}

static const struct conf *mapped(uint64_t n)
{
	struct conf c = numbered(n);
	const struct conf *m = NULL;
	struct err e = {0};
	int fd = conf_seal(&c, &e);

	assert_true(fd >= 0);
	assert_int_equal(conf_map(fd, &m, &e), 0);
	close(fd);
	return m;
}

/* Runs first: nothing is swapped in yet. */
static void test_all_defaults_before_the_first_swap(void **state)
{
	struct conf d;

	conf_defaults(&d);
	assert_memory_equal(conf_get(), &d, sizeof(d));
	assert_ptr_equal(conf_get(), conf_get());
}

static void test_map_is_what_was_sealed(void **state)
{
	struct conf c = numbered(77);
	const struct conf *m = mapped(77);

	assert_memory_equal(m, &c, sizeof(c));
	munmap((void *)(uintptr_t)m, sizeof(*m));
}

static void test_sealed_memory_cannot_change(void **state)
{
	struct conf c = numbered(1);
	struct err e = {0};
	int fd = conf_seal(&c, &e);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_ptr_equal(mmap(NULL, sizeof(c), PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0),
		MAP_FAILED);
	close(fd);
}

/* A memfd of n bytes with just these seals, as conf_map() sees it. */
static int map_of(size_t n, int seals, struct err *e)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const struct conf *m = NULL;
	int ret;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)n), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	ret = conf_map(fd, &m, e);
	close(fd);
	assert_true((ret == 0) == (m != NULL));
	if (m)
		munmap((void *)(uintptr_t)m, sizeof(*m));
	return ret;
}

static void test_map_wants_every_seal(void **state)
{
	static const int seals[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
	int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct err e = {0};

	for (size_t i = 0; i < countof(seals); i++) {
		assert_int_equal(
			map_of(sizeof(struct conf), all & ~seals[i], &e),
			-EPERM);
		assert_string_equal(e.text, "the configuration is not sealed");
	}
	assert_int_equal(map_of(sizeof(struct conf), all, &e), 0);
}

static void test_map_wants_the_size(void **state)
{
	int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	struct err e = {0};

	assert_int_equal(map_of(sizeof(struct conf) - 1, all, &e), -EINVAL);
	assert_int_equal(map_of(sizeof(struct conf) + 1, all, &e), -EINVAL);
	assert_string_equal(
		e.text, "the configuration is that of another jmapd");
}

static void test_map_of_no_memfd(void **state)
{
	const struct conf *m;
	struct err e = {0};
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(conf_map(fd[0], &m, &e), -EINVAL);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(conf_map(-1, &m, &e), -EBADF);
}

static void test_swap_makes_it_current(void **state)
{
	static struct conf mine;
	const struct conf *m = mapped(5);

	mine = numbered(6);
	conf_swap(m, true);
	assert_ptr_equal(conf_get(), m);
	assert_int_equal(conf_get()->ws_throttle, 5);
	conf_swap(m, true); /* again: still there */
	assert_int_equal(conf_get()->ws_throttle, 5);
	conf_swap(&mine, false);
	assert_ptr_equal(conf_get(), &mine);
	/* The old map is gone: its pages answer no more. */
	assert_int_equal(msync((void *)(uintptr_t)m, sizeof(*m), MS_ASYNC), -1);
	assert_int_equal(errno, ENOMEM);
	conf_swap(mapped(7), true);
	assert_int_equal(mine.ws_throttle, 6);
	assert_int_equal(conf_get()->ws_throttle, 7);
}

static _Atomic bool stop;
static _Atomic unsigned reads, mixed;

static void *reader(void *arg)
{
	rcu_register_thread();
	while (!atomic_load(&stop)) {
		const struct conf *c;

		rcu_read_lock();
		c = conf_get();
		if (c->ws_throttle != c->query_max_results)
			atomic_fetch_add(&mixed, 1);
		rcu_read_unlock();
		atomic_fetch_add(&reads, 1);
	}
	rcu_unregister_thread();
	return NULL;
}

/* This thread never told RCU of itself. */
static void test_swap_under_readers(void **state)
{
	pthread_t t[2];

	conf_swap(mapped(1), true);
	for (size_t i = 0; i < countof(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, NULL), 0);
	for (unsigned i = 0; i < 200 || atomic_load(&reads) < 1000; i++)
		conf_swap(mapped(i), true);
	atomic_store(&stop, true);
	for (size_t i = 0; i < countof(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&mixed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_defaults_before_the_first_swap),
		cmocka_unit_test(test_map_is_what_was_sealed),
		cmocka_unit_test(test_sealed_memory_cannot_change),
		cmocka_unit_test(test_map_wants_every_seal),
		cmocka_unit_test(test_map_wants_the_size),
		cmocka_unit_test(test_map_of_no_memfd),
		cmocka_unit_test(test_swap_makes_it_current),
		cmocka_unit_test(test_swap_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
