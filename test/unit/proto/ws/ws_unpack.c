/*
 * Compressed messages of a WebSocket on a fake stream, whole and cut in many ways:
 * what goes up, what closes, what is sent.
 */
#include "proto/ws/ws.h"

#include <zlib.h>

#include "test/unit/proto/ws/fake.h"

static struct conf conf;
static struct ws_set set;
static struct ws *w;
static struct buf said, client, sent;
static uint64_t limit;

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00" /* RFC 7692 7.2.3.1 */
#define HELLO_AGAIN "\xf2\x00\x11\x00\x00"   /* 7.2.3.2 */

static uint64_t max_message(void)
{
	return limit;
}

static void on_message(struct ws *ws, bool text, char *p, size_t n)
{
	buf_fmt(&said, "%s(%zu)%.*s ", text ? "text" : "binary", n,
		(int)min_of(n, (size_t)16), p);
}

static void on_too_big(struct ws *ws, bool text, struct str start)
{
	buf_fmt(&said, "big(%zu)%.*s ", start.n,
		(int)min_of(start.n, (size_t)16), start.p);
	if (!text)
		ws_close(ws, WS_UNSUPPORTED_DATA, "");
}

static void on_closed(struct ws *ws, unsigned code)
{
	buf_fmt(&said, "closed(%u) ", code);
}

static const struct ws_ops ops = {
	.on_message = on_message,
	.on_too_big = on_too_big,
	.on_closed = on_closed,
};

static void open_with(struct deflate_terms terms)
{
	struct ws_want want = {.max_message = max_message, .set = &set};
	struct ws_handshake h = {.accept = "key", .deflate = terms};

	fake_open();
	ws_set_init(&set);
	w = ws_accept(&fake.s, &h, &want, &ops, NULL);
}

static void open_ws(void)
{
	open_with((struct deflate_terms){
		.on = true, .server_bits = 15, .client_bits = 15});
}

static void close_ws(void)
{
	fake_close();
	ws_set_fini(&set); /* all that was charged is given back */
	buf_reset(&said);
	buf_reset(&sent);
}

static int setup(void **state)
{
	conf_defaults(&conf);
	conf_swap(&conf, false);
	limit = 100000;
	open_ws();
	return 0;
}

static int teardown(void **state)
{
	close_ws();
	buf_fini(&said);
	buf_fini(&client);
	buf_fini(&sent);
	return 0;
}

static void frame(unsigned first, struct str payload)
{
	add_frame(&client, first, payload);
}

/* The frames so far, cut in many ways, each time to a fresh WebSocket. */
static void expect(const char *says, const char *answers)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 5, 8, 13};
	struct buf b cleanup(buf_fini) = {0};

	buf_move(&b, &client);
	for (size_t i = 0; i < countof(pieces); i++) {
		close_ws();
		open_ws();
		fake_give(buf_str(&b), pieces[i]);
		assert_string_equal(buf_z(&said), says);
		read_frames(buf_str(&fake.out), &sent);
		assert_string_equal(buf_z(&sent), answers);
	}
}

static void the_handshake_says_what_was_agreed_on(void **state)
{
	assert_string_equal(buf_z(&fake.head),
		"101 Sec-WebSocket-Accept: key; "
		"Sec-WebSocket-Extensions: permessage-deflate;");
}

static void messages_inflate(void **state)
{
	frame(0xc1, STR(HELLO));
	frame(0xc2, STR(HELLO_AGAIN));
	frame(0x81, STR("plain"));
	frame(0xc1, STR(HELLO_AGAIN));
	frame(0xc1, STR("\0"));
	expect("text(5)Hello binary(5)Hello text(5)plain text(5)Hello "
	       "text(0) ",
		"");
}

static void fragments_inflate_as_one(void **state)
{
	struct str all = STR(HELLO);

	for (size_t i = 0; i <= all.n; i++) {
		frame(0x41, str_n(all.p, i));
		frame(0x89, STR("p"));
		frame(0x00, STR_NONE);
		frame(0x80, str_skip(all, i));
		expect("text(5)Hello ", "pong(1)p");
	}
}

static void what_is_no_deflate_data_is_1007(void **state)
{
	frame(0xc2, STR("\x07"));
	expect("", "close(1007)");
	frame(0xc2, STR_NONE);
	expect("", "close(1007)");
	frame(0xc2, STR(HELLO_AGAIN)); /* refers to what never was */
	expect("", "close(1007)");
}

