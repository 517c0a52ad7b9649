/*
 * Mailbox/get, /set, /changes, and what all types' verbs do alike.
 */
#include "test/unit/proto/jmap/jmap_test.h"

#define GET_ALL "['Mailbox/get',{'accountId':'@','ids':null},'g']"
#define SET(args) "['Mailbox/set',{'accountId':'@'," args "},'s']"

static char inbox[32], archive[32];

static void find_role(const char *role, char z[32])
{
	for (size_t i = 0; i < res_len(0, "list"); i++) {
		char path[64];

		snprintf(path, sizeof(path), "list/%zu/role", i);
		if (strcmp(res_str(0, path), role) != 0)
			continue;
		snprintf(path, sizeof(path), "list/%zu/id", i);
		snprintf(z, 32, "%s", res_str(0, path));
		return;
	}
	fail_msg("no %s", role);
}

static int open_boxes(void **state)
{
	if (fx_open(state) < 0)
		return -1;
	run_calls(GET_ALL);
	find_role("inbox", inbox);
	find_role("archive", archive);
	return 0;
}

/* ---- /get ----------------------------------------------------------------- */

static void test_get_null_gives_all_with_default_properties(void **state)
{
	run_calls(GET_ALL);
	assert_int_equal(res_len(0, "list"), 6);
	assert_int_equal(res_len(0, "notFound"), 0);
	assert_int_equal(json_object_object_length(res(0, "list/0")), 11);
	assert_string_equal(res_text(0, "list/0/parentId"), "null");
	assert_string_equal(
		res_text(0, "list/0/myRights/mayReadItems"), "true");
}

static void test_get_some_properties_and_always_the_id(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':['%s'],"
		  "'properties':['name']},'0']",
		inbox);
	assert_int_equal(json_object_object_length(res(0, "list/0")), 2);
	assert_string_equal(res_str(0, "list/0/id"), inbox);
	assert_string_equal(res_str(0, "list/0/name"), "Inbox");
}

static void test_get_gives_each_once_and_tells_what_is_missing(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':['%s','m99','%s','x',"
		  "'#none','m99','e1','m01'],'properties':[]},'0']",
		inbox, inbox);
	assert_int_equal(res_len(0, "list"), 1);
	assert_string_equal(res_text(0, "notFound"),
		"[\"m99\",\"x\",\"#none\",\"e1\",\"m01\"]");
}

static void test_get_of_no_ids_is_an_empty_list(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':[]},'0']");
	assert_int_equal(res_len(0, "list"), 0);
}

static void test_get_refuses_bad_arguments(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':'m1'},'0'],"
		  "['Mailbox/get',{'accountId':'@','ids':[1]},'1'],"
		  "['Mailbox/get',{'accountId':'@','ids':[],"
		  "'properties':['nope']},'2'],"
		  "['Mailbox/get',{'accountId':'@','ids':[],"
		  "'properties':'name'},'3'],"
		  "['Mailbox/get',{'accountId':'@','ids':[],"
		  "'fetchAllBodyValues':true},'4']");
	for (unsigned i = 0; i < 5; i++)
		assert_error(i, "invalidArguments");
}

static void test_get_limit_is_exact(void **state)
{
	fx.conf.max_objects_in_get = 3;
	fx_limits();
	run_calls("['Mailbox/get',{'accountId':'@','ids':['x','y','z']},'0'],"
		  "['Mailbox/get',{'accountId':'@','ids':['x','y','z','w']},"
		  "'1'],['Mailbox/get',{'accountId':'@','ids':null},'2']");
	assert_method(0, "Mailbox/get");
	assert_error(1, "requestTooLarge");
	assert_error(2, "requestTooLarge");
	fx.conf.max_objects_in_get = 6;
	fx_limits();
	run_calls(GET_ALL);
	assert_method(0, "Mailbox/get");
}

/* ---- /set: create ------------------------------------------------------------ */

static void test_create_gives_what_was_not_sent(void **state)
{
	run_calls(SET("'create':{'k':{'name':'Work','sortOrder':7}}"));
	assert_method(0, "Mailbox/set");
	assert_int_equal(json_object_object_length(res(0, "created/k")), 9);
	assert_string_equal(res_text(0, "created/k/isSubscribed"), "true");
	assert_string_equal(res_text(0, "created/k/totalEmails"), "0");
	assert_string_equal(res_text(0, "notCreated"), "null");
	assert_string_equal(res_text(0, "updated"), "null");
	assert_string_equal(res_text(0, "destroyed"), "null");
}

