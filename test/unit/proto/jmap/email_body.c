/*
 * Email/get and Email/parse where it is narrow: cards that are not as they should
 * be, depth, and answers that do not fit.
 */
#include "proto/jmap/email_card.h"
#include "test/unit/proto/jmap/jmap_test.h"

#define GET(more) "['Email/get',{'accountId':'@','ids':null," more "},'g']"

/* An Email with that for a card; CRLF as it stands. */
static void add(struct str raw, struct str card)
{
	struct err e = {0};
	uint64_t inbox, id, thread;
	struct tx *t;

	assert_int_equal(tx_begin(fx.account, TX_WRITE, &t, &e), 0);
	inbox = mailbox_with_role(t, STR("inbox"));
	if (email_add(t,
		    &(struct email_new){.raw = raw,
			    .received_ms = DAY0,
			    .mailboxes = &inbox,
			    .mailboxes_n = 1,
			    .card = card,
			    .sent_ms = INT64_MIN},
		    &id, &thread, &e) != 0 ||
		tx_commit(t, &e) != 0)
		fail_msg("%s", e.text);
	tx_end(t);
}

/* As one of a version before: it is made anew when it is wanted. */
static void test_a_card_that_is_none_is_made_from_the_blob(void **state)
{
	const struct str raw = STR("Subject: hi\r\n\r\nbody\r\n");

	add(raw, STR("\1 whatever this was"));
	run_calls(GET("'properties':['subject','preview']") "," GET(
		"'properties':['bodyStructure']") "," GET("'properties':['id',"
							  "'size']"));
	assert_string_equal(res_str(0, "list/0/subject"), "hi");
	assert_string_equal(res_str(0, "list/0/preview"), "body");
	assert_string_equal(
		res_str(1, "list/0/bodyStructure/type"), "text/plain");
	assert_string_equal(res_text(2, "list/0/size"), "21");
}

/* The parts of a kept card may lie; they are not believed. */
static void test_a_card_of_other_bytes_hurts_nobody(void **state)
{
	const struct str other =
		STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
		    "Content-Type: text/plain\r\n\r\n"
		    "much longer than what is there\r\n--b--\r\n");
	struct arena a = {0};
	struct buf card = {0};

	card_make(mime_parse(other, &a), 0, &card);
	add(STR("Subject: x\r\n\r\nb\r\n"), buf_str(&card));
	buf_fini(&card);
	arena_fini(&a);
	run_calls(GET("'properties':['bodyValues'],'fetchAllBodyValues':"
		      "true") "," GET("'properties':['bodyStructure'],"
				      "'bodyProperties':['headers',"
				      "'subParts']"));
	assert_error(0, "serverFail");
	assert_method(1, "Email/get");
	assert_int_equal(
		res_len(1, "list/0/bodyStructure/subParts/0/headers"), 0);
}

static void test_body_structure_as_deep_as_it_goes(void **state)
{
	struct buf b = {0};
	const char *p;
	size_t n = 0;

	buf_addz(&b, "Subject: deep\n");
	for (int i = 0; i < 150; i++)
		buf_fmt(&b,
			"Content-Type: multipart/mixed; boundary=\"b%d.\"\n\n"
			"--b%d.\n",
			i, i);
	buf_addz(&b, "\n\nthe end\n");
	deliver(buf_z(&b), DAY0);
	buf_fini(&b);
	/* Deeper than the reader of these tests goes. */
	fx_clear();
	buf_fmt(&b,
		"{\"using\":[\"" CORE "\",\"" MAIL "\"],\"methodCalls\":[["
		"\"Email/get\",{\"accountId\":\"%s\",\"ids\":null,"
		"\"properties\":[\"bodyStructure\"],"
		"\"bodyProperties\":[\"subParts\"]},\"g\"]]}",
		fx.acc);
	assert_int_equal(jmap_run(&fx.call, buf_str(&b), &fx.out), 200);
	buf_fini(&b);
	for (p = buf_z(&fx.out); (p = strstr(p, "{\"subParts\":[")); p++)
		n++;
	assert_int_equal(n, MIME_DEPTH - 1);
}

static void deliver_long_header(size_t n)
{
	struct buf b = {0};

	buf_addz(&b, "Subject: ");
	memset(buf_room(&b, n), 'x', n);
	b.n += n;
	buf_addz(&b, "\n\nbody\n");
	deliver(buf_z(&b), DAY0);
	buf_fini(&b);
}

/* What comes behind an answer that did not fit is answered all the same. */
static void test_header_beyond_the_response_limit(void **state)
{
	static const char *const forms[] = {"'headers'", "'header:Subject'",
		"'header:subject:asText'", "'header:SUBJECT:all'", "'subject'"};

	fx.conf.max_size_response = 65536;
	fx_limits();
	deliver_long_header(70000);
	for (size_t i = 0; i < countof(forms); i++) {
		run_calls(GET("'properties':[%s]") "," GET(
				  "'properties':['size']"),
			forms[i]);
		assert_error(0, "requestTooLarge");
		assert_method(1, "Email/get");
		assert_string_equal(res_text(1, "list/0/size"), "70019");
	}
	run_calls("['Email/get',{'accountId':'@','ids':null,'properties':["
		  "'textBody'],'bodyProperties':['headers']},'g'],"
		  "['Core/echo',{'a':1},'e']");
	assert_error(0, "requestTooLarge");
	assert_string_equal(res_text(1, "a"), "1");
}

/* One byte less than fits, that many, and one more. */
static void test_a_header_that_just_fits(void **state)
{
	size_t least = 0, most = 70000;

	fx.conf.max_size_response = 65536;
	fx_limits();
	while (most - least > 1) {
		size_t n = (least + most) / 2;

		run_calls("['Email/query',{'accountId':'@'},'q'],"
			  "['Email/set',{'accountId':'@','#destroy':{"
			  "'resultOf':'q','name':'Email/query',"
			  "'path':'/ids'}},'s']");
		deliver_long_header(n);
		run_calls(GET("'properties':['header:Subject']"));
		assert_true(fx.out.n <= 65536);
		if (strcmp(res_name(0), "error") == 0)
			most = n;
		else
			least = n;
	}
	assert_true(least > 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fx_open, fx_close)
		T(test_a_card_that_is_none_is_made_from_the_blob),
		T(test_a_card_of_other_bytes_hurts_nobody),
		T(test_body_structure_as_deep_as_it_goes),
		T(test_header_beyond_the_response_limit),
		T(test_a_header_that_just_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
