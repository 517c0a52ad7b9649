#include "cmd/jmapctl/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define OCTAL_MAX ((uint64_t)1 << 33) /* 11 octal digits end below */
#define PAX_MAX 65536		      /* bytes of a pax header that we read */

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12],
		checksum[8], type, link[100], magic[6], version[2], user[32],
		group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is a block");

static unsigned sum_of(const struct header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof(*h); i++) {
		bool own = i >= offsetof(struct header, checksum) &&
			   i < offsetof(struct header, type);
		sum += own ? ' ' : p[i];
	}
	return sum;
}

/* ---- writing -------------------------------------------------------------- */

static int put(struct tar_out *t, const void *p, size_t n, struct err *e)
{
	struct str s = str_n(p, n);
	while (s.n) {
		ssize_t k = write(t->fd, s.p, s.n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "%s", t->path);
		s = str_skip(s, (size_t)k);
	}
	return 0;
}

static int put_header(struct tar_out *t, struct str name, char type,
	uint64_t size, struct err *e)
{
	struct header h = {.type = type, .magic = "ustar"};
	check(name.n <= sizeof(h.name));
	memcpy(h.name, name.p, name.n);
	memcpy(h.version, "00", 2);
	snprintf(h.mode, sizeof(h.mode), "%07o", 0600);
	snprintf(h.uid, sizeof(h.uid), "%07o", 0);
	snprintf(h.gid, sizeof(h.gid), "%07o", 0);
	snprintf(h.size, sizeof(h.size), "%011" PRIo64,
		size < OCTAL_MAX ? size : 0);
	snprintf(h.mtime, sizeof(h.mtime), "%011" PRIo64, t->time_s);
	snprintf(h.checksum, sizeof(h.checksum), "%06o", sum_of(&h));
	h.checksum[7] = ' ';
	return put(t, &h, sizeof(h), e);
}

static unsigned padding(uint64_t size)
{
	return (unsigned)(-size & (TAR_BLOCK - 1));
}

static int put_zeros(struct tar_out *t, size_t n, struct err *e)
{
	static const char zeros[2 * TAR_BLOCK];
	check(n <= sizeof(zeros));
	return put(t, zeros, n, e);
}

/* A pax record counts its own length: "20 size=8589934592\n". */
static int put_size(struct tar_out *t, uint64_t size, struct err *e)
{
	char record[64];
	int n = snprintf(record, sizeof(record), "00 size=%" PRIu64 "\n", size);
	record[0] = (char)('0' + n / 10);
	record[1] = (char)('0' + n % 10);
	int ret = put_header(t, STR("././@PaxHeader"), 'x', (uint64_t)n, e);
	if (ret == 0)
		ret = put(t, record, (size_t)n, e);
	return ret < 0 ? ret : put_zeros(t, padding((uint64_t)n), e);
}

int tar_file(struct tar_out *t, struct str name, uint64_t size, struct err *e)
{
	check(t->left == 0);
	int ret = size >= OCTAL_MAX ? put_size(t, size, e) : 0;
	t->left = size;
	t->pad = padding(size);
	return ret < 0 ? ret : put_header(t, name, '0', size, e);
}

int tar_bytes(struct tar_out *t, struct str bytes, struct err *e)
{
	if (bytes.n > t->left)
		return err_set(e, -EPROTO, "more bytes than were promised");
	int ret = put(t, bytes.p, bytes.n, e);
	t->left -= bytes.n;
	return ret < 0 || t->left || !bytes.n ? ret : put_zeros(t, t->pad, e);
}

int tar_end(struct tar_out *t, struct err *e)
{
	if (t->left)
		return err_set(e, -EPROTO, "fewer bytes than were promised");
	return put_zeros(t, 2 * TAR_BLOCK, e);
}

/* ---- reading -------------------------------------------------------------- */

static int damaged(const struct tar_in *t, const char *why, struct err *e)
{
	return err_set(e, -EUCLEAN, "%s %s", t->path, why);
}

