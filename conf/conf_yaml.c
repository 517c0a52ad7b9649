/*
 * The file: a flat YAML mapping of options, read from libyaml's events.
 *
 * A configuration needs little of YAML, and what it does not need only hides
 * mistakes: one document, scalars and lists of scalars; no anchors, aliases, tags
 * or nesting. Each option stands at most once. The first error ends the reading.
 */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "conf/reader.h"

#define FILE_MAX (1u << 20) /* bytes */
#define KEY_MAX 40	    /* bytes of a key that is compared with ours */

struct yaml {
	yaml_parser_t p;
	struct str text;
	struct conf_reader *r;
};

static void event_endp(yaml_event_t *ev)
{
	yaml_event_delete(ev);
}

static struct conf_mark mark_of(yaml_mark_t m)
{
	return (struct conf_mark){(unsigned)m.line + 1, (unsigned)m.column + 1};
}

int conf_bad(
	const struct conf_reader *r, struct conf_mark m, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(
		r->e, -EINVAL, "%s:%u:%u: %s", r->name, m.line, m.col, text);
}

/* Place of a byte that the reader could not decode: libyaml only counts. */
static struct conf_mark mark_at(struct str text, size_t offset)
{
	struct conf_mark m = {1, 1};

	for (size_t i = 0; i < offset && i < text.n; i++) {
		m.col++;
		if (text.p[i] == '\n')
			m = (struct conf_mark){m.line + 1, 1};
	}
	return m;
}

static int not_yaml(const struct yaml *y)
{
	const yaml_parser_t *p = &y->p;
	const char *what = p->problem ? p->problem : "it cannot be read";
	bool star = p->context && strstr(p->context, "alias");

	check(p->error != YAML_MEMORY_ERROR);
	if (p->error == YAML_READER_ERROR)
		return conf_bad(y->r, mark_at(y->text, p->problem_offset),
			"not YAML: %s", what);
	if (star)
		return conf_bad(y->r, mark_of(p->problem_mark),
			"not YAML: a value that starts with * or & "
			"needs quotes: \"*:443 tls\"");
	return conf_bad(y->r, mark_of(p->problem_mark), "not YAML: %s", what);
}

static int next(struct yaml *y, yaml_event_t *ev)
{
	if (!yaml_parser_parse(&y->p, ev))
		return not_yaml(y);
	return 0;
}

/* Anchors, aliases and tags, on whatever they stand. */
static int refuse_extras(const struct yaml *y, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return conf_bad(y->r, mark_of(ev->start_mark),
			"aliases are not used here; a value that "
			"starts with * needs quotes: \"*:443 tls\"");
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return conf_bad(y->r, mark_of(ev->start_mark),
			"anchors are not used here; a value that "
			"starts with & needs quotes");
	if (tag)
		return conf_bad(y->r, mark_of(ev->start_mark),
			"tags are not used here; a value that starts "
			"with ! needs quotes");
	return 0;
}

/* ASCII letters lower, _ as -: how a key is compared for likeness. */
static char fold(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '_' ? '-' : c;
}

/* Letters to add, drop or change to make b of a (Levenshtein). */
static size_t distance(struct str a, struct str b)
{
	size_t row[KEY_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 0; i < a.n; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < b.n; j++) {
			size_t above = row[j + 1];
			size_t change = diagonal + (fold(a.p[i]) != b.p[j]);
			size_t step = 1 + min_of(above, row[j]);

			row[j + 1] = min_of(change, step);
			diagonal = above;
		}
	}
	return row[b.n];
}

static int unknown_key(const struct yaml *y, struct conf_mark m, struct str key)
{
	const char *nearest = NULL;
	size_t least = 4; /* further away is another word */

	for (size_t i = 0; i < conf_options_n && key.n <= KEY_MAX; i++) {
		struct str ours = str_of(conf_options[i].key);
		size_t d;

		check(ours.n <= KEY_MAX);
		d = distance(key, ours);
		if (d < least && d * 2 <= key.n) {
			least = d;
			nearest = ours.p;
		}
	}
	if (nearest)
		return conf_bad(y->r, m, "unknown key \"%s\"; did you mean %s?",
			conf_quote(key).z, nearest);
	return conf_bad(y->r, m,
		"unknown key \"%s\"; jmapctl options names them all",
		conf_quote(key).z);
}

static int find_option(
	const struct yaml *y, struct conf_mark m, struct str key, size_t *i_r)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		if (!str_eq(key, str_of(conf_options[i].key)))
			continue;
		if (y->r->key[i].line)
			return conf_bad(y->r, m,
				"%s stands twice; it is in line %u "
				"already",
				conf_options[i].key, y->r->key[i].line);
		*i_r = i;
		return 0;
	}
	return unknown_key(y, m, key);
}

static int take_scalar(struct yaml *y, size_t i, const yaml_event_t *ev)
{
	const struct conf_option *o = &conf_options[i];
	struct conf_reader *r = y->r;
	struct conf_mark m = mark_of(ev->start_mark);
	struct err why = {0};
	uint32_t n = r->c.listen.n;

	if (conf_value_set(&r->c, o,
		    str_n(ev->data.scalar.value, ev->data.scalar.length),
		    &why) < 0)
		return conf_bad(r, m, "%s", why.text);
	if (o->kind == CONF_LISTEN)
		r->listener[n] = m;
	return 0;
}

