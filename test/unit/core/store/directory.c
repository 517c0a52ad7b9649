/* Accounts, addresses and credentials. */
#include <errno.h>
#include <sys/stat.h>

#include "test/unit/core/store/fixture.h"

static const uint8_t sha_a[SHA256_LEN] = {1}, sha_b[SHA256_LEN] = {2};

static uint64_t add(struct fx *fx, const char *name)
{
	uint64_t id = 0;

	OK(dir_add(fx->s, str_of(name), STR("$y$hash"), &id, &fx->e));
	return id;
}

static uint64_t by_address(struct fx *fx, const char *address)
{
	struct dir_account a;
	int ret = dir_by_address(fx->s, str_of(address), &a, &fx->e);

	assert_true(ret >= 0);
	return ret ? a.id : 0;
}

static void an_account_is_found_by_name_id_and_address(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct buf hash cleanup(buf_fini) = {0};
	uint64_t id = add(fx, "Alice@Example.ORG");
	struct dir_account a;

	assert_int_equal(
		dir_by_name(fx->s, STR("aLICE@example.org"), &a, &hash, &fx->e),
		1);
	assert_int_equal(a.id, id);
	assert_int_equal(a.version, 1);
	assert_string_equal(a.name, "alice@example.org");
	assert_true(str_eq(buf_str(&hash), STR("$y$hash")));
	assert_int_equal(dir_by_id(fx->s, id, &a, &fx->e), 1);
	assert_int_equal(dir_by_id(fx->s, id + 1, &a, &fx->e), 0);
	assert_int_equal(by_address(fx, "ALICE@example.org"), id);
	assert_int_equal(
		dir_by_name(fx->s, STR("bob@example.org"), &a, NULL, &fx->e),
		0);
	assert_int_equal(dir_by_name(fx->s, STR("\xff"), &a, NULL, &fx->e), 0);
	fx_free(fx);
}

static void a_new_account_has_the_six_mailboxes(void **state)
{
	struct fx *fx = fx_new();
	static const char *const roles[] = {
		"inbox", "drafts", "sent", "archive", "junk", "trash"};
	const struct mailbox *m;
	size_t n;

	fx_begin(fx, TX_READ);
	OK(mailbox_list(fx->t, &fx->arena, &m, &n, &fx->e));
	assert_int_equal(n, countof(roles));
	for (size_t i = 0; i < n; i++) {
		assert_true(str_eq(m[i].role, str_of(roles[i])));
		assert_true(m[i].subscribed);
		assert_true(m[i].name.n > 0);
	}
	assert_int_equal(fx_changes(fx, TYPE_MAILBOX, 1, 0).n, n);
	assert_int_equal(fx_state(fx, TYPE_EMAIL), 1);
	fx_free(fx);
}

static void a_taken_name_or_address_is_refused(void **state)
{
	struct fx *fx = fx_bare(NULL);
	uint64_t id, bob = add(fx, "bob@example.org");

	add(fx, "alice@example.org");
	assert_int_equal(
		dir_add(fx->s, STR("ALICE@example.org"), STR_NONE, &id, &fx->e),
		-EEXIST);
	OK(dir_add_address(
		fx->s, STR("bob@example.org"), STR("rob@example.org"), &fx->e));
	assert_int_equal(
		dir_add(fx->s, STR("rob@example.org"), STR_NONE, &id, &fx->e),
		-EEXIST);
	assert_int_equal(dir_add_address(fx->s, STR("alice@example.org"),
				 STR("Rob@example.org"), &fx->e),
		-EEXIST);
	assert_int_equal(by_address(fx, "rob@example.org"), bob);
	fx_free(fx);
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {"", "alice", "@example.org", "alice@",
		"a b@example.org", "a@b@example.org", ".a@example.org",
		"a.@example.org", "a..b@example.org", "a@example..org",
		"a@example.org.", "a@-x.org", "a@x-.org", "a@x_y.org",
		"\"a\"@example.org", "a@[127.0.0.1]", "a\n@example.org",
		"a\xff@example.org", "a,b@example.org", "../x@y"};
	static const char *const good[] = {"a@b", "a.b-c_d=e@example.org",
		"\xc3\xa9t\xc3\xa9@ex\xc3\xa4mple.org", "o'neil/x@a-b.c-d",
		"user+tag@example.org"};
	struct fx *fx = fx_bare(NULL);
	struct buf b cleanup(buf_fini) = {0};
	uint64_t id;

	for (size_t i = 0; i < countof(bad); i++) {
		assert_int_equal(
			dir_add(fx->s, str_of(bad[i]), STR_NONE, &id, &fx->e),
			-EINVAL);
		assert_int_equal(by_address(fx, bad[i]), 0);
	}
	for (size_t i = 0; i < countof(good); i++)
		add(fx, good[i]);
	assert_false(address_read(STR("a@b\0"), &b));
	fx_free(fx);
}

