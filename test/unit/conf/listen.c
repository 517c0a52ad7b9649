/*
 * Listeners: each form of an address, the words, and what is refused.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "test/unit/conf/fixture.h"

/* The one listener of `listen: "s"`. */
static const struct conf_listener *one(const char *s)
{
	char text[256];

	snprintf(text, sizeof(text),
		"tls-cert: /c\ntls-key: /k\nlisten: '%s'\n", s);
	assert_int_equal(good(text)->listen.n, 1);
	return &parsed.c.listen.at[0];
}

static void refused(const char *s, const char *why)
{
	char text[256], sentence[300];

	snprintf(text, sizeof(text), "listen: '%s'\n", s);
	snprintf(sentence, sizeof(sentence), "t.conf:1:9: listen: %s", why);
	bad(text, sentence);
}

static void test_ipv4(void **state)
{
	const struct conf_listener *l = one("127.0.0.1:8080");
	const struct sockaddr_in *in = (const void *)&l->addr;

	assert_string_equal(l->text, "127.0.0.1:8080");
	assert_int_equal(l->addr_len, sizeof(*in));
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 8080);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(l->proto, LISTEN_HTTP);
	assert_false(l->tls);
	assert_false(l->plain);
}

static void test_ipv6(void **state)
{
	const struct conf_listener *l = one("[0:0::1]:443 tls");
	const struct sockaddr_in6 *in6 = (const void *)&l->addr;

	assert_string_equal(l->text, "[::1]:443");
	assert_int_equal(l->addr_len, sizeof(*in6));
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(in6->sin6_port), 443);
	assert_true(IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
	assert_true(l->tls);
}

static void test_star_is_every_address(void **state)
{
	const struct conf_listener *l = one("*:443 tls");
	const struct sockaddr_in6 *in6 = (const void *)&l->addr;

	assert_string_equal(l->text, "[::]:443");
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr));
}

static void test_localhost_is_a_number_too(void **state)
{
	assert_string_equal(one("localhost:24 lmtp")->text, "127.0.0.1:24");
}

static void test_unix(void **state)
{
	const struct conf_listener *l = one("unix:/run/lmtp.sock lmtp");
	const struct sockaddr_un *un = (const void *)&l->addr;

	assert_string_equal(l->text, "unix:/run/lmtp.sock");
	assert_int_equal(l->addr_len, sizeof(*un));
	assert_int_equal(un->sun_family, AF_UNIX);
	assert_string_equal(un->sun_path, "/run/lmtp.sock");
	assert_int_equal(l->proto, LISTEN_LMTP);
}

static void test_longest_unix_path(void **state)
{
	char path[160] = "unix:/";

	memset(path + 6, 'a', 106);
	assert_string_equal(one(path)->text, path);
	path[112] = 'a';
	refused(path,
		"\"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\" is too "
		"long; at most 107 bytes");
}

static void test_words_in_any_order_and_spacing(void **state)
{
	const struct conf_listener *l = one("  0.0.0.0:80 \t  plain  ");

	assert_true(l->plain);
	assert_string_equal(l->text, "0.0.0.0:80");
}

static void test_sequence_and_scalar(void **state)
{
	const struct conf *c = good("listen:\n"
				    "  - 127.0.0.1:80\n"
				    "  - \"[::1]:80\"\n"
				    "  - unix:/a lmtp\n");

	assert_int_equal(c->listen.n, 3);
	assert_string_equal(c->listen.at[2].text, "unix:/a");
	assert_int_equal(good("listen: 127.0.0.1:80\n")->listen.n, 1);
}

static void test_names_are_no_addresses(void **state)
{
	refused("mail.example.org:80",
		"\"mail.example.org:80\" is not a numeric address; give one "
		"like 127.0.0.1:8080, [::1]:443 or *:443");
	refused("[127.0.0.1]:80",
		"\"[127.0.0.1]:80\" is not a numeric address; give one like "
		"127.0.0.1:8080, [::1]:443 or *:443");
	refused("127.1:80",
		"\"127.1:80\" is not a numeric address; give one like "
		"127.0.0.1:8080, [::1]:443 or *:443");
	refused(":80", "\":80\" is not a numeric address; give one like "
		       "127.0.0.1:8080, [::1]:443 or *:443");
	refused("[]:80", "\"[]:80\" is not a numeric address; give one like "
			 "127.0.0.1:8080, [::1]:443 or *:443");
}

