/*
 * What the options say about each other: judged when the whole file is read, and
 * placed at the line that has to change.
 */
#include <unistd.h>

#include "test/unit/conf/fixture.h"

static void test_heartbeat_must_be_less_than_timeout(void **state)
{
	bad(BASE "ws-client-timeout: 5\nws-heartbeat-interval: 5\n",
		"t.conf:3:24: ws-heartbeat-interval (5 seconds) must be less "
		"than ws-client-timeout (5 seconds), or idle clients are "
		"dropped");
	good(BASE "ws-client-timeout: 6\nws-heartbeat-interval: 5\n");
	good(BASE "ws-heartbeat-interval: 5\nws-client-timeout: 6\n");
}

static void test_heartbeat_against_a_default(void **state)
{
	bad(BASE "ws-client-timeout: 5\n",
		"t.conf:2:20: ws-heartbeat-interval (5 seconds) must be less "
		"than ws-client-timeout (5 seconds), or idle clients are "
		"dropped");
	bad(BASE "ws-heartbeat-interval: 10\n",
		"t.conf:2:24: ws-heartbeat-interval (10 seconds) must be less "
		"than ws-client-timeout (10 seconds), or idle clients are "
		"dropped");
}

static void test_tls_needs_certificate_and_key(void **state)
{
	bad("listen: 127.0.0.1:443 tls\n",
		"t.conf:1:9: listen: 127.0.0.1:443 tls needs tls-cert and "
		"tls-key");
	bad("listen: 127.0.0.1:443 tls\ntls-cert: /c\n",
		"t.conf:1:9: listen: 127.0.0.1:443 tls needs tls-key");
	bad("listen: 127.0.0.1:443 tls\ntls-key: /k\n",
		"t.conf:1:9: listen: 127.0.0.1:443 tls needs tls-cert");
	good("listen: 0.0.0.0:443 tls\ntls-key: /k\ntls-cert: /c\n");
}

static void test_plain_http_off_loopback(void **state)
{
	bad("listen:\n  - 127.0.0.1:80\n  - 0.0.0.0:80\n",
		"t.conf:3:5: listen: 0.0.0.0:80 would carry passwords in the "
		"clear; add the word tls, or plain to allow it");
	bad("listen: '[::]:80'\n",
		"t.conf:1:9: listen: [::]:80 would carry passwords in the "
		"clear; add the word tls, or plain to allow it");
	bad("listen: '[::ffff:10.0.0.1]:80'\n",
		"t.conf:1:9: listen: [::ffff:10.0.0.1]:80 would carry "
		"passwords in the clear; add the word tls, or plain to allow "
		"it");
	assert_true(good("listen: 0.0.0.0:80 plain\n")->listen.at[0].plain);
}

static void test_plain_http_at_home(void **state)
{
	good("listen: 127.0.0.1:80\n");
	good("listen: 127.9.9.9:80\n");
	good("listen: '[::1]:80'\n");
	good("listen: '[::ffff:127.0.0.1]:80'\n");
	good("listen: unix:/run/http\n");
}

static void test_same_address_twice(void **state)
{
	bad("listen:\n  - 127.0.0.1:80\n  - localhost:80 lmtp\n",
		"t.conf:3:5: listen: 127.0.0.1:80 stands twice; it is in line "
		"2 already");
	bad("listen: ['*:80 plain', '[::0]:80 plain']\n",
		"t.conf:1:24: listen: [::]:80 stands twice; it is in line 1 "
		"already");
	bad("listen: [unix:/a, unix:/a lmtp]\n",
		"t.conf:1:19: listen: unix:/a stands twice; it is in line 1 "
		"already");
	good("listen: [127.0.0.1:80, 127.0.0.1:81, '[::1]:80']\n");
}

static void test_base_url_forms(void **state)
{
	static const char *const yes[] = {"https://mail.example.org",
		"https://mail.example.org:8443", "http://localhost:8080",
		"https://[2001:db8::1]:443", "https://[::1]",
		"https://192.0.2.1", "''"};

	for (size_t i = 0; i < countof(yes); i++) {
		char text[128];

		snprintf(text, sizeof(text), BASE "jmap-url: %s\n", yes[i]);
		good(text);
	}
	assert_string_equal(
		good(BASE "jmap-url: https://a:1\n")->jmap_url, "https://a:1");
}

static void test_base_url_refused(void **state)
{
	static const char *const no[] = {"mail.example.org", "ftp://a",
		"https://", "https://:80", "https://a/", "https://a/jmap",
		"https://a:0", "https://a:65536", "https://a:", "https://u@a",
		"https://a?x", "https://a b", "https://[::1", "https://[x]",
		"https://[]", "https://[::1]x", "https://[::1]x:1",
		"https://.a", "https://::1", "wss://a", "HTTPS://a"};

	for (size_t i = 0; i < countof(no); i++) {
		char text[128], sentence[256];

		snprintf(text, sizeof(text), BASE "jmap-url: '%s'\n", no[i]);
		snprintf(sentence, sizeof(sentence),
			"t.conf:2:11: jmap-url: \"%s\" is not a base URL; "
			"give https://HOST or https://HOST:PORT, without a "
			"path",
			no[i]);
		bad(text, sentence);
	}
}

/* What text logs while it is parsed, in out. */
static void stderr_of(const char *text, char *out, size_t n)
{
	int keep = dup(STDERR_FILENO), fd[2];
	ssize_t got;

	assert_int_equal(pipe(fd), 0);
	dup2(fd[1], STDERR_FILENO);
	close(fd[1]);
	parse(text);
	dup2(keep, STDERR_FILENO);
	close(keep);
	got = read(fd[0], out, n - 1);
	close(fd[0]);
	assert_true(got >= 0);
	out[got] = '\0';
}

static void test_lmtp_off_loopback_warns(void **state)
{
	char out[1024];

	stderr_of("listen: 0.0.0.0:24 lmtp\n", out, sizeof(out));
	assert_int_equal(parsed.ret, 0);
	assert_non_null(strstr(out, " warn "));
	assert_non_null(strstr(out, "t.conf:1:9: lmtp on 0.0.0.0:24: "));
}

static void test_lmtp_at_home_is_quiet(void **state)
{
	char out[1024];

	stderr_of("listen: [127.0.0.1:24 lmtp, unix:/l lmtp]\n", out,
		sizeof(out));
	assert_int_equal(parsed.ret, 0);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heartbeat_must_be_less_than_timeout),
		cmocka_unit_test(test_heartbeat_against_a_default),
		cmocka_unit_test(test_tls_needs_certificate_and_key),
		cmocka_unit_test(test_plain_http_off_loopback),
		cmocka_unit_test(test_plain_http_at_home),
		cmocka_unit_test(test_same_address_twice),
		cmocka_unit_test(test_base_url_forms),
		cmocka_unit_test(test_base_url_refused),
		cmocka_unit_test(test_lmtp_off_loopback_warns),
		cmocka_unit_test(test_lmtp_at_home_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
