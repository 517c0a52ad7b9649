/*
 * What the files of conf/ share among themselves: a file on its way in, and the
 * values of its options. Nobody outside conf/ includes this.
 */
#pragma once

#include "conf/conf.h"

enum conf_id {
#define OPT(f, key, kind, def, lo, hi, applies, text) CONF_ID_##f,
#include "conf/options.def"
#undef OPT
	CONF_IDS,
};

/* Line and column from 1; a line of 0 means that the file does not say it. */
struct conf_mark {
	unsigned line, col;
};

struct conf_reader {
	const char *name; /* of the file, for errors */
	struct err *e;
	struct conf c;
	struct conf_mark key[CONF_IDS], value[CONF_IDS];
	struct conf_mark listener[CONF_LISTENERS];
};

/* Sets "NAME:LINE:COL: sentence"; returns -EINVAL. */
int conf_bad(const struct conf_reader *r, struct conf_mark m, const char *fmt,
	...) printf_like(3, 4);

/* What of s fits into a sentence, escaped. */
struct log_quoted conf_quote(struct str s);

/* What the options say about each other (conf_check.c). */
int conf_check(const struct conf_reader *r);

/* The field of o in c. */
void *conf_field(struct conf *c, const struct conf_option *o);
const void *conf_field_of(const struct conf *c, const struct conf_option *o);

/*
 * Reads one scalar into option o of c; for a list, adds one more item. e gets
 * the sentence without a place.
 */
int conf_value_set(struct conf *c, const struct conf_option *o, struct str v,
	struct err *e);

/*
 * "ADDRESS:PORT WORD..." or "unix:PATH WORD...". *l is made from scratch; its
 * text and addr are in one canonical form, so that equal ones compare equal.
 */
int conf_listener_parse(struct str s, struct conf_listener *l, struct err *e);
/* The text and its words, as conf_listener_parse() takes them. */
void conf_listener_print(const struct conf_listener *l, struct buf *out);
bool conf_listener_same_addr(
	const struct conf_listener *a, const struct conf_listener *b);
bool conf_listener_eq(
	const struct conf_listener *a, const struct conf_listener *b);
/* Loopback or unix: nobody outside this machine reaches it. */
bool conf_listener_local(const struct conf_listener *l);
