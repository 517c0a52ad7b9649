/* A message that ended the store before is not taken apart again for the index. */
#include "core/store/text.h"
#include "test/unit/core/store/fixture.h"

/* What stands in the notebook, and what is poison in it. */
struct book {
	uint64_t poison;
	uint64_t last;
	int begun, at_work;
};

static int on_begin(void *ctx, uint64_t digest)
{
	struct book *b = ctx;

	assert_int_not_equal(digest, 0);
	b->last = digest;
	if (digest == b->poison)
		return STORE_REFUSED;
	b->begun++;
	b->at_work++;
	return 7;
}

static void on_end(void *ctx, int slot)
{
	struct book *b = ctx;

	assert_int_equal(slot, 7);
	b->at_work--;
}

static struct fx *guarded(struct book *b)
{
	struct fx *fx = fx_new();

	store_guard(fx->s, &(struct store_guard){on_begin, on_end, b});
	return fx;
}

static uint64_t add_now(struct fx *fx, const char *raw)
{
	struct email_new n = {.raw = str_of(raw), .mailboxes_n = 1};
	uint64_t inbox, id;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	n.mailboxes = &inbox;
	id = fx_add_new(fx, &n);
	fx_commit(fx);
	return id;
}

static size_t found(struct fx *fx, const char *query)
{
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, TEXT_ALL, str_of(query), &fx->arena, &ids, &n, &fx->e));
	fx_end(fx);
	return n;
}

static void test_every_message_is_announced_and_taken_back(void **state)
{
	struct book b = {0};
	struct fx *fx = guarded(&b);

	add_now(fx, "Subject: a\r\n\r\nfirst\r\n");
	add_now(fx, "Subject: b\r\n\r\nsecond\r\n");
	OK(text_catch_up(fx->a, &fx->e));
	assert_int_equal(b.begun, 2);
	assert_int_equal(b.at_work, 0);
	fx_free(fx);
}

static void test_poison_has_no_words_and_others_have(void **state)
{
	struct book b = {0};
	struct fx *fx = guarded(&b);
	uint64_t id;

	/* Its digest is what begin() was given last. */
	id = add_now(fx, "Subject: a\r\n\r\npoison\r\n");
	OK(text_catch_up(fx->a, &fx->e));
	assert_int_equal(found(fx, "poison"), 1);
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);

	b.poison = b.last;
	id = add_now(fx, "Subject: a\r\n\r\npoison\r\n");
	add_now(fx, "Subject: b\r\n\r\nharmless\r\n");
	OK(text_catch_up(fx->a, &fx->e));
	assert_int_equal(found(fx, "poison"), 0);
	assert_int_equal(found(fx, "harmless"), 1);
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
	assert_int_equal(b.at_work, 0);
	assert_int_equal(found(fx, "harmless"), 1);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_every_message_is_announced_and_taken_back),
		cmocka_unit_test(test_poison_has_no_words_and_others_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
