/* As much of tar as a backup needs. */
#include "cmd/jmapctl/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct err e;

static struct tar_out out_new(void)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return (struct tar_out){.fd = fd, .path = "t.tar", .time_s = 5};
}

static void add(struct tar_out *t, const char *name, struct str text)
{
	assert_int_equal(tar_file(t, str_of(name), text.n, &e), 0);
	for (; text.n; text = str_skip(text, 1))
		assert_int_equal(tar_bytes(t, str_n(text.p, 1), &e), 0);
}

static struct tar_in in_of(int fd)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return (struct tar_in){.fd = fd, .path = "t.tar"};
}

static void assert_next(struct tar_in *t, const char *name, struct str text)
{
	char got[TAR_NAME_MAX + 1], *bytes = mem_new(text.n + 2);
	uint64_t size;
	size_t n;
	assert_int_equal(tar_next(t, got, &size, &e), 1);
	assert_string_equal(got, name);
	assert_int_equal(size, text.n);
	assert_int_equal(tar_read(t, bytes, text.n + 1, &n, &e), 0);
	assert_true(str_eq(str_n(bytes, n), text));
	assert_int_equal(tar_read(t, bytes, 1, &n, &e), 0);
	assert_int_equal(n, 0);
	free(bytes);
}

static struct tar_out three_files(void)
{
	static char block[TAR_BLOCK];
	struct tar_out t = out_new();
	add(&t, "mail.db", STR("hello"));
	add(&t, "empty", STR_NONE);
	add(&t, "blobs/0", str_n(block, sizeof(block)));
	assert_int_equal(tar_end(&t, &e), 0);
	return t;
}

static void what_is_written_can_be_read(void **state)
{
	static char block[TAR_BLOCK];
	struct tar_out o = three_files();
	struct tar_in t = in_of(o.fd);
	char name[TAR_NAME_MAX + 1];
	uint64_t size;
	assert_int_equal(lseek(o.fd, 0, SEEK_END) % TAR_BLOCK, 0);
	t = in_of(o.fd);
	assert_next(&t, "mail.db", STR("hello"));
	assert_next(&t, "empty", STR_NONE);
	assert_next(&t, "blobs/0", str_n(block, sizeof(block)));
	assert_int_equal(tar_next(&t, name, &size, &e), 0);
	close(o.fd);
}

static void a_file_that_nobody_reads_is_skipped(void **state)
{
	struct tar_out o = three_files();
	struct tar_in t = in_of(o.fd);
	char name[TAR_NAME_MAX + 1];
	uint64_t size;
	for (int i = 0; i < 3; i++)
		assert_int_equal(tar_next(&t, name, &size, &e), 1);
	assert_string_equal(name, "blobs/0");
	assert_int_equal(tar_next(&t, name, &size, &e), 0);
	close(o.fd);
}

static void an_archive_that_is_cut_anywhere_is_an_error(void **state)
{
	struct tar_out o = three_files();
	off_t whole = lseek(o.fd, 0, SEEK_END) - 2 * TAR_BLOCK;
	for (off_t cut = 0; cut < whole; cut += 97) {
		char name[TAR_NAME_MAX + 1];
		struct tar_in t;
		uint64_t size;
		int ret;
		int fd = memfd_create("cut", MFD_CLOEXEC);
		char *copy = mem_new((size_t)whole);
		assert_int_equal(pread(o.fd, copy, (size_t)whole, 0), whole);
		assert_int_equal(write(fd, copy, (size_t)cut), cut);
		t = in_of(fd);
		while ((ret = tar_next(&t, name, &size, &e)) > 0)
			;
		assert_int_equal(ret, -EUCLEAN);
		close(fd);
		free(copy);
	}
	close(o.fd);
}

static void a_header_that_was_changed_is_an_error(void **state)
{
	struct tar_out o = three_files();
	char name[TAR_NAME_MAX + 1];
	uint64_t size;
	for (off_t at = 0; at < TAR_BLOCK; at++) {
		char was, other;
		struct tar_in t;
		assert_int_equal(pread(o.fd, &was, 1, at), 1);
		other = (char)(was ^ 1);
		assert_int_equal(pwrite(o.fd, &other, 1, at), 1);
		t = in_of(o.fd);
		int ret = tar_next(&t, name, &size, &e);
		/* The checksum's own end may be a space or a NUL. */
		if (at < 154 || at >= 156)
			assert_int_equal(ret, -EUCLEAN);
		assert_int_equal(pwrite(o.fd, &was, 1, at), 1);
	}
	close(o.fd);
}

/* Of 8 GB and more: the size is in a pax header. */
static void a_large_size_is_kept(void **state)
{
	const uint64_t large = (uint64_t)9 << 30;
	struct tar_out o = out_new();
	char name[TAR_NAME_MAX + 1];
	struct tar_in t;
	uint64_t size;
	assert_int_equal(tar_file(&o, STR("mail.db"), large, &e), 0);
	t = in_of(o.fd);
	assert_int_equal(tar_next(&t, name, &size, &e), 1);
	assert_string_equal(name, "mail.db");
	assert_true(size == large);
	close(o.fd);
}

/* The same of GNU tar: a number in binary. */
static void a_large_size_of_gnu_tar_is_read(void **state)
{
	struct tar_out o = out_new();
	char h[TAR_BLOCK], name[TAR_NAME_MAX + 1];
	unsigned sum = 0;
	struct tar_in t;
	uint64_t size;
	assert_int_equal(tar_file(&o, STR("./mail.db"), 5, &e), 0);
	assert_int_equal(pread(o.fd, h, sizeof(h), 0), sizeof(h));
	memcpy(h + 124, "\x80\0\0\0\0\0\0\x02\x40\0\0\x07", 12);
	memcpy(h + 148, "        ", 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (uint8_t)h[i];
	snprintf(h + 148, 8, "%06o", sum);
	assert_int_equal(pwrite(o.fd, h, sizeof(h), 0), sizeof(h));
	t = in_of(o.fd);
	assert_int_equal(tar_next(&t, name, &size, &e), 1);
	assert_string_equal(name, "mail.db");
	assert_true(size == UINT64_C(0x240000007));
	close(o.fd);
}

static void promises_are_kept(void **state)
{
	struct tar_out o = out_new();
	assert_int_equal(tar_file(&o, STR("a"), 2, &e), 0);
	assert_int_equal(tar_bytes(&o, STR("abc"), &e), -EPROTO);
	assert_int_equal(tar_end(&o, &e), -EPROTO);
	close(o.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_can_be_read),
		cmocka_unit_test(a_file_that_nobody_reads_is_skipped),
		cmocka_unit_test(an_archive_that_is_cut_anywhere_is_an_error),
		cmocka_unit_test(a_header_that_was_changed_is_an_error),
		cmocka_unit_test(a_large_size_is_kept),
		cmocka_unit_test(a_large_size_of_gnu_tar_is_read),
		cmocka_unit_test(promises_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
