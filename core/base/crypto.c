/*
 * Digests by OpenSSL, passwords by libcrypt, random bytes by the kernel.
 *
 * The algorithms are fetched once a process (OpenSSL looks them up under a lock
 * otherwise) and live as long as it. Failure of a digest is our bug or the end
 * of memory: check().
 */
#include "core/base/crypto.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

enum { SHA256_BLOCK = 64 };

static struct {
	pthread_once_t once;
	EVP_MD *sha256;
	EVP_MD *sha1;
} algo = {.once = PTHREAD_ONCE_INIT};

static void fetch(void)
{
	algo.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algo.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	check(algo.sha256 && algo.sha1);
}

void crypto_setup(void)
{
	check(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL));
	check(pthread_once(&algo.once, fetch) == 0);
}

static const EVP_MD *md_sha256(void)
{
	check(pthread_once(&algo.once, fetch) == 0);
	return algo.sha256;
}

static const EVP_MD *md_sha1(void)
{
	check(pthread_once(&algo.once, fetch) == 0);
	return algo.sha1;
}

void sha256(struct str s, uint8_t out[SHA256_LEN])
{
	check(EVP_Digest(s.p, s.n, out, NULL, md_sha256(), NULL) == 1);
}

void sha1(struct str s, uint8_t out[SHA1_LEN])
{
	check(EVP_Digest(s.p, s.n, out, NULL, md_sha1(), NULL) == 1);
}

/* out = SHA-256(pad || s), pad being one block. */
static void digest_padded(EVP_MD_CTX *ctx, const uint8_t pad[SHA256_BLOCK],
	struct str s, uint8_t out[SHA256_LEN])
{
	check(EVP_DigestInit_ex2(ctx, md_sha256(), NULL) == 1);
	check(EVP_DigestUpdate(ctx, pad, SHA256_BLOCK) == 1);
	check(EVP_DigestUpdate(ctx, s.p, s.n) == 1);
	check(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

/* RFC 2104 2 by hand: EVP_MAC would fetch and allocate for every call. */
void hmac_sha256(struct str key, struct str s, uint8_t out[SHA256_LEN])
{
	uint8_t k[SHA256_BLOCK] = {0};
	uint8_t pad[SHA256_BLOCK];
	uint8_t inner[SHA256_LEN];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	check(ctx);
	if (key.n > sizeof(k))
		sha256(key, k);
	else if (key.n > 0)
		memcpy(k, key.p, key.n);
	for (size_t i = 0; i < sizeof(k); i++)
		pad[i] = k[i] ^ 0x36;
	digest_padded(ctx, pad, s, inner);
	for (size_t i = 0; i < sizeof(k); i++)
		pad[i] = k[i] ^ 0x5c;
	digest_padded(ctx, pad, str_n(inner, sizeof(inner)), out);
	EVP_MD_CTX_free(ctx);
	secret_wipe(k, sizeof(k));
	secret_wipe(pad, sizeof(pad));
	secret_wipe(inner, sizeof(inner));
}

/* struct sha256 is OpenSSL's context under our name. */
static EVP_MD_CTX *ctx_of(struct sha256 *h)
{
	return (EVP_MD_CTX *)(void *)h;
}

struct sha256 *sha256_begin(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	check(ctx);
	check(EVP_DigestInit_ex2(ctx, md_sha256(), NULL) == 1);
	return (struct sha256 *)(void *)ctx;
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
	check(EVP_DigestUpdate(ctx_of(h), p, n) == 1);
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN])
{
	check(EVP_DigestFinal_ex(ctx_of(h), out, NULL) == 1);
	EVP_MD_CTX_free(ctx_of(h));
}

void sha256_free(struct sha256 *h)
{
	EVP_MD_CTX_free(ctx_of(h));
}

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t r = getrandom(at, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		/* A process without random bytes must not go on. */
		check(r > 0);
		at += r;
		n -= (size_t)r;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

bool ct_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void secret_wipe(void *p, size_t n)
{
	if (n > 0)
		OPENSSL_cleanse(p, n);
}

/*
 * What libcrypt works in: 32 KB, too much for a small stack, and full of the
 * password. Holds the password with its NUL too.
 */
struct hasher {
	struct crypt_data data;
	char pass[CRYPT_MAX_PASSPHRASE_SIZE + 1];
};

static void hasher_free(struct hasher *h)
{
	secret_wipe(h, sizeof(*h));
	free(h);
}
CLEANUP_PTR(struct hasher, hasher_free)

/* NULL when libcrypt could only see a part of the password. */
static struct hasher *hasher_new(struct str password)
{
	struct hasher *h;

	if (password.n >= CRYPT_MAX_PASSPHRASE_SIZE ||
		str_find(password, '\0') < password.n)
		return NULL;
	h = mem_new(sizeof(*h));
	if (password.n > 0)
		memcpy(h->pass, password.p, password.n);
	return h;
}

int password_hash(struct str password, struct buf *out, struct err *e)
{
	struct hasher *h cleanup(hasher_free) = hasher_new(password);
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;

	if (!h) {
		return err_set(e, -EINVAL,
			"a password has at most %d bytes and no NUL",
			CRYPT_MAX_PASSPHRASE_SIZE - 1);
	}
	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		return err_sys(e, "yescrypt salt");
	hash = crypt_rn(h->pass, setting, &h->data, sizeof(h->data));
	if (!hash)
		return err_sys(e, "yescrypt");
	buf_addz(out, hash);
	return 0;
}

bool password_verify(struct str password, const char *hash)
{
	struct hasher *h cleanup(hasher_free) = NULL;
	const char *made;

	/* libcrypt would read other strings as hashes of weaker kinds. */
	if (!hash || !str_starts(str_of(hash), STR("$y$")))
		return false;
	h = hasher_new(password);
	if (!h)
		return false;
	made = crypt_rn(h->pass, hash, &h->data, sizeof(h->data));
	return made && ct_equal(str_of(made), str_of(hash));
}
