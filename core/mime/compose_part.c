/*
 * The Content-* fields of a part (RFC 2045 5, RFC 2183, RFC 2231).
 */
#include "core/base/crypto.h"
#include "core/base/utf8.h"
#include "core/mime/compose_field.h"
#include "core/mime/internal.h"

#define NAME_MAX_BYTES \
	1024	      /* of a file name: it has to fit in MIME_PARAMS pieces */
#define PIECE_ROOM 60 /* of a value that is cut, behind its name */

void compose_boundary(char z[COMPOSE_BOUNDARY_MAX])
{
	uint8_t random[15];
	struct buf b cleanup(buf_fini) = {0};

	random_bytes(random, sizeof(random));
	buf_addz(&b, "=_");
	base64url_add(&b, str_n(random, sizeof(random)));
	check(b.n < COMPOSE_BOUNDARY_MAX);
	memcpy(z, buf_z(&b), b.n + 1);
}

/* RFC 2045 5.1 */
static bool is_token(struct str s)
{
	return s.n <= 255 && field_is_plain(s, "()<>@,;:\\\"/[]?=");
}

static bool is_type(struct str s)
{
	struct str major;

	return str_cut(&s, '/', &major) && is_token(major) && is_token(s);
}

/* ---- parameters ------------------------------------------------------------------ */

/* RFC 2231 7: attribute-char. */
static bool is_attribute(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=*'%", c);
}

/* A token that no reader of RFC 2231 takes for anything else. */
static bool is_plain_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_attribute(s.p[i]))
			return false;
	return s.n > 0;
}

static void put_param(struct field *f, struct str name, struct str value)
{
	struct buf b cleanup(buf_fini) = {0};

	field_glue(f, STR(";"));
	buf_adds(&b, name);
	buf_addz(&b, "=");
	if (is_plain_value(value)) {
		buf_adds(&b, value);
	} else {
		buf_addc(&b, '"');
		for (size_t i = 0; i < value.n; i++) {
			if (value.p[i] == '"' || value.p[i] == '\\')
				buf_addc(&b, '\\');
			buf_addc(&b, value.p[i]);
		}
		buf_addc(&b, '"');
	}
	field_word(f, STR(" "), buf_str(&b));
}

/* Characters stay whole: some decode each piece by itself. */
static void put_piece(struct buf *b, struct str *rest, bool all)
{
	size_t begin = b->n;
	uint32_t cp;

	while (rest->n > 0) {
		size_t n = utf8_decode(*rest, &cp);

		if (!all && b->n - begin + 3 * n > PIECE_ROOM)
			break;
		for (size_t i = 0; i < n; i++) {
			if (is_attribute(rest->p[i]))
				buf_addc(b, rest->p[i]);
			else
				buf_fmt(b, "%%%02X", (unsigned char)rest->p[i]);
		}
		*rest = str_skip(*rest, n);
	}
}

/* utf-8''text in pieces (RFC 2231 3 and 4), or in one where it fits. */
static void put_extended(struct field *f, struct str name, struct str value)
{
	size_t size = 0;
	bool one;

	for (size_t i = 0; i < value.n; i++)
		size += is_attribute(value.p[i]) ? 1 : 3;
	one = size <= PIECE_ROOM;
	for (size_t piece = 0; value.n > 0; piece++) {
		struct buf b cleanup(buf_fini) = {0};

		buf_adds(&b, name);
		if (one)
			buf_addz(&b, "*=");
		else
			buf_fmt(&b, "*%zu*=", piece);
		if (piece == 0)
			buf_addz(&b, "utf-8''");
		put_piece(&b, &value, one);
		field_glue(f, STR(";"));
		field_word(f, STR(" "), buf_str(&b));
	}
}