static void test_set_state_is_the_next_get_state(void **state)
{
	run_calls(
		GET_ALL "," SET("'create':{'k':{'name':'Work'}}") "," GET_ALL);
	assert_string_equal(res_str(0, "state"), res_str(1, "oldState"));
	assert_string_not_equal(res_str(0, "state"), res_str(1, "newState"));
	assert_string_equal(res_str(2, "state"), res_str(1, "newState"));
	assert_int_equal(res_len(2, "list"), 7);
}

static void test_create_child_before_its_parent_in_one_call(void **state)
{
	run_calls(SET("'create':{'c':{'name':'C','parentId':'#p'},"
		      "'p':{'name':'P'}}") ","
					   "['Mailbox/"
					   "get',{'accountId':'@','ids':['#c','"
					   "#p']},'1']");
	assert_string_equal(res_text(0, "notCreated"), "null");
	assert_string_equal(
		res_str(1, "list/0/parentId"), res_str(1, "list/1/id"));
}

static void test_create_is_refused(void **state)
{
	run_calls(SET("'create':{'a':{},'b':{'name':''},'c':{'name':1},"
		      "'d':{'name':'X','id':'m1'},'e':{'name':'X','zz':1},"
		      "'f':{'name':'X','parentId':'m77'},"
		      "'g':{'name':'X','parentId':'#nope'},"
		      "'h':{'name':'X','role':'nonsense'},"
		      "'i':{'name':'X','role':'inbox'},"
		      "'j':{'name':'X','sortOrder':-1},"
		      "'k':{'name':'X','isSubscribed':1},"
		      "'l':{'name':'X','totalEmails':0,'unreadEmails':0}}"));
	static const char *const want[][2] = {{"a", "[\"name\"]"},
		{"b", "[\"name\"]"}, {"c", "[\"name\"]"}, {"d", "[\"id\"]"},
		{"e", "[\"zz\"]"}, {"f", "[\"parentId\"]"},
		{"g", "[\"parentId\"]"}, {"h", "[\"role\"]"},
		{"i", "[\"role\"]"}, {"j", "[\"sortOrder\"]"},
		{"k", "[\"isSubscribed\"]"},
		{"l", "[\"totalEmails\",\"unreadEmails\"]"}};

	for (size_t i = 0; i < countof(want); i++) {
		char path[64];

		snprintf(path, sizeof(path), "notCreated/%s/type", want[i][0]);
		assert_string_equal(res_str(0, path), "invalidProperties");
		snprintf(path, sizeof(path), "notCreated/%s/properties",
			want[i][0]);
		assert_string_equal(res_text(0, path), want[i][1]);
	}
	assert_string_equal(res_text(0, "created"), "null");
	assert_string_equal(res_str(0, "oldState"), res_str(0, "newState"));
}

static void test_create_of_a_name_that_a_sibling_has(void **state)
{
	run_calls(SET("'create':{'a':{'name':'Inbox'}}"));
	assert_string_equal(res_str(0, "notCreated/a/type"), "alreadyExists");
	assert_string_equal(res_str(0, "notCreated/a/existingId"), inbox);
}

static void test_create_in_place_of_what_is_destroyed(void **state)
{
	run_calls("['Mailbox/set',{'accountId':'@','create':"
		  "{'a':{'name':'Archive'}},'destroy':['%s']},'0']",
		archive);
	assert_string_equal(res_text(0, "notCreated"), "null");
	assert_string_equal(res_str(0, "destroyed/0"), archive);
}

/* ---- /set: update -------------------------------------------------------------- */

static void test_update_changes_what_is_named(void **state)
{
	run_calls("['Mailbox/set',{'accountId':'@','update':{'%s':"
		  "{'name':'Old mail','sortOrder':3,'isSubscribed':false}}},"
		  "'0'],['Mailbox/get',{'accountId':'@','ids':['%s']},'1']",
		archive, archive);
	assert_true(json_object_is_type(res(0, "updated"), json_type_object));
	assert_string_equal(res_str(1, "list/0/name"), "Old mail");
	assert_string_equal(res_text(1, "list/0/sortOrder"), "3");
	assert_string_equal(res_text(1, "list/0/isSubscribed"), "false");
	assert_string_equal(res_str(1, "list/0/role"), "archive");
}

static void test_whole_object_is_a_patch(void **state)
{
	char object[1024];

	run_calls(
		"['Mailbox/get',{'accountId':'@','ids':['%s']},'0']", archive);
	snprintf(object, sizeof(object), "%s", res_text(0, "list/0"));
	run_calls("['Mailbox/set',{'accountId':'@','update':{'%s':%s}},'0']",
		archive, object);
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_string_equal(res_str(0, "oldState"), res_str(0, "newState"));
}

