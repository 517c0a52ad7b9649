/*
 * The envelope: request-level errors, echo, limits, references, createdIds.
 */
#include "test/unit/proto/jmap/jmap_test.h"

static void test_echo_gives_back_what_came(void **state)
{
	run_text("{'using':['" CORE "'],'methodCalls':[['Core/echo',"
		 "{'hello':true,'high':5,'x':[1.50,null,'\\u00e9']},'c1']]}");
	assert_int_equal(fx.status, 200);
	assert_method(0, "Core/echo");
	assert_non_null(strstr(buf_z(&fx.out),
		"{\"hello\":true,\"high\":5,\"x\":[1.50,null,\"\\u00e9\"]}"));
	assert_string_equal(text_at("methodResponses/0/2"), "c1");
	assert_null(at_("createdIds", false));
}

/* ---- request-level errors (RFC 8620 3.6.1) ------------------------------------ */

static void test_not_json(void **state)
{
	static const char *const texts[] = {"", "{", "nonsense",
		"{'using':[],'using':[],'methodCalls':[]}",
		"{'using':[],'methodCalls':[NaN]}",
		"{'using':[],'methodCalls':['\\ud800']}",
		"{'using':[],'methodCalls':[]}x"};

	for (size_t i = 0; i < countof(texts); i++) {
		run_text(texts[i]);
		assert_problem(400, "notJSON");
	}
}

static void test_not_request(void **state)
{
	static const char *const texts[] = {"[]", "{}", "1", "{'foo':'bar'}",
		"{'using':[]}", "{'methodCalls':[]}",
		"{'using':{},'methodCalls':[]}",
		"{'using':[1],'methodCalls':[]}",
		"{'using':[],'methodCalls':{}}",
		"{'using':[],'methodCalls':[{}]}",
		"{'using':[],'methodCalls':[['Core/echo',{}]]}",
		"{'using':[],'methodCalls':[['Core/echo',{},'0',1]]}",
		"{'using':[],'methodCalls':[['Core/echo',[],'0']]}",
		"{'using':[],'methodCalls':[['Core/echo',null,'0']]}",
		"{'using':[],'methodCalls':[[1,{},'0']]}",
		"{'using':[],'methodCalls':[['Core/echo',{},0]]}",
		"{'using':[],'methodCalls':[],'createdIds':[]}",
		"{'using':[],'methodCalls':[],'createdIds':{'a':1}}",
		"{'using':[],'methodCalls':[],'createdIds':{'a b':'x'}}",
		"{'using':[],'methodCalls':[],'createdIds':{'a':'x y'}}"};

	for (size_t i = 0; i < countof(texts); i++) {
		run_text(texts[i]);
		assert_problem(400, "notRequest");
	}
}

static void test_unknown_capability(void **state)
{
	run_text("{'using':['" CORE "','urn:x'],'methodCalls':[]}");
	assert_problem(400, "unknownCapability");
}

static void test_unknown_members_are_ignored(void **state)
{
	run_text("{'x':1,'using':['" CORE "'],'methodCalls':[]}");
	assert_int_equal(fx.status, 200);
}

static void calls_n(unsigned n)
{
	struct buf b = {0};

	buf_addz(&b, "{'using':['" CORE "'],'methodCalls':[");
	for (unsigned i = 0; i < n; i++)
		buf_fmt(&b, "%s['Core/echo',{},'%u']", i ? "," : "", i);
	buf_addz(&b, "]}");
	run_text(buf_z(&b));
	buf_fini(&b);
}

static void test_sixteen_calls_pass_and_seventeen_do_not(void **state)
{
	calls_n(16);
	assert_int_equal(fx.status, 200);
	assert_int_equal(
		json_object_array_length(at_("methodResponses", true)), 16);
	calls_n(17);
	assert_problem(400, "limit");
	assert_string_equal(text_at("limit"), "maxCallsInRequest");
}

static void test_no_calls_is_an_empty_response(void **state)
{
	calls_n(0);
	assert_int_equal(fx.status, 200);
	assert_int_equal(
		json_object_array_length(at_("methodResponses", true)), 0);
}

/* ---- WebSocket (RFC 8887 4.3) ---------------------------------------------------- */

static void test_websocket_response_has_type_and_request_id(void **state)
{
	fx.call.websocket = true;
	run_text("{'@type':'Request','id':'R\\u00311','using':['" CORE
		 "'],'methodCalls':[['Core/echo',{},'b3ff']]}");
	assert_string_equal(text_at("@type"), "Response");
	assert_string_equal(text_at("requestId"), "R11");
	run_text("{'@type':'Request','using':['" CORE "'],'methodCalls':[]}");
	assert_null(at_("requestId", false));
}

