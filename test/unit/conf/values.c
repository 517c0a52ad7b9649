/*
 * One value of each kind of option: what is taken, what is refused and how.
 */
#include "test/unit/conf/fixture.h"

static void test_number_of_each_unit(void **state)
{
	const struct conf *c = good(BASE "ws-client-timeout: 30\n"
					 "ws-throttle: 0\n"
					 "max-size-upload: 4294967295\n"
					 "store-threads: 3\n");

	assert_int_equal(c->ws_client_timeout, 30);
	assert_int_equal(c->ws_throttle, 0);
	assert_int_equal(c->max_size_upload, 4294967295);
	assert_int_equal(c->store_threads, 3);
}

static void test_quoted_number_is_a_number(void **state)
{
	assert_int_equal(good(BASE "ws-throttle: '20'\n")->ws_throttle, 20);
	assert_int_equal(good(BASE "\"ws-throttle\": \"7\"\n")->ws_throttle, 7);
}

static void test_number_must_be_plain_decimal(void **state)
{
	static const char *const no[] = {"10s", "0x10", "1_000", "-1", "+1",
		"1.5", "1e3", "010", "''", "ten", "' 10'",
		"18446744073709551616"};

	for (size_t i = 0; i < countof(no); i++) {
		char text[128];

		snprintf(text, sizeof(text), BASE "ws-throttle: %s\n", no[i]);
		parse(text);
		assert_int_equal(parsed.ret, -EINVAL);
		assert_non_null(strstr(parsed.e.text,
			"is not a plain decimal number; give 0 to 3600000 "
			"milliseconds"));
	}
	bad(BASE "ws-throttle: 10s\n",
		"t.conf:2:14: ws-throttle: \"10s\" is not a plain decimal "
		"number; give 0 to 3600000 milliseconds");
}

static void test_number_out_of_range(void **state)
{
	bad(BASE "ws-client-timeout: 86401\n",
		"t.conf:2:20: ws-client-timeout: 86401 is out of range; "
		"give 1 to 86400 seconds");
	bad(BASE "worker-pool-size: 65\n",
		"t.conf:2:19: worker-pool-size: 65 is out of range; "
		"give 0 to 64");
	bad(BASE "max-size-request: 1023\n",
		"t.conf:2:19: max-size-request: 1023 is out of range; "
		"give 1024 to 268435456 bytes");
}

static void test_number_at_its_bounds(void **state)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		char text[128];

		if (o->kind > CONF_COUNT)
			continue;
		/* The two that bind each other have a test of their own. */
		if (strncmp(o->key, "ws-client", 9) == 0 ||
			strncmp(o->key, "ws-heartbeat", 12) == 0)
			continue;
		snprintf(text, sizeof(text), BASE "%s: %llu\n", o->key,
			(unsigned long long)o->min);
		good(text);
		snprintf(text, sizeof(text), BASE "%s: %llu\n", o->key,
			(unsigned long long)o->max);
		good(text);
		snprintf(text, sizeof(text), BASE "%s: %llu\n", o->key,
			(unsigned long long)o->max + 1);
		parse(text);
		assert_int_equal(parsed.ret, -EINVAL);
	}
}

static void test_flag_words(void **state)
{
	static const char *const yes[] = {"yes", "true", "on", "Yes", "TRUE"};
	static const char *const no[] = {"no", "false", "off", "'no'"};
	char text[128];

	for (size_t i = 0; i < countof(yes); i++) {
		snprintf(text, sizeof(text), BASE "ws-echo: %s\n", yes[i]);
		assert_true(good(text)->ws_echo);
	}
	for (size_t i = 0; i < countof(no); i++) {
		snprintf(text, sizeof(text), BASE "ws-echo: %s\n", no[i]);
		assert_false(good(text)->ws_echo);
	}
}

static void test_flag_refuses_other_words(void **state)
{
	bad(BASE "ws-echo: 1\n",
		"t.conf:2:10: ws-echo: \"1\" is not a switch; give yes or no");
	bad(BASE "ws-echo:\n",
		"t.conf:2:9: ws-echo: \"\" is not a switch; give yes or no");
}

static void test_every_level(void **state)
{
	for (int i = 0; i < LOG_LEVELS; i++) {
		char text[128];

		snprintf(text, sizeof(text), BASE "log-level: %s\n",
			log_level_names[i]);
		assert_int_equal(good(text)->log_level, i);
	}
}

static void test_unknown_level(void **state)
{
	bad(BASE "log-level: warning\n",
		"t.conf:2:12: log-level: \"warning\" is not a level; "
		"give error, warn, info or debug");
}

static void test_text_in_quotes_and_without(void **state)
{
	assert_string_equal(good(BASE "user: mail\n")->user, "mail");
	assert_string_equal(good(BASE "user: 'ma il'\n")->user, "ma il");
	assert_string_equal(good(BASE "user: \"m\\x61il\"\n")->user, "mail");
}

static void test_text_needs_its_length(void **state)
{
	bad(BASE "user: ''\n", "t.conf:2:7: user must not be empty");
	bad(BASE "user: a23456789b123456789c123456789d12\n",
		"t.conf:2:7: user: \"a23456789b123456789c123456789d12...\" is "
		"too long; at most 31 bytes");
	assert_string_equal(
		good(BASE "user: a23456789b123456789c123456789d1\n")->user,
		"a23456789b123456789c123456789d1");
}

static void test_text_refuses_control_characters(void **state)
{
	bad(BASE "user: \"a\\0b\"\n",
		"t.conf:2:7: user: \"a\\x00b\" has a control character in it");
	bad(BASE "user: \"a\\nb\"\n",
		"t.conf:2:7: user: \"a\\x0ab\" has a control character in it");
}

static void test_path_must_be_absolute(void **state)
{
	bad(BASE "data-dir: mail/store\n",
		"t.conf:2:11: data-dir: \"mail/store\" is not an absolute "
		"path; start it with /");
	assert_string_equal(
		good(BASE "data-dir: /srv/m ail\n")->data_dir, "/srv/m ail");
}

static void test_path_may_be_empty_where_the_table_says_so(void **state)
{
	assert_string_equal(good(BASE "tls-cert:\n")->tls_cert, "");
	bad(BASE "run-dir:\n", "t.conf:2:9: run-dir must not be empty");
}

static void test_longest_path(void **state)
{
	char text[512], path[300];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[255] = '\0';
	snprintf(text, sizeof(text), BASE "data-dir: %s\n", path);
	assert_string_equal(good(text)->data_dir, path);
	path[255] = 'a';
	path[256] = '\0';
	snprintf(text, sizeof(text), BASE "data-dir: %s\n", path);
	parse(text);
	assert_int_equal(parsed.ret, -EINVAL);
	assert_non_null(strstr(parsed.e.text, "too long; at most 255 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_of_each_unit),
		cmocka_unit_test(test_quoted_number_is_a_number),
		cmocka_unit_test(test_number_must_be_plain_decimal),
		cmocka_unit_test(test_number_out_of_range),
		cmocka_unit_test(test_number_at_its_bounds),
		cmocka_unit_test(test_flag_words),
		cmocka_unit_test(test_flag_refuses_other_words),
		cmocka_unit_test(test_every_level),
		cmocka_unit_test(test_unknown_level),
		cmocka_unit_test(test_text_in_quotes_and_without),
		cmocka_unit_test(test_text_needs_its_length),
		cmocka_unit_test(test_text_refuses_control_characters),
		cmocka_unit_test(test_path_must_be_absolute),
		cmocka_unit_test(
			test_path_may_be_empty_where_the_table_says_so),
		cmocka_unit_test(test_longest_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
