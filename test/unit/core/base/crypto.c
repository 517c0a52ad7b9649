/*
 * Digests, random bytes and passwords.
 */
#include "core/base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>

#include <cmocka.h>

static void expect_hex(const uint8_t *p, size_t n, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	hex_add(&b, str_n(p, n));
	assert_string_equal(buf_z(&b), want);
}

static void sha256_of_known_texts(void **state)
{
	uint8_t out[SHA256_LEN];

	sha256(STR("abc"), out);
	expect_hex(out, sizeof(out),
		"ba7816bf8f01cfea414140de5dae2223"
		"b00361a396177a9cb410ff61f20015ad");
	sha256(STR_NONE, out);
	expect_hex(out, sizeof(out),
		"e3b0c44298fc1c149afbf4c8996fb924"
		"27ae41e4649b934ca495991b7852b855");
}

static void sha1_of_the_websocket_example(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	uint8_t out[SHA1_LEN];

	/* RFC 6455 1.3. */
	sha1(STR("dGhlIHNhbXBsZSBub25jZQ=="
		 "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
		out);
	base64_add(&b, str_n(out, sizeof(out)));
	assert_string_equal(buf_z(&b), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void sha256_in_pieces(void **state)
{
	uint8_t want[SHA256_LEN], got[SHA256_LEN];
	struct str s = STR("The quick brown fox jumps over the lazy dog, "
			   "again and again, past the end of a block.");

	sha256(s, want);
	for (size_t step = 1; step < s.n; step += 7) {
		struct sha256 *h = sha256_begin();

		for (size_t at = 0; at < s.n; at += step)
			sha256_add(h, s.p + at, min_of(step, s.n - at));
		sha256_end(h, got);
		assert_memory_equal(got, want, sizeof(want));
	}
}

static void sha256_can_be_given_up(void **state)
{
	struct sha256 *h cleanup(sha256_free) = sha256_begin();

	sha256_add(h, "abc", 3);
	assert_non_null(h);
}

static void hmac_of_the_vectors_of_rfc_4231(void **state)
{
	uint8_t out[SHA256_LEN];
	char key[131];

	memset(key, 0x0b, 20);
	hmac_sha256(str_n(key, 20), STR("Hi There"), out);
	expect_hex(out, sizeof(out),
		"b0344c61d8db38535ca8afceaf0bf12b"
		"881dc200c9833da726e9376c2e32cff7");
	hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), out);
	expect_hex(out, sizeof(out),
		"5bdcc146bf60754e6a042426089575c7"
		"5a003f089d2739839dec58b964ec3843");
	/* A key longer than a block is hashed first. */
	memset(key, 0xaa, sizeof(key));
	hmac_sha256(str_n(key, sizeof(key)),
		STR("Test Using Larger Than Block-Size Key - Hash Key "
		    "First"),
		out);
	expect_hex(out, sizeof(out),
		"60e431591ee0b67f0d8a26aacbf5b77f"
		"8e0bc6213728c5140546040f0ee37f54");
}

static void hmac_takes_an_empty_key_and_text(void **state)
{
	uint8_t out[SHA256_LEN];

	hmac_sha256(STR_NONE, STR_NONE, out);
	expect_hex(out, sizeof(out),
		"b613679a0814d9ec772f95d778c35fc5"
		"ff1697c493715653c6c712144292c5ad");
}

static void *digest_in_thread(void *arg)
{
	sha256(STR("abc"), arg);
	return NULL;
}

static void threads_digest_side_by_side(void **state)
{
	uint8_t want[SHA256_LEN], got[4][SHA256_LEN];
	pthread_t thread[4];

	for (size_t i = 0; i < countof(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
					 digest_in_thread, got[i]),
			0);
	sha256(STR("abc"), want);
	for (size_t i = 0; i < countof(thread); i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_memory_equal(got[i], want, sizeof(want));
	}
}

static void random_bytes_fill_all_and_differ(void **state)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	unsigned zeroes = 0;

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		zeroes += a[i] == 0;
	/* 4 expected; 60 is beyond 1 in 2^100. */
	assert_true(zeroes < 60);
	assert_true(random_u64() != random_u64());
}

static void ct_equal_wants_length_and_bytes(void **state)
{
	assert_true(ct_equal(STR("abc"), STR("abc")));
	assert_true(ct_equal(STR_NONE, STR("")));
	assert_false(ct_equal(STR("abc"), STR("abd")));
	assert_false(ct_equal(STR("abc"), STR("abcd")));
}

