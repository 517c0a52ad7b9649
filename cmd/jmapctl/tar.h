/*
 * As much of tar as a backup needs: files, one after the other (POSIX.1-2017 pax,
 * "ustar Interchange Format"; a size of 8 GB or more by a pax header). Reads what
 * other tars write of the same files, too.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"

#define TAR_BLOCK 512
#define TAR_NAME_MAX 100

struct tar_out {
	int fd;
	const char *path; /* of the archive, for errors */
	uint64_t left;	  /* bytes of the file that are to come */
	unsigned pad;
	int64_t time_s;
};
int tar_file(struct tar_out *t, struct str name, uint64_t size, struct err *e);
int tar_bytes(struct tar_out *t, struct str bytes, struct err *e);
int tar_end(struct tar_out *t, struct err *e);

struct tar_in {
	int fd;
	const char *path;
	uint64_t left;
	unsigned pad;
};
/* The next file; what is unread of the last is skipped. 1, 0 = the end, < 0 =
 * also when the archive is cut. */
int tar_next(struct tar_in *t, char name_r[TAR_NAME_MAX + 1], uint64_t *size_r,
	struct err *e);
/* Its next bytes, at most n; 0 = there are no more. */
int tar_read(struct tar_in *t, void *p, size_t n, size_t *n_r, struct err *e);
