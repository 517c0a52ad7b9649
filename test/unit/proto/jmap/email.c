/*
 * Email and Thread: deliveries, get, bodies, set, changes, query.
 */
#include "test/unit/proto/jmap/jmap_test.h"

#define GET(more) "['Email/get',{'accountId':'@'," more "},'g']"
#define QUERY(more) "['Email/query',{'accountId':'@'" more "},'q']"

static const char *const mixed =
	"Return-Path: <bob@example.net>\n"
	"From: =?utf-8?q?B=C3=B6b?= <bob@example.net>\n"
	"To: Alice <alice@example.org>, Team: carol@example.org,\n"
	" Dave <dave@example.org>;\n"
	"Cc: eve@example.org\n"
	"Subject: =?utf-8?b?R3LDvMOfZQ==?=\n"
	"Message-ID: <one@example.net>\n"
	"Date: Tue, 24 Nov 2026 06:08:49 +0100\n"
	"MIME-Version: 1.0\n"
	"Content-Type: multipart/mixed; boundary=outer\n"
	"\n"
	"--outer\n"
	"Content-Type: multipart/alternative; boundary=inner\n"
	"\n"
	"--inner\n"
	"Content-Type: text/plain; charset=iso-8859-1\n"
	"Content-Transfer-Encoding: quoted-printable\n"
	"\n"
	"Gr=FC=DFe an Alice\n"
	"--inner\n"
	"Content-Type: text/html; charset=utf-8\n"
	"\n"
	"<p>Gr\xc3\xbc\xc3\x9f"
	"e</p>\n"
	"--inner--\n"
	"--outer\n"
	"Content-Type: text/csv; name=\"list.csv\"\n"
	"Content-Disposition: attachment; filename=\"list.csv\"\n"
	"Content-Language: de, en\n"
	"Content-Transfer-Encoding: base64\n"
	"\n"
	"YSxiCjEsMgo=\n"
	"--outer--\n";

static char inbox[32], archive[32];

static int open_mail(void **state)
{
	if (fx_open(state) < 0)
		return -1;
	run_calls("['Mailbox/get',{'accountId':'@','ids':null},'0']");
	for (size_t i = 0; i < res_len(0, "list"); i++) {
		char path[64], role[32];

		snprintf(path, sizeof(path), "list/%zu/role", i);
		snprintf(role, sizeof(role), "%s", res_str(0, path));
		snprintf(path, sizeof(path), "list/%zu/id", i);
		if (strcmp(role, "inbox") == 0)
			snprintf(inbox, sizeof(inbox), "%s", res_str(0, path));
		if (strcmp(role, "archive") == 0)
			snprintf(archive, sizeof(archive), "%s",
				res_str(0, path));
	}
	return 0;
}

/* ---- /get ----------------------------------------------------------------------- */

static void test_delivery_fills_the_metadata(void **state)
{
	deliver(mixed, DAY0 + 678);
	run_calls(GET("'ids':null"));
	assert_int_equal(res_len(0, "list"), 1);
	assert_int_equal(json_object_object_length(res(0, "list/0")), 24);
	assert_string_equal(res_text(0, "list/0/keywords"), "{}");
	assert_int_equal(
		json_object_object_length(res(0, "list/0/mailboxIds")), 1);
	assert_string_equal(
		res_str(0, "list/0/receivedAt"), "2026-09-21T14:13:20Z");
	assert_string_equal(
		res_str(0, "list/0/sentAt"), "2026-11-24T06:08:49+01:00");
	assert_string_equal(res_str(0, "list/0/subject"), "Gr\xc3\xbc\xc3\x9f"
							  "e");
	assert_string_equal(res_text(0, "list/0/from"),
		"[{\"name\":\"B\xc3\xb6\x62\",\"email\":\"bob@example.net\"}]");
	assert_string_equal(res_text(0, "list/0/to"),
		"[{\"name\":\"Alice\",\"email\":\"alice@example.org\"},"
		"{\"name\":null,\"email\":\"carol@example.org\"},"
		"{\"name\":\"Dave\",\"email\":\"dave@example.org\"}]");
	assert_string_equal(res_text(0, "list/0/bcc"), "null");
	assert_string_equal(
		res_text(0, "list/0/messageId"), "[\"one@example.net\"]");
	assert_string_equal(res_text(0, "list/0/inReplyTo"), "null");
	assert_string_equal(res_text(0, "list/0/hasAttachment"), "true");
	assert_string_equal(res_str(0, "list/0/preview"), "Gr\xc3\xbc\xc3\x9f"
							  "e an Alice");
	assert_string_equal(res_text(0, "list/0/bodyValues"), "{}");
}

