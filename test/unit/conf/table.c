/*
 * What grows from the table: defaults, printing, comparing, keeping, the sample.
 */
#include <ctype.h>

#include "test/unit/conf/fixture.h"

static const char full[] =
	"listen: [\"[::]:443 tls\", \"0.0.0.0:80 plain\", \"unix:/l lmtp\"]\n"
	"jmap-url: https://mail.example.org:8443\n"
	"tls-cert: /c\"ert\ntls-key: '/k: #y'\ndata-dir: /d\nrun-dir: /r\n"
	"user: \"-x\"\nsandbox: no\nio-uring: no\nworker-pool-size: "
	"1\nstore-threads: 2\n"
	"log-level: debug\nws-client-timeout: 4\nws-heartbeat-interval: 3\n"
	"ws-throttle: 6\nws-echo: yes\nmax-size-upload: 7\n"
	"max-concurrent-upload: 8\nmax-size-request: 2000\n"
	"max-size-response: 70000\nmax-concurrent-requests: 9\n"
	"max-calls-in-request: 10\nmax-objects-in-get: 11\n"
	"max-objects-in-set: 12\nquery-max-results: 13\n"
	"changes-max-results: 14\nmax-size-message: 2001\nhash-threads: 15\n"
	"auth-cache: 16\nhttp-timeout: 17\nrequest-cpu-limit: 18\n"
	"upload-quota: 70000\nws-deflate: no\nws-deflate-memory: 21\n"
	"tls-ticket-lifetime: 19\n"
	"max-connections-per-account: 25\nmax-connections-per-address: 26\n"
	"event-source-throttle: 21\n"
	"ws-message-timeout: 20\n"
	"login-failures-per-address: 22\nlogin-failures-per-account: 23\n"
	"login-failure-window: 24\n";

static void test_defaults_that_the_documentation_fixes(void **state)
{
	struct conf c;

	conf_defaults(&c);
	assert_int_equal(c.ws_client_timeout, 10);
	assert_int_equal(c.ws_heartbeat_interval, 5);
	assert_int_equal(c.ws_throttle, 1000);
	assert_string_equal(
		conf_unit(option("ws-client-timeout")->kind), "seconds");
	assert_string_equal(
		conf_unit(option("ws-heartbeat-interval")->kind), "seconds");
	assert_string_equal(
		conf_unit(option("ws-throttle")->kind), "milliseconds");
	assert_string_equal(
		conf_unit(option("max-size-upload")->kind), "bytes");
	assert_string_equal(conf_unit(option("store-threads")->kind), "");
}

static void test_rows_are_well_formed(void **state)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];

		assert_true(o->min <= o->max);
		assert_true(o->offset + o->size <= sizeof(struct conf));
		assert_true(strlen(o->text) > 20);
		assert_int_equal(o->text[strlen(o->text) - 1], '.');
		for (const char *z = o->key; *z; z++)
			assert_true(islower((unsigned char)*z) || *z == '-');
		assert_ptr_equal(option(o->key), o);
	}
}

static void test_a_full_file_differs_everywhere(void **state)
{
	struct conf d;
	const struct conf *c = good(full);

	conf_defaults(&d);
	for (size_t i = 0; i < conf_options_n; i++) {
		if (!conf_differs(c, &d, &conf_options[i]))
			fail_msg("%s is its default", conf_options[i].key);
		assert_false(conf_differs(c, c, &conf_options[i]));
	}
}

static void test_what_is_printed_reads_back(void **state)
{
	struct conf c = *good(full);
	struct buf b = {0};

	for (size_t i = 0; i < conf_options_n; i++) {
		buf_fmt(&b, "%s: ", conf_options[i].key);
		conf_print(&c, &conf_options[i], &b);
		buf_addc(&b, '\n');
	}
	good(buf_z(&b));
	for (size_t i = 0; i < conf_options_n; i++)
		assert_false(conf_differs(&c, &parsed.c, &conf_options[i]));
	buf_fini(&b);
}

static void printed(const char *text, const char *key, const char *want)
{
	struct buf b = {0};

	conf_print(good(text), option(key), &b);
	assert_string_equal(buf_z(&b), want);
	buf_fini(&b);
}

static void test_print_each_kind(void **state)
{
	printed(BASE, "ws-throttle", "1000");
	printed(BASE, "ws-echo", "no");
	printed(BASE, "log-level", "info");
	printed(BASE, "jmap-url", "\"\"");
	printed(BASE "jmap-url: https://a.b:1\n", "jmap-url", "https://a.b:1");
	printed(BASE "user: 'a b'\n", "user", "\"a b\"");
	printed(BASE "user: '-'\n", "user", "\"-\"");
	printed(BASE "data-dir: '/a:'\n", "data-dir", "\"/a:\"");
	printed(full, "listen",
		"[\"[::]:443 tls\", \"0.0.0.0:80 plain\", \"unix:/l lmtp\"]");
}

