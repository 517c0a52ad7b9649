/*
 * The words of a text.
 *
 * Each character is folded: decomposed for compatibility (so that wide forms,
 * ligatures and circled digits are what they look like), accents dropped, lower
 * case. Marks of scripts that cannot do without (Indic vowels) stay, and so do those
 * that make another letter of a Kana; decomposed Kana and Hangul are composed. What
 * is left is a letter of a word, a letter of a run, nothing, or parts words.
 */
#include <glib.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"
#include "core/mime/text.h"

enum kind { KIND_SPLIT, KIND_WORD, KIND_RUN, KIND_NOTHING };

void mime_words_init(struct mime_words *w, struct str text)
{
	*w = (struct mime_words){.text = text};
}

/* ---- kinds ---------------------------------------------------------------- */

struct range {
	uint32_t from, to;
};

static bool in_ranges(uint32_t cp, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (cp >= r[i].from && cp <= r[i].to)
			return true;
	return false;
}

/* Scripts without spaces between words. */
static bool is_run(uint32_t cp)
{
	static const struct range runs[] = {{0x0e00, 0x0eff}, {0x1000, 0x11ff},
		{0x1780, 0x17ff}, {0x2e80, 0x2fdf}, {0x3005, 0x3007},
		{0x3021, 0x3029}, {0x3040, 0x31ff}, {0x3400, 0x4dbf},
		{0x4e00, 0xa4cf}, {0xac00, 0xd7ff}, {0xf900, 0xfaff},
		{0x1b000, 0x1b16f}, {0x20000, 0x3ffff}};

	/* 10A0..10FF is Georgian, which has spaces. */
	return cp >= 0xe00 && in_ranges(cp, runs, countof(runs)) &&
	       !(cp >= 0x10a0 && cp <= 0x10ff);
}

/* An accent that may be left out; below and above are the scripts whose marks
 * are vowels. */
static bool is_accent(uint32_t cp)
{
	return cp < 0x700 || cp >= 0x1ab0;
}

static enum kind letter(uint32_t cp)
{
	return is_run(cp) ? KIND_RUN : KIND_WORD;
}

static enum kind kind_of(uint32_t cp)
{
	switch (g_unichar_type(cp)) {
	case G_UNICODE_LOWERCASE_LETTER:
	case G_UNICODE_UPPERCASE_LETTER:
	case G_UNICODE_TITLECASE_LETTER:
	case G_UNICODE_MODIFIER_LETTER:
	case G_UNICODE_OTHER_LETTER:
	case G_UNICODE_DECIMAL_NUMBER:
	case G_UNICODE_LETTER_NUMBER:
	case G_UNICODE_OTHER_NUMBER:
	case G_UNICODE_SPACING_MARK:
		return letter(cp);
	case G_UNICODE_NON_SPACING_MARK:
	case G_UNICODE_ENCLOSING_MARK:
		return is_accent(cp) ? KIND_NOTHING : letter(cp);
	case G_UNICODE_FORMAT:
		/* A soft hyphen is inside a word; ZERO WIDTH SPACE parts. */
		return cp == 0x200b ? KIND_SPLIT : KIND_NOTHING;
	default:
		return KIND_SPLIT;
	}
}

/* ---- folding -------------------------------------------------------------- */

/* Letters that Unicode does not decompose, and that people type without. */
static const struct {
	uint32_t cp;
	char as[3];
} plain[] = {{0xdf, "ss"}, {0xe6, "ae"}, {0xf8, "o"}, {0x111, "d"},
	{0x131, "i"}, {0x142, "l"}, {0x153, "oe"}};

static void put(struct mime_words *w, uint32_t cp, enum kind kind)
{
	if (w->n == countof(w->cp))
		return;
	w->kind[w->n] = (unsigned char)kind;
	w->cp[w->n++] = cp;
}

static void put_folded(struct mime_words *w, uint32_t cp)
{
	cp = g_unichar_tolower(cp);
	for (size_t i = 0; i < countof(plain); i++) {
		if (plain[i].cp != cp)
			continue;
		for (const char *p = plain[i].as; *p; p++)
			put(w, (unsigned char)*p, KIND_WORD);
		return;
	}
	/* A sigma at the end of a word is a sigma. */
	put(w, cp == 0x3c2 ? 0x3c3 : cp, kind_of(cp));
}

/* Kana keep their voice marks; a syllable of Hangul is a letter. */
static bool is_whole(uint32_t cp)
{
	return (cp >= 0x3041 && cp <= 0x30ff && cp != 0x30ff && cp != 0x309f) ||
	       (cp >= 0xac00 && cp <= 0xd7a3);
}