static void test_body_lists_and_their_parts(void **state)
{
	deliver(mixed, DAY0);
	run_calls(GET("'ids':null,'properties':['textBody','htmlBody',"
		      "'attachments','blobId']"));
	assert_int_equal(res_len(0, "list/0/textBody"), 1);
	assert_string_equal(res_str(0, "list/0/textBody/0/type"), "text/plain");
	assert_string_equal(
		res_str(0, "list/0/textBody/0/charset"), "iso-8859-1");
	assert_string_equal(res_str(0, "list/0/htmlBody/0/type"), "text/html");
	assert_string_equal(res_text(0, "list/0/attachments/0/size"), "8");
	assert_string_equal(
		res_str(0, "list/0/attachments/0/name"), "list.csv");
	assert_string_equal(
		res_str(0, "list/0/attachments/0/disposition"), "attachment");
	assert_string_equal(res_text(0, "list/0/attachments/0/language"),
		"[\"de\",\"en\"]");
	assert_string_equal(res_text(0, "list/0/attachments/0/cid"), "null");
	assert_int_equal(
		json_object_object_length(res(0, "list/0/attachments/0")), 10);
}

static void test_blob_ids_name_message_and_part(void **state)
{
	struct blob_id whole, part;
	struct blob_part p;
	struct err e = {0};
	struct buf raw = {0};
	struct tx *t;

	deliver(mixed, DAY0);
	run_calls(GET("'ids':null,'properties':['attachments','blobId']"));
	assert_true(
		blob_id_parse(str_of(res_str(0, "list/0/blobId")), &whole, &p));
	assert_false(p.part);
	assert_true(blob_id_parse(
		str_of(res_str(0, "list/0/attachments/0/blobId")), &part, &p));
	assert_memory_equal(&whole, &part, sizeof(whole));
	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	assert_int_equal(blob_read(t, &part, &raw, &e), 1);
	assert_true(p.part && p.length >= 12);
	assert_memory_equal(raw.p + p.offset, "YSxiCjEsMgo=", 12);
	tx_end(t);
	buf_fini(&raw);
}

static void test_body_values_as_they_are_asked_for(void **state)
{
	deliver(mixed, DAY0);
	run_calls(GET(
		"'ids':null,'properties':['bodyValues','textBody'],"
		"'fetchTextBodyValues':true,"
		"'bodyProperties':['partId']") "," GET("'ids':null,'properties'"
						       ":['bodyValues'],"
						       "'fetchHTMLBodyValues':"
						       "true") "," GET("'ids':"
								       "null,'"
								       "propert"
								       "ies':['"
								       "bodyVal"
								       "ues'],"
								       "'fetchA"
								       "llBodyV"
								       "alues':"
								       "true") "," GET("'ids':null,'properties':['bodyValues'],"
										       "'fetchTextBodyValues':true,'maxBodyValueBytes':4"));
	char path[96];

	assert_int_equal(
		json_object_object_length(res(0, "list/0/bodyValues")), 1);
	snprintf(path, sizeof(path), "list/0/bodyValues/%s/value",
		res_str(0, "list/0/textBody/0/partId"));
	assert_string_equal(res_str(0, path), "Gr\xc3\xbc\xc3\x9f"
					      "e an Alice");
	assert_int_equal(
		json_object_object_length(res(0, "list/0/textBody/0")), 1);
	json_object_object_foreach(res(1, "list/0/bodyValues"), id, v)
	{
		assert_non_null(id);
		assert_string_equal(json_object_get_string(
					    json_object_object_get(v, "value")),
			"<p>Gr\xc3\xbc\xc3\x9f"
			"e</p>");
	}
	assert_int_equal(
		json_object_object_length(res(2, "list/0/bodyValues")), 3);
	json_object_object_foreach(res(3, "list/0/bodyValues"), id2, v2)
	{
		assert_non_null(id2);
		assert_string_equal(
			json_object_get_string(
				json_object_object_get(v2, "value")),
			"Gr\xc3\xbc");
		assert_true(json_object_get_boolean(
			json_object_object_get(v2, "isTruncated")));
	}
}