static void wipe_leaves_zeroes(void **state)
{
	static const char zero[16];
	char p[16];

	memset(p, 'x', sizeof(p));
	secret_wipe(p, sizeof(p));
	assert_memory_equal(p, zero, sizeof(p));
	secret_wipe(NULL, 0);
}

static void a_password_verifies_against_its_hash(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct err e;

	assert_int_equal(password_hash(STR("correct horse"), &b, &e), 0);
	assert_true(str_starts(buf_str(&b), STR("$y$")));
	assert_true(password_verify(STR("correct horse"), buf_z(&b)));
	assert_false(password_verify(STR("correct hors"), buf_z(&b)));
	assert_false(password_verify(STR("correct horse "), buf_z(&b)));
	assert_false(password_verify(STR(""), buf_z(&b)));
}

static void two_hashes_of_a_password_differ(void **state)
{
	struct buf a cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};

	assert_int_equal(password_hash(STR("secret"), &a, NULL), 0);
	assert_int_equal(password_hash(STR("secret"), &b, NULL), 0);
	assert_false(str_eq(buf_str(&a), buf_str(&b)));
}

static void a_known_hash_verifies(void **state)
{
	assert_true(password_verify(STR("secret"),
		"$y$j75$abcdefghijklmnop$"
		"vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC"));
}

static void what_is_no_yescrypt_hash_verifies_nothing(void **state)
{
	static const char *const hash[] = {"", "*", "*0", "*1", "!", "x", "$y$",
		"$y$j9T$", "$y$j9T$salt", "$y$$$", "$y$j9T$!!$x", "$1$abc$",
		"secret",
		/* descrypt of "secret" with the salt "ab" */
		"abNANd1rDfiNc"};

	for (size_t i = 0; i < countof(hash); i++)
		assert_false(password_verify(STR("secret"), hash[i]));
	assert_false(password_verify(STR("secret"), NULL));
}

static void a_cut_hash_does_not_verify(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_int_equal(password_hash(STR("secret"), &b, NULL), 0);
	b.n--;
	assert_false(password_verify(STR("secret"), buf_z(&b)));
	buf_addz(&b, "..");
	assert_false(password_verify(STR("secret"), buf_z(&b)));
}

static void a_password_is_never_cut(void **state)
{
	struct buf b cleanup(buf_fini) = {0};
	struct err e;
	char text[600];

	memset(text, 'p', sizeof(text));
	assert_true(password_hash(str_n(text, 512), &b, &e) < 0);
	assert_true(password_hash(STR("a\0b"), &b, &e) < 0);
	assert_int_equal(b.n, 0);
	assert_int_equal(password_hash(str_n(text, 511), &b, &e), 0);
	assert_true(password_verify(str_n(text, 511), buf_z(&b)));
	assert_false(password_verify(str_n(text, 510), buf_z(&b)));
	assert_false(password_verify(str_n(text, 512), buf_z(&b)));
}

static void a_nul_does_not_end_a_password(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	assert_int_equal(password_hash(STR("a"), &b, NULL), 0);
	assert_false(password_verify(STR("a\0b"), buf_z(&b)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_of_known_texts),
		cmocka_unit_test(sha1_of_the_websocket_example),
		cmocka_unit_test(sha256_in_pieces),
		cmocka_unit_test(sha256_can_be_given_up),
		cmocka_unit_test(hmac_of_the_vectors_of_rfc_4231),
		cmocka_unit_test(hmac_takes_an_empty_key_and_text),
		cmocka_unit_test(threads_digest_side_by_side),
		cmocka_unit_test(random_bytes_fill_all_and_differ),
		cmocka_unit_test(ct_equal_wants_length_and_bytes),
		cmocka_unit_test(wipe_leaves_zeroes),
		cmocka_unit_test(a_password_verifies_against_its_hash),
		cmocka_unit_test(two_hashes_of_a_password_differ),
		cmocka_unit_test(a_known_hash_verifies),
		cmocka_unit_test(what_is_no_yescrypt_hash_verifies_nothing),
		cmocka_unit_test(a_cut_hash_does_not_verify),
		cmocka_unit_test(a_password_is_never_cut),
		cmocka_unit_test(a_nul_does_not_end_a_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
