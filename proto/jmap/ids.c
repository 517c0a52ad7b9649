/*
 * Numbers and digests in base 32 (RFC 4648 7's digits in lower case).
 */
#include "proto/jmap/ids.h"

#include <inttypes.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

/* Returns the digits written, without a NUL. */
static size_t put(char *z, uint64_t v)
{
	char rev[13];
	size_t n = 0;

	do {
		rev[n++] = digits[v & 31];
		v >>= 5;
	} while (v);
	for (size_t i = 0; i < n; i++)
		z[i] = rev[n - 1 - i];
	return n;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'v')
		return c - 'a' + 10;
	return -1;
}

static bool take(struct str s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 13 || (s.p[0] == '0' && s.n > 1))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = digit(s.p[i]);

		if (d < 0 || v >> 59)
			return false;
		v = v << 5 | (uint64_t)d;
	}
	*v_r = v;
	return true;
}

struct idz id_of(char prefix, uint64_t number)
{
	struct idz id;

	id.z[0] = prefix;
	id.n = 1 + put(id.z + 1, number);
	id.z[id.n] = '\0';
	return id;
}

bool id_parse(char prefix, struct str s, uint64_t *number_r)
{
	return s.n > 1 && s.p[0] == prefix && take(str_skip(s, 1), number_r);
}

struct statez state_of(uint32_t generation, uint64_t modseq)
{
	struct statez s;

	snprintf(s.z, sizeof(s.z), "%" PRIx32 "-%" PRIu64, generation, modseq);
	return s;
}

bool state_parse(struct str s, uint32_t *generation_r, uint64_t *modseq_r)
{
	uint32_t g = 0;
	size_t i = 0;

	for (; i < s.n && s.p[i] != '-'; i++) {
		char c = s.p[i];

		if (i == 8 ||
			!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		g = g << 4 | (uint32_t)digit(c);
	}
	if (i == 0 || i == s.n || !str_u64(str_skip(s, i + 1), modseq_r))
		return false;
	*generation_r = g;
	return true;
}

enum { SHA_DIGITS = 52 }; /* 256 bits and four of nothing */

static size_t put_sha(char *z, const uint8_t sha[SHA256_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < SHA256_LEN; i++) {
		bits = bits << 8 | sha[i];
		for (have += 8; have >= 5; have -= 5)
			z[n++] = digits[bits >> (have - 5) & 31];
	}
	z[n++] = digits[bits << (5 - have) & 31];
	return n;
}

static bool take_sha(struct str s, uint8_t sha[SHA256_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < SHA_DIGITS; i++) {
		int d = digit(s.p[i]);

		if (d < 0)
			return false;
		bits = bits << 5 | (uint32_t)d;
		have += 5;
		if (have >= 8 && n < SHA256_LEN) {
			have -= 8;
			sha[n++] = (uint8_t)(bits >> have);
		}
	}
	return (bits & ((1u << have) - 1)) == 0;
}

void blob_id_of(const struct blob_id *b, char z[BLOB_ID_MAX])
{
	z[0] = 'b';
	z[1 + put_sha(z + 1, b->sha)] = '\0';
}

void part_id_of(
	const struct blob_id *b, const struct blob_part *p, char z[BLOB_ID_MAX])
{
	size_t n = 1;

	z[0] = 'p';
	n += put_sha(z + n, b->sha);
	z[n++] = '_';
	n += put(z + n, p->offset);
	z[n++] = '_';
	n += put(z + n, p->length);
	z[n++] = '_';
	n += put(z + n, p->encoding);
	z[n] = '\0';
}

bool blob_id_parse(struct str s, struct blob_id *b_r, struct blob_part *p_r)
{
	struct str off, len;
	uint64_t enc;

	*p_r = (struct blob_part){0};
	if (s.n < 1 + SHA_DIGITS || !take_sha(str_skip(s, 1), b_r->sha))
		return false;
	if (s.p[0] == 'b')
		return s.n == 1 + SHA_DIGITS;
	if (s.p[0] != 'p' || s.n < 2 + SHA_DIGITS || s.p[1 + SHA_DIGITS] != '_')
		return false;
	s = str_skip(s, 2 + SHA_DIGITS);
	if (!str_cut(&s, '_', &off) || !str_cut(&s, '_', &len) ||
		!take(off, &p_r->offset) || !take(len, &p_r->length) ||
		!take(s, &enc) || enc > 3)
		return false;
	p_r->encoding = (unsigned)enc;
	p_r->part = true;
	return true;
}

bool id_valid(struct str s)
{
	if (s.n == 0 || s.n > 255)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
			return false;
	}
	return true;
}