/* A file name. */
static bool put_name(struct field *f, struct str param, struct str name)
{
	struct arena a cleanup(arena_fini) = {0};

	if (name.n == 0)
		return true;
	if (name.n > NAME_MAX_BYTES || !field_text(name, &a, &name))
		return false;
	if (field_needs_code(name) || name.n > PIECE_ROOM || name.p[0] == ' ' ||
		name.p[name.n - 1] == ' ')
		put_extended(f, param, name);
	else
		put_param(f, param, name);
	return true;
}

/* ---- fields ------------------------------------------------------------------------ */

bool compose_type(struct buf *out, struct str type, struct str charset,
	struct str name, struct str boundary)
{
	struct field f;

	if (!is_type(type) || (charset.p && !is_token(charset)))
		return false;
	field_open(&f, out, STR("Content-Type"));
	field_word(&f, STR(" "), type);
	if (charset.p)
		put_param(&f, STR("charset"), charset);
	if (boundary.p)
		put_param(&f, STR("boundary"), boundary);
	if (!put_name(&f, STR("name"), name))
		return field_drop(&f);
	return field_close(&f);
}

/* "; boundary=" on a line of its own; the ";" too where the one before is full. */
static void add_boundary(struct buf *field, struct str boundary)
{
	size_t n = 0;

	while (n < field->n && field->p[field->n - n - 1] != '\n')
		n++;
	buf_fmt(field, "%s boundary=\"%.*s\"",
		n < FIELD_LINE_MAX ? ";\r\n" : "\r\n ;", STR_ARG(boundary));
}

bool compose_own_type(struct buf *out, struct str line, struct str boundary,
	struct arena *a, struct str *type_r, struct str *charset_r)
{
	struct mime_header h = {.name = STR("Content-Type"),
		.value = str_skip(line, str_find(line, ':') + 1)};
	struct mime_part p = {.headers = &h, .headers_n = 1};
	struct str had = STR_NONE;
	struct buf all cleanup(buf_fini) = {0};

	check(str_ends(line, STR("\r\n")));
	h.value.n -= 2;
	line.n -= 2;
	mime_describe(&p, false, &had, a);
	*type_r = p.type;
	*charset_r = p.charset;
	if (!is_type(p.type) || had.n > 0)
		return false;
	buf_adds(&all, line);
	if (boundary.p)
		add_boundary(&all, boundary);
	h.value = str_skip(buf_str(&all), str_find(line, ':') + 1);
	mime_describe(&p, false, &had, a);
	if (boundary.p && !str_eq(had, boundary))
		return false;
	buf_adds(out, buf_str(&all));
	buf_addz(out, "\r\n");
	return true;
}

bool compose_disposition(
	struct buf *out, struct str disposition, struct str name)
{
	struct field f;

	if (!is_token(disposition))
		return false;
	field_open(&f, out, STR("Content-Disposition"));
	field_word(&f, STR(" "), disposition);
	if (!put_name(&f, STR("filename"), name))
		return field_drop(&f);
	return field_close(&f);
}

bool compose_cid(struct buf *out, struct str cid)
{
	if (!field_is_plain(cid, "<>"))
		return false;
	return compose_message_ids(out, STR("Content-ID"), &cid, 1);
}

/* RFC 3282 2, RFC 5646 2.1: letters, digits and dashes. */
static bool is_tag(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = mime_lower(s.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    (c == '-' && i > 0)))
			return false;
	}
	return s.n > 0 && s.n <= 255;
}

bool compose_language(struct buf *out, const struct str *tags, size_t n)
{
	struct field f;

	field_open(&f, out, STR("Content-Language"));
	for (size_t i = 0; i < n; i++) {
		if (!is_tag(tags[i]))
			return field_drop(&f);
		if (i > 0)
			field_glue(&f, STR(","));
		field_word(&f, STR(" "), tags[i]);
	}
	return field_close(&f);
}

bool compose_location(struct buf *out, struct str uri)
{
	struct field f;

	if (!field_is_plain(uri, "<>\""))
		return false;
	field_open(&f, out, STR("Content-Location"));
	field_word(&f, STR(" "), uri);
	return field_close(&f);
}
