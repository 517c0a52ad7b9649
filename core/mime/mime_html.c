/*
 * Just enough of HTML to show a preview and not to cut inside a tag.
 *
 * No tree: one pass that knows tags (with quoted attributes), comments, the
 * elements whose content is never shown, and entities. A tag or comment that
 * never ends takes the rest.
 */
#include <string.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* The longest entity that is looked for, with & and ; */
#define ENTITY_MAX 16

static bool is_letter(char c)
{
	c = mime_lower(c);
	return c >= 'a' && c <= 'z';
}

/* "<" opens a tag only before a letter, "/", "!" or "?". */
static bool tag_opens(struct str s, size_t at)
{
	return s.p[at] == '<' && at + 1 < s.n &&
	       (is_letter(s.p[at + 1]) || strchr("/!?", s.p[at + 1])) &&
	       s.p[at + 1] != '\0';
}

/* Behind the tag or comment that opens at `at`; s.n + 1 when it never ends. */
static size_t tag_end(struct str s, size_t at)
{
	char quote = '\0';

	if (str_starts(str_skip(s, at), STR("<!--"))) {
		at = mime_find(s, at + 4, STR("-->"));
		return at < s.n ? at + 3 : s.n + 1;
	}
	for (at++; at < s.n; at++) {
		char c = s.p[at];

		if (quote) {
			if (c == quote)
				quote = '\0';
		} else if (c == '>') {
			return at + 1;
		} else if ((c == '"' || c == '\'') && s.p[at - 1] == '=') {
			quote = c;
		}
	}
	return s.n + 1;
}

/* The element name of the tag at `at`, without "/". */
static struct str tag_name(struct str s, size_t at)
{
	size_t from = at + 1 + (s.p[at + 1] == '/');
	size_t to = from;

	while (to < s.n &&
		(is_letter(s.p[to]) || (s.p[to] >= '0' && s.p[to] <= '9')))
		to++;
	return mime_slice(s, min_of(from, s.n), max_of(to, min_of(from, s.n)));
}

static bool name_in(struct str name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_ieq(name, str_of(names[i])))
			return true;
	}
	return false;
}

/* Elements inside a line: their tags do not part words. */
static bool is_inline(struct str name)
{
	static const char *const names[] = {"a", "abbr", "b", "big", "code",
		"em", "font", "i", "mark", "s", "small", "span", "strike",
		"strong", "sub", "sup", "tt", "u", "wbr"};

	return name_in(name, names, countof(names));
}

static bool is_hidden(struct str name)
{
	static const char *const names[] = {
		"script", "style", "title", "noscript", "template"};

	return name_in(name, names, countof(names));
}

/* Behind the text of a hidden element that goes on at `at`: its closing tag. */
static size_t hidden_end(struct str s, size_t at, struct str name)
{
	while ((at = mime_find(s, at, STR("</"))) < s.n) {
		if (str_ieq(tag_name(s, at), name))
			return at;
		at += 2;
	}
	return s.n;
}

static const struct {
	const char *name;
	uint32_t cp;
} entities[] = {
#define ENTITY(name, cp) {name, cp},
#include "core/mime/entity.def"
#undef ENTITY
};

static uint32_t entity_number(struct str digits)
{
	bool hex = digits.n > 0 && mime_lower(digits.p[0]) == 'x';
	uint32_t cp = 0;

	for (size_t i = hex; i < digits.n; i++) {
		int d = mime_hex_digit(digits.p[i]);

		if (d < 0 || (!hex && d > 9))
			return 0;
		cp = cp * (hex ? 16 : 10) + (uint32_t)d;
		if (cp > 0x10ffff)
			return UTF8_BAD;
	}
	return cp;
}

/* The character of the entity at `at`, 0 when there is none; *len_r: bytes. */
static uint32_t entity_read(struct str s, size_t at, size_t *len_r)
{
	struct str e = mime_slice(s, at + 1, min_of(s.n, at + ENTITY_MAX));
	size_t n = str_find(e, ';');

	if (n == e.n)
		return 0;
	*len_r = n + 2;
	e.n = n;
	if (n > 1 && e.p[0] == '#')
		return entity_number(str_skip(e, 1));
	for (size_t i = 0; i < countof(entities); i++) {
		if (str_eq(e, str_of(entities[i].name)))
			return entities[i].cp;
	}
	return 0;
}