static void test_get_refuses_what_is_not_built(void **state)
{
	run_calls(GET("'ids':[],'properties':['nope']") "," GET(
		"'ids':[],'"
		"bodyProperties':"
		"['nope']") "," GET("'ids':[],'maxBodyValueBytes':-1") "," GET("'ids':[],'"
									       "fetchAllBod"
									       "yValues':'"
									       "x'"));
	for (unsigned i = 0; i < 4; i++)
		assert_error(i, "invalidArguments");
}

/* More parts than a kept card holds: they come from the blob. */
static void test_message_of_many_parts(void **state)
{
	struct buf b = {0};

	buf_addz(&b, "From: a@b\nSubject: many\nMIME-Version: 1.0\n"
		     "Content-Type: multipart/mixed; boundary=x\n\n");
	for (int i = 0; i < 2000; i++)
		buf_fmt(&b,
			"--x\nContent-Type: text/plain\n"
			"Content-Disposition: attachment; filename=\"%d\"\n\n"
			"part %d\n",
			i, i);
	buf_addz(&b, "--x--\n");
	deliver(buf_z(&b), DAY0);
	buf_fini(&b);
	run_calls(GET("'ids':null,'properties':['subject']") "," GET(
		"'ids':null,'properties':['subject','attachments',"
		"'bodyValues'],'fetchAllBodyValues':true"));
	assert_string_equal(res_str(0, "list/0/subject"), "many");
	assert_int_equal(res_len(1, "list/0/attachments"), 2000);
	assert_string_equal(res_str(1, "list/0/attachments/1999/name"), "1999");
	assert_int_equal(
		json_object_object_length(res(1, "list/0/bodyValues")), 2000);
}

/* Header fields beyond what a kept card holds. */
static void test_message_with_a_huge_header(void **state)
{
	struct buf b = {0};

	buf_addz(&b, "From: a@b\nSubject: huge\nTo: x@y");
	for (int i = 0; i < 3000; i++)
		buf_fmt(&b, ",\n person%d@example.org", i);
	buf_addz(&b, "\n\nbody\n");
	deliver(buf_z(&b), DAY0);
	buf_fini(&b);
	run_calls(GET("'ids':null,'properties':['to','subject','textBody']"));
	assert_string_equal(res_str(0, "list/0/subject"), "huge");
	assert_int_equal(res_len(0, "list/0/to"), 3001);
	assert_int_equal(res_len(0, "list/0/textBody"), 1);
}

static void test_any_bytes_can_be_delivered(void **state)
{
	deliver("", DAY0);
	deliver("\n", DAY0);
	deliver("no header at all", DAY0);
	deliver("Subject: \xff\xfe\nContent-Type: multipart/mixed\n\n\x01\x80",
		DAY0);
	run_calls(GET("'ids':null,'fetchAllBodyValues':true"));
	assert_int_equal(res_len(0, "list"), 4);
}

static void test_body_values_beyond_the_response_limit(void **state)
{
	struct buf b = {0};

	fx.conf.max_size_response = 65536;
	fx_limits();
	buf_addz(&b, "Subject: long\n\n");
	for (int i = 0; i < 1000; i++)
		buf_fmt(&b, "%0100d\n", i);
	deliver(buf_z(&b), DAY0);
	buf_fini(&b);
	run_calls(GET(
		"'ids':null,'properties':['bodyValues'],"
		"'fetchAllBodyValues':true") "," GET("'ids':null,'properties':["
						     "'bodyValues'],"
						     "'fetchAllBodyValues':"
						     "true,'maxBodyValueBytes':"
						     "1000"));
	assert_error(0, "requestTooLarge");
	assert_method(1, "Email/get");
}

