/*
 * tar: an archive that anybody wrote gives no more bytes than it has, and what we
 * write is read as it was. The first byte says which, and whether the headers get
 * sums that fit, without which little but them is tried.
 */
#include "cmd/jmapctl/tar.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/fuzz/fuzz.h"

#define OWN_MAX 256 /* bytes from which we write one */
#define SUM_AT 148  /* of a header: its sum, 8 bytes */

/* Every block that could be a header becomes one by its sum. */
static void mend_sums(char *p, size_t n)
{
	for (; n >= TAR_BLOCK; p += TAR_BLOCK, n -= TAR_BLOCK) {
		unsigned sum = 8 * ' ';

		if (!p[0])
			continue;
		for (size_t i = 0; i < TAR_BLOCK; i++)
			if (i < SUM_AT || i >= SUM_AT + 8)
				sum += (uint8_t)p[i];
		snprintf(p + SUM_AT, 8, "%06o", sum);
		p[SUM_AT + 7] = ' ';
	}
}

static int file_of(struct str in)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	check(fd >= 0);
	check(write(fd, in.p, in.n) == (ssize_t)in.n);
	check(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* Whatever it is, each other file is left unread in its middle. */
static void foreign(struct str in)
{
	struct tar_in t = {.fd = file_of(in), .path = "x"};
	char *name = mem_new(TAR_NAME_MAX + 1), piece[300];
	uint64_t size, sum = 0;
	size_t n;
	int ret;

	for (int i = 0; (ret = tar_next(&t, name, &size, NULL)) > 0; i++) {
		uint64_t got = 0;

		check(strlen(name) <= TAR_NAME_MAX);
		do {
			ret = tar_read(&t, piece, sizeof(piece), &n, NULL);
			got += ret < 0 ? 0 : n;
		} while (ret == 0 && n && !(i & 1));
		sum += got;
		check(got <= size && sum <= in.n);
		check(ret < 0 || i & 1 || got == size);
	}
	close(t.fd);
	free(name);
}

static size_t length_of(struct tape *t)
{
	size_t n = (size_t)tape_take(t, 1);

	return min_of(n, t->n);
}

/* A length and as many bytes; again. */
static void our_own(struct tape tape)
{
	struct tape again;
	int fd = file_of(STR_NONE);
	struct tar_out out = {.fd = fd, .path = "x"};
	struct tar_in t = {.fd = fd, .path = "x"};
	char name[TAR_NAME_MAX + 1], want[8], piece[256];
	uint64_t size;
	size_t n;

	/* Each is two blocks. */
	tape.n = min_of(tape.n, (size_t)OWN_MAX);
	again = tape;
	while (tape.n) {
		n = length_of(&tape);
		snprintf(want, sizeof(want), "%zu", n);
		check(tar_file(&out, str_of(want), n, NULL) == 0);
		check(tar_bytes(&out, str_n((const char *)tape.p, n), NULL) ==
			0);
		tape = (struct tape){tape.p + n, tape.n - n};
	}
	check(tar_end(&out, NULL) == 0);
	check(lseek(fd, 0, SEEK_SET) == 0);
	while (again.n) {
		n = length_of(&again);
		snprintf(want, sizeof(want), "%zu", n);
		check(tar_next(&t, name, &size, NULL) == 1);
		check(strcmp(name, want) == 0 && size == n);
		check(tar_read(&t, piece, sizeof(piece), &n, NULL) == 0);
		check(n == size && memcmp(piece, again.p, n) == 0);
		again = (struct tape){again.p + n, again.n - n};
	}
	check(tar_next(&t, name, &size, NULL) == 0);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in;

	if (!n)
		return 0;
	if (data[0] & 2) {
		our_own((struct tape){data + 1, n - 1});
		return 0;
	}
	in = fuzz_exact(data + 1, n - 1);
	if (data[0] & 1)
		mend_sums((char *)(uintptr_t)in.p, in.n);
	foreign(in);
	free((char *)(uintptr_t)in.p);
	return 0;
}