static void test_websocket_errors_carry_the_id(void **state)
{
	fx.call.websocket = true;
	run_text("{'@type':'Request','id':'R1','using':[NaN]}");
	assert_problem(400, "notJSON");
	assert_string_equal(text_at("@type"), "RequestError");
	assert_string_equal(text_at("requestId"), "R1");
	run_text("{'@type':'Request','id':'R2','using':1,'methodCalls':[]}");
	assert_problem(400, "notRequest");
	assert_string_equal(text_at("requestId"), "R2");
	run_text("{'@type':'Nothing','id':'R3','using':[],'methodCalls':[]}");
	assert_problem(400, "notRequest");
	run_text("{'@type':'Request','id':7,'using':[],'methodCalls':[]}");
	assert_problem(400, "notRequest");
	assert_null(at_("requestId", false));
}

/* ---- method-level errors (RFC 8620 3.6.2) --------------------------------------- */

static void test_unknown_method(void **state)
{
	run_calls("['Foo/get',{},'0'],['Thread/query',{},'1'],"
		  "['Core/echo',{},'2']");
	assert_error(0, "unknownMethod");
	assert_error(1, "unknownMethod");
	assert_method(2, "Core/echo");
}

static void test_method_of_a_capability_not_in_using(void **state)
{
	run_text("{'using':['" CORE "'],'methodCalls':["
		 "['Mailbox/get',{'accountId':'@','ids':null},'0']]}");
	assert_error(0, "unknownMethod");
	run_text("{'using':[],'methodCalls':[['Core/echo',{},'0']]}");
	assert_error(0, "unknownMethod");
}

static void test_account_not_found(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'u7v','ids':null},'0'],"
		  "['Mailbox/get',{'ids':null},'1'],"
		  "['Mailbox/get',{'accountId':1,'ids':null},'2']");
	assert_error(0, "accountNotFound");
	assert_error(1, "invalidArguments");
	assert_error(2, "invalidArguments");
}

static void test_unknown_argument(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':null,'x':1},'0']");
	assert_error(0, "invalidArguments");
}

static void test_a_write_that_was_not_announced_fails(void **state)
{
	fx.call.writable = false;
	run_calls("['Mailbox/set',{'accountId':'@','create':"
		  "{'a':{'name':'A'}}},'0'],"
		  "['Mailbox/get',{'accountId':'@','ids':null},'1']");
	assert_error(0, "serverFail");
	assert_int_equal(res_len(1, "list"), 6);
	assert_int_equal(fx.writings, 0);
}

static void test_writing_is_told_once(void **state)
{
	run_calls("['Mailbox/get',{'accountId':'@','ids':null},'0']");
	assert_int_equal(fx.writings, 0);
	run_calls("['Mailbox/set',{'accountId':'@','create':"
		  "{'a':{'name':'A'}}},'0'],"
		  "['Mailbox/set',{'accountId':'@','create':"
		  "{'b':{'name':'B'}}},'1']");
	assert_int_equal(fx.writings, 1);
}

/* ---- references (RFC 8620 3.7) -------------------------------------------------- */

#define REF(of, name, path) \
	"{'resultOf':'" of "','name':'" name "','path':'" path "'}"

static void test_reference_takes_a_value(void **state)
{
	run_calls("['Core/echo',{'a':{'b':[10,{'c~d/e':'x'}]}},'0'],"
		  "['Core/echo',{'#v':" REF("0", "Core/echo",
			  "/a/b/1/c~0d~1e") ",'#all':" REF("0", "Core/echo",
			  "") "},'1']");
	assert_string_equal(res_str(1, "v"), "x");
	assert_string_equal(
		res_text(1, "all"), "{\"a\":{\"b\":[10,{\"c~d/e\":\"x\"}]}}");
}

static void test_reference_maps_through_arrays(void **state)
{
	run_calls("['Core/echo',{'l':[{'i':[1,2],'s':'a'},{'i':[],'s':'b'},"
		  "{'i':[[3]],'s':'c'}],'*':'star','n':[]},'0'],"
		  "['Core/echo',{'#s':" REF(
			  "0", "Core/echo", "/l/*/s") ",'#i':" REF("0",
			  "Core/echo", "/l/*/i") ",'#ii':" REF("0", "Core/echo",
			  "/l/*/i/*") ",'#star':" REF("0", "Core/echo",
			  "/*") ",'#none':" REF("0", "Core/echo",
			  "/n/*/x") "},'1']");
	assert_string_equal(res_text(1, "s"), "[\"a\",\"b\",\"c\"]");
	assert_string_equal(res_text(1, "i"), "[1,2,[3]]");
	assert_string_equal(res_text(1, "ii"), "[1,2,3]");
	assert_string_equal(res_str(1, "star"), "star");
	assert_string_equal(res_text(1, "none"), "[]");
}

