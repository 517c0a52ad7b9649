/*
 * Certificates made on the spot, for tests of TLS.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/base/buf.h"

struct pem {
	struct buf cert, key;
};

static inline void pem_take(struct buf *out, BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	check(n > 0);
	buf_add(out, p, (size_t)n);
	BIO_free(b);
}

/* Self-signed, for names like "DNS:localhost,IP:127.0.0.1"; password or NULL. */
static inline void pem_make(
	struct pem *pem, const char *names, const char *password)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *alt =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	BIO *cert = BIO_new(BIO_s_mem()), *priv = BIO_new(BIO_s_mem());

	check(key && x && alt && cert && priv);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_add_ext(x, alt, -1);
	check(X509_sign(x, key, EVP_sha256()));
	check(PEM_write_bio_X509(cert, x));
	check(PEM_write_bio_PKCS8PrivateKey(priv, key,
		password ? EVP_aes_128_cbc() : NULL, password,
		password ? (int)strlen(password) : 0, NULL, NULL));
	pem_take(&pem->cert, cert);
	pem_take(&pem->key, priv);
	X509_EXTENSION_free(alt);
	X509_free(x);
	EVP_PKEY_free(key);
}

static inline void pem_fini(struct pem *pem)
{
	buf_fini(&pem->cert);
	buf_fini(&pem->key);
}