/* ---- threads ----------------------------------------------------------------------- */

static void test_reply_joins_the_thread(void **state)
{
	deliver("Subject: plan\nMessage-ID: <a@x>\n\n1\n", DAY0);
	deliver("Subject: Re: plan\nMessage-ID: <b@x>\nIn-Reply-To: "
		"<a@x>\n\n2\n",
		DAY0 + 1000);
	deliver("Subject: other\nMessage-ID: <c@x>\n\n3\n", DAY0 + 2000);
	run_calls(GET(
		"'ids':null,'properties':['threadId','inReplyTo']") ","
								    "['Thread/"
								    "get',{'"
								    "accountId'"
								    ":'@','#"
								    "ids':{'"
								    "resultOf':"
								    "'g',"
								    "'name':'"
								    "Email/"
								    "get','"
								    "path':'/"
								    "list/*/"
								    "threadId'}"
								    "},'t'],"
								    "['Email/"
								    "get',{'"
								    "accountId'"
								    ":'@','"
								    "properties"
								    "':['"
								    "subject'],"
								    "'#ids':{'"
								    "resultOf':"
								    "'t','name'"
								    ":'Thread/"
								    "get',"
								    "'path':'/"
								    "list/*/"
								    "emailIds'}"
								    "},'e'],"
								    "['Thread/"
								    "get',{'"
								    "accountId'"
								    ":'@','ids'"
								    ":null},'n'"
								    "]");
	assert_int_equal(res_len(1, "list"), 2);
	assert_int_equal(
		res_len(1, "list/0/emailIds") + res_len(1, "list/1/emailIds"),
		3);
	assert_int_equal(res_len(2, "list"), 3);
	assert_int_equal(res_len(3, "list"), 2);
}

/* ---- /set ----------------------------------------------------------------------------- */

static void test_keywords_by_patch_and_whole(void **state)
{
	deliver_n(0, 2);
	run_calls("['Email/set',{'accountId':'@','update':{"
		  "'e1':{'keywords/$SEEN':true,'keywords/$flagged':true},"
		  "'e2':{'keywords':{'x/y':true,'a':true}}}},'0'],"
		  "['Email/set',{'accountId':'@','update':{"
		  "'e1':{'keywords/$flagged':null,'keywords/nope':null},"
		  "'e2':{'keywords/x~1y':null}}},'1'],"
		  "['Email/get',{'accountId':'@','ids':['e1','e2'],"
		  "'properties':['keywords']},'2']");
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_string_equal(
		res_text(0, "updated"), "{\"e1\":null,\"e2\":null}");
	assert_string_equal(res_text(1, "notUpdated"), "null");
	assert_string_equal(res_text(2, "list/0/keywords"), "{\"$seen\":true}");
	assert_string_equal(res_text(2, "list/1/keywords"), "{\"a\":true}");
}

static void test_set_moves_between_mailboxes(void **state)
{
	deliver_n(0, 1);
	run_calls("['Email/set',{'accountId':'@','update':{'e1':"
		  "{'mailboxIds/%s':true,'mailboxIds/%s':null}}},'0'],"
		  "['Email/get',{'accountId':'@','ids':['e1'],"
		  "'properties':['mailboxIds']},'1'],"
		  "['Mailbox/get',{'accountId':'@','ids':['%s','%s'],"
		  "'properties':['totalEmails','unreadThreads']},'2']",
		archive, inbox, inbox, archive);
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_int_equal(
		json_object_object_length(res(1, "list/0/mailboxIds")), 1);
	assert_string_equal(res_text(2, "list/0/totalEmails"), "0");
	assert_string_equal(res_text(2, "list/1/totalEmails"), "1");
	assert_string_equal(res_text(2, "list/1/unreadThreads"), "1");
}

