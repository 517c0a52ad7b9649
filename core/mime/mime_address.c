/*
 * Address lists (RFC 5322 3.4 and 4.4 as RFC 8621 4.1.2.3 and 4.1.2.4 show
 * them).
 *
 * One pass over the text. What is read of the current address is kept twice: as
 * words (which become a display name) and squeezed (which becomes the addr-spec
 * when no <...> follows). Best effort: a bare word is an address without "@", a
 * name without <> before an address is its name, an unclosed quote or comment
 * is plain text, ";" outside of a group separates.
 */
#include <string.h>

#include "core/mime/internal.h"

struct reader {
	struct str s;
	size_t at;
	struct arena *arena;
	struct buf list;    /* struct mime_addr */
	struct buf atoms;   /* words that may be encoded */
	struct buf text;    /* the words before them, decoded */
	struct buf addr;    /* addr-spec without white space and comments */
	size_t name_n;	    /* of text: what is before addr's first word; */
	size_t name_atoms;  /* and so many bytes of atoms with it */
	struct str comment; /* right behind the addr-spec */
	bool angle;	    /* addr came from <...> */
	bool word_before;   /* the last token was an atom or a quoted-string */
	bool blank_before;
	bool in_group;
	bool no_quotes; /* one was never closed: none behind it is, either */
	bool no_comments;
};

static void emit(struct reader *r, struct mime_addr m)
{
	if (r->list.n / sizeof(m) < MIME_LIST)
		buf_add(&r->list, &m, sizeof(m));
}

/* Decodes the atoms; split: those of the name and the others by themselves. */
static void atoms_flush(struct reader *r, bool split)
{
	if (split && r->name_atoms > 0) {
		mime_words(str_n(r->atoms.p, r->name_atoms), &r->text);
		buf_drop(&r->atoms, r->name_atoms);
		r->name_n = r->text.n;
	}
	r->name_atoms = 0;
	mime_words(buf_str(&r->atoms), &r->text);
	buf_reset(&r->atoms);
}

static struct str trimmed_copy(struct reader *r, struct str s)
{
	return arena_str(r->arena, str_trim(s));
}

static struct str comment_text(struct reader *r)
{
	struct buf in cleanup(buf_fini) = {0};
	struct buf out cleanup(buf_fini) = {0};
	struct str c = r->comment;

	for (size_t i = 0; i < c.n; i++) {
		if (c.p[i] == '\\' && i + 1 < c.n)
			i++;
		buf_addc(&in, c.p[i]);
	}
	mime_words(buf_str(&in), &out);
	return trimmed_copy(r, buf_str(&out));
}

static void fresh(struct reader *r)
{
	buf_reset(&r->atoms);
	buf_reset(&r->text);
	buf_reset(&r->addr);
	r->name_n = r->name_atoms = 0;
	r->comment = STR_NONE;
	r->angle = r->word_before = r->blank_before = false;
}

/* The end of one address: what was read becomes an entry, if it is any. */
static void finish(struct reader *r)
{
	struct mime_addr m = {0};
	struct str name = STR_NONE;
	struct str addr = buf_str(&r->addr);
	bool at = str_find(addr, '@') < addr.n;

	atoms_flush(r, at && !r->angle);
	if (r->angle)
		name = buf_str(&r->text);
	else if (at)
		name = mime_slice(buf_str(&r->text), 0, r->name_n);
	else
		addr = str_trim(buf_str(&r->text));
	name = str_trim(name);
	if (name.n > 0)
		m.name = arena_str(r->arena, name);
	else if (r->comment.n > 0)
		m.name = comment_text(r);
	if (m.name.n == 0)
		m.name = STR_NONE;
	m.email = arena_str(r->arena, addr);
	if (addr.n > 0 || m.name.n > 0)
		emit(r, m);
	fresh(r);
}

static void group_end(struct reader *r)
{
	if (r->in_group)
		emit(r, (struct mime_addr){.group_end = true});
	r->in_group = false;
}

static void group_start(struct reader *r)
{
	struct mime_addr m = {.group_start = true};

	atoms_flush(r, false);
	m.name = trimmed_copy(r, buf_str(&r->text));
	emit(r, m);
	r->in_group = true;
	fresh(r);
}

/*
 * A word begins. Two words with only blanks between them: what came before is
 * a name, and the addr-spec, if one comes, starts here.
 */
static void word_begin(struct reader *r)
{
	if (r->word_before && !r->angle) {
		r->name_n = r->text.n;
		r->name_atoms = r->atoms.n;
		buf_reset(&r->addr);
	}
	if (r->blank_before && (r->text.n || r->atoms.n))
		buf_addc(&r->atoms, ' ');
	r->word_before = true;
	r->blank_before = false;
}

/* The closing quote of a quoted-string's text that starts at `at`, or s.n. */
static size_t quote_end(struct str s, size_t at)
{
	while (at < s.n && s.p[at] != '"')
		at += s.p[at] == '\\' ? 2 : 1;
	return min_of(at, s.n);
}

