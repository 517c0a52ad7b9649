/*
 * The file as YAML: what of it is taken, and where an error is said to be.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/conf/fixture.h"

static void test_keys_comments_and_blank_lines(void **state)
{
	const struct conf *c = good("# mail\n"
				    "\n"
				    "listen: localhost:80   # one\n"
				    "ws-throttle: 50        # milliseconds\n"
				    "user: jm#d\n");

	assert_int_equal(c->listen.n, 1);
	assert_int_equal(c->ws_throttle, 50);
	assert_string_equal(c->user, "jm#d");
}

static void test_windows_line_ends(void **state)
{
	assert_int_equal(
		good("listen: 127.0.0.1:80\r\nws-throttle: 5\r\n")->ws_throttle,
		5);
}

static void test_last_line_without_newline(void **state)
{
	assert_int_equal(good(BASE "ws-throttle: 5")->ws_throttle, 5);
}

static void test_json_is_yaml(void **state)
{
	const struct conf *c =
		good("{\"listen\": [\"[::1]:80\"], \"ws-throttle\": 9}");

	assert_string_equal(c->listen.at[0].text, "[::1]:80");
	assert_int_equal(c->ws_throttle, 9);
}

static void test_what_the_file_leaves_out_is_default(void **state)
{
	struct conf d;
	const struct conf *c = good(BASE);

	conf_defaults(&d);
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];

		assert_int_equal(
			conf_differs(c, &d, o), o->kind == CONF_LISTEN);
	}
}

static void test_empty_file_has_no_listener(void **state)
{
	static const char sentence[] = "t.conf:1:1: no listener; add a line "
				       "such as listen: 127.0.0.1:8080";

	bad("", sentence);
	bad("# nothing\n", sentence);
	bad("---\n", sentence);
	bad("{}", sentence);
	bad("ws-throttle: 5\n", sentence);
	bad("listen: []\n", "t.conf:1:9: no listener; add a line such as "
			    "listen: 127.0.0.1:8080");
}

static void test_no_memory_is_an_empty_file(void **state)
{
	struct err e = {0};
	struct conf c;

	assert_int_equal(conf_parse(STR_NONE, "none", &c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no listener"));
}

static void test_unknown_key_names_the_nearest(void **state)
{
	bad(BASE "ws-trottle: 5\n", "t.conf:2:1: unknown key \"ws-trottle\"; "
				    "did you mean ws-throttle?");
	bad("lisen: 127.0.0.1:80\n",
		"t.conf:1:1: unknown key \"lisen\"; did you mean listen?");
	bad(BASE "Max_Size_Upload: 5\n",
		"t.conf:2:1: unknown key \"Max_Size_Upload\"; "
		"did you mean max-size-upload?");
	bad(BASE "throttle: 5\n", "t.conf:2:1: unknown key \"throttle\"; "
				  "did you mean ws-throttle?");
}

static void test_unknown_key_near_to_none(void **state)
{
	bad(BASE "colour: red\n", "t.conf:2:1: unknown key \"colour\"; "
				  "jmapctl options names them all");
	bad(BASE "q: 1\n", "t.conf:2:1: unknown key \"q\"; "
			   "jmapctl options names them all");
	bad(BASE "a-key-that-is-longer-than-any-key-that-there-ever-was: 1\n",
		"t.conf:2:1: unknown key "
		"\"a-key-that-is-longer-than-any-key-that-t\"; "
		"jmapctl options names them all");
}

static void test_duplicate_key(void **state)
{
	bad(BASE "ws-throttle: 5\nuser: a\nws-throttle: 5\n",
		"t.conf:4:1: ws-throttle stands twice; it is in line 2 "
		"already");
	bad(BASE BASE,
		"t.conf:2:1: listen stands twice; it is in line 1 already");
}

static void test_list_where_one_value_belongs(void **state)
{
	bad(BASE "user: [a, b]\n",
		"t.conf:2:7: user takes one value, nothing nested");
}

static void test_nested_mapping(void **state)
{
	bad(BASE "user:\n  name: a\n",
		"t.conf:3:3: user takes one value, nothing nested");
	bad("listen:\n  - a: b\n",
		"t.conf:2:5: listen: a listener is one text; if it starts "
		"with [ put quotes around it: \"[::1]:443 tls\"");
	bad("listen: {a: b}\n",
		"t.conf:1:9: listen: a listener is one text; if it starts "
		"with [ put quotes around it: \"[::1]:443 tls\"");
}

static void test_bracket_without_quotes(void **state)
{
	bad("listen:\n  - [a]\n",
		"t.conf:2:5: listen: a listener is one text; if it starts "
		"with [ put quotes around it: \"[::1]:443 tls\"");
}

static void test_star_without_quotes(void **state)
{
	bad("listen:\n  - *:443 tls\n",
		"t.conf:2:6: not YAML: a value that starts with * or & needs "
		"quotes: \"*:443 tls\"");
}

static void test_anchors_aliases_and_tags(void **state)
{
	bad(BASE "user: &a b\n",
		"t.conf:2:7: anchors are not used here; a value that starts "
		"with & needs quotes");
	bad(BASE "user: *a\n",
		"t.conf:2:7: aliases are not used here; a value that starts "
		"with * needs quotes: \"*:443 tls\"");
	bad(BASE "ws-throttle: !!int 5\n",
		"t.conf:2:14: tags are not used here; a value that starts "
		"with ! needs quotes");
	bad("&top\nlisten: 127.0.0.1:80\n",
		"t.conf:1:1: anchors are not used here; a value that starts "
		"with & needs quotes");
	bad("listen: &l [127.0.0.1:80]\n",
		"t.conf:1:9: anchors are not used here; a value that starts "
		"with & needs quotes");
	bad("listen: [!x 127.0.0.1:80]\n",
		"t.conf:1:10: tags are not used here; a value that starts "
		"with ! needs quotes");
	bad("&k listen: 127.0.0.1:80\n",
		"t.conf:1:1: anchors are not used here; a value that starts "
		"with & needs quotes");
}

static void test_key_that_is_no_word(void **state)
{
	bad("[a]: b\n", "t.conf:1:1: a key is one word");
	bad("? {a: b}\n: c\n", "t.conf:1:3: a key is one word");
}

static void test_second_document(void **state)
{
	bad(BASE "---\n" BASE,
		"t.conf:2:1: a second document; a configuration is one, "
		"without ---");
	good("---\n" BASE "...\n");
}

static void test_not_a_mapping(void **state)
{
	static const char sentence[] =
		"t.conf:1:1: not a configuration; give lines of "
		"\"key: value\"";

	bad("hello\n", sentence);
	bad("- a\n", sentence);
	bad("''\n", sentence);
}

static void test_broken_yaml(void **state)
{
	bad(BASE "user: 'a\n",
		"t.conf:3:1: not YAML: found unexpected end of stream");
	bad(BASE "\tuser: a\n",
		"t.conf:2:1: not YAML: found a tab character that violates "
		"indentation");
	bad("listen: [127.0.0.1:80\n",
		"t.conf:2:1: not YAML: did not find expected ',' or ']'");
}

static void test_bad_utf8_is_placed(void **state)
{
	parse(BASE "user: a\xff\n");
	assert_int_equal(parsed.ret, -EINVAL);
	assert_ptr_equal(
		strstr(parsed.e.text, "t.conf:2:8: not YAML: "), parsed.e.text);
}

/* Every beginning of a good file is taken or refused, and nothing else. */
static void test_every_prefix_ends(void **state)
{
	static const char text[] =
		"listen: [\"*:80 plain\", 'unix:/a lmtp']\n"
		"user: \"\\x61\"\nws-echo: no # x\ntls-cert: /a\n";
	unsigned taken = 0;

	for (size_t n = 0; n < sizeof(text); n++) {
		/* Exactly as much memory as there is text. */
		char *copy = mem_dup(text, n);
		struct err e = {0};
		struct conf c;
		int ret = conf_parse(str_n(copy, n), "t.conf", &c, &e);

		taken += ret == 0;
		assert_true(ret == 0 || ret == -EINVAL);
		assert_true((ret == 0) == (e.text[0] == '\0'));
		free(copy);
	}
	assert_true(taken > 10);
}