static void test_update_of_server_set_with_another_value(void **state)
{
	run_calls("['Mailbox/set',{'accountId':'@','update':{'%s':"
		  "{'name':'N','totalEmails':9,'id':'m99'}}},'0'],"
		  "['Mailbox/get',{'accountId':'@','ids':['%s']},'1']",
		archive, archive);
	char path[64];

	snprintf(path, sizeof(path), "notUpdated/%s/properties", archive);
	assert_string_equal(res_text(0, path), "[\"totalEmails\",\"id\"]");
	assert_string_equal(res_str(1, "list/0/name"), "Archive");
}

static void test_update_errors(void **state)
{
	char path[64];

	run_calls("['Mailbox/set',{'accountId':'@','update':{"
		  "'m99':{'name':'N'},'nonsense':{},'#x':{},"
		  "'%s':{'name/x':1},'%s':{'role':null}}},'0']",
		archive, inbox);
	assert_string_equal(res_str(0, "notUpdated/m99/type"), "notFound");
	assert_string_equal(res_str(0, "notUpdated/nonsense/type"), "notFound");
	assert_string_equal(res_str(0, "notUpdated/#x/type"), "notFound");
	snprintf(path, sizeof(path), "notUpdated/%s/type", archive);
	assert_string_equal(res_str(0, path), "invalidPatch");
	snprintf(path, sizeof(path), "notUpdated/%s/type", inbox);
	assert_string_equal(res_str(0, path), "forbidden");
}

static void test_update_into_a_loop(void **state)
{
	run_calls(SET(
		"'create':{'a':{'name':'A'},"
		"'b':{'name':'B','parentId':'#a'}}") "," SET("'update':{'#a':{'"
							     "parentId':'#b'}"
							     "}"));
	assert_string_equal(res_text(0, "notCreated"), "null");
	json_object_object_foreach(res(1, "notUpdated"), id, error)
	{
		assert_string_equal(id, res_str(0, "created/a/id"));
		assert_string_equal(
			json_object_get_string(
				json_object_object_get(error, "type")),
			"invalidProperties");
	}
}

/* ---- /set: destroy --------------------------------------------------------------- */

static void test_destroy_errors(void **state)
{
	char path[64];

	deliver_n(0, 1);
	run_calls(SET("'create':{'a':{'name':'A'},"
		      "'b':{'name':'B','parentId':'#a'}}") ","
							   "['Mailbox/"
							   "set',{'accountId':'"
							   "@','destroy':"
							   "['#a','m99','%s']},"
							   "'1']",
		inbox);
	assert_string_equal(res_str(1, "notDestroyed/m99/type"), "notFound");
	snprintf(path, sizeof(path), "notDestroyed/%s/type",
		res_str(0, "created/a/id"));
	assert_string_equal(res_str(1, path), "mailboxHasChild");
	snprintf(path, sizeof(path), "notDestroyed/%s/type", inbox);
	assert_string_equal(res_str(1, path), "forbidden");
}

static void test_destroy_parent_named_before_its_child(void **state)
{
	run_calls(SET(
		"'create':{'a':{'name':'A'},"
		"'b':{'name':'B','parentId':'#a'}}") "," SET("'destroy':['#a','"
							     "#b','#a']"));
	assert_string_equal(res_text(1, "notDestroyed"), "null");
	assert_int_equal(res_len(1, "destroyed"), 2);
}

static void test_destroy_with_emails(void **state)
{
	deliver_n(0, 2);
	run_calls("['Email/set',{'accountId':'@','update':{"
		  "'e1':{'mailboxIds':{'%s':true}},"
		  "'e2':{'mailboxIds/%s':true}}},'0'],"
		  "['Mailbox/set',{'accountId':'@','destroy':['%s']},'1'],"
		  "['Mailbox/set',{'accountId':'@','destroy':['%s'],"
		  "'onDestroyRemoveEmails':true},'2'],"
		  "['Email/get',{'accountId':'@','ids':['e1','e2'],"
		  "'properties':['mailboxIds']},'3']",
		archive, archive, archive, archive);
	char path[64];

	snprintf(path, sizeof(path), "notDestroyed/%s/type", archive);
	assert_string_equal(res_str(1, path), "mailboxHasEmail");
	assert_string_equal(res_str(2, "destroyed/0"), archive);
	assert_string_equal(res_text(3, "notFound"), "[\"e1\"]");
	assert_int_equal(
		json_object_object_length(res(3, "list/0/mailboxIds")), 1);
}