static void test_set_into_a_mailbox_made_in_the_same_request(void **state)
{
	deliver_n(0, 1);
	run_calls("['Mailbox/set',{'accountId':'@','create':"
		  "{'k':{'name':'New'}}},'0'],"
		  "['Email/set',{'accountId':'@','update':{'e1':"
		  "{'mailboxIds':{'#k':true}}}},'1'],"
		  "['Email/query',{'accountId':'@','filter':"
		  "{'inMailbox':'#k'}},'2']");
	assert_string_equal(res_text(1, "notUpdated"), "null");
	assert_string_equal(res_text(2, "ids"), "[\"e1\"]");
}

static void refuse(const char *patch, const char *type, const char *props)
{
	run_calls("['Email/set',{'accountId':'@','update':{'e1':%s}},'0']",
		patch);
	assert_string_equal(res_str(0, "notUpdated/e1/type"), type);
	if (props)
		assert_string_equal(
			res_text(0, "notUpdated/e1/properties"), props);
	assert_string_equal(res_text(0, "updated"), "null");
}

static void test_set_refuses(void **state)
{
	static const char *const bad = "invalidProperties";

	deliver_n(0, 1);
	refuse("{'keywords/a b':true}", bad, "[\"keywords\"]");
	refuse("{'keywords/':true}", bad, "[\"keywords\"]");
	refuse("{'keywords':{'(':true}}", bad, "[\"keywords\"]");
	refuse("{'keywords':{'a':false}}", bad, "[\"keywords\"]");
	refuse("{'keywords/a':false}", bad, "[\"keywords\"]");
	refuse("{'keywords':[]}", bad, "[\"keywords\"]");
	refuse("{'mailboxIds':{}}", bad, "[\"mailboxIds\"]");
	refuse("{'mailboxIds':null}", bad, "[\"mailboxIds\"]");
	refuse("{'mailboxIds':{'m99':true}}", bad, "[\"mailboxIds\"]");
	refuse("{'mailboxIds/m99':true}", bad, "[\"mailboxIds\"]");
	refuse("{'mailboxIds/#no':true}", bad, "[\"mailboxIds\"]");
	refuse("{'subject':'new'}", bad, "[\"subject\"]");
	refuse("{'size':1,'threadId':'t9'}", bad, "[\"size\",\"threadId\"]");
	refuse("{'nope':1}", bad, "[\"nope\"]");
	refuse("{'keywords':{},'keywords/a':true}", "invalidPatch", NULL);
	refuse("{'keywords/a/b':true}", "invalidPatch", NULL);
	refuse("{'keywords/~2':true}", "invalidPatch", NULL);
}

static void test_set_takes_a_server_set_value_that_is_so(void **state)
{
	deliver_n(0, 1);
	run_calls("['Email/set',{'accountId':'@','update':{'e1':"
		  "{'subject':'message 0','id':'e1','keywords/a':true}}},'0']");
	assert_string_equal(res_text(0, "notUpdated"), "null");
}

static void test_too_many_keywords(void **state)
{
	struct buf b = {0};

	deliver_n(0, 1);
	for (int i = 0; i < 128; i++)
		buf_fmt(&b, "%s'k%d':true", i ? "," : "", i);
	run_calls("['Email/set',{'accountId':'@','update':{'e1':{'keywords':"
		  "{%s}}}},'0'],['Email/set',{'accountId':'@','update':"
		  "{'e1':{'keywords/more':true}}},'1']",
		buf_z(&b));
	buf_fini(&b);
	assert_string_equal(res_text(0, "notUpdated"), "null");
	assert_string_equal(
		res_str(1, "notUpdated/e1/type"), "tooManyKeywords");
}

static void test_destroy_and_create(void **state)
{
	deliver_n(0, 2);
	run_calls("['Email/set',{'accountId':'@','destroy':['e1','e9'],"
		  "'create':{'k':{'subject':'x'}}},'0'],"
		  "['Email/get',{'accountId':'@','ids':['e1','e2'],"
		  "'properties':[]},'1']");
	assert_string_equal(res_text(0, "destroyed"), "[\"e1\"]");
	assert_string_equal(res_str(0, "notDestroyed/e9/type"), "notFound");
	assert_string_equal(
		res_str(0, "notCreated/k/type"), "invalidProperties");
	assert_string_equal(res_text(1, "notFound"), "[\"e1\"]");
}

/* ---- /changes --------------------------------------------------------------------------- */

