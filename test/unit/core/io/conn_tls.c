/*
 * A TLS connection against OpenSSL's own client: what is negotiated, what is
 * refused, and how it ends.
 */
#include "core/io/conn.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "test/unit/core/io/cert.h"
#include "test/unit/core/io/side.h"

static struct pem pem;
static struct tls_ctx *server;
static struct side s;
static SSL_CTX *ctx;
static SSL *ssl;
static int peer;

static int make(void **state)
{
	pem_fini(&pem);
	pem_make(&pem, "DNS:localhost,IP:127.0.0.1", NULL);
	return tls_server_new(buf_str(&pem.cert), buf_str(&pem.key),
		STR("\x02h2\x08http/1.1"), &server, NULL);
}

static int drop(void **state)
{
	tls_unref(server);
	pem_fini(&pem);
	return 0;
}

static void open_pair(void)
{
	int fd[2];

	s = (struct side){0};
	tcp_pair(fd);
	side_open(&s, fd[0], server, NULL);
	peer = fd[1];
	assert_int_equal(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
	ssl = SSL_new(ctx);
	assert_true(SSL_set_fd(ssl, peer));
	SSL_set_connect_state(ssl);
}

static void close_pair(void)
{
	side_drop(&s);
	SSL_free(ssl);
	close(peer);
}

static int setup(void **state)
{
	loop = loop_new(NULL);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	open_pair();
	return 0;
}

static int teardown(void **state)
{
	close_pair();
	SSL_CTX_free(ctx);
	loop_free(loop);
	ERR_clear_error();
	return 0;
}

/* Repeats a call of OpenSSL, the loop turning, until it does not wait. */
#define until_done(call)                                                  \
	__extension__({                                                   \
		int done_;                                                \
		ERR_clear_error();                                        \
		while ((done_ = (call)) <= 0 &&                           \
			SSL_get_error(ssl, done_) == SSL_ERROR_WANT_READ) \
			turn(100);                                        \
		done_;                                                    \
	})

static int handshake(void)
{
	return until_done(SSL_do_handshake(ssl));
}

/* A byte each way, so that what follows the handshake has been seen too. */
static void greet(void)
{
	char c = 0;

	assert_int_equal(handshake(), 1);
	assert_int_equal(SSL_write(ssl, "x", 1), 1);
	turn_until(s.in.n);
	conn_write(s.c, STR("y"));
	assert_int_equal(until_done(SSL_read(ssl, &c, 1)), 1);
	assert_int_equal(c, 'y');
}

static int alert(void)
{
	return ERR_GET_REASON(ERR_peek_error()) - SSL_AD_REASON_OFFSET;
}

static void fails_with(int want_alert)
{
	assert_true(handshake() <= 0);
	assert_int_equal(alert(), want_alert);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_TLS);
	assert_int_equal(s.calls[SIDE_DATA], 0);
	assert_string_not_equal(s.text, "");
}

static void speaks_tls_1_3(void **state)
{
	greet();
	assert_string_equal(SSL_get_version(ssl), "TLSv1.3");
}

static void speaks_tls_1_2_with_forward_secrecy(void **state)
{
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	greet();
	assert_string_equal(SSL_get_version(ssl), "TLSv1.2");
	assert_int_equal(strncmp(SSL_get_cipher_name(ssl), "ECDHE-", 6), 0);
}

static void refuses_tls_1_1(void **state)
{
	SSL_set_security_level(ssl, 0);
	SSL_set_min_proto_version(ssl, TLS1_1_VERSION);
	SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
	fails_with(SSL_AD_PROTOCOL_VERSION);
}

