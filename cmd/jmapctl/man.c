/*
 * What of the manual pages grows from tables, in mdoc(7): `jmapctl @man options`
 * and `jmapctl @man verbs`, for the Makefile.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/jmapctl/jmapctl.h"
#include "conf/conf.h"

#define WIDTH 76u

/* A hyphen that is typed is no hyphen of a word. */
static void literal(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '-' || s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i] == '\\' ? 'e' : s.p[i]);
	}
}

/* Lines of text, none of which begins as a request of mdoc does. */
static void sentence(struct buf *out, const char *text)
{
	struct str left = str_of(text), word;
	size_t used = 0;

	while (str_cut(&left, ' ', &word)) {
		bool request =
			word.n && (word.p[0] == '.' || word.p[0] == '\'');
		if (used > 0) {
			bool wrap = used + 1 + word.n > WIDTH && !request;
			buf_addc(out, wrap ? '\n' : ' ');
			used = wrap ? 0 : used + 1;
		} else if (request) {
			buf_addz(out, "\\&");
		}
		literal(out, word);
		used += word.n;
	}
}

/* ---- options -------------------------------------------------------------------- */

static void range(struct buf *out, const struct conf_option *o)
{
	switch (o->kind) {
	case CONF_SEC:
	case CONF_MSEC:
	case CONF_BYTES:
	case CONF_COUNT:
		buf_fmt(out, "%" PRIu64 " to %" PRIu64 "%s%s", o->min, o->max,
			*conf_unit(o->kind) ? " " : "", conf_unit(o->kind));
		break;
	case CONF_FLAG:
		buf_addz(out, "yes or no");
		break;
	case CONF_LEVEL:
		buf_addz(out, "error, warn, info or debug");
		break;
	case CONF_TEXT:
	case CONF_PATH:
		buf_fmt(out, "at most %" PRIu64 " bytes", o->max);
		break;
	case CONF_LISTEN:
		buf_fmt(out, "at most %" PRIu64 " lines", o->max);
		break;
	}
}

static const char *change_of(const struct conf_option *o)
{
	switch (o->applies) {
	case CONF_LIVE:
		return "A change takes effect at once.";
	case CONF_LISTENERS_ONLY:
		return "A change opens and closes listeners at once.";
	case CONF_RESTART:
		break;
	}
	return "A change needs a restart.";
}

static void option(struct buf *out, const struct conf_option *o)
{
	buf_addz(out, ".It Ic ");
	literal(out, str_of(o->key));
	buf_addc(out, '\n');
	sentence(out, o->text);
	buf_addz(out, "\n.Pp\nDefault: ");
	literal(out, str_of(o->def[0] ? o->def : "none"));
	buf_addz(out, "; ");
	range(out, o);
	buf_fmt(out, ".\n%s\n", change_of(o));
}

static void options(struct buf *out)
{
	for (size_t i = 0; i < conf_options_n; i++)
		option(out, &conf_options[i]);
}

/* ---- verbs ------------------------------------------------------------------------ */

/* A word of "ADDRESS [--mailbox NAME]" as macros. */
static void argument(struct buf *out, struct str w)
{
	bool open = w.n && w.p[0] == '[';
	bool close = w.n && w.p[w.n - 1] == ']';

	if (open)
		buf_addz(out, " Oo");
	w = str_n(w.p + open, w.n - open - close);
	if (str_starts(w, STR("-"))) {
		buf_addz(out, " Fl ");
		w = str_skip(w, 1);
	} else if (w.n) {
		buf_addz(out, isupper((unsigned char)w.p[0]) ? " Ar " : " Cm ");
	}
	literal(out, w);
	if (close)
		buf_addz(out, " Oc");
}

static void verb(struct buf *out, const char *words, const char *arguments,
	const char *help)
{
	struct str left = str_of(arguments), word;
	size_t at;

	buf_fmt(out, ".It Cm %s", words);
	while (str_cut(&left, ' ', &word))
		argument(out, word);
	buf_addc(out, '\n');
	at = out->n;
	sentence(out, help);
	out->p[at] = (char)toupper((unsigned char)out->p[at]);
	buf_addz(out, ".\n");
}

static void verbs(struct buf *out)
{
#define VERB(fn, words, args, where, secret, arguments, help) \
	verb(out, words, arguments, help);
#include "cmd/admin.def"
#undef VERB
}

int man_main(const char *table)
{
	struct buf out cleanup(buf_fini) = {0};

	if (!strcmp(table, "options"))
		options(&out);
	else if (!strcmp(table, "verbs"))
		verbs(&out);
	else
		return EXIT_USAGE;
	fwrite(out.p, 1, out.n, stdout);
	return EXIT_GOOD;
}