static void test_deep_nesting_is_refused_at_once(void **state)
{
	struct buf b = {0};
	struct err e = {0};
	struct conf c;

	buf_addz(&b, "listen: ");
	for (int i = 0; i < 100000; i++)
		buf_addc(&b, '[');
	assert_int_equal(conf_parse(buf_str(&b), "deep", &c, &e), -EINVAL);
	buf_fini(&b);
}

static void put_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void test_load_reads_a_file(void **state)
{
	char path[] = "/tmp/jmapd-conf-XXXXXX";
	struct err e = {0};
	struct conf c;
	char want[128];

	close(mkstemp(path));
	put_file(path, BASE "ws-throttle: 7\n", sizeof(BASE) + 14);
	assert_int_equal(conf_load(path, &c, &e), 0);
	assert_int_equal(c.ws_throttle, 7);
	put_file(path, BASE "ws-throttle: x\n", sizeof(BASE) + 14);
	assert_int_equal(conf_load(path, &c, &e), -EINVAL);
	snprintf(want, sizeof(want), "%s:2:14: ws-throttle: \"x\"", path);
	assert_ptr_equal(strstr(e.text, want), e.text);
	assert_int_equal(c.ws_throttle, 7);
	unlink(path);
}

static void test_load_of_what_cannot_be_read(void **state)
{
	struct err e = {0};
	struct conf c;

	assert_int_equal(conf_load("/nowhere/jmapd.conf", &c, &e), -ENOENT);
	assert_string_equal(
		e.text, "open /nowhere/jmapd.conf: No such file or directory");
	assert_int_equal(conf_load("/tmp", &c, &e), -EISDIR);
	assert_string_equal(e.text, "read /tmp: Is a directory");
	assert_int_equal(conf_load("/dev/zero", &c, &e), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_comments_and_blank_lines),
		cmocka_unit_test(test_windows_line_ends),
		cmocka_unit_test(test_last_line_without_newline),
		cmocka_unit_test(test_json_is_yaml),
		cmocka_unit_test(test_what_the_file_leaves_out_is_default),
		cmocka_unit_test(test_empty_file_has_no_listener),
		cmocka_unit_test(test_no_memory_is_an_empty_file),
		cmocka_unit_test(test_unknown_key_names_the_nearest),
		cmocka_unit_test(test_unknown_key_near_to_none),
		cmocka_unit_test(test_duplicate_key),
		cmocka_unit_test(test_list_where_one_value_belongs),
		cmocka_unit_test(test_nested_mapping),
		cmocka_unit_test(test_bracket_without_quotes),
		cmocka_unit_test(test_star_without_quotes),
		cmocka_unit_test(test_anchors_aliases_and_tags),
		cmocka_unit_test(test_key_that_is_no_word),
		cmocka_unit_test(test_second_document),
		cmocka_unit_test(test_not_a_mapping),
		cmocka_unit_test(test_broken_yaml),
		cmocka_unit_test(test_bad_utf8_is_placed),
		cmocka_unit_test(test_every_prefix_ends),
		cmocka_unit_test(test_deep_nesting_is_refused_at_once),
		cmocka_unit_test(test_load_reads_a_file),
		cmocka_unit_test(test_load_of_what_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