static void test_email_changes(void **state)
{
	char since[64];

	deliver_n(0, 2);
	run_calls(GET("'ids':[]"));
	snprintf(since, sizeof(since), "%s", res_str(0, "state"));
	deliver_n(2, 1);
	run_calls("['Email/set',{'accountId':'@','update':{'e1':"
		  "{'keywords/$seen':true}},'destroy':['e2']},'0'],"
		  "['Email/changes',{'accountId':'@','sinceState':'%s'},'1'],"
		  "['Thread/changes',{'accountId':'@','sinceState':'%s'},'2']",
		since, since);
	assert_string_equal(res_text(1, "created"), "[\"e3\"]");
	assert_string_equal(res_text(1, "updated"), "[\"e1\"]");
	assert_string_equal(res_text(1, "destroyed"), "[\"e2\"]");
	assert_string_equal(res_str(1, "newState"), res_str(0, "newState"));
	assert_int_equal(res_len(2, "created"), 1);
	assert_int_equal(res_len(2, "destroyed"), 1);
	assert_null(json_object_object_get(res(1, ""), "updatedProperties"));
}

/* ---- /query ---------------------------------------------------------------------------------- */

static void ids_are(const char *want)
{
	if (strcmp(res_text(0, "ids"), want) != 0)
		fail_msg("%s", buf_z(&fx.out));
}

static void test_query_newest_first_by_default(void **state)
{
	deliver_n(0, 3);
	run_calls(QUERY(""));
	ids_are("[\"e3\",\"e2\",\"e1\"]");
	assert_string_equal(res_text(0, "canCalculateChanges"), "true");
	assert_string_equal(res_text(0, "position"), "0");
	assert_string_equal(res_text(0, "limit"), "5000");
	assert_null(json_object_object_get(res(0, ""), "total"));
}

static void test_query_windows(void **state)
{
	deliver_n(0, 5);
	run_calls(QUERY(",'sort':[{'property':'receivedAt'}],'position':1,"
			"'limit':2,'calculateTotal':true"));
	ids_are("[\"e2\",\"e3\"]");
	assert_string_equal(res_text(0, "total"), "5");
	assert_null(json_object_object_get(res(0, ""), "limit"));
	run_calls(QUERY(",'position':-2"));
	ids_are("[\"e2\",\"e1\"]");
	assert_string_equal(res_text(0, "position"), "3");
	run_calls(QUERY(",'position':-99,'limit':1"));
	ids_are("[\"e5\"]");
	run_calls(QUERY(",'position':99,'calculateTotal':true"));
	ids_are("[]");
	assert_string_equal(res_text(0, "total"), "5");
	run_calls(QUERY(",'limit':0,'calculateTotal':true"));
	ids_are("[]");
	run_calls(QUERY(",'anchor':'e3','anchorOffset':-1,'limit':2"));
	ids_are("[\"e4\",\"e3\"]");
	assert_string_equal(res_text(0, "position"), "1");
	run_calls(QUERY(",'anchor':'e5','anchorOffset':-7,'limit':1"));
	ids_are("[\"e5\"]");
}

static void test_query_limit_of_the_server(void **state)
{
	deliver_n(0, 3);
	fx.conf.query_max_results = 2;
	fx_limits();
	run_calls(QUERY(",'limit':3"));
	ids_are("[\"e3\",\"e2\"]");
	assert_string_equal(res_text(0, "limit"), "2");
}

static void test_query_in_mailbox(void **state)
{
	deliver_n(0, 3);
	run_calls("['Email/set',{'accountId':'@','update':{'e2':"
		  "{'mailboxIds':{'%s':true}}}},'0']",
		archive);
	run_calls("['Email/query',{'accountId':'@','filter':"
		  "{'inMailbox':'%s'}},'0']",
		archive);
	ids_are("[\"e2\"]");
	run_calls("['Email/query',{'accountId':'@','calculateTotal':true,"
		  "'filter':{'inMailbox':'m99'}},'0']");
	ids_are("[]");
	assert_string_equal(res_text(0, "total"), "0");
	run_calls("['Email/query',{'accountId':'@','calculateTotal':true,"
		  "'filter':{'inMailbox':'nonsense'}},'0']");
	ids_are("[]");
}

