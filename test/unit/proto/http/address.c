/*
 * Which addresses are one client's.
 */
#include "proto/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

union any {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage all;
};

static union any address(const char *text, unsigned port)
{
	union any a = {.all = {0}};

	if (strchr(text, ':')) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons((uint16_t)port);
		assert_int_equal(
			inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
	} else {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(AF_INET, text, &a.in.sin_addr), 1);
	}
	return a;
}

static bool same(const char *a, const char *b)
{
	union any x = address(a, 1000), y = address(b, 2000);
	char key_x[ADDRESS_KEY_MAX], key_y[ADDRESS_KEY_MAX];
	struct str p = address_key(&x.sa, key_x);
	struct str q = address_key(&y.sa, key_y);

	assert_true(p.n && q.n);
	return str_eq(p, q);
}

static void test_ipv4_is_whole_and_has_no_port(void **state)
{
	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_false(same("192.0.2.1", "193.0.2.1"));
}

static void test_ipv6_is_its_first_64_bits(void **state)
{
	assert_true(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
	assert_false(same("2001:db8:0:1::1", "2001:db8:0:2::1"));
	assert_false(same("2001:db8::1", "2001:db9::1"));
}

static void test_ipv4_in_ipv6_is_ipv4(void **state)
{
	assert_true(same("::ffff:192.0.2.1", "192.0.2.1"));
	assert_false(same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
}

static void test_families_are_not_mixed(void **state)
{
	assert_false(same("0.0.0.0", "::1"));
}

static void test_a_unix_socket_has_none(void **state)
{
	struct sockaddr a = {.sa_family = AF_UNIX};
	char key[ADDRESS_KEY_MAX];

	assert_int_equal(address_key(&a, key).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4_is_whole_and_has_no_port),
		cmocka_unit_test(test_ipv6_is_its_first_64_bits),
		cmocka_unit_test(test_ipv4_in_ipv6_is_ipv4),
		cmocka_unit_test(test_families_are_not_mixed),
		cmocka_unit_test(test_a_unix_socket_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
