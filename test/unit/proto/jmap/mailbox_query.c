/*
 * Mailbox/query and Mailbox/queryChanges: what a filter means, and in which order.
 */
#include "test/unit/proto/jmap/jmap_test.h"

#define QUERY(args) "['Mailbox/query',{'accountId':'@'," args "},'q']"
#define TREE                                                        \
	"['Mailbox/set',{'accountId':'@','create':{"                \
	"'a':{'name':'Alpha','sortOrder':2},"                       \
	"'b':{'name':'beta','parentId':'#a','isSubscribed':false}," \
	"'c':{'name':'Gamma','parentId':'#b','sortOrder':1}}},'s']"

static char a[32], b[32], c[32];

static int open_tree(void **state)
{
	if (fx_open(state) < 0)
		return -1;
	run_calls(TREE);
	snprintf(a, sizeof(a), "%s", res_str(0, "created/a/id"));
	snprintf(b, sizeof(b), "%s", res_str(0, "created/b/id"));
	snprintf(c, sizeof(c), "%s", res_str(0, "created/c/id"));
	return 0;
}

static void assert_ids(const char *x, const char *y, const char *z)
{
	const char *want[] = {x, y, z};
	size_t n = 0;

	assert_method(0, "Mailbox/query");
	while (n < 3 && want[n]) {
		char path[32];

		snprintf(path, sizeof(path), "ids/%zu", n);
		assert_string_equal(res_str(0, path), want[n]);
		n++;
	}
	assert_int_equal(res_len(0, "ids"), n);
}

static void test_a_filter_is_all_of_its_conditions(void **state)
{
	run_calls(QUERY("'filter':{'hasAnyRole':false,'isSubscribed':true},"
			"'sort':[{'property':'name'}]"));
	assert_ids(a, c, NULL);
	run_calls(QUERY("'filter':{'parentId':'%s'}"), a);
	assert_ids(b, NULL, NULL);
	run_calls(QUERY("'filter':{'name':'et'}"));
	assert_ids(b, NULL, NULL);
	run_calls(QUERY("'filter':{'parentId':'m99'}"));
	assert_ids(NULL, NULL, NULL);
}

static void test_operators(void **state)
{
	run_calls(QUERY("'filter':{'operator':'NOT','conditions':["
			"{'hasAnyRole':true},{'name':'eta'}]},"
			"'sort':[{'property':'sortOrder'}]"));
	assert_ids(c, a, NULL);
	run_calls(QUERY("'filter':{'operator':'OR','conditions':[]}"));
	assert_ids(NULL, NULL, NULL);
	run_calls(QUERY("'filter':{'operator':'AND','conditions':["
			"{'name':'a'},{'hasAnyRole':false},{'name':'m'}]}"));
	assert_ids(c, NULL, NULL);
}

static void test_sorts_case_and_order(void **state)
{
	run_calls(QUERY("'filter':{'hasAnyRole':false},"
			"'sort':[{'property':'name','isAscending':false}]"));
	assert_ids(c, b, a);
	run_calls(QUERY("'filter':{'hasAnyRole':false},"
			"'sort':[{'property':'name','collation':'i;octet'}]"));
	assert_ids(a, c, b);
	run_calls(QUERY("'filter':{'hasAnyRole':false}"));
	assert_ids(b, c, a);
}

static void test_a_tree_goes_by_ancestors(void **state)
{
	run_calls(QUERY("'filter':{'hasAnyRole':false},'sortAsTree':true,"
			"'sort':[{'property':'sortOrder'}]"));
	assert_ids(a, b, c);
	run_calls(QUERY("'filter':{'hasAnyRole':false,'isSubscribed':true},"
			"'filterAsTree':true"));
	assert_ids(a, NULL, NULL);
}

static void test_what_is_not_known_is_refused(void **state)
{
	run_calls(QUERY("'filter':{'colour':1}") "," QUERY(
		"'sort':[{'property':'role'}]") "," QUERY("'colour':1"));
	assert_error(0, "unsupportedFilter");
	assert_error(1, "unsupportedSort");
	assert_error(2, "invalidArguments");
}

static void test_changes_of_a_list_and_of_a_tree(void **state)
{
	char since[64];

	run_calls(QUERY("'sort':[{'property':'name'}]"));
	snprintf(since, sizeof(since), "%s", res_str(0, "queryState"));
	run_calls("['Mailbox/set',{'accountId':'@','update':{'%s':"
		  "{'name':'zeta'}}},'s']",
		b);
	run_calls("['Mailbox/queryChanges',{'accountId':'@','sort':"
		  "[{'property':'name'}],'sinceQueryState':'%s'},'0'],"
		  "['Mailbox/queryChanges',{'accountId':'@','sortAsTree':true,"
		  "'sinceQueryState':'%s'},'1']",
		since, since);
	assert_int_equal(res_len(0, "removed"), 1);
	assert_string_equal(res_str(0, "added/0/id"), b);
	assert_string_equal(res_text(0, "added/0/index"), "8");
	assert_int_equal(res_len(1, "removed"), 9);
	assert_int_equal(res_len(1, "added"), 9);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_tree, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_filter_is_all_of_its_conditions),
		TEST(test_operators),
		TEST(test_sorts_case_and_order),
		TEST(test_a_tree_goes_by_ancestors),
		TEST(test_what_is_not_known_is_refused),
		TEST(test_changes_of_a_list_and_of_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