static void test_update_of_what_is_destroyed(void **state)
{
	char path[64];

	run_calls("['Mailbox/set',{'accountId':'@','update':{'%s':"
		  "{'name':'N'}},'destroy':['%s']},'0']",
		archive, archive);
	snprintf(path, sizeof(path), "notUpdated/%s/type", archive);
	assert_string_equal(res_str(0, path), "willDestroy");
	assert_string_equal(res_str(0, "destroyed/0"), archive);
}

/* ---- /set: the call as a whole -------------------------------------------------------- */

static void test_stale_if_in_state_changes_nothing(void **state)
{
	run_calls(SET("'create':{'a':{'name':'A'}}"));
	char old[64];

	snprintf(old, sizeof(old), "%s", res_str(0, "oldState"));
	run_calls("['Mailbox/set',{'accountId':'@','ifInState':'%s',"
		  "'create':{'b':{'name':'B'}}},'0']," GET_ALL,
		old);
	assert_error(0, "stateMismatch");
	assert_int_equal(res_len(1, "list"), 7);
	snprintf(old, sizeof(old), "%s", res_str(1, "state"));
	run_calls("['Mailbox/set',{'accountId':'@','ifInState':'%s',"
		  "'create':{'b':{'name':'B'}}},'0']",
		old);
	assert_method(0, "Mailbox/set");
}

static void test_set_limit_is_exact(void **state)
{
	fx.conf.max_objects_in_set = 3;
	fx_limits();
	run_calls(
		SET("'create':{'a':{}},'update':{'x':{}},'destroy':['y']") "," SET(
			"'create':{'a':{}},'update':{'x':{}},'destroy':['y','z'"
			"]"));
	assert_method(0, "Mailbox/set");
	assert_error(1, "requestTooLarge");
}

static void test_set_refuses_bad_arguments(void **state)
{
	run_calls(SET("'create':[]") "," SET("'create':{'a':1}") "," SET(
		"'upda"
		"te':{"
		"'m1':"
		"[]}") "," SET("'destroy':{}") "," SET("'destroy':[1]") "," SET("'ifInState':1") "," SET("'create':{'"
													 "a b':{}}") "," SET("'onDestroyRemoveEmails':'yes'"));
	for (unsigned i = 0; i < 8; i++)
		assert_error(i, "invalidArguments");
}

static void test_set_is_not_begun_without_room_for_its_answer(void **state)
{
	struct buf b = {0};

	fx.conf.max_size_response = 65536;
	fx_limits();
	buf_addz(&b, "['Mailbox/set',{'accountId':'@','create':{");
	for (int i = 0; i < 70; i++)
		buf_fmt(&b, "%s'c%d':{'name':'N%d'}", i ? "," : "", i, i);
	buf_addz(&b, "}},'0']," GET_ALL);
	run_calls("%s", buf_z(&b));
	buf_fini(&b);
	assert_error(0, "requestTooLarge");
	assert_int_equal(res_len(1, "list"), 6);
	assert_int_equal(fx.writings, 0);
}

static void test_reused_creation_id_means_the_newest(void **state)
{
	run_calls(SET("'create':{'k':{'name':'A'}}") "," SET(
		"'create':{'k':{'name':'B'}}") ","
					       "['Mailbox/"
					       "get',{'accountId':'@','ids':['#"
					       "k']},'2']");
	assert_string_equal(res_str(2, "list/0/name"), "B");
}

/* ---- /changes ---------------------------------------------------------------------------- */

static void test_changes_tell_what_was_done(void **state)
{
	char since[64];

	run_calls(GET_ALL);
	snprintf(since, sizeof(since), "%s", res_str(0, "state"));
	run_calls("['Mailbox/set',{'accountId':'@','create':{'a':{'name':'A'}},"
		  "'destroy':['%s']},'0'],"
		  "['Mailbox/changes',{'accountId':'@','sinceState':'%s'},'1'],"
		  "['Mailbox/get',{'accountId':'@','#ids':{'resultOf':'1',"
		  "'name':'Mailbox/changes','path':'/created'}},'2']",
		archive, since);
	assert_string_equal(res_str(1, "oldState"), since);
	assert_string_equal(res_str(1, "newState"), res_str(0, "newState"));
	assert_string_equal(res_text(1, "hasMoreChanges"), "false");
	assert_string_equal(
		res_str(1, "created/0"), res_str(0, "created/a/id"));
	assert_string_equal(res_str(1, "destroyed/0"), archive);
	assert_string_equal(res_text(1, "updatedProperties"), "null");
	assert_string_equal(res_str(2, "list/0/name"), "A");
}