static void inflated_text_must_be_utf8(void **state)
{
	frame(0x41, STR("\x00\x02\x00\xfd\xff\xc3\x28\x00")); /* no end */
	expect("", "close(1007)");
	frame(0xc1, STR("\x00\x01\x00\xfe\xff\xc3\x00"));
	expect("", "close(1007)");
	frame(0xc2, STR("\x00\x01\x00\xfe\xff\xc3\x00"));
	expect("binary(1)\xc3 ", "");
}

static void the_limit_is_that_of_the_inflated_message(void **state)
{
	limit = 5;
	frame(0xc1, STR(HELLO));
	expect("text(5)Hello ", "");
	limit = 4;
	frame(0xc1, STR(HELLO));
	expect("big(4)Hell ", "close(1009)");
	/* The layer above closes by itself, and what follows is dropped. */
	frame(0xc2, STR(HELLO));
	frame(0xc1, STR("what"));
	expect("big(4)Hell ", "close(1003)");
	frame(0x42, STR(HELLO));
	frame(0x80, STR("what"));
	expect("big(4)Hell ", "close(1003)");
}

static void empty_blocks_come_to_an_end(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	while (b.n + 5 <= limit + limit / 16 + 65536)
		buf_adds(&b, STR("\x00\x00\x00\xff\xff"));
	frame(0x42, buf_str(&b));
	fake_give(buf_str(&client), 1000);
	assert_true(ws_is_open(w));
	buf_reset(&client);
	frame(0x00, STR("\x00\x00\x00\xff\xff"));
	fake_give(buf_str(&client), SIZE_MAX);
	read_frames(buf_str(&fake.out), &sent);
	assert_string_equal(buf_z(&said), "big(0) ");
}

static void nothing_agreed_on_is_1002(void **state)
{
	close_ws();
	open_with((struct deflate_terms){0});
	frame(0xc1, STR(HELLO));
	fake_give(buf_str(&client), 1);
	read_frames(buf_str(&fake.out), &sent);
	assert_string_equal(buf_z(&sent), "close(1002)");
}

/* The payload of the only frame that was sent; its first byte. */
static unsigned sent_frame(struct str *payload_r)
{
	const unsigned char *p = (const unsigned char *)fake.out.p;
	size_t n = p[1], head = 2;

	if (n == 126) {
		n = (size_t)p[2] << 8 | p[3];
		head = 4;
	} else if (n == 127) {
		n = (size_t)p[6] << 24 | (size_t)p[7] << 16 |
		    (size_t)p[8] << 8 | p[9];
		head = 10;
	}
	assert_int_equal(fake.out.n, head + n);
	*payload_r = str_n(fake.out.p + head, n);
	return p[0];
}

static unsigned send_of(size_t n)
{
	struct buf b cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	struct str payload;
	unsigned first;
	z_stream z = {0};

	memset(buf_room(&b, n), 'x', n);
	b.n = n;
	buf_reset(&fake.out);
	ws_send2(w, str_n(b.p, n / 3), str_n(b.p + n / 3, n - n / 3));
	first = sent_frame(&payload);
	if (!(first & 0x40)) {
		assert_int_equal(payload.n, n);
		return first;
	}
	assert_true(payload.n < n / 4);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)payload.p;
	z.avail_in = (uInt)payload.n;
	z.next_out = (Bytef *)buf_room(&out, n + 1);
	z.avail_out = (uInt)n + 1;
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(z.avail_out, 1);
	assert_memory_equal(out.p, b.p, n);
	(void)inflateEnd(&z);
	return first;
}

static void the_size_decides_what_is_compressed(void **state)
{
	assert_int_equal(send_of(DEFLATE_LEAST - 1), 0x81);
	assert_int_equal(send_of(DEFLATE_LEAST), 0xc1);
	close_ws();
	open_ws();
	assert_int_equal(send_of(DEFLATE_MOST), 0xc1);
	assert_int_equal(send_of(DEFLATE_MOST + 1), 0x81);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_handshake_says_what_was_agreed_on),
		T(messages_inflate),
		T(fragments_inflate_as_one),
		T(what_is_no_deflate_data_is_1007),
		T(inflated_text_must_be_utf8),
		T(the_limit_is_that_of_the_inflated_message),
		T(empty_blocks_come_to_an_end),
		T(nothing_agreed_on_is_1002),
		T(the_size_decides_what_is_compressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