static void refuses_ciphers_without_aead(void **state)
{
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	assert_true(SSL_set_cipher_list(
		ssl, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA"));
	fails_with(SSL_AD_HANDSHAKE_FAILURE);
}

static void offer(struct str alpn)
{
	assert_int_equal(SSL_set_alpn_protos(ssl, (const unsigned char *)alpn.p,
				 (unsigned)alpn.n),
		0);
}

static void alpn_is(struct str want)
{
	const unsigned char *p;
	unsigned n;

	SSL_get0_alpn_selected(ssl, &p, &n);
	assert_true(str_eq(str_n(p, n), want));
	assert_true(str_eq(conn_alpn(s.c), want));
}

static void alpn_picks_what_both_speak(void **state)
{
	offer(STR("\x03moo\x08http/1.1"));
	greet();
	alpn_is(STR("http/1.1"));
}

static void alpn_prefers_in_the_server_s_order(void **state)
{
	offer(STR("\x08http/1.1\x02h2"));
	greet();
	alpn_is(STR("h2"));
}

static void alpn_not_offered_is_fine(void **state)
{
	greet();
	alpn_is(STR_NONE);
}

static void alpn_without_overlap_is_refused(void **state)
{
	offer(STR("\x03moo"));
	fails_with(SSL_AD_NO_APPLICATION_PROTOCOL);
}

/* A session, and another one that brings the ticket of the first. */
static bool resumes(int version, void (*between)(void))
{
	SSL_SESSION *session;
	bool reused;

	SSL_set_max_proto_version(ssl, version);
	greet();
	assert_false(SSL_session_reused(ssl));
	session = SSL_get1_session(ssl);
	assert_true(SSL_SESSION_has_ticket(session));
	/* OpenSSL resumes only what was properly closed. */
	assert_int_equal(SSL_shutdown(ssl), 0);
	close_pair();
	between();
	open_pair();
	SSL_set_max_proto_version(ssl, version);
	assert_true(SSL_set_session(ssl, session));
	greet();
	reused = SSL_session_reused(ssl);
	SSL_SESSION_free(session);
	return reused;
}

static void same_worker(void)
{
}

static void new_server(void)
{
	tls_unref(server);
	assert_int_equal(make(NULL), 0);
}

static struct tls_tickets tickets;

static void other_worker(void)
{
	new_server();
	tls_server_tickets(server, &tickets);
}

static void rotate(void)
{
	tls_tickets_rotate(&tickets);
	tls_server_tickets(server, &tickets);
}

static void rotate_twice(void)
{
	rotate();
	rotate();
}

static void a_ticket_resumes_tls_1_3(void **state)
{
	assert_true(resumes(TLS1_3_VERSION, same_worker));
}

static void a_ticket_resumes_tls_1_2(void **state)
{
	assert_true(resumes(TLS1_2_VERSION, same_worker));
}

static void a_ticket_of_a_stranger_does_not_resume(void **state)
{
	assert_false(resumes(TLS1_3_VERSION, new_server));
}

/* The worker of the first session has keys that others have too. */
static int setup_shared(void **state)
{
	tickets = (struct tls_tickets){.lifetime_s = 1000};
	tls_tickets_rotate(&tickets);
	other_worker();
	return setup(state);
}

static int teardown_shared(void **state)
{
	teardown(state);
	new_server(); /* with a key of its own */
	return 0;
}

static void a_ticket_resumes_at_another_worker(void **state)
{
	assert_true(resumes(TLS1_3_VERSION, other_worker));
}

static void a_ticket_of_tls_1_2_resumes_at_another_worker(void **state)
{
	assert_true(resumes(TLS1_2_VERSION, other_worker));
}

static void the_key_before_still_opens(void **state)
{
	assert_true(resumes(TLS1_3_VERSION, rotate));
}

static void the_key_before_still_opens_tls_1_2(void **state)
{
	assert_true(resumes(TLS1_2_VERSION, rotate));
}

static void the_key_before_that_opens_no_more(void **state)
{
	assert_false(resumes(TLS1_3_VERSION, rotate_twice));
}

static void the_key_before_that_opens_no_more_tls_1_2(void **state)
{
	assert_false(resumes(TLS1_2_VERSION, rotate_twice));
}

/* The name of the key that sealed it stands in front. */
static void sealed_by(SSL_SESSION *session, const uint8_t *key)
{
	const unsigned char *p;
	size_t n;

	SSL_SESSION_get0_ticket(session, &p, &n);
	assert_true(n > 16);
	assert_memory_equal(p, key, 16);
}

static void a_session_lives_on_under_the_newest_key(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (size_t i = 0; i < countof(versions); i++) {
		uint8_t old[TLS_TICKET_KEY];

		memcpy(old, tickets.key[0], sizeof(old));
		assert_true(resumes(versions[i], rotate));
		sealed_by(SSL_get_session(ssl), tickets.key[0]);
		assert_memory_not_equal(tickets.key[0], old, sizeof(old));
		assert_memory_equal(tickets.key[1], old, sizeof(old));
		close_pair();
		open_pair();
	}
}

static void a_ticket_lives_as_long_as_was_said(void **state)
{
	greet();
	assert_int_equal(
		SSL_SESSION_get_ticket_lifetime_hint(SSL_get_session(ssl)),
		1000);
}

static void a_changed_ticket_is_a_full_handshake(void **state)
{
	static const size_t at[] = {0, 16, 40, SIZE_MAX};

	for (size_t i = 0; i < countof(at); i++) {
		unsigned char *der = NULL, *p;
		const unsigned char *ticket, *in;
		SSL_SESSION *session;
		size_t n;
		int der_n;

		greet();
		session = SSL_get1_session(ssl);
		SSL_SESSION_get0_ticket(session, &ticket, &n);
		der_n = i2d_SSL_SESSION(session, &der);
		p = memmem(der, (size_t)der_n, ticket, n);
		assert_non_null(p);
		p[min_of(at[i], n - 1)] ^= 1;
		SSL_SESSION_free(session);
		in = der;
		session = d2i_SSL_SESSION(NULL, &in, der_n);
		assert_non_null(session);
		close_pair();
		open_pair();
		assert_true(SSL_set_session(ssl, session));
		greet();
		assert_false(SSL_session_reused(ssl));
		SSL_SESSION_free(session);
		OPENSSL_free(der);
		close_pair();
		open_pair();
	}
}

static void renegotiation_is_refused(void **state)
{
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	greet();
	assert_int_equal(SSL_renegotiate(ssl), 1);
	assert_true(handshake() <= 0);
	assert_int_equal(
		ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
}

static void nothing_is_compressed(void **state)
{
	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	SSL_clear_options(ssl, SSL_OP_NO_COMPRESSION);
	greet();
	assert_null(SSL_get_current_compression(ssl));
}

static void a_key_update_is_answered(void **state)
{
	greet();
	for (int i = 0; i < 5; i++) {
		char c;

		assert_true(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED));
		assert_int_equal(SSL_write(ssl, "x", 1), 1);
		turn_until(s.in.n == 2 + (size_t)i);
		conn_write(s.c, STR("y"));
		assert_int_equal(until_done(SSL_read(ssl, &c, 1)), 1);
	}
}

static void close_notify_is_half_a_close(void **state)
{
	char c;

	s.half = true;
	greet();
	assert_int_equal(SSL_shutdown(ssl), 0);
	turn_until(s.calls[SIDE_EOF]);
	conn_write(s.c, STR("z"));
	conn_close(s.c, 60000);
	assert_int_equal(until_done(SSL_read(ssl, &c, 1)), 1);
	assert_int_equal(until_done(SSL_read(ssl, &c, 1)), 0);
	assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void a_close_says_close_notify(void **state)
{
	char c;

	greet();
	conn_close(s.c, 60000);
	assert_int_equal(until_done(SSL_read(ssl, &c, 1)), 0);
	assert_int_equal(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
	assert_false(side_is_closed(&s));
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void a_missing_close_notify_is_an_end_too(void **state)
{
	greet();
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	turn_until(s.calls[SIDE_EOF]);
}

static void garbage_is_no_handshake(void **state)
{
	assert_int_equal(write(peer, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_TLS);
	assert_string_equal(s.text, "TLS: http request");
}

static void a_peer_gone_in_the_handshake(void **state)
{
	assert_true(SSL_do_handshake(ssl) <= 0);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_PEER);
	assert_int_equal(s.calls[SIDE_EOF], 0);
}

static void a_silent_peer_is_not_waited_for(void **state)
{
	int fd[2];

	close_pair();
	s = (struct side){0};
	tcp_pair(fd);
	peer = fd[1];
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
	s.c = conn_new(loop, fd[0], server, NULL, 20, &side_ops, &s);
	ssl = NULL;
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_TLS);
}

static void a_close_in_the_handshake_ends_at_once(void **state)
{
	conn_write(s.c, STR("never"));
	conn_close(s.c, 60000);
	turn(0);
	assert_true(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_US);
}

static void paused_it_still_shakes_hands(void **state)
{
	conn_pause(s.c, true);
	assert_int_equal(handshake(), 1);
	assert_int_equal(SSL_write(ssl, "x", 1), 1);
	for (int i = 0; i < 5; i++)
		turn(1);
	assert_int_equal(s.in.n, 0);
	conn_pause(s.c, false);
	turn_until(s.in.n);
}

static size_t pause_once(
	struct side *me, enum side_call call, char *p, size_t n)
{
	conn_pause(me->c, true);
	me->then = NULL;
	return 0;
}

static void an_end_read_while_paused_waits_for_the_resume(void **state)
{
	s.half = true;
	s.then = pause_once;
	assert_int_equal(handshake(), 1);
	turn(1);
	assert_int_equal(SSL_write(ssl, "x", 1), 1);
	assert_int_equal(SSL_shutdown(ssl), 0);
	turn_until(s.calls[SIDE_DATA]);
	for (int i = 0; i < 5; i++)
		turn(1);
	assert_int_equal(s.calls[SIDE_EOF], 0);
	conn_pause(s.c, false);
	turn_until(s.calls[SIDE_EOF]);
	assert_int_equal(s.in.n, 1);
	conn_pause(s.c, true);
	conn_pause(s.c, false);
	turn(1);
	assert_int_equal(s.calls[SIDE_EOF], 1);
}

/* The client writes into memory; the test carries its bytes. */
static void use_memory(void)
{
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

/* One byte a turn. */
static void carry(void)
{
	char p[4096];
	ssize_t n;
	char c;

	while (BIO_read(SSL_get_wbio(ssl), &c, 1) == 1) {
		assert_int_equal(write(peer, &c, 1), 1);
		turn(0);
		while ((n = recv(peer, p, sizeof(p), 0)) > 0)
			BIO_write(SSL_get_rbio(ssl), p, (int)n);
	}
}

static void byte_by_byte(void **state)
{
	use_memory();
	while (SSL_do_handshake(ssl) <= 0) {
		carry();
		turn(0);
	}
	assert_int_equal(SSL_write(ssl, "hello", 5), 5);
	carry();
	turn_until(s.in.n == 5);
	assert_memory_equal(s.in.p, "hello", 5);
	assert_int_equal(s.calls[SIDE_DATA], 1);
}

static void a_changed_record_is_refused(void **state)
{
	char p[4096];
	int n;

	use_memory();
	while (SSL_do_handshake(ssl) <= 0) {
		carry();
		turn(0);
	}
	carry();
	assert_int_equal(SSL_write(ssl, "hello", 5), 5);
	n = BIO_read(SSL_get_wbio(ssl), p, sizeof(p));
	assert_true(n > 5);
	p[n - 1] ^= 1;
	assert_int_equal(write(peer, p, (size_t)n), n);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.why, CONN_END_TLS);
	assert_int_equal(s.calls[SIDE_DATA], 0);
	assert_string_not_equal(s.text, "");
}

static void what_came_before_a_bad_record_is_told(void **state)
{
	greet();
	assert_int_equal(SSL_write(ssl, "hello", 5), 5);
	assert_int_equal(write(peer, "garbage", 7), 7);
	turn_until(side_is_closed(&s));
	assert_int_equal(s.in.n, 6);
	assert_int_equal(s.why, CONN_END_TLS);
}

static void a_context_given_back_lives_as_long_as_its_connections(void **state)
{
	new_server();
	greet();
}

/* Our own client. */
static struct side c;

static void meet(struct str ca, const char *name, bool insecure)
{
	struct tls_ctx *client;
	int fd[2];

	assert_int_equal(tls_client_new(ca, insecure, &client, NULL), 0);
	side_drop(&s);
	s = c = (struct side){0};
	tcp_pair(fd);
	side_open(&s, fd[0], server, NULL);
	side_open(&c, fd[1], client, name);
	tls_unref(client);
	conn_write(s.c, STR("hello"));
	turn_until(c.in.n || (side_is_closed(&c) && side_is_closed(&s)));
}

static void a_client_knows_its_server_by_name_or_address(void **state)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};

	for (size_t i = 0; i < countof(names); i++) {
		meet(buf_str(&pem.cert), names[i], false);
		assert_int_equal(c.in.n, 5);
		side_drop(&c);
	}
}

static void a_client_refuses_another_name(void **state)
{
	static const char *const names[] = {"example.org", "127.0.0.2", "::1"};

	for (size_t i = 0; i < countof(names); i++) {
		meet(buf_str(&pem.cert), names[i], false);
		assert_int_equal(c.in.n, 0);
		assert_int_equal(c.why, CONN_END_TLS);
		assert_int_equal(s.why, CONN_END_TLS);
		assert_int_equal(strncmp(c.text, "TLS certificate: ", 17), 0);
		side_drop(&c);
	}
}

static void a_client_refuses_an_unknown_issuer(void **state)
{
	struct pem alien = {0};

	pem_make(&alien, "DNS:localhost", NULL);
	meet(buf_str(&alien.cert), "localhost", false);
	assert_int_equal(c.why, CONN_END_TLS);
	side_drop(&c);
	pem_fini(&alien);
}

static void an_insecure_client_takes_anything(void **state)
{
	meet(STR_NONE, "example.org", true);
	assert_int_equal(c.in.n, 5);
	side_drop(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define S(f) cmocka_unit_test_setup_teardown(f, setup_shared, teardown_shared)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(speaks_tls_1_3),
		T(speaks_tls_1_2_with_forward_secrecy),
		T(refuses_tls_1_1),
		T(refuses_ciphers_without_aead),
		T(alpn_picks_what_both_speak),
		T(alpn_prefers_in_the_server_s_order),
		T(alpn_not_offered_is_fine),
		T(alpn_without_overlap_is_refused),
		T(a_ticket_resumes_tls_1_3),
		T(a_ticket_resumes_tls_1_2),
		T(a_ticket_of_a_stranger_does_not_resume),
		S(a_ticket_resumes_at_another_worker),
		S(a_ticket_of_tls_1_2_resumes_at_another_worker),
		S(the_key_before_still_opens),
		S(the_key_before_still_opens_tls_1_2),
		S(the_key_before_that_opens_no_more),
		S(the_key_before_that_opens_no_more_tls_1_2),
		S(a_session_lives_on_under_the_newest_key),
		S(a_ticket_lives_as_long_as_was_said),
		S(a_changed_ticket_is_a_full_handshake),
		T(renegotiation_is_refused),
		T(nothing_is_compressed),
		T(a_key_update_is_answered),
		T(close_notify_is_half_a_close),
		T(a_close_says_close_notify),
		T(a_missing_close_notify_is_an_end_too),
		T(garbage_is_no_handshake),
		T(a_peer_gone_in_the_handshake),
		T(a_silent_peer_is_not_waited_for),
		T(a_close_in_the_handshake_ends_at_once),
		T(paused_it_still_shakes_hands),
		T(an_end_read_while_paused_waits_for_the_resume),
		T(byte_by_byte),
		T(a_changed_record_is_refused),
		T(what_came_before_a_bad_record_is_told),
		T(a_context_given_back_lives_as_long_as_its_connections),
		T(a_client_knows_its_server_by_name_or_address),
		T(a_client_refuses_another_name),
		T(a_client_refuses_an_unknown_issuer),
		T(an_insecure_client_takes_anything),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