static void test_changes_of_counts_only_name_the_counts(void **state)
{
	char since[64];

	run_calls(GET_ALL);
	snprintf(since, sizeof(since), "%s", res_str(0, "state"));
	deliver_n(0, 1);
	run_calls("['Mailbox/changes',{'accountId':'@','sinceState':'%s'},'0'],"
		  "['Mailbox/get',{'accountId':'@','#ids':{'resultOf':'0',"
		  "'name':'Mailbox/changes','path':'/updated'},"
		  "'#properties':{'resultOf':'0','name':'Mailbox/changes',"
		  "'path':'/updatedProperties'}},'1']",
		since);
	assert_string_equal(res_text(0, "updatedProperties"),
		"[\"totalEmails\",\"unreadEmails\",\"totalThreads\","
		"\"unreadThreads\"]");
	assert_int_equal(json_object_object_length(res(1, "list/0")), 5);
	assert_string_equal(res_text(1, "list/0/unreadEmails"), "1");
}

static void test_changes_in_steps_of_one(void **state)
{
	char since[64];
	unsigned steps = 0, created = 0;
	bool more = true;

	run_calls(GET_ALL);
	snprintf(since, sizeof(since), "%s", res_str(0, "state"));
	run_calls(SET("'create':{'a':{'name':'A'},'b':{'name':'B'},"
		      "'c':{'name':'C'}}"));
	while (more && steps++ < 10) {
		run_calls("['Mailbox/changes',{'accountId':'@',"
			  "'sinceState':'%s','maxChanges':1},'0']",
			since);
		created += (unsigned)res_len(0, "created");
		assert_true(res_len(0, "created") <= 1);
		more = json_object_get_boolean(res(0, "hasMoreChanges"));
		snprintf(since, sizeof(since), "%s", res_str(0, "newState"));
	}
	assert_int_equal(created, 3);
	run_calls(GET_ALL);
	assert_string_equal(res_str(0, "state"), since);
}

static void test_changes_refused(void **state)
{
	run_calls(
		"['Mailbox/changes',{'accountId':'@','sinceState':'x'},'0'],"
		"['Mailbox/changes',{'accountId':'@','sinceState':'0-1'},'1'],"
		"['Mailbox/changes',{'accountId':'@'},'2'],"
		"['Mailbox/changes',{'accountId':'@','sinceState':'0-1',"
		"'maxChanges':0},'3'],"
		"['Mailbox/changes',{'accountId':'@','sinceState':'0-1',"
		"'maxChanges':1.5},'4']");
	assert_error(0, "cannotCalculateChanges");
	assert_error(1, "cannotCalculateChanges");
	assert_error(2, "invalidArguments");
	assert_error(3, "invalidArguments");
	assert_error(4, "invalidArguments");
}

static void test_changes_since_a_state_to_come(void **state)
{
	char since[80];

	run_calls(GET_ALL);
	snprintf(since, sizeof(since), "%s0", res_str(0, "state"));
	run_calls("['Mailbox/changes',{'accountId':'@','sinceState':'%s'},'0']",
		since);
	assert_error(0, "cannotCalculateChanges");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, open_boxes, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_get_null_gives_all_with_default_properties),
		T(test_get_some_properties_and_always_the_id),
		T(test_get_gives_each_once_and_tells_what_is_missing),
		T(test_get_of_no_ids_is_an_empty_list),
		T(test_get_refuses_bad_arguments),
		T(test_get_limit_is_exact),
		T(test_create_gives_what_was_not_sent),
		T(test_set_state_is_the_next_get_state),
		T(test_create_child_before_its_parent_in_one_call),
		T(test_create_is_refused),
		T(test_create_of_a_name_that_a_sibling_has),
		T(test_create_in_place_of_what_is_destroyed),
		T(test_update_changes_what_is_named),
		T(test_whole_object_is_a_patch),
		T(test_update_of_server_set_with_another_value),
		T(test_update_errors),
		T(test_update_into_a_loop),
		T(test_destroy_errors),
		T(test_destroy_parent_named_before_its_child),
		T(test_destroy_with_emails),
		T(test_update_of_what_is_destroyed),
		T(test_stale_if_in_state_changes_nothing),
		T(test_set_limit_is_exact),
		T(test_set_refuses_bad_arguments),
		T(test_set_is_not_begun_without_room_for_its_answer),
		T(test_reused_creation_id_means_the_newest),
		T(test_changes_tell_what_was_done),
		T(test_changes_of_counts_only_name_the_counts),
		T(test_changes_in_steps_of_one),
		T(test_changes_refused),
		T(test_changes_since_a_state_to_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