static int no_nesting(const struct yaml *y, const struct conf_option *o,
	const yaml_event_t *ev)
{
	struct conf_mark m = mark_of(ev->start_mark);

	if (o->kind == CONF_LISTEN)
		return conf_bad(y->r, m,
			"%s: a listener is one text; if it starts "
			"with [ put quotes around it: \"[::1]:443 tls\"",
			o->key);
	return conf_bad(y->r, m, "%s takes one value, nothing nested", o->key);
}

static int take_list(struct yaml *y, size_t i)
{
	int ret;

	for (;;) {
		yaml_event_t ev cleanup(event_end) = {0};

		ret = next(y, &ev);
		if (ret == 0)
			ret = refuse_extras(y, &ev);
		if (ret < 0 || ev.type == YAML_SEQUENCE_END_EVENT)
			return ret;
		if (ev.type != YAML_SCALAR_EVENT)
			return no_nesting(y, &conf_options[i], &ev);
		ret = take_scalar(y, i, &ev);
		if (ret < 0)
			return ret;
	}
}

static int take_value(struct yaml *y, size_t i)
{
	yaml_event_t ev cleanup(event_end) = {0};
	const struct conf_option *o = &conf_options[i];
	int ret = next(y, &ev);

	if (ret == 0)
		ret = refuse_extras(y, &ev);
	if (ret < 0)
		return ret;
	y->r->value[i] = mark_of(ev.start_mark);
	if (ev.type == YAML_SCALAR_EVENT)
		return take_scalar(y, i, &ev);
	if (ev.type == YAML_SEQUENCE_START_EVENT && o->kind == CONF_LISTEN)
		return take_list(y, i);
	return no_nesting(y, o, &ev);
}

static int take_mapping(struct yaml *y)
{
	for (;;) {
		yaml_event_t ev cleanup(event_end) = {0};
		struct conf_mark m;
		size_t i = 0;
		int ret = next(y, &ev);

		if (ret == 0)
			ret = refuse_extras(y, &ev);
		if (ret < 0 || ev.type == YAML_MAPPING_END_EVENT)
			return ret;
		m = mark_of(ev.start_mark);
		if (ev.type != YAML_SCALAR_EVENT)
			return conf_bad(y->r, m, "a key is one word");
		ret = find_option(y, m,
			str_n(ev.data.scalar.value, ev.data.scalar.length), &i);
		if (ret < 0)
			return ret;
		y->r->key[i] = m;
		ret = take_value(y, i);
		if (ret < 0)
			return ret;
	}
}

/* "---" alone is a document of one empty scalar. */
static bool is_empty(const yaml_event_t *ev)
{
	return ev->type == YAML_SCALAR_EVENT && ev->data.scalar.length == 0 &&
	       ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int take_document(struct yaml *y)
{
	yaml_event_t ev cleanup(event_end) = {0};
	yaml_event_t end cleanup(event_end) = {0};
	int ret = next(y, &ev);

	if (ret == 0)
		ret = refuse_extras(y, &ev);
	if (ret < 0)
		return ret;
	if (ev.type == YAML_MAPPING_START_EVENT)
		ret = take_mapping(y);
	else if (!is_empty(&ev))
		ret = conf_bad(y->r, mark_of(ev.start_mark),
			"not a configuration; give lines of "
			"\"key: value\"");
	if (ret < 0)
		return ret;
	return next(y, &end); /* of the document */
}

static int take_stream(struct yaml *y)
{
	for (unsigned documents = 0;;) {
		yaml_event_t ev cleanup(event_end) = {0};
		int ret = next(y, &ev);

		if (ret < 0 || ev.type == YAML_STREAM_END_EVENT)
			return ret;
		if (ev.type != YAML_DOCUMENT_START_EVENT)
			continue; /* the stream's start */
		if (documents++ > 0)
			return conf_bad(y->r, mark_of(ev.start_mark),
				"a second document; a configuration is "
				"one, without ---");
		ret = take_document(y);
		if (ret < 0)
			return ret;
	}
}

int conf_parse(struct str yaml, const char *name, struct conf *c, struct err *e)
{
	struct conf_reader *r cleanup(free) = mem_new(sizeof(*r));
	struct yaml y = {.text = yaml, .r = r};
	int ret;

	r->name = name;
	r->e = e;
	conf_defaults(&r->c);
	check(yaml_parser_initialize(&y.p));
	yaml_parser_set_input_string(&y.p,
		(const unsigned char *)(yaml.n > 0 ? yaml.p : ""), yaml.n);
	ret = take_stream(&y);
	yaml_parser_delete(&y.p);
	if (ret == 0)
		ret = conf_check(r);
	if (ret == 0)
		*c = r->c;
	return ret;
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	for (;;) {
		ssize_t n = read(fd, buf_room(out, 4096), 4096);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read %s", path);
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		if (out->n > FILE_MAX)
			return err_set(e, -EFBIG,
				"%s is no configuration: over %u bytes", path,
				FILE_MAX);
	}
}

int conf_load(const char *path, struct conf *c, struct err *e)
{
	struct buf text cleanup(buf_fini) = {0};
	int ret = read_file(path, &text, e);

	if (ret < 0)
		return ret;
	return conf_parse(buf_str(&text), path, c, e);
}

const char *conf_library_version(void)
{
	static char text[48];

	snprintf(text, sizeof(text), "libyaml %s", yaml_get_version_string());
	return text;
}