static void test_reference_that_fails(void **state)
{
	static const char *const refs[] = {REF("9", "Core/echo", "/a"),
		REF("1", "Core/echo", "/a"), /* itself */
		REF("0", "Core/ech", "/a"), REF("0", "Core/echo", "/nothing"),
		REF("0", "Core/echo", "a"), REF("0", "Core/echo", "/a/"),
		REF("0", "Core/echo", "/l/2"), REF("0", "Core/echo", "/l/00"),
		REF("0", "Core/echo", "/l/-"), REF("0", "Core/echo", "/l/*/x"),
		REF("0", "Core/echo", "/a/~2"), REF("0", "Core/echo", "/a/*"),
		"null", "'x'", "{}", "{'resultOf':'0','name':'Core/echo'}",
		"{'resultOf':0,'name':'Core/echo','path':''}"};

	for (size_t i = 0; i < countof(refs); i++) {
		run_calls("['Core/echo',{'a':1,'l':[1,2]},'0'],"
			  "['Core/echo',{'#v':%s},'1'],['Core/echo',{},'2']",
			refs[i]);
		assert_error(1, "invalidResultReference");
		assert_method(2, "Core/echo");
	}
}

static void test_reference_beside_the_argument_itself(void **state)
{
	run_calls("['Core/echo',{'a':1},'0'],"
		  "['Core/echo',{'v':1,'#v':" REF("0", "Core/echo",
			  "/a") "},'1'],"
				"['Core/echo',{'#v':" REF("0", "Core/echo",
					"/a") ",'\\u0076':1},'2']");
	assert_error(1, "invalidArguments");
	assert_error(2, "invalidArguments");
}

static void test_reference_name_may_be_escaped(void **state)
{
	run_calls("['Core/echo',{'a':1},'0'],"
		  "['Core/echo',{'\\u0023v':" REF(
			  "0", "Core/echo", "/\\u0061") "},'1']");
	assert_string_equal(res_str(1, "v"), "1");
}

static void test_reference_to_an_error(void **state)
{
	run_calls("['Foo/get',{},'0'],"
		  "['Core/echo',{'#v':" REF("0", "Foo/get", "/a") "},'1']");
	assert_error(1, "invalidResultReference");
}

static void test_first_response_with_the_id_counts(void **state)
{
	run_calls("['Core/echo',{'a':1},'x'],['Core/echo',{'a':2},'x'],"
		  "['Core/echo',{'#v':" REF("x", "Core/echo", "/a") "},'1']");
	assert_string_equal(res_str(2, "v"), "1");
}

/* ---- max-size-response ------------------------------------------------------------- */

/* Each call's answer is ten times the one before. */
static void test_chained_echoes_cannot_outgrow_the_limit(void **state)
{
	struct buf b = {0};
	unsigned failed = 0;

	fx.conf.max_size_response = 1000000;
	fx_limits();
	buf_addz(&b, "['Core/echo',{'a':'");
	for (int i = 0; i < 10000; i++)
		buf_addc(&b, 'x');
	buf_addz(&b, "'},'c0']");
	for (int i = 1; i < 16; i++) {
		buf_fmt(&b, ",['Core/echo',{");
		for (int k = 0; k < 10; k++)
			buf_fmt(&b,
				"%s'#a%d':{'resultOf':'c%d','name':'Core/echo',"
				"'path':''}",
				k ? "," : "", k, i - 1);
		buf_fmt(&b, "},'c%d']", i);
	}
	run_calls("%s", buf_z(&b));
	buf_fini(&b);
	assert_int_equal(fx.status, 200);
	assert_true(fx.out.n <= 1000000);
	assert_method(1, "Core/echo");
	for (unsigned i = 0; i < 16; i++)
		failed += strcmp(res_name(i), "error") == 0;
	assert_int_equal(failed, 14);
	assert_error(2, "requestTooLarge");
	assert_error(3, "invalidResultReference");
}

static void test_response_limit_is_never_passed(void **state)
{
	for (unsigned len = 60000; len < 66000; len += 97) {
		struct buf b = {0};

		fx.conf.max_size_response = 65536;
		fx_limits();
		buf_addz(&b, "['Core/echo',{'a':'");
		for (unsigned i = 0; i < len; i++)
			buf_addc(&b, 'x');
		buf_addz(&b, "'},'0'],['Foo/x',{},'1'],['Core/echo',{},'2']");
		run_calls("%s", buf_z(&b));
		assert_true(fx.out.n <= 65536);
		if (len == 60000)
			assert_method(0, "Core/echo");
		buf_fini(&b);
	}
	assert_error(0, "requestTooLarge");
	assert_method(2, "Core/echo");
}

