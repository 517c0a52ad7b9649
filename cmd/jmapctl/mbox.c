#include "cmd/jmapctl/mbox.h"

#include <errno.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/mime/mime.h"

#define LINE_MAX_BYTES 8192 /* what is longer is no From_ line */

/* ---- From_ lines ---------------------------------------------------------- */

static bool take_number(struct str *s, unsigned digits, int *v_r)
{
	unsigned n = 0;
	*v_r = 0;
	while (n < digits && n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		*v_r = *v_r * 10 + (s->p[n++] - '0');
	*s = str_skip(*s, n);
	return n > 0;
}

/* "01:05:34" or "01:05" */
static bool read_time(struct str s, struct tm *t)
{
	if (!take_number(&s, 2, &t->tm_hour) || !s.n || s.p[0] != ':')
		return false;
	s = str_skip(s, 1);
	if (!take_number(&s, 2, &t->tm_min))
		return false;
	t->tm_sec = 0;
	if (s.n && s.p[0] == ':') {
		s = str_skip(s, 1);
		if (!take_number(&s, 2, &t->tm_sec))
			return false;
	}
	return !s.n && t->tm_hour < 24 && t->tm_min < 60 && t->tm_sec <= 60;
}

static int month_of(struct str s)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (int i = 0; s.n == 3 && i < 12; i++)
		if (str_ieq(s, str_n(names + 3 * i, 3)))
			return i;
	return -1;
}

/* The next word of a line. */
static struct str word(struct str *s)
{
	struct str w = STR_NONE;
	while (s->n && !w.n)
		str_cut(s, ' ', &w);
	return w;
}

/* What follows the month: " 3 01:05:34 [zone] 1996". */
static bool read_rest(struct str s, struct tm *t)
{
	struct str w = word(&s);
	if (!take_number(&w, 2, &t->tm_mday) || w.n || t->tm_mday < 1 ||
		t->tm_mday > 31 || !read_time(word(&s), t))
		return false;
	for (int i = 0; i < 3 && (w = word(&s)).n; i++) {
		if (w.n != 4 || !take_number(&w, 4, &t->tm_year) || w.n)
			continue;
		t->tm_year -= 1900;
		return true;
	}
	return false;
}

