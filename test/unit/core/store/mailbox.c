/* The rules of the mailbox tree (RFC 8621 2.5), one refusal each. */
#include <errno.h>

#include "test/unit/core/store/fixture.h"

static int create(struct fx *fx, struct str name, uint64_t parent,
	const char *role, uint64_t *id_r)
{
	struct mailbox m = {
		.name = name,
		.parent = parent,
		.role = str_of(role),
	};
	int ret = mailbox_create(fx->t, &m, id_r, &fx->e);

	assert_true(ret >= 0);
	return ret;
}

static uint64_t made(struct fx *fx, const char *name, uint64_t parent)
{
	uint64_t id = 0;

	assert_int_equal(create(fx, str_of(name), parent, "", &id), MAILBOX_OK);
	return id;
}

static struct fx *begun(void)
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	return fx;
}

static void what_is_set_is_what_is_found(void **state)
{
	struct fx *fx = begun();
	struct mailbox m = {
		.name = STR("M\xc3\xbcll"),
		.role = STR("important"),
		.sort_order = UINT32_MAX,
		.subscribed = true,
	};
	uint64_t parent = made(fx, "parent", 0), id;
	struct mailbox is;

	m.parent = parent;
	OK(mailbox_create(fx->t, &m, &id, &fx->e));
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	is = fx_mailbox(fx, id);
	assert_int_equal(is.id, id);
	assert_int_equal(is.parent, parent);
	assert_true(str_eq(is.name, m.name));
	assert_true(str_eq(is.role, m.role));
	assert_int_equal(is.sort_order, UINT32_MAX);
	assert_true(is.subscribed);
	assert_int_equal(mailbox_with_role(fx->t, STR("important")), id);
	assert_int_equal(mailbox_with_role(fx->t, STR("nobody")), 0);
	assert_int_equal(mailbox_with_role(fx->t, STR("")), 0);
	assert_int_equal(
		mailbox_find(fx->t, id + 1, &fx->arena, &is, &fx->e), 0);
	fx_free(fx);
}

static void a_bad_name_is_refused(void **state)
{
	struct fx *fx = begun();
	char name[257];
	uint64_t id;
	/* The last ones: U+0085, U+2028, U+2029, U+FEFF (RFC 5198). */
	static const struct str bad[] = {{"", 0}, {"a\nb", 3}, {"\x7f", 1},
		{"a\0b", 3}, {"\xff", 1}, {"\xc3", 1}, {"\xc2\x85", 2},
		{"a\xe2\x80\xa8", 4}, {"\xe2\x80\xa9", 3},
		{"\xef\xbb\xbfx", 4}};

	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(
			create(fx, bad[i], 0, "", &id), MAILBOX_BAD_NAME);
	memset(name, 'x', sizeof(name));
	assert_int_equal(
		create(fx, str_n(name, 256), 0, "", &id), MAILBOX_BAD_NAME);
	assert_int_equal(create(fx, str_n(name, 255), 0, "", &id), MAILBOX_OK);
	fx_free(fx);
}

static void siblings_have_different_names(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b, id;
	struct mailbox m;

	assert_int_equal(create(fx, STR("a"), 0, "", &id), MAILBOX_NAME_TAKEN);
	b = made(fx, "a", a); /* elsewhere it may */
	m = fx_mailbox(fx, b);
	m.parent = 0;
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_NAME_TAKEN);
	m.name = STR("b");
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_OK);
	fx_free(fx);
}

static void a_parent_has_to_be_there(void **state)
{
	struct fx *fx = begun();
	uint64_t id;

	assert_int_equal(
		create(fx, STR("a"), 4711, "", &id), MAILBOX_BAD_PARENT);
	fx_free(fx);
}

static void a_loop_is_refused(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b = made(fx, "b", a);
	uint64_t c = made(fx, "c", b);
	struct mailbox m = fx_mailbox(fx, a);

	m.parent = a;
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_BAD_PARENT);
	m.parent = c;
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_BAD_PARENT);
	assert_int_equal(fx_mailbox(fx, a).parent, 0);
	fx_free(fx);
}

static void a_tree_too_deep_is_refused(void **state)
{
	struct fx *fx = begun();
	uint64_t id = 0, other, top = 0;
	struct mailbox m;

	for (int i = 0; i < MAILBOX_DEPTH; i++) {
		id = made(fx, "x", id);
		top = top ? top : id;
	}
	assert_int_equal(
		create(fx, STR("y"), id, "", &other), MAILBOX_BAD_PARENT);
	/* A tree that moves takes its own height along. */
	m = fx_mailbox(fx, top);
	m.parent = made(fx, "above", 0);
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_BAD_PARENT);
	fx_free(fx);
}

