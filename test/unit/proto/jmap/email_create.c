/*
 * Email/set create and Email/import against a real store: what is written, what is
 * told, what is refused. test/e2e/test_email_create.py has every rule by name.
 */
#include "test/unit/proto/jmap/jmap_test.h"

#include "core/base/types.h"

static char drafts[32];

static int open_mail(void **state)
{
	if (fx_open(state) < 0)
		return -1;
	run_calls("['Mailbox/get',{'accountId':'@','ids':null},'0']");
	for (size_t i = 0; i < res_len(0, "list"); i++) {
		char path[64];

		snprintf(path, sizeof(path), "list/%zu/role", i);
		if (strcmp(res_str(0, path), "drafts") != 0)
			continue;
		snprintf(path, sizeof(path), "list/%zu/id", i);
		snprintf(drafts, sizeof(drafts), "%s", res_str(0, path));
	}
	return 0;
}

/* One creation "k" of these members, and what Email/get then shows. */
static void create(const char *members)
{
	run_calls("['Email/set',{'accountId':'@','create':{'k':{"
		  "'mailboxIds':{'%s':true}%s}}},'0'],"
		  "['Email/get',{'accountId':'@','ids':['#k'],"
		  "'fetchAllBodyValues':true},'1']",
		drafts, members);
}

static struct str raw_of_newest(struct buf *b)
{
	struct err e = {0};
	struct arena a = {0};
	struct email m;
	struct tx *t;
	uint64_t id;

	assert_true(id_parse('e', str_of(res_str(0, "created/k/id")), &id));
	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	assert_int_equal(email_find(t, id, 0, &a, &m, &e), 1);
	assert_int_equal(blob_read(t, &m.blob, b, &e), 1);
	tx_end(t);
	arena_fini(&a);
	return buf_str(b);
}

static uint64_t state_of_type(enum type type)
{
	struct err e = {0};
	uint64_t modseq = 0;
	struct tx *t;

	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	assert_int_equal(tx_state(t, type, &modseq, &e), 0);
	tx_end(t);
	return modseq;
}

/* ---- create ----------------------------------------------------------------------- */

static void test_a_draft_is_written_in_the_client_s_order(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str raw;

	create(",'subject':'Hi','to':[{'email':'a@x'}],'sentAt':"
	       "'2026-11-24T06:08:49+01:00','messageId':['m@x'],"
	       "'textBody':[{'partId':'t'}],"
	       "'bodyValues':{'t':{'value':'Hello.\\n'}}");
	raw = raw_of_newest(&b);
	assert_true(
		str_eq(raw, STR("Subject: Hi\r\n"
				"To: a@x\r\n"
				"Date: Tue, 24 Nov 2026 06:08:49 +0100\r\n"
				"Message-ID: <m@x>\r\n"
				"MIME-Version: 1.0\r\n"
				"Content-Type: text/plain; charset=utf-8\r\n"
				"\r\n"
				"Hello.\r\n")));
	assert_string_equal(res_str(1, "list/0/subject"), "Hi");
	assert_string_equal(res_str(1, "list/0/preview"), "Hello.");
}

static void test_created_tells_what_was_not_sent(void **state)
{
	create(",'subject':'Hi','keywords':{'$draft':true},'sentAt':null");
	assert_int_equal(json_object_object_length(res(0, "created/k")), 9);
	assert_string_equal(
		res_str(0, "created/k/id"), res_str(1, "list/0/id"));
	assert_string_equal(
		res_str(0, "created/k/sentAt"), res_str(1, "list/0/sentAt"));
	assert_null(json_object_object_get(res(0, "created/k"), "keywords"));
	assert_null(json_object_object_get(res(0, "created/k"), "subject"));
}

static void test_a_draft_is_no_delivery(void **state)
{
	uint64_t before, email;

	deliver_n(0, 1);
	before = state_of_type(TYPE_EMAIL_DELIVERY);
	email = state_of_type(TYPE_EMAIL);
	create("");
	assert_int_equal(state_of_type(TYPE_EMAIL_DELIVERY), before);
	assert_true(state_of_type(TYPE_EMAIL) > email);
	run_calls("['Email/get',{'accountId':'@','ids':['e1'],"
		  "'properties':['blobId']},'0']");
	run_calls("['Email/import',{'accountId':'@','emails':{'k':{"
		  "'mailboxIds':{'%s':true},'blobId':'%s'}}},'0']",
		drafts, res_str(0, "list/0/blobId"));
	assert_non_null(res(0, "created/k/id"));
	assert_int_equal(state_of_type(TYPE_EMAIL_DELIVERY), before);
}

static void test_a_message_id_is_of_the_user_s_domain(void **state)
{
	create("");
	assert_true(str_ends(str_of(res_str(0, "created/k/messageId/0")),
		STR("@example.org")));
	fx.call.user = "alice";
	create("");
	assert_true(str_ends(str_of(res_str(0, "created/k/messageId/0")),
		STR("@localhost")));
	fx.call.user = "not @ domain>";
	create("");
	assert_true(str_ends(str_of(res_str(0, "created/k/messageId/0")),
		STR("@localhost")));
}

