/*
 * What the tests of conf/ share: a text parsed, and what came of it.
 */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"

/* A file that is whole with any one more line. */
#define BASE "listen: 127.0.0.1:8080\n"

struct parsed {
	struct conf c;
	struct err e;
	int ret;
};

static struct parsed parsed;

/* The text as file "t.conf"; parsed is the outcome until the next call. */
static inline const struct conf *parse(const char *text)
{
	memset(&parsed, 0, sizeof(parsed));
	parsed.ret = conf_parse(str_of(text), "t.conf", &parsed.c, &parsed.e);
	return &parsed.c;
}

static inline const struct conf *good(const char *text)
{
	parse(text);
	if (parsed.ret != 0)
		fail_msg("%s", parsed.e.text);
	return &parsed.c;
}

/* text must be refused with just this sentence. */
static inline void bad(const char *text, const char *sentence)
{
	static const struct conf untouched;

	parse(text);
	assert_string_equal(parsed.e.text, sentence);
	assert_int_equal(parsed.ret, -EINVAL);
	assert_int_equal(parsed.e.code, -EINVAL);
	assert_memory_equal(&parsed.c, &untouched, sizeof(untouched));
}

static inline const struct conf_option *option(const char *key)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		if (strcmp(conf_options[i].key, key) == 0)
			return &conf_options[i];
	}
	fail_msg("no option %s", key);
	return NULL;
}
