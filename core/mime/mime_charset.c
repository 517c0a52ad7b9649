/*
 * Charsets to UTF-8: ours for UTF-8, US-ASCII and windows-1252, the C library's
 * iconv for those that charset.def names.
 *
 * Whatever comes in, valid UTF-8 goes out: U+FFFD stands for what is malformed.
 * ISO-8859-1 is read as windows-1252, which differs only in what the former has
 * no characters for, and is what senders mean.
 *
 * mime_charset_load() keeps one converter of each charset open for good: so the
 * C library never loads or unloads a module later, when the process may open no
 * files and has threads.
 */
#include <errno.h>
#include <iconv.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* windows-1252 80..9F; 0 has no meaning there. */
static const uint16_t cp1252[32] = {0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026,
	0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0,
	0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122,
	0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178};

enum kind { KIND_UTF8, KIND_ASCII, KIND_1252, KIND_ICONV };

static enum kind kind_of(struct str charset)
{
	static const struct {
		const char *name;
		enum kind kind;
	} ours[] = {
		{"utf-8", KIND_UTF8},
		{"utf8", KIND_UTF8},
		{"us-ascii", KIND_ASCII},
		{"ascii", KIND_ASCII},
		{"iso-8859-1", KIND_1252},
		{"windows-1252", KIND_1252},
		{"latin1", KIND_1252},
		{"iso8859-1", KIND_1252},
		{"cp1252", KIND_1252},
	};

	for (size_t i = 0; i < countof(ours); i++) {
		if (str_ieq(charset, str_of(ours[i].name)))
			return ours[i].kind;
	}
	return charset.n == 0 ? KIND_ASCII : KIND_ICONV;
}

static const struct {
	const char *name, *iconv;
} charsets[] = {
#define CHARSET(name, iconv) {name, iconv},
#include "core/mime/charset.def"
#undef CHARSET
};

/* The name that iconv knows it by, NULL for what is unknown. */
static const char *iconv_name(struct str charset)
{
	for (size_t i = 0; i < countof(charsets); i++) {
		if (str_ieq(charset, str_of(charsets[i].name)))
			return charsets[i].iconv;
	}
	return NULL;
}

void mime_charset_load(void)
{
	static iconv_t open[countof(charsets)];

	for (size_t i = 0; i < countof(charsets); i++) {
		if (!open[i])
			open[i] = iconv_open("UTF-8", charsets[i].iconv);
	}
}

bool mime_charset_known(struct str charset)
{
	return kind_of(charset) != KIND_ICONV || iconv_name(charset);
}

bool mime_charset_is_utf8(struct str charset)
{
	enum kind kind = kind_of(charset);

	return kind == KIND_UTF8 || kind == KIND_ASCII;
}

static void add_cp(struct buf *out, uint32_t cp)
{
	out->n += utf8_encode(cp, buf_room(out, 4));
}

static size_t ascii_run(struct str s)
{
	size_t n = 0;

	while (n < s.n && (unsigned char)s.p[n] < 0x80)
		n++;
	return n;
}

/* Appends with U+FFFD where it is malformed. */
static bool utf8_repair(struct str in, struct buf *out)
{
	bool ok = true;
	uint32_t cp;

	if (utf8_valid(in)) {
		buf_adds(out, in);
		return true;
	}
	while (in.n > 0) {
		size_t n = ascii_run(in);

		buf_add(out, in.p, n);
		in = str_skip(in, n);
		if (in.n == 0)
			break;
		n = utf8_decode(in, &cp);
		ok = ok && (cp != UTF8_BAD || n == 3);
		add_cp(out, cp);
		in = str_skip(in, n);
	}
	return ok;
}

static bool from_1252(struct str in, struct buf *out)
{
	bool ok = true;

	while (in.n > 0) {
		size_t n = ascii_run(in);
		uint32_t cp;

		buf_add(out, in.p, n);
		in = str_skip(in, n);
		if (in.n == 0)
			break;
		cp = (unsigned char)in.p[0];
		if (cp < 0xa0)
			cp = cp1252[cp - 0x80];
		ok = ok && cp != 0;
		add_cp(out, cp ? cp : UTF8_BAD);
		in = str_skip(in, 1);
	}
	return ok;
}

/* US-ASCII with 8 bits set: UTF-8 is taken for what it is; else a guess. */
static bool from_ascii(struct str in, struct buf *out)
{
	if (utf8_valid(in)) {
		buf_adds(out, in);
		return true;
	}
	from_1252(in, out);
	return false;
}

void mime_guess_utf8(struct str in, struct buf *out)
{
	from_ascii(in, out);
}

/* Some decoders keep a character back to combine it with the next one. */
static void iconv_end(iconv_t cd, struct buf *out)
{
	char *room = buf_room(out, 64);
	size_t room_n = out->cap - out->n;
	char *o = room;

	iconv(cd, NULL, NULL, &o, &room_n);
	out->n += (size_t)(o - room);
}

static bool from_iconv(iconv_t cd, struct str in, struct buf *out)
{
	char *p = (char *)(uintptr_t)in.p;
	size_t left = in.n;
	bool ok = true;

	while (left > 0) {
		char *room = buf_room(out, max_of(left, 64));
		size_t room_n = out->cap - out->n;
		char *o = room;
		size_t ret = iconv(cd, &p, &left, &o, &room_n);
		int why = errno;

		out->n += (size_t)(o - room);
		if (ret != (size_t)-1 || why == E2BIG)
			continue;
		ok = false;
		add_cp(out, UTF8_BAD);
		if (why != EILSEQ)
			break; /* EINVAL: a last character that is cut off */
		p++;
		left--;
	}
	iconv_end(cd, out);
	return ok;
}

/* Best effort for what nobody can read. */
static bool from_unknown(struct str in, struct buf *out)
{
	from_ascii(in, out);
	return false;
}

bool mime_to_utf8(struct str charset, struct str in, struct buf *out)
{
	const char *name;
	iconv_t cd;
	bool ok;

	switch (kind_of(charset)) {
	case KIND_UTF8:
		return utf8_repair(in, out);
	case KIND_ASCII:
		return from_ascii(in, out);
	case KIND_1252:
		return from_1252(in, out);
	case KIND_ICONV:
		break;
	}
	name = iconv_name(charset);
	if (!name)
		return from_unknown(in, out);
	cd = iconv_open("UTF-8", name);
	if (cd == (iconv_t)-1)
		return from_unknown(in, out);
	ok = from_iconv(cd, in, out);
	iconv_close(cd);
	return ok;
}
