/*
 * Messages: the table says of each number its name, its head and its writer.
 */
#include "ipc/msg.h"

#include "test/unit/ipc/pair.h"

static void test_names(void **state)
{
	assert_string_equal(msg_name(MSG_CALL), "CALL");
	assert_string_equal(msg_name(MSG_REVOKE), "REVOKE");
	assert_string_equal(msg_name(0), "?");
	assert_string_equal(msg_name(9), "?");
	assert_string_equal(msg_name(22), "?");
	assert_string_equal(msg_name(UINT32_MAX), "?");
}

static void test_every_message_has_a_head_and_one_writer(void **state)
{
	static const uint32_t all[] = {
#define MSG(name, value, writer, head) MSG_##name,
#include "ipc/msg.def"
#undef MSG
	};

	for (size_t i = 0; i < countof(all); i++) {
		bool low = all[i] < MSG_REPLY;

		assert_true(msg_head_size(all[i]) >= sizeof(uint64_t));
		assert_int_equal(
			msg_writer(all[i]), low ? MSG_BY_WORKER : MSG_BY_STORE);
	}
}

static void test_no_message_has_no_head_and_no_writer(void **state)
{
	static const uint32_t none[] = {0, 9, 15, 22, UINT32_MAX};

	for (size_t i = 0; i < countof(none); i++) {
		assert_int_equal(msg_head_size(none[i]), 0);
		assert_int_equal(msg_writer(none[i]), MSG_BY_NOBODY);
	}
}

static void test_split_gives_head_and_rest(void **state)
{
	struct msg_credit in = {.call = 7, .bytes = 9}, out;
	char rec[sizeof(in) + 4];
	struct str rest;

	memcpy(rec, &in, sizeof(in));
	memcpy(rec + sizeof(in), "rest", 4);
	assert_true(msg_split(MSG_CALL_CREDIT, str_n(rec, sizeof(rec)), &out,
		sizeof(out), &rest));
	assert_int_equal(out.call, 7);
	assert_int_equal(out.bytes, 9);
	assert_int_equal(rest.n, 4);
	assert_memory_equal(rest.p, "rest", 4);
}

static void test_split_of_a_bare_head_leaves_nothing(void **state)
{
	struct msg_chunk in = {.call = 5}, out;
	struct str rest;

	assert_true(msg_split(MSG_CALL_END, str_n(&in, sizeof(in)), &out,
		sizeof(out), &rest));
	assert_int_equal(out.call, 5);
	assert_int_equal(rest.n, 0);
}

static void test_record_shorter_than_its_head_is_refused(void **state)
{
	char rec[sizeof(struct msg_call)] = {0};
	struct msg_call out;
	struct str rest;

	for (size_t n = 0; n < sizeof(rec); n++)
		assert_false(msg_split(
			MSG_CALL, str_n(rec, n), &out, sizeof(out), &rest));
	assert_true(msg_split(
		MSG_CALL, str_n(rec, sizeof(rec)), &out, sizeof(out), &rest));
}

static void test_unknown_type_is_refused(void **state)
{
	char rec[256] = {0}, out[256];
	struct str rest;

	assert_false(msg_split(0, str_n(rec, 256), out, 256, &rest));
	assert_false(msg_split(9, str_n(rec, 256), out, 256, &rest));
	assert_false(msg_split(65535, str_n(rec, 256), out, 256, &rest));
}

static void test_head_larger_than_its_place_is_refused(void **state)
{
	char rec[256] = {0};
	struct msg_chunk out;
	struct str rest;

	assert_false(
		msg_split(MSG_CALL, str_n(rec, 256), &out, sizeof(out), &rest));
}

static void test_larger_place_is_zeroed_behind_the_head(void **state)
{
	struct msg_chunk in = {.call = 5};
	union {
		struct msg_chunk chunk;
		struct msg_call call;
	} out;
	struct str rest;

	memset(&out, 0xff, sizeof(out));
	assert_true(msg_split(MSG_CALL_END, str_n(&in, sizeof(in)), &out,
		sizeof(out), &rest));
	assert_int_equal(out.chunk.call, 5);
	assert_int_equal(out.call.conn, 0);
	assert_int_equal(out.call.flags, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_message_has_a_head_and_one_writer),
		cmocka_unit_test(test_no_message_has_no_head_and_no_writer),
		cmocka_unit_test(test_split_gives_head_and_rest),
		cmocka_unit_test(test_split_of_a_bare_head_leaves_nothing),
		cmocka_unit_test(test_record_shorter_than_its_head_is_refused),
		cmocka_unit_test(test_unknown_type_is_refused),
		cmocka_unit_test(test_head_larger_than_its_place_is_refused),
		cmocka_unit_test(test_larger_place_is_zeroed_behind_the_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
