/* List views: order, windows, totals. */
#include "test/unit/core/store/fixture.h"

#define N 10

/* Ten emails whose order of arrival is not that of receivedAt. */
static struct fx *filled(uint64_t *inbox_r, uint64_t id[N])
{
	struct fx *fx = fx_new();

	fx_begin(fx, TX_WRITE);
	*inbox_r = fx_role(fx, "inbox");
	for (int i = 0; i < N; i++) {
		int at = i * 7 % N;

		id[at] = fx_add(fx, *inbox_r, at * 1000);
	}
	fx_add(fx, fx_role(fx, "sent"), 5500);
	fx_commit(fx);
	fx_begin(fx, TX_READ);
	return fx;
}

static struct email_ids query(struct fx *fx, struct email_query q)
{
	struct email_ids r;

	OK(email_query(fx->t, &q, &fx->arena, &r, &fx->e));
	return r;
}

static void every_window_from_both_ends_is_right(void **state)
{
	uint64_t inbox, id[N];
	struct fx *fx = filled(&inbox, id);

	for (int64_t pos = -N - 2; pos <= N + 2; pos++) {
		for (uint64_t limit = 0; limit <= N + 1; limit++) {
			for (int up = 0; up < 2; up++) {
				struct email_ids r =
					query(fx, (struct email_query){inbox,
							  up, pos, limit});
				size_t first =
					(size_t)(pos >= 0 ? pos
							  : max_of(pos + N, 0));

				assert_int_equal(r.total, N);
				assert_int_equal(r.position, first);
				assert_int_equal(r.n,
					first > N ? 0
						  : min_of(limit, N - first));
				for (size_t i = 0; i < r.n; i++)
					assert_int_equal(r.at[i],
						id[up ? first + i
						      : N - 1 - first - i]);
			}
		}
	}
	fx_free(fx);
}

static void the_whole_account_is_a_list_too(void **state)
{
	uint64_t inbox, id[N];
	struct fx *fx = filled(&inbox, id);
	struct email_ids r = query(fx, (struct email_query){.limit = 100});

	assert_int_equal(r.total, N + 1);
	assert_int_equal(r.n, N + 1);
	assert_int_equal(r.at[0], id[N - 1]);
	assert_int_equal(r.at[5], id[5]);
	r = query(fx, (struct email_query){.ascending = true, .limit = 1});
	assert_int_equal(r.at[0], id[0]);
	fx_free(fx);
}

static void equal_dates_are_in_order_of_id(void **state)
{
	struct fx *fx = fx_new();
	uint64_t inbox, a, b;
	struct email_ids r;

	fx_begin(fx, TX_WRITE);
	inbox = fx_role(fx, "inbox");
	a = fx_add(fx, inbox, 5);
	b = fx_add(fx, inbox, 5);
	r = query(fx, (struct email_query){.mailbox = inbox, .limit = 2});
	assert_int_equal(r.at[0], b);
	assert_int_equal(r.at[1], a);
	fx_free(fx);
}

static void an_absurd_window_is_empty(void **state)
{
	uint64_t inbox, id[N];
	struct fx *fx = filled(&inbox, id);
	struct email_ids r = query(
		fx, (struct email_query){inbox, false, INT64_MAX, UINT64_MAX});

	assert_int_equal(r.n, 0);
	assert_int_equal(r.total, N);
	r = query(
		fx, (struct email_query){inbox, false, INT64_MIN, UINT64_MAX});
	assert_int_equal(r.n, N);
	assert_int_equal(r.position, 0);
	r = query(fx, (struct email_query){.mailbox = 4711, .limit = 5});
	assert_int_equal(r.n, 0);
	assert_int_equal(r.total, 0);
	fx_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_window_from_both_ends_is_right),
		cmocka_unit_test(the_whole_account_is_a_list_too),
		cmocka_unit_test(equal_dates_are_in_order_of_id),
		cmocka_unit_test(an_absurd_window_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