static void quoted(struct reader *r, size_t end)
{
	atoms_flush(r, !r->word_before);
	word_begin(r);
	atoms_flush(r, false);
	if (!r->angle)
		buf_add(&r->addr, r->s.p + r->at, end + 1 - r->at);
	for (size_t i = r->at + 1; i < end; i++) {
		if (r->s.p[i] == '\\' && i + 1 < end)
			i++;
		buf_addc(&r->text, r->s.p[i]);
	}
	r->at = end + 1;
}

/* The ')' of the comment that opens at r->at, s.n when it is none. */
static size_t comment_end(struct reader *r)
{
	size_t end = r->no_comments ? r->s.n : mime_comment_end(r->s, r->at);

	r->no_comments = r->no_comments || end == r->s.n;
	return end;
}

/* Copies the quoted-string at r->at into addr; false when it never ends. */
static bool angle_quoted(struct reader *r)
{
	size_t end = r->no_quotes ? r->s.n : quote_end(r->s, r->at + 1);

	r->no_quotes = end == r->s.n;
	if (r->no_quotes)
		return false;
	buf_add(&r->addr, r->s.p + r->at, end + 1 - r->at);
	r->at = end;
	return true;
}

/* Skips the comment at r->at (RFC 5322 3.4.1: CFWS); false when it is none. */
static bool angle_comment(struct reader *r)
{
	size_t end = comment_end(r);

	if (end == r->s.n)
		return false;
	r->at = end;
	return true;
}

/*
 * <...>: squeezed, a route (RFC 5322 4.4) dropped. Stops at "," or ";" when it
 * is not closed.
 */
static void angle(struct reader *r)
{
	struct str s = r->s;
	bool route = false;

	if (r->angle)
		finish(r);
	atoms_flush(r, false);
	buf_reset(&r->addr);
	r->angle = true;
	r->comment = STR_NONE;
	for (r->at++; r->at < s.n; r->at++) {
		char c = s.p[r->at];

		if (c == '>' || (!route && (c == ',' || c == ';')))
			break;
		if (c == '"' && angle_quoted(r))
			continue;
		if (c == '(' && angle_comment(r))
			continue;
		if (c == '@' && r->addr.n == 0)
			route = true;
		if (c == ':' && route) {
			route = false;
			buf_reset(&r->addr);
		} else if (!mime_is_space(c) && c != '<' && c != '"') {
			buf_addc(&r->addr, c);
		}
	}
	if (r->at < s.n && s.p[r->at] == '>')
		r->at++;
	r->word_before = false;
}

/* True when a comment stood at r->at. */
static bool comment(struct reader *r)
{
	size_t end = comment_end(r);

	if (end == r->s.n)
		return false;
	if (r->addr.n > 0)
		r->comment = mime_slice(r->s, r->at + 1, end);
	r->at = end + 1;
	r->blank_before = true;
	return true;
}

static bool ends_word(char c)
{
	return mime_is_space(c) || strchr("()<>[]:;@\\,.\"", c);
}

/* An atom, or a sign that stands for itself. */
static void plain(struct reader *r)
{
	struct str s = r->s;
	size_t end = r->at + 1;
	char c = s.p[r->at];

	if (c == '@' || c == '.') {
		if (c == '.' && r->blank_before && r->text.n + r->atoms.n)
			buf_addc(&r->atoms, ' ');
		r->word_before = false;
		r->blank_before = false;
	} else if (c == '[') {
		while (end < s.n && !strchr("],;<>", s.p[end]))
			end++;
		if (end < s.n && s.p[end] == ']')
			end++;
		word_begin(r);
	} else {
		while (end < s.n && !ends_word(s.p[end]))
			end++;
		word_begin(r);
	}
	buf_add(&r->atoms, s.p + r->at, end - r->at);
	if (!r->angle) {
		buf_add(&r->addr, s.p + r->at, end - r->at);
		r->comment = STR_NONE;
	}
	r->at = end;
}

static void step(struct reader *r)
{
	char c = r->s.p[r->at];
	size_t end;

	if (mime_is_space(c)) {
		r->blank_before = true;
		r->at++;
	} else if (c == ',' || c == ';') {
		finish(r);
		if (c == ';')
			group_end(r);
		r->at++;
	} else if (c == ':' && !r->in_group && !r->angle) {
		group_start(r);
		r->at++;
	} else if (c == '<') {
		angle(r);
	} else if (c == '>') {
		r->at++;
	} else if (c == '(' && comment(r)) {
		return;
	} else if (c == '"') {
		end = r->no_quotes ? r->s.n : quote_end(r->s, r->at + 1);
		r->no_quotes = end == r->s.n;
		if (r->no_quotes)
			r->at++;
		else
			quoted(r, end);
	} else {
		plain(r);
	}
}

size_t mime_as_addresses(
	struct str raw, struct arena *a, const struct mime_addr **out_r)
{
	struct reader r = {.s = mime_clean(raw, a), .arena = a};
	size_t n;

	while (r.at < r.s.n)
		step(&r);
	finish(&r);
	group_end(&r);
	n = r.list.n / sizeof(**out_r);
	*out_r = n ? arena_dup(a, r.list.p, r.list.n) : NULL;
	buf_fini(&r.list);
	buf_fini(&r.atoms);
	buf_fini(&r.text);
	buf_fini(&r.addr);
	return n;
}
