/*
 * The I-JSON scanner: what is valid, what is not, and what it finds on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "proto/jmap/scan.h"

struct row {
	const char *text;
	const char *why; /* NULL: valid */
};

static const struct row rows[] = {
	{"{}", NULL},
	{"[]", NULL},
	{" \t\r\n[ ] \n", NULL},
	{"null", NULL},
	{"true", NULL},
	{"false", NULL},
	{"\"\"", NULL},
	{"0", NULL},
	{"-0", NULL},
	{"12", NULL},
	{"-1.5e+10", NULL},
	{"1E5", NULL},
	{"0.5", NULL},
	{"{\"a\":1,\"b\":[{\"a\":2},{\"a\":3}]}", NULL},
	{"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"]", NULL},
	{"[\"\\ud83d\\ude00\"]", NULL},
	{"[\"\xf0\x9f\x98\x80 \xe2\x82\xac \xc3\xa9\"]", NULL},
	{"[\"\x7f\"]", NULL},
	{"{\"\":1}", NULL},
	{"{\"a\\u0000\":1,\"a\":2}", NULL},

	{"", "text ends early"},
	{" ", "text ends early"},
	{"{", "text ends early"},
	{"[1", "text ends early"},
	{"[1,", "text ends early"},
	{"[1,]", "bad number"},
	{"[,1]", "bad number"},
	{"[1 2]", "a comma was due"},
	{"{\"a\":1,}", "a name was due"},
	{"{\"a\" 1}", "a colon was due"},
	{"{\"a\":}", "bad number"},
	{"{a:1}", "a name was due"},
	{"{'a':1}", "a name was due"},
	{"{1:1}", "a name was due"},
	{"{}x", "bytes behind the end"},
	{"{} {}", "bytes behind the end"},
	{"[}", "bad number"},
	{"{]", "a name was due"},
	{"01", "bytes behind the end"},
	{"[01]", "a comma was due"},
	{"+1", "bad number"},
	{"-", "bad number"},
	{"1.", "bad number"},
	{".5", "bad number"},
	{"1e", "bad number"},
	{"1e+", "bad number"},
	{"0x10", "bytes behind the end"},
	{"NaN", "bad number"},
	{"Infinity", "bad number"},
	{"-Infinity", "bad number"},
	{"nul", "no such value"},
	{"True", "bad number"},
	{"tru", "no such value"},
	{"/* c */ 1", "bad number"},
	{"\xef\xbb\xbf{}", "bad number"},
	{"\"", "string without an end"},
	{"\"abc", "string without an end"},
	{"\"abcdefghijk\\", "string without an end"},
	{"\"a\nb\"", "control character in a string"},
	{"\"\x01\"", "control character in a string"},
	{"\"abcdefgh\tijk\"", "control character in a string"},
	{"\"\\x41\"", "bad escape"},
	{"\"\\u12g4\"", "bad escape"},
	{"\"\\u12", "bad escape"},
	{"\"\\'\"", "bad escape"},
	{"\"\\ud800\"", "lone surrogate"},
	{"\"\\udc00\"", "lone surrogate"},
	{"\"\\ud800\\ud800\"", "lone surrogate"},
	{"\"\\ud800x\\udc00\"", "lone surrogate"},
	{"\"\\ude00\\ud83d\"", "lone surrogate"},
	{"\"\\uffff\"", "noncharacter"},
	{"\"\\ufdd0\"", "noncharacter"},
	{"\"\\ud83f\\udfff\"", "noncharacter"},
	{"\"\xef\xbf\xbf\"", "noncharacter"},
	{"\"\xef\xb7\x90\"", "noncharacter"},
	{"\"\xff\"", "not UTF-8"},
	{"\"\xc0\x80\"", "not UTF-8"},
	{"\"\xed\xa0\x80\"", "not UTF-8"},
	{"\"\xf4\x90\x80\x80\"", "not UTF-8"},
	{"\"\xc3\"", "not UTF-8"},
	{"\"\xe2\x82", "not UTF-8"},
	{"{\"a\":1,\"a\":2}", "duplicate name"},
	{"{\"a\":1,\"\\u0061\":2}", "duplicate name"},
	{"{\"\\u00e9\":1,\"\xc3\xa9\":2}", "duplicate name"},
	{"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", "duplicate name"},
	{"{\"\":1,\"\":2}", "duplicate name"},
	{"[{\"x\":{\"y\":1,\"z\":2,\"y\":3}}]", "duplicate name"},
};

static struct scan scan(struct str text)
{
	struct arena a = {0};
	struct scan r;
	/* Of its own size exactly, for the sanitizer to see a step beyond. */
	char *copy = mem_dup(text.p, text.n + !text.n);

	scan_json(str_n(copy, text.n), &a, &r);
	if (r.id.p) {
		size_t at = (size_t)(r.id.p - copy);

		r.id.p = text.p + at;
	}
	free(copy);
	arena_fini(&a);
	return r;
}