/* What may be joined to the character before it: voice marks of Kana, vowels and
 * finals of Hangul. 0: nothing. */
static uint32_t joiner(uint32_t cp)
{
	if (cp == 0xff9e || cp == 0xff9f)
		return cp - 0xff9e + 0x3099;
	if (cp == 0x3099 || cp == 0x309a || (cp >= 0x1161 && cp <= 0x1175) ||
		(cp >= 0x11a8 && cp <= 0x11c2))
		return cp;
	return 0;
}

static void join(struct mime_words *w)
{
	uint32_t *last = &w->cp[w->n - 1];

	while (w->at < w->text.n && *last >= 0x1100) {
		uint32_t cp;
		gunichar whole;
		size_t n = utf8_decode(str_skip(w->text, w->at), &cp);

		cp = joiner(cp);
		if (!cp || !g_unichar_compose(*last, cp, &whole))
			return;
		*last = whole;
		w->at += n;
		w->to = w->at;
	}
}

/* The kind of an ASCII character. */
static enum kind ascii(unsigned char c)
{
	bool is = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		  (c >= 'A' && c <= 'Z');

	return is ? KIND_WORD : KIND_SPLIT;
}

/* Is there a character? Reads the next when the last one is used up. */
static bool load(struct mime_words *w)
{
	gunichar parts[18];
	uint32_t cp;
	size_t n;

	while (w->i == w->n) {
		if (w->at == w->text.n)
			return false;
		w->n = w->i = 0;
		w->from = w->at;
		w->at += utf8_decode(str_skip(w->text, w->at), &cp);
		w->to = w->at;
		if (cp < 0x80) {
			put(w, (unsigned char)mime_lower((char)cp),
				ascii((unsigned char)cp));
			return true;
		}
		if (is_whole(cp)) {
			put(w, cp, kind_of(cp));
		} else {
			n = g_unichar_fully_decompose(
				cp, TRUE, parts, countof(parts));
			for (size_t i = 0; i < n; i++)
				put_folded(w, parts[i]);
		}
		if (w->n)
			join(w);
	}
	return true;
}

/* ---- words ---------------------------------------------------------------- */

static size_t add(struct mime_words *w, size_t n, uint32_t cp)
{
	return n < MIME_WORD_MAX - 3 ? n + utf8_encode(cp, w->word + n) : n;
}

/* Plain letters, which most are, without a look at what they fold to. */
static size_t add_ascii(struct mime_words *w, size_t n)
{
	while (w->at < w->text.n) {
		unsigned char c = (unsigned char)w->text.p[w->at];

		if (c >= 0x80 || ascii(c) != KIND_WORD)
			break;
		if (n < MIME_WORD_MAX - 3)
			w->word[n++] = mime_lower((char)c);
		w->to = ++w->at;
	}
	return n;
}

/* The word that begins here. */
static void read_word(struct mime_words *w, struct mime_word *r)
{
	size_t n = 0;

	r->from = w->from;
	r->kind = MIME_WORD;
	while (load(w)) {
		if (w->kind[w->i] == KIND_WORD)
			n = add(w, n, w->cp[w->i]);
		else if (w->kind[w->i] != KIND_NOTHING)
			break;
		w->i++;
		if (w->i == w->n)
			n = add_ascii(w, n);
		r->to = w->to;
	}
	r->word = str_n(w->word, n);
}

/* The held character with its neighbour, or alone when there is none. */
static void read_pair(struct mime_words *w, struct mime_word *r)
{
	size_t n = add(w, 0, w->held);

	r->from = w->held_from;
	r->to = w->held_to;
	r->kind = MIME_RUN_END;
	while (load(w) && w->kind[w->i] == KIND_NOTHING)
		w->i++;
	if (w->i < w->n && w->kind[w->i] == KIND_RUN) {
		n = add(w, n, w->cp[w->i]);
		r->to = w->to;
		r->kind = MIME_PAIR;
		w->held = w->cp[w->i++];
		w->held_from = w->from;
		w->held_to = w->to;
	} else {
		w->held = 0;
	}
	r->word = str_n(w->word, n);
}

bool mime_words_next(struct mime_words *w, struct mime_word *r)
{
	while (!w->held && load(w)) {
		if (w->kind[w->i] == KIND_WORD) {
			read_word(w, r);
			return true;
		}
		if (w->kind[w->i] == KIND_RUN) {
			w->held = w->cp[w->i];
			w->held_from = w->from;
			w->held_to = w->to;
		}
		w->i++;
	}
	if (!w->held)
		return false;
	read_pair(w, r);
	return true;
}
