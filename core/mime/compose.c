/*
 * Parts and their transfer encodings, one behind the other.
 */
#include "core/mime/compose.h"

#include "core/base/crypto.h"
#include "core/mime/internal.h"

#define LINE_MAX_BYTES 998 /* RFC 5322 2.1.1 */
#define QP_LINE 76	   /* RFC 2045 6.7 (5) */
#define BASE64_LINE 57	   /* bytes that fill 76 characters */

enum form { FORM_7BIT, FORM_8BIT, FORM_BINARY, FORM_QP, FORM_BASE64 };

static const char *const form_names[] = {
	[FORM_7BIT] = "7bit",
	[FORM_8BIT] = "8bit",
	[FORM_BINARY] = "binary",
	[FORM_QP] = "quoted-printable",
	[FORM_BASE64] = "base64",
};

static bool is_message(const struct compose_part *p)
{
	return str_starts(p->type, STR("message/"));
}

static bool is_text(const struct compose_part *p)
{
	return p->text || str_starts(p->type, STR("text/"));
}

/* ---- what is in it ------------------------------------------------------------------- */

struct look {
	bool high;	/* 8 bit */
	bool unfit;	/* NUL, or CR or LF alone */
	bool long_line; /* above 998 */
	size_t escapes; /* bytes that quoted-printable has to encode */
};

static struct look look_at(struct str s)
{
	struct look l = {0};
	size_t line = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
			i++;
			line = 0;
			continue;
		}
		l.high |= c >= 0x80;
		l.unfit |= c == 0 || c == '\r' || c == '\n';
		l.long_line |= ++line > LINE_MAX_BYTES;
		l.escapes += c >= 0x7f || c == '=' || (c < ' ' && c != '\t');
	}
	return l;
}

static enum form as_is(const struct look *l)
{
	if (l->unfit || l->long_line)
		return FORM_BINARY;
	return l->high ? FORM_8BIT : FORM_7BIT;
}

static enum form form_of(const struct compose_part *p, struct str content)
{
	struct look l;

	if (!is_message(p) && !is_text(p))
		return FORM_BASE64;
	l = look_at(content);
	/* RFC 2046 5.2.1: no encoding may be put on a message. */
	if (is_message(p))
		return as_is(&l);
	if (as_is(&l) == FORM_7BIT)
		return FORM_7BIT;
	return l.escapes <= content.n / 6 ? FORM_QP : FORM_BASE64;
}

/* A multipart is called what is in it (RFC 2045 6.4). */
static enum form form_all(struct compose_part *p)
{
	enum form most = FORM_7BIT;

	for (size_t i = 0; i < p->sub_n; i++) {
		enum form f = form_all(&p->sub[i]);

		if (f == FORM_8BIT || f == FORM_BINARY)
			most = max_of(most, f);
	}
	if (p->sub_n == 0)
		most = form_of(p, p->content);
	p->form = most;
	return most;
}

/* ---- encodings ----------------------------------------------------------------------- */

static void base64_lines(struct buf *out, struct str s)
{
	while (s.n > 0) {
		size_t n = min_of(s.n, (size_t)BASE64_LINE);

		base64_add(out, str_n(s.p, n));
		s = str_skip(s, n);
		buf_addz(out, "\r\n");
	}
}

/*
 * RFC 2045 6.7. Only CRLF is a line break here, all else comes back byte for byte.
 * A blank at the end of a line is encoded, and a dot or "From " at its begin, which
 * some on the way touch.
 */
static bool qp_codes(struct str s, size_t i, bool begin)
{
	unsigned char c = (unsigned char)s.p[i];
	struct str rest = str_skip(s, i);

	if (c == ' ' || c == '\t')
		return rest.n == 1 ||
		       str_starts(str_skip(rest, 1), STR("\r\n"));
	if (begin && (c == '.' || str_starts(rest, STR("From "))))
		return true;
	return c >= 0x7f || c == '=' || c < ' ';
}

static void qp_add(struct buf *out, struct str s)
{
	size_t line = out->n;

	for (size_t i = 0; i < s.n; i++) {
		bool code = qp_codes(s, i, out->n == line);

		if (str_starts(str_skip(s, i), STR("\r\n"))) {
			buf_addz(out, "\r\n");
			line = out->n;
			i++;
			continue;
		}
		/* Room for a soft break behind it. */
		if (out->n - line + (code ? 3 : 1) > QP_LINE - 1) {
			buf_addz(out, "=\r\n");
			line = out->n;
			code = qp_codes(s, i, true);
		}
		if (code)
			buf_fmt(out, "=%02X", (unsigned char)s.p[i]);
		else
			buf_addc(out, s.p[i]);
	}
}

/* LF and CRLF as CRLF; a CR alone stays. */
static void crlf_add(struct buf *out, struct str s)
{
	while (s.n > 0) {
		size_t n = str_find(s, '\n');
		bool cr = n < s.n && n > 0 && s.p[n - 1] == '\r';

		buf_add(out, s.p, n);
		if (n < s.n)
			buf_addz(out, cr ? "\n" : "\r\n");
		s = str_skip(s, min_of(n + 1, s.n));
	}
}

static void encode(struct buf *out, enum form form, struct str s)
{
	if (form == FORM_QP)
		qp_add(out, s);
	else if (form == FORM_BASE64)
		base64_lines(out, s);
	else
		buf_adds(out, s);
}

/* ---- parts --------------------------------------------------------------------------- */

static void put_encoding(struct buf *out, enum form form)
{
	/* RFC 2045 6.1: 7bit need not be said. */
	if (form != FORM_7BIT)
		buf_fmt(out, "Content-Transfer-Encoding: %s\r\n",
			form_names[form]);
}

static void put_part(struct buf *out, const struct compose_part *p)
{
	buf_adds(out, p->head);
	put_encoding(out, (enum form)p->form);
	if (p->sub_n == 0) {
		buf_addz(out, "\r\n");
		encode(out, (enum form)p->form, p->content);
		return;
	}
	for (size_t i = 0; i < p->sub_n; i++) {
		buf_fmt(out, "\r\n--%.*s\r\n", STR_ARG(p->boundary));
		put_part(out, &p->sub[i]);
	}
	buf_fmt(out, "\r\n--%.*s--\r\n", STR_ARG(p->boundary));
}

/* Text gets its line ends. */
static void make_lines(struct compose_part *p, struct arena *a)
{
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < p->sub_n; i++)
		make_lines(&p->sub[i], a);
	if (!p->text)
		return;
	crlf_add(&b, p->content);
	p->content = arena_str(a, buf_str(&b));
}

void compose_message(
	struct buf *out, struct str fields, struct compose_part *root)
{
	struct arena a cleanup(arena_fini) = {0};

	make_lines(root, &a);
	form_all(root);
	buf_adds(out, fields);
	buf_addz(out, "MIME-Version: 1.0\r\n");
	put_part(out, root);
}
