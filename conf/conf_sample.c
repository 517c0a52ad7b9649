/*
 * The sample file, conf/jmapd.conf: written from the table, so that what it says
 * of units, ranges and defaults is what the code does.
 */
#include "conf/conf.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH 76u      /* columns of a comment's text */
#define VALUE_WIDTH 34 /* of "key: value" before its comment */

static const char head[] =
	"# The configuration of jmapd: \"key: value  # comment\", in "
	"YAML.\n"
	"#\n"
	"# Every option stands here with its default. `jmapd -t -c "
	"FILE` checks a\n"
	"# file; SIGHUP or `jmapctl reload` makes a running jmapd read "
	"it again, and\n"
	"# drops no connection. A file with an error changes nothing.\n";

static const char listen_example[] =
	"# tls makes it HTTPS, lmtp takes deliveries, plain allows HTTP "
	"without "
	"TLS\n"
	"# where other machines can reach it. What starts with * or [ needs "
	"quotes.\n"
	"listen:\n"
	"  - 127.0.0.1:8080\n"
	"  - 127.0.0.1:24 lmtp\n"
	"#  - \"*:443 tls\"                 # needs tls-cert and tls-key\n";

/* A sentence as comment lines. */
static void comment(struct buf *out, const char *text)
{
	struct str left = str_of(text), word;
	size_t used = 0;

	while (str_cut(&left, ' ', &word)) {
		if (used > 0 && used + 1 + word.n > WIDTH) {
			buf_addc(out, '\n');
			used = 0;
		}
		buf_addz(out, used == 0 ? "# " : " ");
		used += word.n + (used > 0);
		buf_adds(out, word);
	}
	buf_addc(out, '\n');
}

/* What may stand there, and what a change of it needs. */
static void notes(struct buf *out, const struct conf_option *o)
{
	const char *unit = conf_unit(o->kind);

	switch (o->kind) {
	case CONF_SEC:
	case CONF_MSEC:
	case CONF_BYTES:
	case CONF_COUNT:
		buf_fmt(out, "%s%s%" PRIu64 " to %" PRIu64, unit,
			*unit ? ", " : "", o->min, o->max);
		break;
	case CONF_FLAG:
		buf_addz(out, "yes or no");
		break;
	default:
		break;
	}
	if (o->applies == CONF_RESTART)
		buf_fmt(out, "%sneeds a restart", out->n > 0 ? "; " : "");
}

static void option(
	struct buf *out, const struct conf *c, const struct conf_option *o)
{
	struct buf line cleanup(buf_fini) = {0};
	struct buf note cleanup(buf_fini) = {0};

	buf_fmt(&line, "%s%s: ", *o->def ? "" : "#", o->key);
	conf_print(c, o, &line);
	notes(&note, o);
	if (note.n > 0)
		buf_fmt(out, "%-*s # %s\n", VALUE_WIDTH, buf_z(&line),
			buf_z(&note));
	else
		buf_fmt(out, "%s\n", buf_z(&line));
}

void conf_sample(struct buf *out)
{
	struct conf *c cleanup(free) = mem_new(sizeof(*c));

	conf_defaults(c);
	buf_addz(out, head);
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];

		buf_addc(out, '\n');
		comment(out, o->text);
		if (o->kind == CONF_LISTEN)
			buf_addz(out, listen_example);
		else
			option(out, c, o);
	}
}