static void a_role_is_given_once(void **state)
{
	struct fx *fx = begun();
	uint64_t id, a = made(fx, "a", 0), inbox = fx_role(fx, "inbox");
	struct mailbox m = fx_mailbox(fx, a);

	assert_int_equal(
		create(fx, STR("b"), 0, "inbox", &id), MAILBOX_ROLE_TAKEN);
	m.role = STR("inbox");
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_ROLE_TAKEN);
	m = fx_mailbox(fx, inbox);
	m.sort_order = 3;
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_OK);
	fx_free(fx);
}

static void what_is_not_there_cannot_change(void **state)
{
	struct fx *fx = begun();
	struct mailbox m = {.id = 4711, .name = STR("x")};

	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_NOT_FOUND);
	assert_int_equal(
		mailbox_destroy(fx->t, 4711, true, &fx->e), MAILBOX_NOT_FOUND);
	fx_free(fx);
}

static void an_update_without_a_difference_is_no_change(void **state)
{
	struct fx *fx = begun();
	struct mailbox m = fx_mailbox(fx, fx_role(fx, "sent"));
	uint64_t before = fx_state(fx, TYPE_MAILBOX);

	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_OK);
	assert_int_equal(fx_state(fx, TYPE_MAILBOX), before);
	m.subscribed = false;
	assert_int_equal(mailbox_update(fx->t, &m, &fx->e), MAILBOX_OK);
	assert_true(fx_state(fx, TYPE_MAILBOX) > before);
	assert_false(fx_mailbox(fx, m.id).subscribed);
	fx_free(fx);
}

static void a_mailbox_with_a_child_or_email_stays(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b = made(fx, "b", a);

	assert_int_equal(
		mailbox_destroy(fx->t, a, true, &fx->e), MAILBOX_HAS_CHILD);
	fx_add(fx, b, 1);
	assert_int_equal(
		mailbox_destroy(fx->t, b, false, &fx->e), MAILBOX_HAS_EMAIL);
	assert_int_equal(mailbox_destroy(fx->t, b, true, &fx->e), MAILBOX_OK);
	assert_int_equal(mailbox_destroy(fx->t, a, false, &fx->e), MAILBOX_OK);
	fx_free(fx);
}

static void emails_that_are_elsewhere_too_survive_their_mailbox(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), inbox = fx_role(fx, "inbox");
	uint64_t both[] = {a, inbox};
	struct email_new n = {.mailboxes = both, .mailboxes_n = 2};
	uint64_t kept = fx_add_new(fx, &n), lost = fx_add(fx, a, 1);
	struct email m;

	assert_int_equal(mailbox_destroy(fx->t, a, true, &fx->e), MAILBOX_OK);
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	m = fx_email(fx, kept);
	assert_int_equal(m.mailboxes_n, 1);
	assert_int_equal(m.mailboxes[0], inbox);
	assert_int_equal(email_find(fx->t, lost, 0, &fx->arena, &m, &fx->e), 0);
	assert_counts(fx, inbox, 1, 1, 1, 1);
	fx_free(fx);
}

static void mailbox_ids_are_not_used_again(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0);

	assert_int_equal(mailbox_destroy(fx->t, a, false, &fx->e), MAILBOX_OK);
	fx_commit(fx);
	fx_reopen(fx);
	fx_begin(fx, TX_WRITE);
	assert_true(made(fx, "a", 0) > a);
	fx_free(fx);
}

static void the_list_is_in_order(void **state)
{
	struct fx *fx = begun();
	const struct mailbox *m;
	size_t n;

	for (int i = 0; i < 40; i++)
		made(fx, arena_fmt(&fx->arena, "m%02d", 39 - i).p, 0);
	OK(mailbox_list(fx->t, &fx->arena, &m, &n, &fx->e));
	assert_int_equal(n, 46);
	for (size_t i = 1; i < n; i++)
		assert_true(m[i - 1].sort_order < m[i].sort_order ||
			    (m[i - 1].sort_order == m[i].sort_order &&
				    str_cmp(m[i - 1].name, m[i].name) < 0));
	fx_free(fx);
}

/* ---- changes that are right together -------------------------------------- */

static int rename_to(struct fx *fx, uint64_t id, const char *name,
	uint64_t parent, const char *role)
{
	struct mailbox m = {
		.id = id,
		.name = str_of(name),
		.parent = parent,
		.role = str_of(role),
	};
	int ret = mailbox_update(fx->t, &m, &fx->e);

	assert_true(ret >= 0);
	return ret;
}