static void an_address_has_at_most_254_bytes(void **state)
{
	struct buf out cleanup(buf_fini) = {0}, a cleanup(buf_fini) = {0};
	const char *label =
		"abcdefghi.abcdefghi.abcdefghi.abcdefghi.abcdefghi.";

	buf_addz(&a, "abc@");
	for (int i = 0; i < 5; i++)
		buf_addz(&a, label);
	buf_drop(&a, 1);
	buf_addc(&a, 'x');
	assert_int_equal(a.n, 254);
	assert_true(address_read(buf_str(&a), &out));
	buf_addc(&a, 'x');
	assert_false(address_read(buf_str(&a), &out));
}

static void detail_goes_to_the_user_unless_an_alias_says_else(void **state)
{
	struct fx *fx = fx_bare(NULL);
	uint64_t alice = add(fx, "alice@example.org");
	uint64_t bob = add(fx, "bob@example.org");

	assert_int_equal(by_address(fx, "alice+lists@example.org"), alice);
	assert_int_equal(by_address(fx, "alice+a+b@example.org"), alice);
	assert_int_equal(by_address(fx, "alice+@example.org"), alice);
	assert_int_equal(by_address(fx, "+alice@example.org"), 0);
	assert_int_equal(by_address(fx, "carol+x@example.org"), 0);
	OK(dir_add_address(fx->s, STR("bob@example.org"),
		STR("alice+lists@example.org"), &fx->e));
	assert_int_equal(by_address(fx, "alice+lists@example.org"), bob);
	OK(dir_remove_address(fx->s, STR("Alice+Lists@example.org"), &fx->e));
	assert_int_equal(by_address(fx, "alice+lists@example.org"), alice);
	fx_free(fx);
}

static void an_address_that_cannot_go_stays(void **state)
{
	struct fx *fx = fx_bare(NULL);
	uint64_t alice = add(fx, "alice@example.org");

	assert_int_equal(
		dir_remove_address(fx->s, STR("alice@example.org"), &fx->e),
		-EINVAL);
	assert_int_equal(
		dir_remove_address(fx->s, STR("bob@example.org"), &fx->e),
		-ENOENT);
	assert_int_equal(
		dir_remove_address(fx->s, STR("bob"), &fx->e), -EINVAL);
	assert_int_equal(dir_add_address(fx->s, STR("bob@example.org"),
				 STR("x@example.org"), &fx->e),
		-ENOENT);
	assert_int_equal(dir_add_address(fx->s, STR("alice@example.org"),
				 STR("x"), &fx->e),
		-EINVAL);
	assert_int_equal(by_address(fx, "alice@example.org"), alice);
	fx_free(fx);
}

static void a_new_hash_grows_the_version(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct buf hash cleanup(buf_fini) = {0};
	struct dir_account a, b;

	add(fx, "alice@example.org");
	OK(dir_set_hash(
		fx->s, STR("alice@example.org"), STR("new"), &a, &fx->e));
	assert_int_equal(a.version, 2);
	assert_int_equal(
		dir_by_name(fx->s, STR("alice@example.org"), &b, &hash, &fx->e),
		1);
	assert_int_equal(b.version, 2);
	assert_true(str_eq(buf_str(&hash), STR("new")));
	assert_int_equal(dir_set_hash(fx->s, STR("bob@example.org"), STR("x"),
				 &a, &fx->e),
		-ENOENT);
	fx_free(fx);
}

static void a_token_logs_in_until_it_is_revoked(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct str alice = STR("alice@example.org");
	uint64_t id = add(fx, "alice@example.org"), phone, laptop;
	struct dir_account a;

	OK(dir_add_token(fx->s, alice, STR("phone"), sha_a, &phone, &fx->e));
	OK(dir_add_token(fx->s, alice, STR("laptop"), sha_b, &laptop, &fx->e));
	assert_true(laptop > phone);
	assert_int_equal(dir_by_token(fx->s, sha_a, &a, &fx->e), 1);
	assert_int_equal(a.id, id);
	assert_int_equal(a.version, 1);
	OK(dir_revoke_token(fx->s, alice, STR("phone"), &a, &fx->e));
	assert_int_equal(a.version, 2);
	assert_int_equal(dir_by_token(fx->s, sha_a, &a, &fx->e), 0);
	assert_int_equal(dir_by_token(fx->s, sha_b, &a, &fx->e), 1);
	assert_int_equal(a.version, 2);
	OK(dir_revoke_token(fx->s, alice,
		arena_fmt(&fx->arena, "%d", (int)laptop), &a, &fx->e));
	assert_int_equal(dir_by_token(fx->s, sha_b, &a, &fx->e), 0);
	fx_free(fx);
}

