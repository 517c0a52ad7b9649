/*
 * Digests, random bytes and their text forms. The one home of OpenSSL's
 * libcrypto outside core/io, and of libcrypt's password hashes.
 */
#pragma once

#include <stdbool.h>

#include "core/base/buf.h"
#include "core/base/err.h"

#define SHA256_LEN 32
#define SHA1_LEN 20

/*
 * Once per process, before it may open no more files: the library reads its
 * configuration.
 */
void crypto_setup(void);

void sha256(struct str s, uint8_t out[SHA256_LEN]);
void sha1(struct str s, uint8_t out[SHA1_LEN]); /* RFC 6455 1.3 only */
void hmac_sha256(struct str key, struct str s, uint8_t out[SHA256_LEN]);

/* Incremental SHA-256; sha256_end() frees, sha256_free() gives up half-way. */
struct sha256;
struct sha256 *sha256_begin(void);
void sha256_add(struct sha256 *h, const void *p, size_t n);
void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN]);
void sha256_free(struct sha256 *h);
CLEANUP_PTR(struct sha256, sha256_free)

void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
/* Equal lengths and bytes, in a time that depends on the lengths only. */
bool ct_equal(struct str a, struct str b);
void secret_wipe(void *p, size_t n);

/* RFC 4648. Encoders append; decoders are strict (padding and unused
 * bits too) and append, or return false and leave out's content alone. */
void base64_add(struct buf *b, struct str s);
bool base64_decode(struct str s, struct buf *out);
void base64url_add(struct buf *b, struct str s);      /* no padding */
bool base64url_decode(struct str s, struct buf *out); /* no padding */
void hex_add(struct buf *b, struct str s);	      /* lower case */
bool hex_decode(struct str s, struct buf *out);

/*
 * Password hash of libcrypt (yescrypt, "$y$..."). Costs some 10-100 ms of CPU:
 * never call it on an executor or a loop. verify is constant-time in the hash;
 * what is no yescrypt hash verifies nothing. At most 511 bytes, no NUL.
 */
int password_hash(struct str password, struct buf *out, struct err *e);
bool password_verify(struct str password, const char *hash);