static void test_table(void **state)
{
	for (size_t i = 0; i < countof(rows); i++) {
		struct scan r = scan(str_of(rows[i].text));

		if (r.valid != !rows[i].why)
			fail_msg("%s: valid %d", rows[i].text, r.valid);
		if (rows[i].why && strcmp(r.why, rows[i].why) != 0)
			fail_msg("%s: %s", rows[i].text, r.why);
	}
}

static void test_every_cut_of_a_valid_text_is_invalid(void **state)
{
	struct str text =
		STR("{\"@type\":\"Request\",\"id\":\"R\\u0031\","
		    "\"a\":[1.5e3,-0,true,false,null,{\"b\":\"\xc3\xa9"
		    "\"}]}");

	assert_true(scan(text).valid);
	for (size_t n = 0; n < text.n; n++)
		assert_false(scan(str_n(text.p, n)).valid);
}

static void test_depth_of_64_passes_and_65_does_not(void **state)
{
	for (int depth = 64; depth <= 65; depth++) {
		struct buf b = {0};
		struct scan r;

		for (int i = 0; i < depth; i++)
			buf_addz(&b, i % 2 ? "{\"a\":" : "[");
		buf_addc(&b, '1');
		for (int i = depth - 1; i >= 0; i--)
			buf_addc(&b, i % 2 ? '}' : ']');
		r = scan(buf_str(&b));
		assert_int_equal(r.valid, depth == 64);
		if (depth == 65)
			assert_string_equal(r.why, "nested too deeply");
		buf_fini(&b);
	}
}

static void many_names(struct buf *b, unsigned n, unsigned last)
{
	buf_addc(b, '{');
	for (unsigned i = 0; i < n; i++)
		buf_fmt(b, "\"k%u\":0,", i);
	buf_fmt(b, "\"k%u\":0}", last);
}

static void test_duplicate_among_many_names_is_found(void **state)
{
	static const unsigned sizes[] = {1, 11, 12, 13, 31, 32, 33, 100, 20000};

	for (size_t i = 0; i < countof(sizes); i++) {
		struct buf b = {0};

		many_names(&b, sizes[i], sizes[i]);
		assert_true(scan(buf_str(&b)).valid);
		buf_reset(&b);
		many_names(&b, sizes[i], sizes[i] / 2);
		assert_string_equal(scan(buf_str(&b)).why, "duplicate name");
		buf_fini(&b);
	}
}

/* A million names in one object: quadratic work would not end here. */
static void test_a_million_names_are_no_problem(void **state)
{
	struct buf b = {0};

	many_names(&b, 1000000, 1000000);
	assert_true(scan(buf_str(&b)).valid);
	buf_fini(&b);
}

static void test_fault_is_placed(void **state)
{
	assert_int_equal(scan(STR("{\"a\":1,x}")).at, 7);
}

/* ---- what it finds ------------------------------------------------------------ */

struct found {
	const char *text;
	enum scan_kind kind;
	const char *id; /* NULL: none */
	bool id_bad, writes;
};

static const struct found founds[] = {
	{"{\"@type\":\"Request\",\"id\":\"R1\"}", SCAN_REQUEST, "\"R1\""},
	{"{\"id\":\"\",\"@type\":\"WebSocketPushEnable\"}", SCAN_PUSH_ENABLE,
		"\"\""},
	{"{\"\\u0040type\":\"WebSocket\\u0050ushDisable\"}", SCAN_PUSH_DISABLE},
	{"{\"@type\":\"Response\"}", SCAN_OTHER},
	{"{\"@type\":7}", SCAN_OTHER},
	{"{\"using\":[]}", SCAN_NONE},
	{"{\"a\":{\"id\":\"x\",\"@type\":\"Request\"}}", SCAN_NONE},
	{"{\"\\u0069d\":\"R\\\"2\"}", SCAN_NONE, "\"R\\\"2\""},
	{"{\"id\":1}", SCAN_NONE, NULL, true},
	{"{\"id\":null}", SCAN_NONE, NULL, true},
	{"{\"id\":[\"a\"]}", SCAN_NONE, NULL, true},
	{"{\"methodCalls\":[[\"Email/get\",{},\"0\"]]}", SCAN_NONE},
	{"{\"methodCalls\":[[\"Email/set\",{},\"0\"]]}", SCAN_NONE, NULL, false,
		true},
	{"{\"methodCalls\":[[\"Email/get\",{},\"0\"],[\"Mailbox\\/s\\u0065t\","
	 "{},\"0\"]]}",
		SCAN_NONE, NULL, false, true},
	{"{\"method\\u0043alls\":[[\"Email/set\",{},\"0\"]]}", SCAN_NONE, NULL,
		false, true},
	{"{\"methodCalls\":[[\"Core/echo\",{},\"Email/set\"]]}", SCAN_NONE},
	{"{\"methodCalls\":[[\"Core/echo\",[\"Email/set\"],\"\"]]}", SCAN_NONE},
	{"{\"other\":[[\"Email/set\",{},\"\"]]}", SCAN_NONE},
};

