/*
 * The table of options, and what grows from it: defaults, comparison, what a
 * reload keeps.
 */
#include "conf/conf.h"

#include <string.h>

#include "conf/reader.h"
#include "core/base/log.h"

/* CONF_LISTENERS is a number too, so the words need names of their own. */
#define APPLIES_LIVE CONF_LIVE
#define APPLIES_LISTENERS CONF_LISTENERS_ONLY
#define APPLIES_RESTART CONF_RESTART

const struct conf_option conf_options[] = {
#define OPT(f, k, knd, dflt, lo, hi, when, sentence)      \
	{                                                 \
		.key = k,                                 \
		.kind = CONF_##knd,                       \
		.def = dflt,                              \
		.min = lo,                                \
		.max = hi,                                \
		.applies = APPLIES_##when,                \
		.text = sentence,                         \
		.offset = offsetof(struct conf, f),       \
		.size = sizeof(((struct conf *)NULL)->f), \
	},
#include "conf/options.def"
#undef OPT
};
const size_t conf_options_n = countof(conf_options);

const char *conf_unit(enum conf_kind k)
{
	switch (k) {
	case CONF_SEC:
		return "seconds";
	case CONF_MSEC:
		return "milliseconds";
	case CONF_BYTES:
		return "bytes";
	default:
		return "";
	}
}

void *conf_field(struct conf *c, const struct conf_option *o)
{
	return (char *)c + o->offset;
}

const void *conf_field_of(const struct conf *c, const struct conf_option *o)
{
	return (const char *)c + o->offset;
}

void conf_defaults(struct conf *c)
{
	/* Padding too: the struct travels to other processes as it is. */
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];

		if (o->kind == CONF_LISTEN)
			continue; /* an empty list */
		check(conf_value_set(c, o, str_of(o->def), NULL) == 0);
	}
}

static bool listeners_differ(
	const struct conf_listeners *a, const struct conf_listeners *b)
{
	if (a->n != b->n)
		return true;
	for (uint32_t i = 0; i < a->n; i++) {
		if (!conf_listener_eq(&a->at[i], &b->at[i]))
			return true;
	}
	return false;
}

bool conf_differs(
	const struct conf *a, const struct conf *b, const struct conf_option *o)
{
	const void *fa = conf_field_of(a, o), *fb = conf_field_of(b, o);

	switch (o->kind) {
	case CONF_TEXT:
	case CONF_PATH:
		return strcmp(fa, fb) != 0;
	case CONF_LISTEN:
		return listeners_differ(fa, fb);
	default:
		return memcmp(fa, fb, o->size) != 0;
	}
}

size_t conf_keep_restart(const struct conf *now, struct conf *next)
{
	size_t kept = 0;

	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		struct buf was cleanup(buf_fini) = {0};
		struct buf wanted cleanup(buf_fini) = {0};

		if (o->applies != CONF_RESTART || !conf_differs(now, next, o))
			continue;
		conf_print(now, o, &was);
		conf_print(next, o, &wanted);
		log_warn("conf %s=%s stays until a restart, the file says %s",
			o->key, buf_z(&was), buf_z(&wanted));
		memcpy(conf_field(next, o), conf_field_of(now, o), o->size);
		kept++;
	}
	return kept;
}