static void test_query_collapses_threads(void **state)
{
	deliver("Subject: plan\nMessage-ID: <a@x>\n\n1\n", DAY0);
	deliver("Subject: other\nMessage-ID: <c@x>\n\n3\n", DAY0 + 1000);
	deliver("Subject: Re: plan\nMessage-ID: <b@x>\nIn-Reply-To: "
		"<a@x>\n\n2\n",
		DAY0 + 2000);
	run_calls(QUERY(",'collapseThreads':true,'calculateTotal':true"));
	ids_are("[\"e3\",\"e2\"]");
	assert_string_equal(res_text(0, "total"), "2");
	run_calls("['Email/query',{'accountId':'@','collapseThreads':true,"
		  "'filter':{'inMailbox':'%s'},'calculateTotal':true,"
		  "'position':1,'limit':1},'0']",
		inbox);
	ids_are("[\"e2\"]");
	assert_string_equal(res_text(0, "total"), "2");
	run_calls(QUERY(",'collapseThreads':true,'position':-1"));
	ids_are("[\"e2\"]");
	run_calls(QUERY(",'collapseThreads':true,"
			"'sort':[{'property':'receivedAt'}]"));
	ids_are("[\"e1\",\"e2\"]");
}

static void test_query_refuses(void **state)
{
	static const char *const rows[][2] = {
		{"'filter':{'inMailbox':1}", "invalidArguments"},
		{"'filter':[]", "invalidArguments"},
		{"'sort':[{'property':'preview'}]", "unsupportedSort"},
		{"'sort':[{'property':'receivedAt'},{'property':'preview'}]",
			"unsupportedSort"},
		{"'sort':[{'property':'receivedAt','collation':'x'}]",
			"unsupportedSort"},
		{"'sort':[{}]", "invalidArguments"},
		{"'sort':{}", "invalidArguments"},
		{"'limit':-1", "invalidArguments"},
		{"'limit':1.5", "invalidArguments"},
		{"'position':'1'", "invalidArguments"},
		{"'anchor':'e99'", "anchorNotFound"},
		{"'anchor':'nonsense'", "anchorNotFound"},
		{"'nope':1", "invalidArguments"}};

	deliver_n(0, 1);
	for (size_t i = 0; i < countof(rows); i++) {
		run_calls(
			"['Email/query',{'accountId':'@',%s},'0']", rows[i][0]);
		assert_error(0, rows[i][1]);
	}
}

static void test_query_state_moves_with_the_emails(void **state)
{
	char before[64];

	deliver_n(0, 1);
	run_calls(QUERY(""));
	snprintf(before, sizeof(before), "%s", res_str(0, "queryState"));
	run_calls(QUERY(""));
	assert_string_equal(res_str(0, "queryState"), before);
	deliver_n(1, 1);
	run_calls(QUERY(""));
	assert_string_not_equal(res_str(0, "queryState"), before);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, open_mail, fx_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_delivery_fills_the_metadata),
		T(test_body_lists_and_their_parts),
		T(test_blob_ids_name_message_and_part),
		T(test_body_values_as_they_are_asked_for),
		T(test_get_refuses_what_is_not_built),
		T(test_message_of_many_parts),
		T(test_message_with_a_huge_header),
		T(test_any_bytes_can_be_delivered),
		T(test_body_values_beyond_the_response_limit),
		T(test_reply_joins_the_thread),
		T(test_keywords_by_patch_and_whole),
		T(test_set_moves_between_mailboxes),
		T(test_set_into_a_mailbox_made_in_the_same_request),
		T(test_set_refuses),
		T(test_set_takes_a_server_set_value_that_is_so),
		T(test_too_many_keywords),
		T(test_destroy_and_create),
		T(test_email_changes),
		T(test_query_newest_first_by_default),
		T(test_query_windows),
		T(test_query_limit_of_the_server),
		T(test_query_in_mailbox),
		T(test_query_collapses_threads),
		T(test_query_refuses),
		T(test_query_state_moves_with_the_emails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