static void a_token_that_cannot_be_is_refused(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct str alice = STR("alice@example.org");
	struct dir_account a;
	char longer[65] = {0};
	uint64_t id;

	memset(longer, 'x', 64);
	add(fx, "alice@example.org");
	OK(dir_add_token(fx->s, alice, STR("phone"), sha_a, &id, &fx->e));
	assert_int_equal(
		dir_add_token(fx->s, alice, STR("phone"), sha_b, &id, &fx->e),
		-EEXIST);
	assert_int_equal(
		dir_add_token(fx->s, alice, STR(""), sha_b, &id, &fx->e),
		-EINVAL);
	assert_int_equal(
		dir_add_token(fx->s, alice, str_of(longer), sha_b, &id, &fx->e),
		-EINVAL);
	assert_int_equal(dir_add_token(fx->s, STR("bob@example.org"), STR("x"),
				 sha_b, &id, &fx->e),
		-ENOENT);
	assert_int_equal(dir_revoke_token(fx->s, alice, STR("fax"), &a, &fx->e),
		-ENOENT);
	assert_int_equal(dir_by_id(fx->s, 1, &a, &fx->e), 1);
	assert_int_equal(a.version, 1);
	fx_free(fx);
}

static int collect_token(void *ctx, const struct dir_token *t)
{
	buf_fmt(ctx, "%s ", t->name);
	assert_true(t->created_ms > 0);
	return 0;
}

static int collect_account(void *ctx, const struct dir_account *a)
{
	buf_fmt(ctx, "%s ", a->name);
	return 0;
}

static int first_account_only(void *ctx, const struct dir_account *a)
{
	buf_fmt(ctx, "%s ", a->name);
	return -ECANCELED;
}

static void lists_come_in_order_and_can_end(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct buf b cleanup(buf_fini) = {0};
	uint64_t id;

	add(fx, "bob@example.org");
	add(fx, "alice@example.org");
	OK(dir_each(fx->s, collect_account, &b, &fx->e));
	assert_string_equal(buf_z(&b), "alice@example.org bob@example.org ");
	buf_reset(&b);
	assert_int_equal(
		dir_each(fx->s, first_account_only, &b, &fx->e), -ECANCELED);
	assert_string_equal(buf_z(&b), "alice@example.org ");
	buf_reset(&b);
	OK(dir_add_token(
		fx->s, STR("bob@example.org"), STR("z"), sha_a, &id, &fx->e));
	OK(dir_add_token(
		fx->s, STR("bob@example.org"), STR("a"), sha_b, &id, &fx->e));
	OK(dir_each_token(
		fx->s, STR("bob@example.org"), collect_token, &b, &fx->e));
	assert_string_equal(buf_z(&b), "z a ");
	assert_int_equal(dir_each_token(fx->s, STR("carol@example.org"),
				 collect_token, &b, &fx->e),
		-ENOENT);
	fx_free(fx);
}

static void a_removed_account_is_gone_with_all_it_had(void **state)
{
	struct fx *fx = fx_bare(NULL);
	struct str alice = STR("alice@example.org");
	uint64_t id = add(fx, "alice@example.org"), token;
	struct dir_account a;
	struct stat st;

	OK(dir_add_address(fx->s, alice, STR("ali@example.org"), &fx->e));
	OK(dir_add_token(fx->s, alice, STR("phone"), sha_a, &token, &fx->e));
	assert_int_equal(stat(fx_path(fx, "accounts/1/mail.db"), &st), 0);
	OK(dir_remove(fx->s, alice, &a, &fx->e));
	assert_int_equal(a.id, id);
	assert_int_equal(a.version, 2);
	assert_int_equal(stat(fx_path(fx, "accounts/1"), &st), -1);
	assert_int_equal(by_address(fx, "alice@example.org"), 0);
	assert_int_equal(by_address(fx, "ali@example.org"), 0);
	assert_int_equal(dir_by_token(fx->s, sha_a, &a, &fx->e), 0);
	assert_int_equal(dir_remove(fx->s, alice, &a, &fx->e), -ENOENT);
	assert_int_equal(add(fx, "alice@example.org"), id + 1);
	fx_free(fx);
}

static void ids_of_failed_and_removed_accounts_are_not_used_again(void **state)
{
	struct fx *fx = fx_bare(NULL);
	uint64_t first = add(fx, "a@example.org");
	struct dir_account a;

	OK(dir_remove(fx->s, STR("a@example.org"), &a, &fx->e));
	store_close(steal(fx->s));
	fx_open(fx, NULL);
	assert_true(add(fx, "b@example.org") > first);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_account_is_found_by_name_id_and_address),
		cmocka_unit_test(a_new_account_has_the_six_mailboxes),
		cmocka_unit_test(a_taken_name_or_address_is_refused),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(an_address_has_at_most_254_bytes),
		cmocka_unit_test(
			detail_goes_to_the_user_unless_an_alias_says_else),
		cmocka_unit_test(an_address_that_cannot_go_stays),
		cmocka_unit_test(a_new_hash_grows_the_version),
		cmocka_unit_test(a_token_logs_in_until_it_is_revoked),
		cmocka_unit_test(a_token_that_cannot_be_is_refused),
		cmocka_unit_test(lists_come_in_order_and_can_end),
		cmocka_unit_test(a_removed_account_is_gone_with_all_it_had),
		cmocka_unit_test(
			ids_of_failed_and_removed_accounts_are_not_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