static void test_a_refused_draft_leaves_nothing(void **state)
{
	uint64_t before = state_of_type(TYPE_EMAIL);

	create(",'subject':'a\\nb','bodyStructure':{'subParts':[{}]}");
	assert_string_equal(
		res_str(0, "notCreated/k/type"), "invalidProperties");
	assert_string_equal(res_text(0, "notCreated/k/properties"),
		"[\"subject\",\"bodyStructure/subParts/0/partId\"]");
	assert_string_equal(res_text(1, "notFound"), "[\"#k\"]");
	assert_int_equal(state_of_type(TYPE_EMAIL), before);
}

static void test_a_path_too_deep_is_told_by_its_top(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	buf_addz(&b, ",'bodyStructure':");
	for (int i = 0; i < 25; i++)
		buf_addz(&b, "{'subParts':[");
	buf_addz(&b, "{}");
	for (int i = 0; i < 25; i++)
		buf_addz(&b, "]}");
	create(buf_z(&b));
	assert_string_equal(
		res_text(0, "notCreated/k/properties"), "[\"bodyStructure\"]");
}

static void test_at_most_eight_properties_are_told(void **state)
{
	create(",'a':1,'b':1,'c':1,'d':1,'e':1,'f':1,'g':1,'h':1,'i':1");
	assert_int_equal(res_len(0, "notCreated/k/properties"), 8);
}

static void test_too_large_ends_reading_blobs(void **state)
{
	char blob[160];

	fx.conf.max_size_message = 1024;
	fx_limits();
	deliver_n(0, 1);
	run_calls("['Email/get',{'accountId':'@','ids':['e1'],"
		  "'properties':['blobId']},'0']");
	snprintf(blob, sizeof(blob), "%s", res_str(0, "list/0/blobId"));
	run_calls("['Email/set',{'accountId':'@','create':{'k':{"
		  "'mailboxIds':{'%s':true},'attachments':[{'blobId':'%s'},"
		  "{'blobId':'%s'},{'blobId':'%s'},{'blobId':'%s'},"
		  "{'blobId':'%s'},{'blobId':'bnone'}]}}},'0']",
		drafts, blob, blob, blob, blob, blob);
	assert_string_equal(res_str(0, "notCreated/k/type"), "tooLarge");
	run_calls("['Email/set',{'accountId':'@','create':{'k':{"
		  "'mailboxIds':{'%s':true},'attachments':[{'blobId':'%s'},"
		  "{'blobId':'bnone'},{'blobId':'bnone'}]}}},'0']",
		drafts, blob);
	assert_string_equal(res_str(0, "notCreated/k/type"), "blobNotFound");
	assert_string_equal(
		res_text(0, "notCreated/k/notFound"), "[\"bnone\"]");
}

static void test_more_fields_than_there_can_be(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	for (int i = 0; i <= 1000; i++)
		buf_fmt(&b, ",'header:X-%d':' v'", i);
	create(buf_z(&b));
	assert_string_equal(
		res_text(0, "notCreated/k/properties"), "[\"header:X-1000\"]");
}

/* ---- import ------------------------------------------------------------------------- */

static void test_import_takes_a_part(void **state)
{
	create(",'attachments':[],'textBody':[{'partId':'t'}],'bodyValues':"
	       "{'t':{'value':'Subject: inner\\n\\nbody\\n'}}");
	run_calls("['Email/import',{'accountId':'@','emails':{'k':{"
		  "'mailboxIds':{'%s':true},'keywords':{'$Seen':true},"
		  "'receivedAt':'2001-02-03T04:05:06Z','blobId':'%s'}}},'0'],"
		  "['Email/get',{'accountId':'@','ids':['#k']},'1']",
		drafts, res_str(1, "list/0/textBody/0/blobId"));
	assert_method(0, "Email/import");
	assert_int_equal(json_object_object_length(res(0, "")), 5);
	assert_int_equal(json_object_object_length(res(0, "created/k")), 4);
	assert_string_equal(res_str(1, "list/0/subject"), "inner");
	assert_string_equal(res_text(1, "list/0/keywords"), "{\"$seen\":true}");
	assert_string_equal(
		res_str(1, "list/0/receivedAt"), "2001-02-03T04:05:06Z");
}

static void test_import_refuses(void **state)
{
	run_calls("['Email/import',{'accountId':'@','emails':{'k':{"
		  "'mailboxIds':{},'blobId':'bnone','x':1}}},'0'],"
		  "['Email/import',{'accountId':'@'},'1'],"
		  "['Email/import',{'accountId':'@','ifInState':'x',"
		  "'emails':{}},'2']");
	assert_string_equal(res_text(0, "notCreated/k/properties"),
		"[\"x\",\"mailboxIds\"]");
	assert_error(1, "invalidArguments");
	assert_error(2, "stateMismatch");
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_mail, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_draft_is_written_in_the_client_s_order),
		T(test_created_tells_what_was_not_sent),
		T(test_a_draft_is_no_delivery),
		T(test_a_message_id_is_of_the_user_s_domain),
		T(test_a_refused_draft_leaves_nothing),
		T(test_a_path_too_deep_is_told_by_its_top),
		T(test_at_most_eight_properties_are_told),
		T(test_too_large_ends_reading_blobs),
		T(test_more_fields_than_there_can_be),
		T(test_import_takes_a_part),
		T(test_import_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
