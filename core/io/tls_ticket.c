/*
 * Session tickets sealed by keys that are given to us, so that any worker opens
 * what another one sealed. A key is a name, by which a ticket says what sealed it,
 * a secret for AES-256-CBC and one for HMAC-SHA-256 (RFC 5077 4).
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "core/base/crypto.h"
#include "core/io/tls_priv.h"

enum { NAME = 16, SECRET = 32 };
_Static_assert(NAME + 2 * SECRET == TLS_TICKET_KEY, "a key has three parts");

static bool set_mac(EVP_MAC_CTX *mac, const uint8_t *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
			(void *)(key + NAME + SECRET), SECRET),
		OSSL_PARAM_construct_utf8_string(
			OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* enc: 1 = to seal, 0 = to open. */
static bool set_both(const uint8_t *key, uint8_t *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int enc)
{
	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + NAME,
		       iv, enc) == 1 &&
	       set_mac(mac, key);
}

static int seal(const struct tls_tickets *k, uint8_t *name, uint8_t *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
		return -1;
	memcpy(name, k->key[0], NAME);
	return set_both(k->key[0], iv, cipher, mac, 1) ? 1 : -1;
}

/* 0: a stranger's ticket, the handshake is a full one. */
static int open_it(SSL *ssl, const struct tls_tickets *k, const uint8_t *name,
	uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	for (uint32_t i = 0; i < k->keys_n; i++) {
		if (memcmp(name, k->key[i], NAME) != 0)
			continue;
		if (!set_both(k->key[i], iv, cipher, mac, 0))
			return -1;
		/* RFC 8446 C.4: a ticket of TLS 1.3 is good for one use. */
		return i > 0 || SSL_version(ssl) >= TLS1_3_VERSION ? 2 : 1;
	}
	return 0;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	const struct tls_ctx *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return enc ? seal(&t->tickets, name, iv, cipher, mac)
		   : open_it(ssl, &t->tickets, name, iv, cipher, mac);
}

void tls_server_tickets(struct tls_ctx *t, const struct tls_tickets *keys)
{
	check(!t->client && keys->keys_n && keys->keys_n <= TLS_TICKET_KEYS);
	t->tickets = *keys;
	check(SSL_CTX_set_app_data(t->ctx, t));
	check(SSL_CTX_set_tlsext_ticket_key_evp_cb(t->ctx, on_ticket));
	SSL_CTX_set_timeout(t->ctx, (long)keys->lifetime_s);
}

void tls_tickets_rotate(struct tls_tickets *keys)
{
	memmove(keys->key[1], keys->key[0],
		sizeof(keys->key) - sizeof(keys->key[0]));
	random_bytes(keys->key[0], sizeof(keys->key[0]));
	if (keys->keys_n < TLS_TICKET_KEYS)
		keys->keys_n++;
}
