/*
 * TLS contexts: what is accepted, and the sentence when it is not.
 */
#include "core/io/tls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "test/unit/core/io/cert.h"

static struct pem one, two, locked;
static struct tls_ctx *ctx;
static struct err e;

static int make(void **state)
{
	pem_make(&one, "DNS:one.example", NULL);
	pem_make(&two, "DNS:two.example", NULL);
	pem_make(&locked, "DNS:locked.example", "secret");
	return 0;
}

static int drop(void **state)
{
	pem_fini(&one);
	pem_fini(&two);
	pem_fini(&locked);
	return 0;
}

static int server(struct str cert, struct str key)
{
	memset(&e, 0, sizeof(e));
	ctx = NULL;
	return tls_server_new(cert, key, STR("\x08http/1.1"), &ctx, &e);
}

static void refused(struct str cert, struct str key, const char *text)
{
	assert_int_equal(server(cert, key), -EINVAL);
	assert_null(ctx);
	assert_int_equal(e.code, -EINVAL);
	assert_string_equal(e.text, text);
}

static void a_certificate_and_its_key(void **state)
{
	assert_int_equal(server(buf_str(&one.cert), buf_str(&one.key)), 0);
	assert_ptr_equal(tls_ref(ctx), ctx);
	tls_unref(ctx);
	tls_unref(ctx);
}

static void a_chain_behind_the_certificate(void **state)
{
	struct buf b = {0};

	buf_adds(&b, buf_str(&one.cert));
	buf_adds(&b, buf_str(&two.cert));
	assert_int_equal(server(buf_str(&b), buf_str(&one.key)), 0);
	tls_unref(ctx);
	buf_addz(&b, "-----BEGIN CERTIFICATE-----\n!\n");
	assert_int_equal(server(buf_str(&b), buf_str(&one.key)), -EINVAL);
	assert_int_equal(strncmp(e.text, "TLS chain: ", 11), 0);
	buf_fini(&b);
}

static void a_key_of_another_certificate(void **state)
{
	refused(buf_str(&one.cert), buf_str(&two.key),
		"TLS key: it does not belong to the certificate");
}

static void no_certificate(void **state)
{
	refused(STR_NONE, buf_str(&one.key),
		"TLS certificate: not in PEM form");
	refused(STR("nonsense"), buf_str(&one.key),
		"TLS certificate: not in PEM form");
}

static void no_key(void **state)
{
	assert_int_equal(server(buf_str(&one.cert), STR_NONE), -EINVAL);
	assert_int_equal(strncmp(e.text, "TLS key: ", 9), 0);
	assert_int_equal(
		server(buf_str(&one.cert), buf_str(&one.cert)), -EINVAL);
	assert_int_equal(strncmp(e.text, "TLS key: ", 9), 0);
}

static void a_key_under_a_password_is_refused_without_asking(void **state)
{
	assert_int_equal(
		server(buf_str(&locked.cert), buf_str(&locked.key)), -EINVAL);
	assert_string_equal(e.text, "TLS key: it is locked with a password");
}

static void a_cut_certificate(void **state)
{
	struct str cut = buf_str(&one.cert);

	for (cut.n--; cut.n > 0; cut.n--) {
		/* Without its last newline it is still whole. */
		if (server(cut, buf_str(&one.key)) < 0)
			break;
		tls_unref(ctx);
	}
	assert_in_range(cut.n, one.cert.n - 3, one.cert.n - 2);
	for (; cut.n > 0; cut.n--)
		assert_int_equal(server(cut, buf_str(&one.key)), -EINVAL);
}

static void authorities_of_a_client(void **state)
{
	assert_int_equal(
		tls_client_new(buf_str(&one.cert), false, &ctx, &e), 0);
	tls_unref(ctx);
	assert_int_equal(tls_client_new(STR_NONE, false, &ctx, &e), 0);
	tls_unref(ctx);
	assert_int_equal(tls_client_new(STR("junk"), false, &ctx, &e), -EINVAL);
	assert_string_equal(e.text, "TLS authorities: not in PEM form");
	assert_int_equal(tls_client_new(STR("junk"), true, &ctx, &e), 0);
	tls_unref(ctx);
}

static void the_version_is_that_of_the_library(void **state)
{
	assert_int_equal(strncmp(tls_version(), "OpenSSL 3", 9), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_and_its_key),
		cmocka_unit_test(a_chain_behind_the_certificate),
		cmocka_unit_test(a_key_of_another_certificate),
		cmocka_unit_test(no_certificate),
		cmocka_unit_test(no_key),
		cmocka_unit_test(
			a_key_under_a_password_is_refused_without_asking),
		cmocka_unit_test(a_cut_certificate),
		cmocka_unit_test(authorities_of_a_client),
		cmocka_unit_test(the_version_is_that_of_the_library),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