/* All n, or it is cut. */
static int get(struct tar_in *t, void *p, size_t n, struct err *e)
{
	char *to = p;
	while (n) {
		ssize_t k = read(t->fd, to, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(e, "%s", t->path);
		if (k == 0)
			return damaged(t, "is cut", e);
		to += k;
		n -= (size_t)k;
	}
	return 0;
}

int tar_read(struct tar_in *t, void *p, size_t n, size_t *n_r, struct err *e)
{
	char pad[TAR_BLOCK];
	*n_r = (size_t)min_of(t->left, (uint64_t)n);
	int ret = get(t, p, *n_r, e);
	t->left -= *n_r;
	if (ret < 0 || t->left || !t->pad)
		return ret;
	ret = get(t, pad, t->pad, e);
	t->pad = 0;
	return ret;
}

static int skip(struct tar_in *t, struct err *e)
{
	char scratch[TAR_BLOCK];
	size_t n;
	int ret = 0;
	while (ret == 0 && (t->left || t->pad))
		ret = tar_read(t, scratch, sizeof(scratch), &n, e);
	return ret;
}

/* Octal digits, or what GNU tar writes of larger ones: 0x80 and the number. */
static bool number_of(const char *p, size_t n, uint64_t *v_r)
{
	uint64_t v = 0;
	if ((uint8_t)p[0] == 0x80) {
		for (size_t i = n - 8; i < n; i++)
			v = v << 8 | (uint8_t)p[i];
		*v_r = v;
		return true;
	}
	size_t i = 0;
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0');
	*v_r = v;
	return i == n || p[i] == ' ' || p[i] == '\0';
}

static bool is_zero(const struct header *h)
{
	static const struct header zero;
	return memcmp(h, &zero, sizeof(zero)) == 0;
}

/* "20 size=8589934592\n" among others. */
static int read_pax(struct tar_in *t, uint64_t *size_r, struct err *e)
{
	char text[PAX_MAX];
	size_t n;
	if (t->left > sizeof(text))
		return damaged(t, "has a header that is too long", e);
	int ret = tar_read(t, text, (size_t)t->left, &n, e);
	struct str rest = str_n(text, n), line, length;
	while (ret == 0 && str_cut(&rest, '\n', &line))
		if (str_cut(&line, ' ', &length) &&
			str_starts(line, STR("size=")) &&
			!str_u64(str_skip(line, 5), size_r))
			return damaged(t, "has a size that is none", e);
	return ret;
}

static void name_of(const struct header *h, char name_r[TAR_NAME_MAX + 1])
{
	size_t n = strnlen(h->name, sizeof(h->name)), at = 0;
	if (n > 2 && h->name[0] == '.' && h->name[1] == '/')
		at = 2;
	memcpy(name_r, h->name + at, n - at);
	name_r[n - at] = '\0';
}

int tar_next(struct tar_in *t, char name_r[TAR_NAME_MAX + 1], uint64_t *size_r,
	struct err *e)
{
	uint64_t larger = 0, sum;
	struct header h = {0};
	for (;;) {
		int ret = skip(t, e);
		if (ret == 0)
			ret = get(t, &h, sizeof(h), e);
		if (ret < 0)
			return ret;
		if (is_zero(&h))
			return 0;
		if (!number_of(h.checksum, sizeof(h.checksum), &sum) ||
			sum != sum_of(&h))
			return damaged(t, "is no tar archive, or damaged", e);
		if (!number_of(h.size, sizeof(h.size), &t->left))
			return damaged(t, "has a size that is none", e);
		if (larger && h.type != 'x')
			t->left = larger;
		t->pad = padding(t->left);
		if (h.type == 'x') {
			ret = read_pax(t, &larger, e);
			if (ret < 0)
				return ret;
		} else if (h.type == '0' || h.type == '\0') {
			break;
		}
	}
	name_of(&h, name_r);
	*size_r = t->left;
	return 1;
}
