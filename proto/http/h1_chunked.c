/*
 * The chunked coding (RFC 9112 7.1), one byte a step. Extensions and trailers are
 * read for their form, bounded and dropped; white space around a size is not
 * taken, as nobody sends it and not everybody reads it the same way.
 */
#include "proto/http/h1_parse.h"

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(unsigned char c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static int step_size(struct h1_chunked *c, unsigned char b)
{
	int d = hex(b);

	if (d >= 0) {
		/* 16 digits fit; leading zeroes count, or they never end. */
		if (++c->digits > 16)
			return -400;
		c->left = c->left << 4 | (unsigned)d;
		c->state = H1_CHUNK_DIGITS;
		return 0;
	}
	if (c->state == H1_CHUNK_SIZE)
		return -400;
	if (b == ';')
		c->state = H1_CHUNK_EXT;
	else if (b == '\r')
		c->state = H1_CHUNK_SIZE_LF;
	else
		return -400;
	return 0;
}

static int step_ext(struct h1_chunked *c, unsigned char b)
{
	if (b == '\r') {
		c->state = H1_CHUNK_SIZE_LF;
		return 0;
	}
	if (!is_text(b) || ++c->ext > H1_EXT_MAX || ++c->exts > H1_EXTS_MAX)
		return -400;
	return 0;
}

static int step_trailer(struct h1_chunked *c, unsigned char b)
{
	if (++c->trailer > H1_TRAILER_MAX)
		return -431;
	if (c->state == H1_TRAILER_START && b == '\r')
		c->state = H1_CHUNKED_LF;
	else if (c->state == H1_TRAILER_VALUE && b == '\r')
		c->state = H1_TRAILER_LF;
	else if (c->state == H1_TRAILER_NAME && b == ':')
		c->state = H1_TRAILER_VALUE;
	else if (c->state == H1_TRAILER_VALUE)
		return is_text(b) ? 0 : -400;
	else if (h1_is_tchar(b))
		c->state = H1_TRAILER_NAME;
	else
		return -400;
	return 0;
}

static int want_byte(struct h1_chunked *c, bool right, uint8_t next)
{
	c->state = next;
	return right ? 0 : -400;
}

static int step_size_lf(struct h1_chunked *c, unsigned char b)
{
	c->digits = 0;
	c->ext = 0;
	return want_byte(
		c, b == '\n', c->left ? H1_CHUNK_DATA : H1_TRAILER_START);
}

static int step(struct h1_chunked *c, unsigned char b)
{
	switch (c->state) {
	case H1_CHUNK_SIZE:
	case H1_CHUNK_DIGITS:
		return step_size(c, b);
	case H1_CHUNK_EXT:
		return step_ext(c, b);
	case H1_CHUNK_SIZE_LF:
		return step_size_lf(c, b);
	case H1_CHUNK_DATA_CR:
		return want_byte(c, b == '\r', H1_CHUNK_DATA_LF);
	case H1_CHUNK_DATA_LF:
		return want_byte(c, b == '\n', H1_CHUNK_SIZE);
	case H1_TRAILER_LF:
		c->trailer++;
		return want_byte(c, b == '\n', H1_TRAILER_START);
	case H1_CHUNKED_LF:
		return want_byte(c, b == '\n', H1_CHUNKED_DONE);
	default:
		return step_trailer(c, b);
	}
}

int h1_chunked_feed(
	struct h1_chunked *c, const char *p, size_t n, size_t *used_r)
{
	size_t i = 0;
	int ret = 0;

	while (c->state != H1_CHUNK_DATA && c->state != H1_CHUNKED_DONE &&
		i < n && !ret)
		ret = step(c, (unsigned char)p[i++]);
	*used_r = i;
	if (ret)
		return ret;
	if (c->state == H1_CHUNKED_DONE)
		return 2;
	return c->state == H1_CHUNK_DATA;
}

void h1_chunked_took(struct h1_chunked *c, size_t n)
{
	check(c->state == H1_CHUNK_DATA && n <= c->left);
	c->left -= n;
	if (!c->left)
		c->state = H1_CHUNK_DATA_CR;
}
