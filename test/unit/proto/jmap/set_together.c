/*
 * Items of a /set that are right only together.
 */
#include "test/unit/proto/jmap/jmap_test.h"

#define SET(args) "['Mailbox/set',{'accountId':'@'," args "},'s']"
#define NAMES                                                     \
	"['Mailbox/get',{'accountId':'@','ids':['%s','%s','%s']," \
	"'properties':['name']},'g']"

static char a[32], b[32], c[32];

static int open_three(void **state)
{
	if (fx_open(state) < 0)
		return -1;
	run_calls(SET("'create':{'a':{'name':'A'},'b':{'name':'B'},"
		      "'c':{'name':'C'}}"));
	snprintf(a, sizeof(a), "%s", res_str(0, "created/a/id"));
	snprintf(b, sizeof(b), "%s", res_str(0, "created/b/id"));
	snprintf(c, sizeof(c), "%s", res_str(0, "created/c/id"));
	return 0;
}

static void assert_names(const char *x, const char *y, const char *z)
{
	run_calls(NAMES, a, b, c);
	assert_string_equal(res_str(0, "list/0/name"), x);
	assert_string_equal(res_str(0, "list/1/name"), y);
	assert_string_equal(res_str(0, "list/2/name"), z);
}

static void test_a_ring_of_names(void **state)
{
	run_calls(SET("'update':{'%s':{'name':'B'},'%s':{'name':'C'},"
		      "'%s':{'name':'A'}}"),
		a, b, c);
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_names("B", "C", "A");
}

static void test_only_the_one_that_is_too_much_is_refused(void **state)
{
	run_calls(SET("'update':{'%s':{'name':'B'},'%s':{'name':'A'},"
		      "'%s':{'name':'A'}}"),
		a, b, c);
	assert_int_equal(json_object_object_length(res(0, "updated")), 2);
	assert_int_equal(json_object_object_length(res(0, "notUpdated")), 1);
	assert_names("B", "A", "C");
}

static void test_what_cannot_be_leaves_no_trace(void **state)
{
	char state_[64];

	run_calls(SET("'update':{'%s':{'name':'B'},'%s':{'name':'C'}}"), a, b);
	assert_string_equal(res_text(0, "updated"), "null");
	snprintf(state_, sizeof(state_), "%s", res_str(0, "oldState"));
	assert_string_equal(res_str(0, "newState"), state_);
	assert_names("A", "B", "C");
}

/* The id of a creation that was undone is known to nobody. */
static void test_a_creation_that_was_undone(void **state)
{
	run_calls(
		SET("'create':{'n':{'name':'A'},"
		    "'m':{'name':'M','parentId':'#n'}},"
		    "'update':{'%s':{'name':'B'}}") "," SET("'create':{'o':{'"
							    "name':'O','"
							    "parentId':'#n'}}"),
		a);
	assert_string_equal(res_text(0, "created"), "null");
	assert_string_equal(res_str(0, "notCreated/n/type"), "alreadyExists");
	assert_string_equal(
		res_str(0, "notCreated/m/type"), "invalidProperties");
	assert_string_equal(
		res_str(1, "notCreated/o/type"), "invalidProperties");
	assert_names("A", "B", "C");
}

static void test_creations_and_destroys_take_part(void **state)
{
	run_calls(SET("'create':{'n':{'name':'A'}},"
		      "'update':{'%s':{'parentId':'#n'}},'destroy':['%s']"),
		a, b);
	assert_string_equal(res_text(0, "notCreated"), "null");
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_string_equal(res_str(0, "destroyed/0"), b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_three, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_ring_of_names),
		TEST(test_only_the_one_that_is_too_much_is_refused),
		TEST(test_what_cannot_be_leaves_no_trace),
		TEST(test_a_creation_that_was_undone),
		TEST(test_creations_and_destroys_take_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
