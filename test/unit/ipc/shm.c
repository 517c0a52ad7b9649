/*
 * Shared memory: what is sealed is mapped, everything else is refused.
 */
#include "ipc/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "test/unit/ipc/pair.h"

#define SIZE 8192

static int file_with(size_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void assert_refused(int fd, size_t size)
{
	struct err e = {0};
	void *p = NULL;

	assert_int_equal(shm_map(fd, size, &p, &e), -EPROTO);
	assert_true(e.text[0]);
	assert_null(p);
	close(fd);
}

static void test_two_maps_see_the_same_bytes(void **state)
{
	int fd = shm_new("test", SIZE, NULL);
	void *a, *b;

	assert_true(fd >= 0);
	assert_int_equal(shm_map(fd, SIZE, &a, NULL), 0);
	assert_int_equal(shm_map(fd, SIZE, &b, NULL), 0);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(((char *)b)[i], 0);
	memcpy(a, "hello", 5);
	assert_memory_equal(b, "hello", 5);
	shm_unmap(a, SIZE);
	shm_unmap(b, SIZE);
	close(fd);
}

static void test_new_memory_cannot_change_its_size(void **state)
{
	int fd = shm_new("test", SIZE, NULL);

	assert_int_equal(ftruncate(fd, SIZE / 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, SIZE * 2), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void test_unsealed_file_is_refused(void **state)
{
	assert_refused(file_with(SIZE, 0), SIZE);
}

static void test_one_seal_is_not_enough(void **state)
{
	assert_refused(file_with(SIZE, F_SEAL_SHRINK), SIZE);
	assert_refused(file_with(SIZE, F_SEAL_GROW), SIZE);
}

static void test_truncated_file_is_refused(void **state)
{
	assert_refused(
		file_with(SIZE - 4096, F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
	assert_refused(file_with(SIZE - 1, F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
	assert_refused(file_with(0, F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
}

static void test_larger_file_is_refused(void **state)
{
	assert_refused(file_with(SIZE + 1, F_SEAL_SHRINK | F_SEAL_GROW), SIZE);
}

static void test_file_without_seals_is_refused(void **state)
{
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_refused(fd[0], SIZE);
	close(fd[1]);
}

static void test_bad_descriptor_is_an_error(void **state)
{
	struct err e = {0};
	void *p;

	assert_int_equal(shm_map(-1, SIZE, &p, &e), -EBADF);
	assert_int_equal(e.code, -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_maps_see_the_same_bytes),
		cmocka_unit_test(test_new_memory_cannot_change_its_size),
		cmocka_unit_test(test_unsealed_file_is_refused),
		cmocka_unit_test(test_one_seal_is_not_enough),
		cmocka_unit_test(test_truncated_file_is_refused),
		cmocka_unit_test(test_larger_file_is_refused),
		cmocka_unit_test(test_file_without_seals_is_refused),
		cmocka_unit_test(test_bad_descriptor_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
