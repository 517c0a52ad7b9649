/*
 * One value of one option: text in, field of struct conf out, and back. What a
 * value may look like is the same in the file and in options.def.
 */
#include "conf/reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/jw.h"

static const struct {
	const char *word;
	bool value;
} flags[] = {
	{"yes", true},
	{"no", false},
	{"true", true},
	{"false", false},
	{"on", true},
	{"off", false},
};

struct log_quoted conf_quote(struct str s)
{
	s.n = min_of(s.n, (size_t)40);
	return log_quote(s);
}

static int number_set(
	const struct conf_option *o, struct str v, uint64_t *out, struct err *e)
{
	const char *unit = conf_unit(o->kind);
	uint64_t n;

	/* "010" is eight to YAML 1.1 and ten to people. */
	if ((v.n > 1 && v.p[0] == '0') || !str_u64(v, &n))
		return err_set(e, -EINVAL,
			"%s: \"%s\" is not a plain decimal number; "
			"give %" PRIu64 " to %" PRIu64 "%s%s",
			o->key, conf_quote(v).z, o->min, o->max,
			*unit ? " " : "", unit);
	if (n < o->min || n > o->max)
		return err_set(e, -EINVAL,
			"%s: %" PRIu64 " is out of range; "
			"give %" PRIu64 " to %" PRIu64 "%s%s",
			o->key, n, o->min, o->max, *unit ? " " : "", unit);
	*out = n;
	return 0;
}

static int flag_set(
	const struct conf_option *o, struct str v, bool *out, struct err *e)
{
	for (size_t i = 0; i < countof(flags); i++) {
		if (str_ieq(v, str_of(flags[i].word))) {
			*out = flags[i].value;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "%s: \"%s\" is not a switch; give yes or no",
		o->key, conf_quote(v).z);
}

static int level_set(const struct conf_option *o, struct str v,
	enum log_level *out, struct err *e)
{
	for (int i = 0; i < LOG_LEVELS; i++) {
		if (str_eq(v, str_of(log_level_names[i]))) {
			*out = (enum log_level)i;
			return 0;
		}
	}
	return err_set(e, -EINVAL,
		"%s: \"%s\" is not a level; "
		"give error, warn, info or debug",
		o->key, conf_quote(v).z);
}

static int text_set(
	const struct conf_option *o, struct str v, char *out, struct err *e)
{
	for (size_t i = 0; i < v.n; i++) {
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return err_set(e, -EINVAL,
				"%s: \"%s\" has a control character "
				"in it",
				o->key, conf_quote(v).z);
	}
	if (v.n < o->min)
		return err_set(e, -EINVAL, "%s must not be empty", o->key);
	if (v.n > o->max)
		return err_set(e, -EINVAL,
			"%s: \"%s...\" is too long; at most %" PRIu64 " bytes",
			o->key, conf_quote(v).z, o->max);
	memset(out, 0, o->size);
	memcpy(out, v.p, v.n);
	return 0;
}

static int path_set(
	const struct conf_option *o, struct str v, char *out, struct err *e)
{
	if (v.n > 0 && v.p[0] != '/')
		return err_set(e, -EINVAL,
			"%s: \"%s\" is not an absolute path; "
			"start it with /",
			o->key, conf_quote(v).z);
	return text_set(o, v, out, e);
}

static int listen_add(const struct conf_option *o, struct str v,
	struct conf_listeners *out, struct err *e)
{
	int ret;

	if (out->n >= o->max)
		return err_set(e, -EINVAL,
			"%s: too many listeners; at most %" PRIu64, o->key,
			o->max);
	ret = conf_listener_parse(v, &out->at[out->n], e);
	if (ret < 0)
		return err_add(e, "%s", o->key);
	out->n++;
	return 0;
}

int conf_value_set(struct conf *c, const struct conf_option *o, struct str v,
	struct err *e)
{
	void *field = conf_field(c, o);

	switch (o->kind) {
	case CONF_SEC:
	case CONF_MSEC:
	case CONF_BYTES:
	case CONF_COUNT:
		return number_set(o, v, field, e);
	case CONF_FLAG:
		return flag_set(o, v, field, e);
	case CONF_TEXT:
		return text_set(o, v, field, e);
	case CONF_PATH:
		return path_set(o, v, field, e);
	case CONF_LEVEL:
		return level_set(o, v, field, e);
	case CONF_LISTEN:
		return listen_add(o, v, field, e);
	}
	check(!"a kind without a reader");
	return -EINVAL;
}

/* Text that YAML reads as itself without quotes. */
static bool is_plain(struct str s)
{
	if (s.n == 0 || s.p[s.n - 1] == ':')
		return false;
	if (memchr("-._:@%+", s.p[0], 7))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || memchr("-._:@%+/", c, 8)))
			return false;
	}
	return true;
}

static void text_print(const char *z, struct buf *out)
{
	if (is_plain(str_of(z)))
		buf_addz(out, z);
	else
		json_quote(out, str_of(z)); /* YAML 1.2 7.3.1 holds JSON's */
}

static void listeners_print(const struct conf_listeners *l, struct buf *out)
{
	buf_addc(out, '[');
	for (uint32_t i = 0; i < l->n; i++) {
		struct buf one cleanup(buf_fini) = {0};

		conf_listener_print(&l->at[i], &one);
		if (i > 0)
			buf_addz(out, ", ");
		json_quote(out, buf_str(&one));
	}
	buf_addc(out, ']');
}

void conf_print(
	const struct conf *c, const struct conf_option *o, struct buf *out)
{
	const void *field = conf_field_of(c, o);

	switch (o->kind) {
	case CONF_SEC:
	case CONF_MSEC:
	case CONF_BYTES:
	case CONF_COUNT:
		buf_u64(out, *(const uint64_t *)field);
		break;
	case CONF_FLAG:
		buf_addz(out, *(const bool *)field ? "yes" : "no");
		break;
	case CONF_TEXT:
	case CONF_PATH:
		text_print(field, out);
		break;
	case CONF_LEVEL:
		buf_addz(out, log_level_names[*(const enum log_level *)field]);
		break;
	case CONF_LISTEN:
		listeners_print(field, out);
		break;
	}
}