static void two_mailboxes_swap_their_names(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b = made(fx, "b", 0);

	assert_int_equal(rename_to(fx, a, "b", 0, ""), MAILBOX_NAME_TAKEN);
	mailbox_defer(fx->t, true);
	assert_int_equal(rename_to(fx, a, "b", 0, ""), MAILBOX_OK);
	assert_int_equal(rename_to(fx, b, "a", 0, ""), MAILBOX_OK);
	mailbox_defer(fx->t, false);
	assert_int_equal(mailbox_judge(fx->t, a, &fx->e), MAILBOX_OK);
	assert_int_equal(mailbox_judge(fx->t, b, &fx->e), MAILBOX_OK);
	fx_free(fx);
}

static void what_stays_wrong_is_judged_so(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b = made(fx, "b", 0), low = 0, id;

	for (int i = 0; i < MAILBOX_DEPTH; i++)
		low = made(fx, "x", low);
	mailbox_defer(fx->t, true);
	assert_int_equal(rename_to(fx, a, "b", 0, "trash"), MAILBOX_OK);
	assert_int_equal(rename_to(fx, b, "b", 0, "trash"), MAILBOX_OK);
	assert_int_equal(create(fx, STR("y"), low, "", &id), MAILBOX_OK);
	mailbox_defer(fx->t, false);
	assert_int_equal(mailbox_judge(fx->t, a, &fx->e), MAILBOX_NAME_TAKEN);
	assert_int_equal(rename_to(fx, b, "c", 0, "trash"), MAILBOX_ROLE_TAKEN);
	assert_int_equal(mailbox_judge(fx->t, id, &fx->e), MAILBOX_BAD_PARENT);
	assert_int_equal(mailbox_judge(fx->t, 4711, &fx->e), MAILBOX_OK);
	fx_free(fx);
}

static void some_rules_never_sleep(void **state)
{
	struct fx *fx = begun();
	uint64_t a = made(fx, "a", 0), b = made(fx, "b", a), id;

	mailbox_defer(fx->t, true);
	assert_int_equal(rename_to(fx, a, "a", b, ""), MAILBOX_BAD_PARENT);
	assert_int_equal(rename_to(fx, a, "a", a, ""), MAILBOX_BAD_PARENT);
	assert_int_equal(rename_to(fx, b, "b", 4711, ""), MAILBOX_BAD_PARENT);
	assert_int_equal(rename_to(fx, b, "", a, ""), MAILBOX_BAD_NAME);
	assert_int_equal(
		create(fx, STR("c"), 4711, "", &id), MAILBOX_BAD_PARENT);
	fx_free(fx);
}

/* RFC 8621 2, unreadThreads: the counts know one trash at any time. */
static void the_trash_is_swapped_with_its_mail(void **state)
{
	struct fx *fx = begun();
	uint64_t inbox = fx_role(fx, "inbox"), old = fx_role(fx, "trash");
	uint64_t new = made(fx, "new", 0), both[] = {inbox, old}, id;

	id = fx_add(fx, old, 1);
	id = fx_add(fx, new, 1);
	id = fx_add(fx, inbox, 1);
	OK(email_update(fx->t, id, NULL, 0, both, 2, &fx->e));
	mailbox_defer(fx->t, true);
	assert_int_equal(rename_to(fx, new, "new", 0, "trash"), MAILBOX_OK);
	OK(mailbox_destroy(fx->t, old, true, &fx->e));
	mailbox_defer(fx->t, false);
	assert_int_equal(mailbox_with_role(fx->t, STR("trash")), new);
	assert_counts(fx, new, 1, 1, 1, 1);
	assert_counts(fx, inbox, 1, 1, 1, 1);
	OK(email_update(fx->t, id, NULL, 0, &new, 1, &fx->e));
	assert_counts(fx, new, 2, 2, 2, 2);
	assert_counts(fx, inbox, 0, 0, 0, 0);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_is_what_is_found),
		cmocka_unit_test(a_bad_name_is_refused),
		cmocka_unit_test(siblings_have_different_names),
		cmocka_unit_test(a_parent_has_to_be_there),
		cmocka_unit_test(a_loop_is_refused),
		cmocka_unit_test(a_tree_too_deep_is_refused),
		cmocka_unit_test(a_role_is_given_once),
		cmocka_unit_test(what_is_not_there_cannot_change),
		cmocka_unit_test(an_update_without_a_difference_is_no_change),
		cmocka_unit_test(a_mailbox_with_a_child_or_email_stays),
		cmocka_unit_test(
			emails_that_are_elsewhere_too_survive_their_mailbox),
		cmocka_unit_test(mailbox_ids_are_not_used_again),
		cmocka_unit_test(the_list_is_in_order),
		cmocka_unit_test(two_mailboxes_swap_their_names),
		cmocka_unit_test(what_stays_wrong_is_judged_so),
		cmocka_unit_test(some_rules_never_sleep),
		cmocka_unit_test(the_trash_is_swapped_with_its_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
