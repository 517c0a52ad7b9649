/*
 * The address in a peer's name.
 */
#include "proto/front/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/base.h"

static void is(const char *peer, const uint8_t want[16])
{
	struct call_from from = peer_from(peer);

	assert_memory_equal(from.address, want, 16);
}

static void ipv4_is_mapped(void **state)
{
	is("192.0.2.255:80",
		(uint8_t[16]){[10] = 0xff, [11] = 0xff, 192, 0, 2, 255});
	is("127.0.0.1", (uint8_t[16]){[10] = 0xff, [11] = 0xff, 127, 0, 0, 1});
}

static void ipv6_stands_in_brackets(void **state)
{
	is("[2001:db8::9]:443", (uint8_t[16]){0x20, 1, 0x0d, 0xb8, [15] = 9});
	is("[::ffff:192.0.2.1]:443",
		(uint8_t[16]){[10] = 0xff, [11] = 0xff, 192, 0, 2, 1});
	is("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		(uint8_t[16]){0x20, 1, 0x0d, 0xb8, 255, 255, 255, 255, 255, 255,
			255, 255, 255, 255, 255, 255});
}

static void all_else_has_no_address(void **state)
{
	static const char *const none[] = {NULL, "", ":", "[", "[]", "[]:1",
		"unix", "unknown", "unix:/run/x", "2001:db8::9", "1.2.3:4",
		"[1.2.3.4]:5", "[2001:db8::9",
		"[0000000000000000000000000000000000000000000000000::1]:1"};
	const uint8_t zeroes[16] = {0};

	for (size_t i = 0; i < countof(none); i++)
		is(none[i], zeroes);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_mapped),
		cmocka_unit_test(ipv6_stands_in_brackets),
		cmocka_unit_test(all_else_has_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