static void test_references_cannot_nest_without_end(void **state)
{
	struct buf b = {0};

	fx.conf.max_calls_in_request = 100;
	fx_limits();
	buf_addz(&b, "['Core/echo',{'a':1},'c0']");
	for (int i = 1; i < 80; i++)
		buf_fmt(&b,
			",['Core/echo',{'#a':{'resultOf':'c%d',"
			"'name':'Core/echo','path':''}},'c%d']",
			i - 1, i);
	run_calls("%s", buf_z(&b));
	buf_fini(&b);
	assert_method(60, "Core/echo");
	assert_error(61, "invalidArguments");
}

/* ---- createdIds --------------------------------------------------------------------- */

static void test_created_ids_come_back_with_new_ones(void **state)
{
	run_text("{'using':['" CORE "','" MAIL "'],'createdIds':{'old':'m1'},"
		 "'methodCalls':[['Mailbox/set',{'accountId':'@','create':"
		 "{'new':{'name':'X','parentId':'#old'}}},'0'],"
		 "['Mailbox/get',{'accountId':'@','ids':['#new']},'1']]}");
	assert_string_equal(text_at("createdIds/old"), "m1");
	assert_string_equal(
		text_at("createdIds/new"), res_str(0, "created/new/id"));
	assert_string_equal(res_str(1, "list/0/parentId"), "m1");
	assert_string_equal(res_str(1, "list/0/name"), "X");
}

/* ---- session ------------------------------------------------------------------------- */

static void session(void)
{
	fx_clear();
	assert_int_equal(jmap_session(&fx.call, &fx.out), 200);
	fx_parse();
}

static void test_session_shows_account_and_limits(void **state)
{
	char path[128];

	snprintf(fx.conf.jmap_url, sizeof(fx.conf.jmap_url),
		"https://mail.example.org:8443/");
	fx_limits();
	session();
	assert_string_equal(
		text_at("apiUrl"), "https://mail.example.org:8443/jmap/api");
	assert_string_equal(
		text_at("capabilities/" CORE "/maxCallsInRequest"), "16");
	assert_string_equal(
		text_at("capabilities/urn:ietf:params:jmap:websocket/url"),
		"wss://mail.example.org:8443/jmap/ws");
	assert_string_equal(text_at("primaryAccounts/" MAIL), fx.acc);
	snprintf(path, sizeof(path),
		"accounts/%s/accountCapabilities/" MAIL
		"/emailQuerySortOptions/0",
		fx.acc);
	assert_string_equal(text_at(path), "receivedAt");
	assert_string_equal(text_at("username"), "alice@example.org");
}

static void test_session_state_follows_the_object(void **state)
{
	char before[64];

	session();
	snprintf(before, sizeof(before), "%s", text_at("state"));
	session();
	assert_string_equal(text_at("state"), before);
	calls_n(1);
	assert_string_equal(text_at("sessionState"), before);
	fx.conf.max_objects_in_get = 7;
	fx_limits();
	calls_n(1);
	assert_string_not_equal(text_at("sessionState"), before);
	session();
	assert_string_not_equal(text_at("state"), before);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, fx_open, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_echo_gives_back_what_came),
		T(test_not_json),
		T(test_not_request),
		T(test_unknown_capability),
		T(test_unknown_members_are_ignored),
		T(test_sixteen_calls_pass_and_seventeen_do_not),
		T(test_no_calls_is_an_empty_response),
		T(test_websocket_response_has_type_and_request_id),
		T(test_websocket_errors_carry_the_id),
		T(test_unknown_method),
		T(test_method_of_a_capability_not_in_using),
		T(test_account_not_found),
		T(test_unknown_argument),
		T(test_a_write_that_was_not_announced_fails),
		T(test_writing_is_told_once),
		T(test_reference_takes_a_value),
		T(test_reference_maps_through_arrays),
		T(test_reference_that_fails),
		T(test_reference_beside_the_argument_itself),
		T(test_reference_name_may_be_escaped),
		T(test_reference_to_an_error),
		T(test_first_response_with_the_id_counts),
		T(test_chained_echoes_cannot_outgrow_the_limit),
		T(test_response_limit_is_never_passed),
		T(test_references_cannot_nest_without_end),
		T(test_created_ids_come_back_with_new_ones),
		T(test_session_shows_account_and_limits),
		T(test_session_state_follows_the_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
