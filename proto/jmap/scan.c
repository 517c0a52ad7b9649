/*
 * The I-JSON scanner: RFC 8259's grammar with RFC 7493's rules on top.
 *
 * One pass, no tree, no recursion: a stack of SCAN_DEPTH levels says whether an
 * object or an array is open. Strings, which are most of a request, are walked
 * eight bytes at a time as long as they are plain ASCII.
 *
 * Duplicate names are told by a keyed 64-bit hash of the decoded name (no peer
 * can make two names collide, and among a million names of one object chance
 * does so once in 10^7 texts). A level keeps its first hashes in place and then in
 * an open table of its own: at most some 32 bytes a name, gone when the object
 * closes; never quadratic.
 *
 * A text with a fault is walked a second time, leniently, only to find the id.
 */
#include "proto/jmap/scan.h"

#include "core/base/map.h"
#include "core/base/utf8.h"
#include "proto/jmap/method.h"

enum { SMALL_NAMES = 12 };

#define ONES 0x0101010101010101u
#define HIGH_BITS (ONES * 0x80)

struct level {
	bool object;
	uint32_t values; /* members or elements begun */
	uint32_t small_n;
	uint64_t small[SMALL_NAMES];
	uint64_t *table; /* 0: a free slot */
	size_t cap, used;
};

struct scanner {
	const char *p, *end, *start;
	struct arena *arena;
	struct scan *r;
	struct level *at; /* SCAN_DEPTH of them; NULL in helpers */
	unsigned depth;
	/* Of the member that is being read at the top. */
	enum { TOP_OTHER, TOP_TYPE, TOP_ID, TOP_CALLS } top;
};

static bool fail(struct scanner *s, const char *why)
{
	if (!s->r->why) {
		s->r->why = why;
		s->r->at = (size_t)(s->p - s->start);
	}
	return false;
}

/* ---- strings --------------------------------------------------------------- */

/* High bit set in some byte when one of the eight ends a plain run. */
static uint64_t special(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"';
	uint64_t slash = w ^ ONES * '\\';

	return (w | ((w - ONES * ' ') & ~w) | ((quote - ONES) & ~quote) |
		       ((slash - ONES) & ~slash)) &
	       HIGH_BITS;
}