static void test_what_is_no_address_at_all(void **state)
{
	refused("8080", "\"8080\" is not an address; give ADDRESS:PORT, "
			"[ADDRESS]:PORT, *:PORT or unix:PATH, then words");
	refused("[::1]", "\"[::1]\" is not an address; give ADDRESS:PORT, "
			 "[ADDRESS]:PORT, *:PORT or unix:PATH, then words");
	refused("[::1", "\"[::1\" is not an address; give ADDRESS:PORT, "
			"[ADDRESS]:PORT, *:PORT or unix:PATH, then words");
	refused("  ", "an empty listener; give ADDRESS:PORT, "
		      "[ADDRESS]:PORT, *:PORT or unix:PATH, then words");
}

static void test_ipv6_needs_brackets(void **state)
{
	refused("::1:443",
		"\"::1:443\" is not an address; an IPv6 address stands in "
		"brackets: [::1]:443");
}

static void test_ports(void **state)
{
	assert_string_equal(one("127.0.0.1:1")->text, "127.0.0.1:1");
	assert_string_equal(one("127.0.0.1:65535")->text, "127.0.0.1:65535");
	refused("127.0.0.1:0",
		"\"127.0.0.1:0\" has no good port; give 1 to 65535");
	refused("127.0.0.1:65536",
		"\"127.0.0.1:65536\" has no good port; give 1 to 65535");
	refused("127.0.0.1:http",
		"\"127.0.0.1:http\" has no good port; give 1 to 65535");
	refused("127.0.0.1:", "\"127.0.0.1:\" has no good port; "
			      "give 1 to 65535");
}

static void test_unix_path_is_absolute(void **state)
{
	refused("unix:run/lmtp",
		"\"unix:run/lmtp\" has no absolute path; give unix:/PATH");
	refused("unix:", "\"unix:\" has no absolute path; give unix:/PATH");
}

static void test_unknown_word(void **state)
{
	refused("127.0.0.1:80 http",
		"\"http\" is not a word of a listener; the words are tls, "
		"lmtp and plain");
	refused("127.0.0.1:80 TLS",
		"\"TLS\" is not a word of a listener; the words are tls, "
		"lmtp and plain");
}

static void test_word_twice(void **state)
{
	refused("127.0.0.1:80 lmtp lmtp", "the word lmtp stands twice");
	refused("127.0.0.1:80 tls tls", "the word tls stands twice");
	refused("127.0.0.1:80 plain plain", "the word plain stands twice");
}

static void test_words_that_contradict(void **state)
{
	refused("127.0.0.1:24 lmtp tls",
		"127.0.0.1:24: lmtp and tls do not go together; leave one out");
	refused("127.0.0.1:24 tls plain",
		"127.0.0.1:24: plain is for HTTP without tls; leave it out "
		"beside tls");
	refused("127.0.0.1:24 plain lmtp",
		"127.0.0.1:24: plain is for HTTP without tls; leave it out "
		"beside lmtp");
}

static void test_error_is_placed_at_its_item(void **state)
{
	bad("listen:\n  - 127.0.0.1:80\n  - x:1\n",
		"t.conf:3:5: listen: \"x:1\" is not a numeric address; give "
		"one like 127.0.0.1:8080, [::1]:443 or *:443");
}

static void test_most_listeners(void **state)
{
	struct buf b = {0};

	buf_addz(&b, "listen:\n");
	for (int i = 1; i <= CONF_LISTENERS; i++)
		buf_fmt(&b, "  - 127.0.0.1:%d\n", i);
	assert_int_equal(good(buf_z(&b))->listen.n, CONF_LISTENERS);
	buf_addz(&b, "  - 127.0.0.1:99\n");
	bad(buf_z(&b), "t.conf:34:5: listen: too many listeners; at most 32");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_star_is_every_address),
		cmocka_unit_test(test_localhost_is_a_number_too),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_longest_unix_path),
		cmocka_unit_test(test_words_in_any_order_and_spacing),
		cmocka_unit_test(test_sequence_and_scalar),
		cmocka_unit_test(test_names_are_no_addresses),
		cmocka_unit_test(test_what_is_no_address_at_all),
		cmocka_unit_test(test_ipv6_needs_brackets),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_unix_path_is_absolute),
		cmocka_unit_test(test_unknown_word),
		cmocka_unit_test(test_word_twice),
		cmocka_unit_test(test_words_that_contradict),
		cmocka_unit_test(test_error_is_placed_at_its_item),
		cmocka_unit_test(test_most_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
