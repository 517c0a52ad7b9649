/*
 * Requests against a real store in a temporary directory.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "conf/conf.h"
#include "core/base/clock.h"
#include "core/mime/mime.h"
#include "proto/jmap/engine.h"
#include "proto/jmap/ids.h"

#define CORE "urn:ietf:params:jmap:core"
#define MAIL "urn:ietf:params:jmap:mail"

struct fixture {
	char dir[64];
	struct store *store;
	struct account *account;
	struct jmap_call call;
	uint64_t id;
	char acc[32];
	unsigned writings;
	unsigned status;
	struct buf out;
	struct json_object *json;
	struct conf conf;
};

static struct fixture fx;

static inline void on_writing(struct jmap_call *c)
{
	(void)c;
	fx.writings++;
}

static inline void fx_limits(void)
{
	conf_swap(&fx.conf, false);
}

static inline int fx_open(void **state)
{
	struct err e = {0};
	static bool once;

	(void)state;
	if (!once) {
		rcu_register_thread();
		mime_setup();
		once = true;
	}
	memset(&fx, 0, sizeof(fx));
	conf_defaults(&fx.conf);
	fx_limits();
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/jmap-unit-XXXXXX");
	if (!mkdtemp(fx.dir) ||
		store_open(fx.dir, 8, NULL, &fx.store, &e) < 0 ||
		dir_add(fx.store, STR("alice@example.org"), STR_NONE, &fx.id,
			&e) < 0 ||
		account_get(fx.store, fx.id, &fx.account, &e) < 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	fx.call = (struct jmap_call){.store = fx.store,
		.account = fx.account,
		.account_no = fx.id,
		.user = "alice@example.org",
		.writable = true,
		.writing = on_writing};
	snprintf(fx.acc, sizeof(fx.acc), "%s", id_of('u', fx.id).z);
	return 0;
}

static inline void fx_clear(void)
{
	json_object_put(fx.json);
	fx.json = NULL;
	buf_fini(&fx.out);
}

static inline int fx_close(void **state)
{
	char cmd[128];

	(void)state;
	fx_clear();
	account_put(fx.account);
	store_close(fx.store);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.dir);
	return system(cmd);
}

static inline void fx_parse(void)
{
	struct json_tokener *t = json_tokener_new_ex(100);

	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	fx.json = json_tokener_parse_ex(t, fx.out.p, (int)fx.out.n);
	json_tokener_free(t);
	assert_non_null(fx.json);
}

/* Runs bytes as they are. */
static inline void run_raw(struct str text)
{
	fx_clear();
	fx.status = jmap_run(&fx.call, text, &fx.out);
	fx_parse();
}

/* ' becomes ", @ in quotes becomes the account's id. */
static inline void run_text(const char *text)
{
	struct buf b = {0};

	for (; *text; text++) {
		if (*text == '\'')
			buf_addc(&b, '"');
		else if (*text == '@' && text[-1] == '\'' && text[1] == '\'')
			buf_addz(&b, fx.acc);
		else
			buf_addc(&b, *text);
	}
	run_raw(buf_str(&b));
	buf_fini(&b);
}

/* Method calls with core and mail in "using". */
__attribute__((format(printf, 1, 2))) static inline void run_calls(
	const char *fmt, ...)
{
	struct buf b = {0};
	va_list ap;

	buf_addz(&b, "{'using':['" CORE "','" MAIL "'],'methodCalls':[");
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	buf_addz(&b, "]}");
	run_text(buf_z(&b));
	buf_fini(&b);
}

/*
 * The value at a path like "methodResponses/0/1/list/0/id"; fails when it is not
 * there. "~" in front of the path: NULL then.
 */
static inline struct json_object *at_(const char *path, bool must)
{
	struct json_object *o = fx.json;
	struct str p = str_of(path), t;

	while (str_cut(&p, '/', &t)) {
		char *key = str_dup(t);
		struct json_object *next = NULL;

		if (json_object_is_type(o, json_type_array))
			next = json_object_array_get_idx(
				o, strtoul(key, NULL, 10));
		else if (!json_object_object_get_ex(o, key, &next) && must)
			fail_msg(
				"no %s of %s in %s", key, path, buf_z(&fx.out));
		free(key);
		o = next;
	}
	return o;
}

static inline const char *text_at(const char *path)
{
	struct json_object *o = at_(path, true);

	return o ? json_object_get_string(o) : "null";
}

/* Below the arguments of the n-th response. */
static inline struct json_object *res(unsigned n, const char *path)
{
	char z[256];

	snprintf(z, sizeof(z), "methodResponses/%u/1%s%s", n, *path ? "/" : "",
		path);
	return at_(z, true);
}

static inline const char *res_text(unsigned n, const char *path)
{
	struct json_object *o = res(n, path);

	return o ? json_object_to_json_string_ext(
			   o, JSON_C_TO_STRING_PLAIN |
				      JSON_C_TO_STRING_NOSLASHESCAPE)
		 : "null";
}

static inline const char *res_str(unsigned n, const char *path)
{
	struct json_object *o = res(n, path);

	return o ? json_object_get_string(o) : "null";
}

static inline size_t res_len(unsigned n, const char *path)
{
	return json_object_array_length(res(n, path));
}

static inline const char *res_name(unsigned n)
{
	char z[64];

	snprintf(z, sizeof(z), "methodResponses/%u/0", n);
	return text_at(z);
}

static inline void assert_error(unsigned n, const char *type)
{
	if (strcmp(res_name(n), "error") != 0)
		fail_msg("no error: %s", buf_z(&fx.out));
	assert_string_equal(res_str(n, "type"), type);
}

static inline void assert_method(unsigned n, const char *name)
{
	if (strcmp(res_name(n), name) != 0)
		fail_msg("%s, not %s: %.400s", res_name(n), name,
			buf_z(&fx.out));
}

static inline void assert_problem(unsigned status, const char *type)
{
	char urn[128];

	snprintf(urn, sizeof(urn), "urn:ietf:params:jmap:error:%s", type);
	assert_int_equal(fx.status, status);
	assert_string_equal(text_at("type"), urn);
}

/* Delivers a message; lines end in \n here, CRLF there. */
static inline void deliver(const char *text, int64_t received_ms)
{
	struct buf raw = {0};
	struct err e = {0};
	struct tx *t;

	for (; *text; text++) {
		if (*text == '\n')
			buf_addc(&raw, '\r');
		buf_addc(&raw, *text);
	}
	assert_int_equal(tx_begin(fx.account, TX_WRITE, &t, &e), 0);
	if (jmap_deliver(t, buf_str(&raw), received_ms, &e) != 0 ||
		tx_commit(t, &e) != 0)
		fail_msg("%s", e.text);
	tx_end(t);
	buf_fini(&raw);
}

#define DAY0 1790000000000

static inline void deliver_n(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		char text[512];

		snprintf(text, sizeof(text),
			"From: Bob <bob@example.net>\n"
			"To: alice@example.org\n"
			"Subject: message %u\n"
			"Message-ID: <m%u@example.net>\n"
			"Date: Tue, 24 Nov 2026 06:08:49 +0100\n"
			"\n"
			"Body %u.\n",
			i, i, i);
		deliver(text, DAY0 + (int64_t)i * 1000);
	}
}
