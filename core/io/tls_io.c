#include "core/io/tls_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/io/tls_priv.h"

struct tls_io {
	SSL *ssl;
	struct tls_ctx *ctx;
	struct buf rest; /* cipher text in, kept */
	struct str lent; /* cipher text in, borrowed; behind rest */
	struct buf out;	 /* cipher text out */
	char *text;	 /* why it failed, or NULL */
	int end;	 /* TLS_IO_EOF or _FAIL that came, or 0 */
};

/* SSL asks for cipher text: what was kept, then what is lent. */
static int bio_read(BIO *b, char *p, int cap)
{
	struct tls_io *io = BIO_get_data(b);
	size_t n;

	BIO_clear_retry_flags(b);
	if (cap <= 0)
		return 0;
	if (io->rest.n > 0) {
		n = min_of((size_t)cap, io->rest.n);
		memcpy(p, io->rest.p, n);
		buf_drop(&io->rest, n);
		return (int)n;
	}
	if (io->lent.n == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	n = min_of((size_t)cap, io->lent.n);
	memcpy(p, io->lent.p, n);
	io->lent = str_skip(io->lent, n);
	return (int)n;
}

static int bio_write(BIO *b, const char *p, int n)
{
	struct tls_io *io = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (n < 0 || io->out.n + (size_t)n > TLS_OUT_MAX)
		return -1; /* no retry: the stream fails */
	buf_add(&io->out, p, (size_t)n);
	return n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_io_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tls_io");

	check(m && BIO_meth_set_read(m, bio_read) &&
		BIO_meth_set_write(m, bio_write) &&
		BIO_meth_set_ctrl(m, bio_ctrl));
	return m;
}

static bool is_address(const char *name)
{
	unsigned char a[16];

	return inet_pton(AF_INET, name, a) == 1 ||
	       inet_pton(AF_INET6, name, a) == 1;
}

/* RFC 6066 3: an address is no server name; the certificate may carry both. */
static void name_peer(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (is_address(name)) {
		check(X509_VERIFY_PARAM_set1_ip_asc(param, name));
		return;
	}
	X509_VERIFY_PARAM_set_hostflags(
		param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	check(SSL_set_tlsext_host_name(ssl, name) &&
		X509_VERIFY_PARAM_set1_host(param, name, 0));
}

struct tls_io *tls_io_new(struct tls_ctx *t, const char *name)
{
	struct tls_io *io = mem_new(sizeof(*io));
	BIO *b = BIO_new(t->bio);

	io->ctx = tls_ref(t);
	io->ssl = SSL_new(t->ctx);
	check(io->ssl && b && t->client == !!name);
	BIO_set_data(b, io);
	BIO_set_init(b, 1);
	SSL_set_bio(io->ssl, b, b);
	if (name) {
		SSL_set_connect_state(io->ssl);
		name_peer(io->ssl, name);
	} else {
		SSL_set_accept_state(io->ssl);
	}
	return io;
}

void tls_io_free(struct tls_io *io)
{
	SSL_free(io->ssl);
	tls_unref(io->ctx);
	buf_fini(&io->rest);
	buf_fini(&io->out);
	free(io->text);
	free(io);
}

void tls_io_lend(struct tls_io *io, const char *p, size_t n)
{
	io->lent = str_n(p, n);
}

void tls_io_keep(struct tls_io *io)
{
	buf_adds(&io->rest, io->lent);
	io->lent = STR_NONE;
	if (io->rest.n == 0)
		buf_fini(&io->rest);
}

bool tls_io_holds(const struct tls_io *io)
{
	return io->rest.n > 0 || io->lent.n > 0 || io->end ||
	       SSL_has_pending(io->ssl);
}

/* What a failed call of OpenSSL means. */
static int result(struct tls_io *io, int ret)
{
	struct err e;
	long verify;

	switch (SSL_get_error(io->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return TLS_IO_MORE;
	case SSL_ERROR_ZERO_RETURN:
		return io->end = TLS_IO_EOF;
	}
	verify = SSL_get_verify_result(io->ssl);
	tls_error(&e, -EPROTO, "TLS");
	if (verify != X509_V_OK && !io->ctx->insecure)
		err_set(&e, -EPROTO, "TLS certificate: %s",
			X509_verify_cert_error_string(verify));
	free(io->text);
	io->text = mem_strdup(e.text);
	return io->end = TLS_IO_FAIL;
}

int tls_io_handshake(struct tls_io *io)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(io->ssl);
	return ret == 1 ? 1 : result(io, ret);
}

bool tls_io_ready(const struct tls_io *io)
{
	return SSL_is_init_finished(io->ssl);
}

int tls_io_read(struct tls_io *io, char *p, size_t cap)
{
	size_t n = 0;

	/* Records are small; fill what the layer above gets in one go. */
	while (n < cap && !io->end) {
		int ret;

		ERR_clear_error();
		ret = SSL_read(io->ssl, p + n, (int)(cap - n));
		if (ret > 0)
			n += (size_t)ret;
		else if (result(io, ret) == TLS_IO_MORE)
			break;
	}
	/* An end waits behind the bytes before it. */
	return n > 0 ? (int)n : io->end;
}

bool tls_io_write(struct tls_io *io, const char *p, size_t n)
{
	int ret;

	check(n > 0 && n <= TLS_PIECE);
	ERR_clear_error();
	ret = SSL_write(io->ssl, p, (int)n);
	if (ret == (int)n)
		return true;
	result(io, ret);
	return false;
}

void tls_io_bye(struct tls_io *io)
{
	ERR_clear_error();
	SSL_shutdown(io->ssl); /* the peer's answer is not needed */
	ERR_clear_error();
}

struct buf *tls_io_out(struct tls_io *io)
{
	return &io->out;
}

struct str tls_io_alpn(const struct tls_io *io)
{
	const unsigned char *p;
	unsigned n;

	SSL_get0_alpn_selected(io->ssl, &p, &n);
	return str_n(p, n);
}

const char *tls_io_text(const struct tls_io *io)
{
	return io->text ? io->text : "";
}