static void test_listeners_differ_in_each_part(void **state)
{
	static const char *const other[] = {"listen: 127.0.0.1:81\n",
		"listen: 127.0.0.1:80 plain\n", "listen: 127.0.0.1:80 lmtp\n",
		"listen: 127.0.0.1:80 tls\ntls-cert: /c\ntls-key: /k\n",
		"listen: [127.0.0.1:80, unix:/a]\n"};
	struct conf a = *good("listen: 127.0.0.1:80\n");

	assert_false(conf_differs(
		&a, good("listen: [localhost:80]\n"), option("listen")));
	for (size_t i = 0; i < countof(other); i++)
		assert_true(conf_differs(&a, good(other[i]), option("listen")));
}

static void test_reload_keeps_what_needs_a_restart(void **state)
{
	struct conf now = *good(BASE);
	struct conf next = *good(full);
	size_t want = 0;

	for (size_t i = 0; i < conf_options_n; i++)
		want += conf_options[i].applies == CONF_RESTART;
	assert_int_equal(conf_keep_restart(&now, &next), want);
	assert_true(want > 3);
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		bool kept = o->applies == CONF_RESTART;

		assert_int_equal(conf_differs(&now, &next, o), !kept);
		assert_int_equal(conf_differs(&parsed.c, &next, o), kept);
	}
	assert_int_equal(conf_keep_restart(&now, &next), 0);
}

static void test_sample_is_the_shipped_file(void **state)
{
	struct buf sample = {0}, file = {0};
	FILE *f = fopen("conf/jmapd.conf", "r");

	assert_non_null(f);
	file.n = fread(buf_room(&file, 1 << 16), 1, 1 << 16, f);
	fclose(f);
	conf_sample(&sample);
	assert_string_equal(buf_z(&file), buf_z(&sample));
	buf_fini(&sample);
	buf_fini(&file);
}

static void test_sample_says_the_defaults(void **state)
{
	struct err e = {0};
	struct conf c, d;

	if (conf_load("conf/jmapd.conf", &c, &e) != 0)
		fail_msg("%s", e.text);
	conf_defaults(&d);
	for (size_t i = 0; i < conf_options_n; i++) {
		if (conf_options[i].kind != CONF_LISTEN)
			assert_false(conf_differs(&c, &d, &conf_options[i]));
	}
	assert_int_equal(c.listen.n, 2);
	assert_string_equal(c.listen.at[0].text, "127.0.0.1:8080");
	assert_int_equal(c.listen.at[0].proto, LISTEN_HTTP);
	assert_string_equal(c.listen.at[1].text, "127.0.0.1:24");
	assert_int_equal(c.listen.at[1].proto, LISTEN_LMTP);
}

/* Uncommented, the empty ones and the example are good configuration too. */
static void test_sample_names_every_option(void **state)
{
	struct buf sample = {0};
	char line[128];

	conf_sample(&sample);
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		bool listed = *o->def || o->kind == CONF_LISTEN;

		snprintf(line, sizeof(line), "\n%s%s:", listed ? "" : "#",
			o->key);
		if (!strstr(buf_z(&sample), line))
			fail_msg("the sample has no %s", o->key);
	}
	assert_non_null(strstr(buf_z(&sample), "#  - \"*:443 tls\""));
	buf_fini(&sample);
}

static void test_sample_keeps_to_80_columns(void **state)
{
	struct buf sample = {0};
	struct str left, line;

	conf_sample(&sample);
	left = buf_str(&sample);
	while (str_cut(&left, '\n', &line))
		assert_true(line.n <= 80);
	buf_fini(&sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_that_the_documentation_fixes),
		cmocka_unit_test(test_rows_are_well_formed),
		cmocka_unit_test(test_a_full_file_differs_everywhere),
		cmocka_unit_test(test_what_is_printed_reads_back),
		cmocka_unit_test(test_print_each_kind),
		cmocka_unit_test(test_listeners_differ_in_each_part),
		cmocka_unit_test(test_reload_keeps_what_needs_a_restart),
		cmocka_unit_test(test_sample_is_the_shipped_file),
		cmocka_unit_test(test_sample_says_the_defaults),
		cmocka_unit_test(test_sample_names_every_option),
		cmocka_unit_test(test_sample_keeps_to_80_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
