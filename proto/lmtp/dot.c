#include "proto/lmtp/dot.h"

static enum dot_state after(enum dot_state was, char c)
{
	if (c == '\r')
		return DOT_CR;
	return was == DOT_CR && c == '\n' ? DOT_BOL : DOT_TEXT;
}

/* The longest run that goes out as it stands: up to a line's first dot. */
static size_t plain_run(struct dot *d, const char *p, size_t n)
{
	size_t i = 0;
	while (i < n) {
		if (d->state == DOT_BOL && p[i] == '.')
			break;
		if (d->state == DOT_TEXT) {
			const char *cr = memchr(p + i, '\r', n - i);
			i = cr ? (size_t)(cr - p) : n;
			if (!cr)
				break;
		}
		d->state = after(d->state, p[i++]);
	}
	return i;
}

/* One byte behind a line's first dot. Returns whether it was taken. */
static bool dotted(struct dot *d, char c, struct buf *out)
{
	if (d->state == DOT_DOT && c == '\r') {
		d->state = DOT_DOT_CR;
		return true;
	}
	if (d->state == DOT_DOT) {
		d->state = DOT_TEXT; /* the dot is dropped */
		return false;
	}
	if (c == '\n') {
		d->state = DOT_END;
		return true;
	}
	buf_addc(out, '\r'); /* ".\r" and no "\n": text after all */
	d->state = DOT_CR;
	return false;
}

size_t dot_feed(struct dot *d, const char *p, size_t n, struct buf *out)
{
	size_t i = 0;
	while (i < n && d->state != DOT_END) {
		if (d->state == DOT_DOT || d->state == DOT_DOT_CR) {
			i += dotted(d, p[i], out);
			continue;
		}
		size_t run = plain_run(d, p + i, n - i);
		buf_add(out, p + i, run);
		i += run;
		if (i < n) {
			d->state = DOT_DOT;
			i++;
		}
	}
	return i;
}