bool mbox_from_date(struct str line, int64_t *ms_r)
{
	while (line.n &&
		(line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	while (line.n) {
		struct str w = word(&line);
		struct tm t = {.tm_mon = month_of(w)};
		if (t.tm_mon < 0 || !read_rest(line, &t))
			continue;
		*ms_r = (int64_t)timegm(&t) * 1000;
		return true;
	}
	return false;
}

/* ---- keywords ------------------------------------------------------------- */

static const struct {
	struct str field;
	char letter;
	struct str keyword;
} flags[] = {
#define FLAG(field, letter, keyword)                 \
	{                                            \
		{field, sizeof(field) - 1}, letter,  \
		{                                    \
			keyword, sizeof(keyword) - 1 \
		}                                    \
	}
	FLAG("Status", 'R', "$seen"),
	FLAG("X-Status", 'A', "$answered"),
	FLAG("X-Status", 'F', "$flagged"),
	FLAG("X-Status", 'T', "$draft"),
#undef FLAG
};

static void add_word(struct buf *out, struct str w)
{
	if (out->n && w.n)
		buf_addc(out, ' ');
	buf_adds(out, w);
}

/* "RO", but not "Status: Resolved" of some other program. */
static bool is_flags(struct str value)
{
	value = str_trim(value);
	for (size_t i = 0; i < value.n; i++)
		if (!value.p[i] || !strchr("ADFNORTU", value.p[i]))
			return false;
	return true;
}

static void add_flags(const struct mime_header *h, struct buf *out)
{
	if (!is_flags(h->value))
		return;
	for (size_t i = 0; i < countof(flags); i++)
		if (str_ieq(h->name, flags[i].field) &&
			str_find(h->value, flags[i].letter) < h->value.n)
			add_word(out, flags[i].keyword);
}

/* A line of the text is no keyword, nor is a list with commas. */
static bool is_keyword(struct str w)
{
	for (size_t i = 0; i < w.n; i++)
		if (w.p[i] <= 0x20 || w.p[i] >= 0x7f ||
			strchr("(){]%*\"\\,", w.p[i]))
			return false;
	return w.n <= 255;
}

/* dollar: a word may begin so, as those with a meaning of their own do. */
static void add_words(struct str value, bool dollar, struct buf *out)
{
	struct buf words cleanup(buf_fini) = {0};
	struct str rest = str_trim(value), w;
	while ((w = word(&rest)).n) {
		if (!is_keyword(w) || (!dollar && w.p[0] == '$'))
			return;
		add_word(&words, w);
	}
	add_word(out, buf_str(&words));
}

void mbox_keywords(struct str raw, struct buf *out, bool *deleted_r)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct mime_header *h;
	size_t n = mime_fields_at(raw, 0, raw.n, &a, &h);
	*deleted_r = false;
	for (; n; n--, h++) {
		add_flags(h, out);
		if (str_ieq(h->name, STR("X-Status")) && is_flags(h->value))
			*deleted_r |= str_find(h->value, 'D') < h->value.n;
		if (str_ieq(h->name, STR("X-Keywords")))
			add_words(h->value, true, out);
		/* RFC 5322 3.6.5: these are the author's, whoever that was. */
		if (str_ieq(h->name, STR("Keywords")))
			add_words(h->value, false, out);
	}
}

/* ---- lines ---------------------------------------------------------------- */

void mbox_init(struct mbox *b, size_t max,
	int (*message)(void *ctx, const struct mbox_message *m, struct err *e),
	void *ctx)
{
	*b = (struct mbox){.max = max, .message = message, .ctx = ctx};
}

void mbox_fini(struct mbox *b)
{
	buf_fini(&b->line);
	buf_fini(&b->raw);
}

static bool is_empty(struct str line)
{
	return str_eq(line, STR("\n")) || str_eq(line, STR("\r\n"));
}

/* The empty line before the next From_ line is not the message's. */
static int end_message(struct mbox *b, struct err *e)
{
	struct str raw = buf_str(&b->raw);
	if (!b->within)
		return 0;
	if (!b->text && raw.n) {
		raw.n--;
		if (raw.n && raw.p[raw.n - 1] == '\r')
			raw.n--;
	}
	b->now.raw = b->now.too_large ? STR_NONE : raw;
	int ret = b->message(b->ctx, &b->now, e);
	buf_reset(&b->raw);
	b->within = false;
	return ret;
}

/* A whole line that begins a message? */
static bool is_from(struct mbox *b, struct str line, struct mbox_message *m)
{
	if (b->text || line.n > LINE_MAX_BYTES ||
		!str_starts(line, STR("From ")))
		return false;
	*m = (struct mbox_message){.at = b->at};
	m->has_date = mbox_from_date(line, &m->date_ms);
	if (b->at == 0)
		b->dated = m->has_date;
	return m->has_date || !b->dated;
}

static struct str unquote(struct str line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] == '>')
		n++;
	return n && str_starts(str_skip(line, n), STR("From "))
		       ? str_skip(line, 1)
		       : line;
}

static void keep(struct mbox *b, struct str text)
{
	if (b->raw.n + text.n > b->max) {
		b->now.too_large = true;
		buf_fini(&b->raw);
	}
	if (!b->now.too_large)
		buf_adds(&b->raw, text);
}

/* A line, or, when it is not whole, as much of it as is kept at once. */
static int on_line(struct mbox *b, struct str line, bool whole, struct err *e)
{
	struct mbox_message m;
	if (!b->midline && whole && is_from(b, line, &m)) {
		int ret = end_message(b, e);
		b->now = m;
		b->within = true;
		b->text = true;
		return ret;
	}
	if (!b->within)
		return err_set(e, -EINVAL, "it does not begin with \"From \"");
	keep(b, b->midline ? line : unquote(line));
	b->text = b->midline || !is_empty(line);
	b->midline = !whole;
	return 0;
}

int mbox_feed(struct mbox *b, struct str bytes, struct err *e)
{
	int ret = 0;
	while (bytes.n && ret == 0) {
		size_t end = str_find(bytes, '\n');
		bool whole = end < bytes.n;
		size_t n = whole ? end + 1 : bytes.n;
		buf_add(&b->line, bytes.p, n);
		bytes = str_skip(bytes, n);
		if (!whole && b->line.n < LINE_MAX_BYTES)
			break;
		ret = on_line(b, buf_str(&b->line), whole, e);
		b->at += b->line.n;
		buf_reset(&b->line);
	}
	return ret;
}

int mbox_end(struct mbox *b, struct err *e)
{
	int ret = 0;
	if (b->line.n)
		ret = on_line(b, buf_str(&b->line), true, e);
	return ret < 0 ? ret : end_message(b, e);
}