static void check_id(const char *text, struct scan r, const char *id)
{
	if (!id && r.id.p)
		fail_msg("%s: id %.*s", text, STR_ARG(r.id));
	if (id && !str_eq(r.id, str_of(id)))
		fail_msg("%s: id %.*s", text, STR_ARG(r.id));
}

static void test_kind_id_and_writes_are_found(void **state)
{
	for (size_t i = 0; i < countof(founds); i++) {
		const struct found *f = &founds[i];
		struct scan r = scan(str_of(f->text));

		assert_true(r.valid && r.object);
		check_id(f->text, r, f->id);
		if (r.kind != f->kind || r.id_bad != f->id_bad ||
			r.writes != f->writes)
			fail_msg("%s: kind %d bad %d writes %d", f->text,
				r.kind, r.id_bad, r.writes);
	}
}

static void test_id_of_256_characters_passes_and_257_do_not(void **state)
{
	for (int n = 256; n <= 257; n++) {
		struct buf b = {0};
		struct scan r;

		buf_addz(&b, "{\"id\":\"");
		for (int i = 0; i < n; i++)
			buf_addz(&b, i % 3 == 0	  ? "x"
				     : i % 3 == 1 ? "\xc3\xa9"
						  : "\\u00e9");
		buf_addz(&b, "\"}");
		r = scan(buf_str(&b));
		assert_true(r.valid);
		assert_int_equal(r.id_bad, n == 257);
		assert_int_equal(r.id.p != NULL, n == 256);
		buf_fini(&b);
	}
}

static const struct found broken[] = {
	{"{\"id\":\"R1\",\"x\":NaN}", SCAN_NONE, "\"R1\""},
	{"{\"x\":NaN,\"id\":\"R1\"}", SCAN_NONE, "\"R1\""},
	{"{\"a\":1,\"a\":2,\"id\":\"R1\"}", SCAN_NONE, "\"R1\""},
	{"{\"a\":\"\\ud800\",\"id\":\"R1\"}", SCAN_NONE, "\"R1\""},
	{"{\"a\":\"\xff\",\"id\":\"R1\"}", SCAN_NONE, "\"R1\""},
	{"{\"a\":\"\\q\",\"b\":[{\"id\":\"no\"}],\"id\":\"R1\"}", SCAN_NONE,
		"\"R1\""},
	{"{\"id\" : \"R1\" , \"b\":[1,2", SCAN_NONE, "\"R1\""},
	{"{\"b\":[{\"c\":1],\"id\":\"R1\"}", SCAN_NONE, "\"R1\""},
	{"{\"b\":[[1],\"id\":\"no\"}", SCAN_NONE, NULL},
	{"{\"b\":{\"id\":\"no\"},}", SCAN_NONE, NULL},
	{"{\"id\":\"R1", SCAN_NONE, NULL},
	{"{\"id\":\"\\ud800\"}", SCAN_NONE, NULL},
	{"[\"id\",\"x\"", SCAN_NONE, NULL},
	{"The quick brown fox jumps\n over the lazy dog.", SCAN_NONE, NULL},
	{"{\"x\":\"id\":\"no\"", SCAN_NONE, "\"no\""},
	{"{\"id\":\"R1\"}trailing", SCAN_NONE, "\"R1\""},
};

static void test_id_is_found_in_broken_texts(void **state)
{
	for (size_t i = 0; i < countof(broken); i++) {
		struct scan r = scan(str_of(broken[i].text));

		assert_false(r.valid);
		check_id(broken[i].text, r, broken[i].id);
	}
}

/* Any bytes: no step beyond the text (the sanitizer watches), always an end. */
static void test_random_bytes_are_survived(void **state)
{
	static const char alphabet[] = "{}[]\",:\\u0dD8\"id1.-e tfn\xc3\xa9\n";
	uint64_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		char text[64];
		size_t n;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = (seed >> 33) % sizeof(text);
		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u +
			       1442695040888963407u;
			text[i] =
				alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
		}
		if (!scan(str_n(text, n)).valid)
			assert_non_null(scan(str_n(text, n)).why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_every_cut_of_a_valid_text_is_invalid),
		cmocka_unit_test(test_depth_of_64_passes_and_65_does_not),
		cmocka_unit_test(test_duplicate_among_many_names_is_found),
		cmocka_unit_test(test_a_million_names_are_no_problem),
		cmocka_unit_test(test_fault_is_placed),
		cmocka_unit_test(test_kind_id_and_writes_are_found),
		cmocka_unit_test(
			test_id_of_256_characters_passes_and_257_do_not),
		cmocka_unit_test(test_id_is_found_in_broken_texts),
		cmocka_unit_test(test_random_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
