#include "core/io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/base/crypto.h"
#include "core/io/tls_priv.h"

CLEANUP_PTR(BIO, BIO_free_all)
CLEANUP_PTR(X509, X509_free)
CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)

/* TLS 1.2: AEAD and forward secrecy only. All of TLS 1.3 has both. */
static const char ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* What operators get wrong most, in words of ours. */
static const struct {
	int lib, reason;
	const char *text;
} reasons[] = {
	{ERR_LIB_PEM, PEM_R_NO_START_LINE, "not in PEM form"},
	{ERR_LIB_X509, X509_R_KEY_VALUES_MISMATCH,
		"it does not belong to the certificate"},
	{ERR_LIB_X509, X509_R_KEY_TYPE_MISMATCH,
		"it does not belong to the certificate"},
};

static const char *reason_text(unsigned long code)
{
	const char *text = ERR_reason_error_string(code);

	for (size_t i = 0; i < countof(reasons); i++)
		if (ERR_GET_LIB(code) == reasons[i].lib &&
			ERR_GET_REASON(code) == reasons[i].reason)
			return reasons[i].text;
	return text ? text : "failed";
}

int tls_error(struct err *e, int code, const char *what)
{
	err_set(e, code, "%s: %s", what, reason_text(ERR_peek_error()));
	ERR_clear_error();
	return code;
}

static struct tls_ctx *ctx_new(const SSL_METHOD *method, struct str alpn)
{
	struct tls_ctx *t = mem_new(sizeof(*t) + alpn.n);
	SSL_CTX *ctx = SSL_CTX_new(method);

	check(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
		SSL_CTX_set_cipher_list(ctx, ciphers));
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	/* An idle stream then keeps some 13.5 KB, not 50. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	t->ctx = ctx;
	t->bio = tls_io_method();
	t->refs = 1;
	if (alpn.n > 0)
		memcpy(t + 1, alpn.p, alpn.n);
	t->alpn = str_n(t + 1, alpn.n);
	return t;
}

/* RFC 7301 3.2: no protocol in common is fatal; no ALPN at all is fine. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
	const unsigned char *in, unsigned in_n, void *ctx)
{
	const struct tls_ctx *t = ctx;
	unsigned char *pick;

	if (SSL_select_next_proto(&pick, out_n,
		    (const unsigned char *)t->alpn.p, (unsigned)t->alpn.n, in,
		    in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = pick;
	return SSL_TLSEXT_ERR_OK;
}

/* A key under a password is refused: a server has nobody to ask. */
static int no_password(char *p, int n, int writing, void *asked)
{
	if (asked)
		*(bool *)asked = true;
	return -1;
}

/* A BIO that reads s; the library counts in int. */
static BIO *pem_open(struct str s)
{
	BIO *b = BIO_new_mem_buf(s.n ? s.p : "", (int)min_of(s.n, 1u << 30));

	check(b);
	return b;
}

static X509 *next_cert(BIO *pem)
{
	return PEM_read_bio_X509(pem, NULL, no_password, NULL);
}

/* Did the last read fail because there is no further certificate? */
static bool at_end(void)
{
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

static int use_cert(SSL_CTX *ctx, struct str pem, struct err *e)
{
	BIO *in cleanup(BIO_free_all) = pem_open(pem);
	X509 *leaf cleanup(X509_free) = next_cert(in);
	X509 *ca;

	if (!leaf || !SSL_CTX_use_certificate(ctx, leaf))
		return tls_error(e, -EINVAL, "TLS certificate");
	while ((ca = next_cert(in))) {
		if (!SSL_CTX_add0_chain_cert(ctx, ca)) {
			X509_free(ca);
			return tls_error(e, -EINVAL, "TLS chain");
		}
	}
	return at_end() ? 0 : tls_error(e, -EINVAL, "TLS chain");
}

static int use_key(SSL_CTX *ctx, struct str pem, struct err *e)
{
	bool locked = false;
	BIO *in cleanup(BIO_free_all) = pem_open(pem);
	EVP_PKEY *key cleanup(EVP_PKEY_free) =
		PEM_read_bio_PrivateKey(in, NULL, no_password, &locked);

	if (locked) {
		ERR_clear_error();
		return err_set(
			e, -EINVAL, "TLS key: it is locked with a password");
	}
	if (!key)
		return tls_error(e, -EINVAL, "TLS key");
	/* Looks whether it fits the certificate, too. */
	if (!SSL_CTX_use_PrivateKey(ctx, key) ||
		!SSL_CTX_check_private_key(ctx))
		return tls_error(e, -EINVAL, "TLS key");
	return 0;
}

int tls_server_new(struct str cert_pem, struct str key_pem, struct str alpn,
	struct tls_ctx **t_r, struct err *e)
{
	struct tls_ctx *t = ctx_new(TLS_server_method(), alpn);
	int ret;

	ERR_clear_error();
	ret = use_cert(t->ctx, cert_pem, e);
	if (ret == 0)
		ret = use_key(t->ctx, key_pem, e);
	if (ret < 0) {
		tls_unref(t);
		return ret;
	}
	/* Tickets carry the session, so nothing is kept here. */
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(t->ctx, 1);
	if (alpn.n > 0)
		SSL_CTX_set_alpn_select_cb(t->ctx, on_alpn, t);
	*t_r = t;
	return 0;
}

static int use_cas(SSL_CTX *ctx, struct str pem, struct err *e)
{
	BIO *in cleanup(BIO_free_all) = NULL;
	size_t n = 0;
	X509 *ca;

	if (pem.n == 0)
		return SSL_CTX_set_default_verify_paths(ctx)
			       ? 0
			       : tls_error(e, -EIO, "TLS authorities");
	in = pem_open(pem);
	while ((ca = next_cert(in))) {
		int ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca);

		X509_free(ca);
		if (!ok)
			return tls_error(e, -EINVAL, "TLS authorities");
		n++;
	}
	return n && at_end() ? 0 : tls_error(e, -EINVAL, "TLS authorities");
}

int tls_client_new(
	struct str ca_pem, bool insecure, struct tls_ctx **t_r, struct err *e)
{
	struct tls_ctx *t = ctx_new(TLS_client_method(), STR_NONE);

	t->client = true;
	t->insecure = insecure;
	if (!insecure) {
		int ret;

		ERR_clear_error();
		ret = use_cas(t->ctx, ca_pem, e);
		if (ret < 0) {
			tls_unref(t);
			return ret;
		}
	}
	SSL_CTX_set_verify(
		t->ctx, insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	*t_r = t;
	return 0;
}

struct tls_ctx *tls_ref(struct tls_ctx *t)
{
	t->refs++;
	return t;
}

void tls_unref(struct tls_ctx *t)
{
	if (--t->refs > 0)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->bio);
	secret_wipe(&t->tickets, sizeof(t->tickets));
	free(t);
}

const char *tls_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}