/* Adds what stands at `at`, which is no tag; returns the bytes taken. */
static size_t text_add(struct str s, size_t at, struct buf *out)
{
	size_t len = 1;
	uint32_t cp = s.p[at] == '&' ? entity_read(s, at, &len) : 0;

	if (cp == 0) {
		buf_addc(out, s.p[at]);
		return 1;
	}
	out->n += utf8_encode(cp, buf_room(out, 4));
	return len;
}

/* White space of the source shows as one space. */
static void space_add(struct buf *out)
{
	if (out->n > 0 && out->p[out->n - 1] != ' ')
		buf_addc(out, ' ');
}

/* Takes one attribute off the front of a tag's inside. */
static bool attribute_cut(struct str *tag, struct str *name, struct str *value)
{
	size_t n = 0, i;
	char quote;

	while (n < tag->n && (mime_is_space(tag->p[n]) || tag->p[n] == '/'))
		n++;
	*tag = str_skip(*tag, n);
	if (tag->n == 0)
		return false;
	n = 1; /* a "=" here is the name of one, HTML says */
	while (n < tag->n && !mime_is_space(tag->p[n]) &&
		!strchr("/=", tag->p[n]))
		n++;
	*name = mime_slice(*tag, 0, n);
	*value = STR_NONE;
	for (i = n; i < tag->n && mime_is_space(tag->p[i]);)
		i++;
	if (i == tag->n || tag->p[i] != '=') {
		*tag = str_skip(*tag, n);
		return true;
	}
	for (i++; i < tag->n && mime_is_space(tag->p[i]);)
		i++;
	quote = i < tag->n ? tag->p[i] : '\0';
	if (quote == '"' || quote == '\'') {
		*tag = str_skip(*tag, i + 1);
		n = str_find(*tag, quote);
		*value = mime_slice(*tag, 0, n);
		*tag = str_skip(*tag, min_of(n + 1, tag->n));
		return true;
	}
	for (n = i; n < tag->n && !mime_is_space(tag->p[n]);)
		n++;
	*value = mime_slice(*tag, i, n);
	*tag = str_skip(*tag, n);
	return true;
}

/* What a viewer shows of a tag itself: its alt and title. */
static void attributes_add(struct str tag, struct buf *out)
{
	struct str name, value;

	while (attribute_cut(&tag, &name, &value)) {
		if (!str_ieq(name, STR("alt")) && !str_ieq(name, STR("title")))
			continue;
		space_add(out);
		for (size_t i = 0; i < value.n;)
			i += text_add(value, i, out);
		space_add(out);
	}
}

/* Behind the tag at `at` and, where it opens a hidden element, its content. */
static size_t tag_skip(
	struct str s, size_t at, bool attributes, struct buf *out)
{
	struct str name = tag_name(s, at);
	bool closing = s.p[at + 1] == '/';
	size_t end = tag_end(s, at);

	if (name.n > 0 && !is_inline(name))
		space_add(out);
	if (attributes && name.n > 0 && !closing && end <= s.n)
		attributes_add(mime_slice(s, at + 1 + name.n, end - 1), out);
	at = min_of(end, s.n);
	return !closing && is_hidden(name) ? hidden_end(s, at, name) : at;
}

static void read_text(
	struct str html, size_t max, bool attributes, struct buf *out)
{
	size_t from = out->n;
	size_t at = 0;

	while (at < html.n && out->n - from < max) {
		if (tag_opens(html, at)) {
			at = tag_skip(html, at, attributes, out);
		} else if (mime_is_space(html.p[at])) {
			space_add(out);
			at++;
		} else {
			at += text_add(html, at, out);
		}
	}
}

void mime_html_text(struct str html, size_t max, struct buf *out)
{
	read_text(html, max, false, out);
}

void mime_html_search(struct str html, size_t max, struct buf *out)
{
	read_text(html, max, true, out);
}

size_t mime_html_cut(struct str html, size_t at)
{
	size_t i = 0;

	check(at <= html.n);
	while (i < at) {
		const char *lt = memchr(html.p + i, '<', at - i);
		size_t end;

		if (!lt)
			break;
		i = (size_t)(lt - html.p);
		if (!tag_opens(html, i)) {
			i++;
			continue;
		}
		end = tag_end(mime_slice(html, 0, at), i);
		if (end > at)
			return i;
		i = end;
	}
	return at;
}