static const char *plain_run(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		if (special(w))
			break;
	}
	while (p < end && (unsigned char)*p >= ' ' &&
		(unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static bool is_nonchar(uint32_t cp)
{
	return (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe;
}

static bool hex4(const char *p, const char *end, uint32_t *v_r)
{
	uint32_t v = 0;

	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v << 4 | (uint32_t)((c | 32) - 'a' + 10);
		else
			return false;
	}
	*v_r = v;
	return true;
}

/* s->p stands on the backslash. *cp_r is the character. */
static bool escape(struct scanner *s, uint32_t *cp_r)
{
	static const char shorts[] = {['"'] = '"',
		['\\'] = '\\',
		['/'] = '/',
		['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t'};
	uint32_t cp, low;
	unsigned char c;

	if (s->end - s->p < 2)
		return fail(s, "string without an end");
	c = (unsigned char)s->p[1];
	if (c < sizeof(shorts) && shorts[c]) {
		*cp_r = (unsigned char)shorts[c];
		s->p += 2;
		return true;
	}
	if (c != 'u' || !hex4(s->p + 2, s->end, &cp))
		return fail(s, "bad escape");
	if (cp >= 0xdc00 && cp <= 0xdfff)
		return fail(s, "lone surrogate");
	if (cp >= 0xd800 && cp <= 0xdbff) {
		if (s->end - s->p < 12 || s->p[6] != '\\' || s->p[7] != 'u' ||
			!hex4(s->p + 8, s->end, &low) || low < 0xdc00 ||
			low > 0xdfff)
			return fail(s, "lone surrogate");
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
		s->p += 6;
	}
	if (is_nonchar(cp))
		return fail(s, "noncharacter");
	s->p += 6;
	*cp_r = cp;
	return true;
}

struct text {
	struct str raw; /* with its quotes */
	bool escaped;	/* holds a backslash */
	size_t chars;	/* counted only behind escapes and beyond ASCII */
};

/* s->p stands on the opening quote, then behind the closing one. */
static bool string(struct scanner *s, struct text *t_r)
{
	const char *from = s->p++;

	*t_r = (struct text){0};
	for (;;) {
		const char *run = s->p;
		uint32_t cp;
		size_t n;

		s->p = plain_run(s->p, s->end);
		t_r->chars += (size_t)(s->p - run);
		if (s->p == s->end)
			return fail(s, "string without an end");
		if (*s->p == '"')
			break;
		t_r->chars++;
		if (*s->p == '\\') {
			t_r->escaped = true;
			if (!escape(s, &cp))
				return false;
			continue;
		}
		if ((unsigned char)*s->p < ' ')
			return fail(s, "control character in a string");
		n = utf8_decode(str_n(s->p, (size_t)(s->end - s->p)), &cp);
		if (n == 1)
			return fail(s, "not UTF-8");
		if (is_nonchar(cp))
			return fail(s, "noncharacter");
		s->p += n;
	}
	s->p++;
	t_r->raw = str_n(from, (size_t)(s->p - from));
	return true;
}

/* The characters of a string that was found good. */
static struct str decoded(struct scanner *s, const struct text *t)
{
	struct str in = str_n(t->raw.p + 1, t->raw.n - 2);
	struct scanner sub = {
		.p = in.p, .end = in.p + in.n, .start = in.p, .r = s->r};
	char *out, *w;

	if (!t->escaped)
		return in;
	out = w = arena_new(s->arena, in.n);
	while (sub.p < sub.end) {
		uint32_t cp;

		if (*sub.p != '\\') {
			*w++ = *sub.p++;
			continue;
		}
		if (!escape(&sub, &cp))
			break; /* cannot be: it was checked */
		w += utf8_encode(cp, w);
	}
	return str_n(out, (size_t)(w - out));
}

/* ---- duplicate names ------------------------------------------------------- */

static bool table_add(struct level *l, uint64_t h)
{
	size_t i = h & (l->cap - 1);

	for (; l->table[i]; i = (i + 1) & (l->cap - 1))
		if (l->table[i] == h)
			return false;
	l->table[i] = h;
	l->used++;
	return true;
}

static void table_grow(struct level *l)
{
	uint64_t *old = l->table;
	size_t cap = l->cap;

	l->cap = cap ? cap * 2 : 64;
	l->table = mem_new(l->cap * sizeof(*l->table));
	l->used = 0;
	for (size_t i = 0; i < cap; i++)
		if (old[i])
			table_add(l, old[i]);
	if (!cap)
		for (uint32_t i = 0; i < l->small_n; i++)
			table_add(l, l->small[i]);
	free(old);
}

/* False when the level has that name already. */
static bool name_add(struct level *l, uint64_t h)
{
	h += h == 0; /* 0 marks a free slot */
	if (!l->table) {
		for (uint32_t i = 0; i < l->small_n; i++)
			if (l->small[i] == h)
				return false;
		if (l->small_n < SMALL_NAMES) {
			l->small[l->small_n++] = h;
			return true;
		}
	}
	if (!l->table || l->used * 2 >= l->cap)
		table_grow(l);
	return table_add(l, h);
}

/* ---- values ---------------------------------------------------------------- */

static void space(struct scanner *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' ||
					*s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool digits(struct scanner *s)
{
	const char *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > from || fail(s, "bad number");
}

static bool number(struct scanner *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!digits(s))
			return false;
	}
	return true;
}

static bool word(struct scanner *s, struct str w)
{
	if ((size_t)(s->end - s->p) < w.n || memcmp(s->p, w.p, w.n) != 0)
		return fail(s, "no such value");
	s->p += w.n;
	return true;
}

static bool id_fits(const struct text *t)
{
	return t->chars <= SCAN_ID_MAX;
}

static enum scan_kind kind_of(struct str s)
{
	if (str_eq(s, STR("Request")))
		return SCAN_REQUEST;
	if (str_eq(s, STR("WebSocketPushEnable")))
		return SCAN_PUSH_ENABLE;
	if (str_eq(s, STR("WebSocketPushDisable")))
		return SCAN_PUSH_DISABLE;
	return SCAN_OTHER;
}

/* A string value, at the places that the caller of scan_json() wants to know. */
static void note_string(struct scanner *s, const struct text *t)
{
	if (s->depth == 1 && s->top == TOP_TYPE)
		s->r->kind = kind_of(decoded(s, t));
	if (s->depth == 1 && s->top == TOP_ID) {
		s->r->id_bad = !id_fits(t);
		s->r->id = id_fits(t) ? t->raw : STR_NONE;
	}
	/* methodCalls: [ [ "Email/set", ... */
	if (s->depth == 3 && s->top == TOP_CALLS && !s->at[1].object &&
		!s->at[2].object && s->at[2].values == 1 && !s->r->writes)
		s->r->writes = method_writes(decoded(s, t));
}

static bool push(struct scanner *s, bool object)
{
	if (s->depth == SCAN_DEPTH)
		return fail(s, "nested too deeply");
	s->at[s->depth].object = object;
	s->at[s->depth].values = 0;
	s->at[s->depth].small_n = 0;
	s->at[s->depth].table = NULL;
	s->at[s->depth].cap = s->at[s->depth].used = 0;
	s->depth++;
	s->p++;
	return true;
}

static void pop(struct scanner *s)
{
	s->depth--;
	free(s->at[s->depth].table);
	s->at[s->depth].table = NULL;
}

/* A value that is no string where the top wants one. */
static void note_other(struct scanner *s)
{
	if (s->depth == 1 && s->top == TOP_TYPE)
		s->r->kind = SCAN_OTHER;
	if (s->depth == 1 && s->top == TOP_ID)
		s->r->id_bad = true;
}

/* Begins a value: whole for scalars, opened for the others. */
static bool value(struct scanner *s)
{
	struct text t;

	if (s->p == s->end)
		return fail(s, "text ends early");
	if (*s->p == '"') {
		if (!string(s, &t))
			return false;
		note_string(s, &t);
		return true;
	}
	note_other(s);
	switch (*s->p) {
	case '{':
		return push(s, true);
	case '[':
		return push(s, false);
	case 't':
		return word(s, STR("true"));
	case 'f':
		return word(s, STR("false"));
	case 'n':
		return word(s, STR("null"));
	default:
		return number(s);
	}
}

static void note_name(struct scanner *s, struct str name)
{
	s->top = TOP_OTHER;
	if (str_eq(name, STR("@type")))
		s->top = TOP_TYPE;
	else if (str_eq(name, STR("id")))
		s->top = TOP_ID;
	else if (str_eq(name, STR("methodCalls")))
		s->top = TOP_CALLS;
}

/* "name": */
static bool name(struct scanner *s)
{
	struct text t;
	struct str n;

	if (s->p == s->end || *s->p != '"')
		return fail(s, "a name was due");
	if (!string(s, &t))
		return false;
	n = decoded(s, &t);
	if (!name_add(&s->at[s->depth - 1], hash_str(n)))
		return fail(s, "duplicate name");
	if (s->depth == 1)
		note_name(s, n);
	space(s);
	if (s->p == s->end || *s->p != ':')
		return fail(s, "a colon was due");
	s->p++;
	space(s);
	return true;
}

/* One step inside the innermost level: its end, or its next value. */
static bool step(struct scanner *s)
{
	struct level *l = &s->at[s->depth - 1];

	space(s);
	if (s->p == s->end)
		return fail(s, "text ends early");
	if (*s->p == (l->object ? '}' : ']')) {
		s->p++;
		pop(s);
		return true;
	}
	if (l->values > 0) {
		if (*s->p != ',')
			return fail(s, "a comma was due");
		s->p++;
		space(s);
	}
	l->values++;
	if (l->object && !name(s))
		return false;
	return value(s);
}

static bool whole(struct scanner *s)
{
	space(s);
	s->r->object = s->p < s->end && *s->p == '{';
	if (!value(s))
		return false;
	while (s->depth > 0)
		if (!step(s))
			return false;
	space(s);
	return s->p == s->end || fail(s, "bytes behind the end");
}

/* ---- the id of a broken text ------------------------------------------------- */

enum { LENIENT_DEPTH = 1024 };

struct lenient {
	char open[LENIENT_DEPTH];
	unsigned depth;
};

/* A closing bracket ends what stands open inside the one that it fits. */
static void close_to(struct lenient *l, char opener)
{
	for (unsigned i = l->depth; i > 0; i--) {
		if (l->open[i - 1] == opener) {
			l->depth = i - 1;
			return;
		}
	}
}

/* Behind the string that opens at p: its end, or the text's. */
static const char *string_end(const char *p, const char *end)
{
	for (p++; p < end; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		else if (*p == '"')
			return p + 1;
	}
	return end;
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* Is "id" with a whole, good string what stands at s->p? */
static bool id_member(struct scanner *s)
{
	struct scan ignore = {0};
	struct scanner sub = {.p = s->p,
		.end = s->end,
		.start = s->p,
		.arena = s->arena,
		.r = &ignore};
	struct text t;

	if (!string(&sub, &t) || !str_eq(decoded(&sub, &t), STR("id")))
		return false;
	sub.p = skip_space(sub.p, sub.end);
	if (sub.p == sub.end || *sub.p != ':')
		return false;
	sub.p = skip_space(sub.p + 1, sub.end);
	if (sub.p == sub.end || *sub.p != '"' || !string(&sub, &t) ||
		!id_fits(&t))
		return false;
	s->r->id = t.raw;
	return true;
}

static void find_id(struct scanner *s)
{
	struct lenient l = {0};

	for (s->p = s->start; s->p < s->end; s->p++) {
		char c = *s->p;

		if (c == '"') {
			if (l.depth == 1 && l.open[0] == '{' && id_member(s))
				return;
			s->p = string_end(s->p, s->end) - 1;
		} else if (c == '{' || c == '[') {
			if (l.depth == LENIENT_DEPTH)
				return;
			l.open[l.depth++] = c;
		} else if (c == '}') {
			close_to(&l, '{');
		} else if (c == ']') {
			close_to(&l, '[');
		}
	}
}

void scan_json(struct str text, struct arena *a, struct scan *r)
{
	struct level at[SCAN_DEPTH];
	struct scanner s = {.p = text.p,
		.end = text.p + text.n,
		.start = text.p,
		.arena = a,
		.r = r,
		.at = at};

	*r = (struct scan){0};
	r->valid = text.n > 0 ? whole(&s) : fail(&s, "text ends early");
	while (s.depth > 0)
		pop(&s);
	if (r->valid || r->id.p)
		return;
	r->id_bad = false;
	find_id(&s);
}
