/*
 * Digests in base 32 (RFC 4648 7's digits in lower case).
 */
#include "proto/jmap/ids.h"

enum { SHA_DIGITS = 52 }; /* 256 bits and four of nothing */

static size_t put_sha(char *z, const uint8_t sha[SHA256_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < SHA256_LEN; i++) {
		bits = bits << 8 | sha[i];
		for (have += 8; have >= 5; have -= 5)
			z[n++] = base32_digits[bits >> (have - 5) & 31];
	}
	z[n++] = base32_digits[bits << (5 - have) & 31];
	return n;
}

static bool take_sha(struct str s, uint8_t sha[SHA256_LEN])
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	for (size_t i = 0; i < SHA_DIGITS; i++) {
		int d = base32_digit(s.p[i]);

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

bool part_within(const struct blob_part *outer, const struct blob_span *p,
	struct blob_part *p_r)
{
	struct blob_span *last;

	*p_r = *outer;
	if (!outer->part) {
		p_r->offset = p->offset;
		p_r->length = p->length;
		p_r->encoding = p->encoding;
		p_r->part = true;
		return true;
	}
	/* What was not encoded stands in there as it is: no level of its own. */
	if (outer->in_n == 0 && outer->encoding == 0) {
		p_r->offset += p->offset;
		p_r->length = p->length;
		p_r->encoding = p->encoding;
		return true;
	}
	last = &p_r->in[outer->in_n];
	if (outer->in_n > 0 && last[-1].encoding == 0) {
		last--;
		last->offset += p->offset;
		last->length = p->length;
		last->encoding = p->encoding;
		return true;
	}
	if (outer->in_n == countof(outer->in))
		return false;
	*last = *p;
	p_r->in_n++;
	return true;
}

static size_t put_span(char *z, const struct blob_span *p)
{
	size_t n = 0;

	z[n++] = '_';
	n += base32_put(z + n, p->offset);
	z[n++] = '_';
	n += base32_put(z + n, p->length);
	z[n++] = '_';
	n += base32_put(z + n, p->encoding);
	return n;
}

void part_id_of(
	const struct blob_id *b, const struct blob_part *p, char z[BLOB_ID_MAX])
{
	struct blob_span first = {p->offset, p->length, p->encoding};
	size_t n = 1;

	z[0] = 'p';
	n += put_sha(z + n, b->sha);
	n += put_span(z + n, &first);
	for (unsigned i = 0; i < p->in_n; i++)
		n += put_span(z + n, &p->in[i]);
	z[n] = '\0';
}

/* "_<offset>_<length>_<encoding>" off the front. */
static bool take_span(struct str *s, struct blob_span *p_r)
{
	struct str off, len, enc;
	uint64_t e;

	if (s->n == 0 || s->p[0] != '_')
		return false;
	*s = str_skip(*s, 1);
	if (!str_cut(s, '_', &off) || !str_cut(s, '_', &len) ||
		!base32_take(off, &p_r->offset) ||
		!base32_take(len, &p_r->length))
		return false;
	enc = str_n(s->p, str_find(*s, '_'));
	*s = str_skip(*s, enc.n);
	if (!base32_take(enc, &e) || e > 3)
		return false;
	p_r->encoding = (unsigned)e;
	return true;
}

bool blob_id_parse(struct str s, struct blob_id *b_r, struct blob_part *p_r)
{
	struct blob_span first;

	*p_r = (struct blob_part){0};
	if (s.n < 1 + SHA_DIGITS || !take_sha(str_skip(s, 1), b_r->sha))
		return false;
	if (s.p[0] == 'b')
		return s.n == 1 + SHA_DIGITS;
	if (s.p[0] != 'p')
		return false;
	s = str_skip(s, 1 + SHA_DIGITS);
	if (!take_span(&s, &first))
		return false;
	*p_r = (struct blob_part){.offset = first.offset,
		.length = first.length,
		.encoding = first.encoding,
		.part = true};
	for (; s.n > 0; p_r->in_n++) {
		unsigned before = p_r->in_n ? p_r->in[p_r->in_n - 1].encoding
					    : p_r->encoding;

		if (p_r->in_n == countof(p_r->in) || before == 0 ||
			!take_span(&s, &p_r->in[p_r->in_n]))
			return false;
	}
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
