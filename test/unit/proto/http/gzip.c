/* Who accepts gzip, and that it is gzip. */
#include "proto/http/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>

#include <cmocka.h>

static bool accepted2(const char *field1, const char *field2)
{
	struct http_header fields[] = {
		{STR("accept-encoding"), str_of(field1)},
		{STR("Accept-Encoding"), str_of(field2)},
	};
	struct http_request r = {
		.headers = fields, .headers_n = field2 ? 2 : !!field1};

	return gzip_accepted(&r);
}

static bool accepted(const char *field)
{
	return accepted2(field, NULL);
}

static void who_lists_it_accepts_it(void **state)
{
	static const char *const yes[] = {"gzip", "GZip", "x-gzip", "*",
		"deflate, gzip, br", "gzip;q=1", "gzip;q=1.000", "gzip;q=0.001",
		"gzip ; q=0.5", "gzip; Q=0.5", "br;q=1.0, *;q=0.1",
		"identity;q=0.5, gzip;q=0.5", "gzip;q=1., identity;q=0",
		"identity; q=0.9, gzip"};

	for (size_t i = 0; i < countof(yes); i++)
		if (!accepted(yes[i]))
			fail_msg("%s", yes[i]);
	assert_true(accepted2("br", "gzip"));
}

static void who_does_not_gets_it_plain(void **state)
{
	static const char *const no[] = {"", "br", "gzip2", "gzip;q=0",
		"gzip;q=0.000", "*;q=0", "*, gzip;q=0", "identity",
		"identity, gzip;q=0.5", "identity;q=0.6, *;q=0.5",
		"gzip;q=", "gzip;q=2", "gzip;q=1.001", "gzip;q=0.0001",
		"gzip;q=-1", "gzip;q=.5", "gzip;q", "gzip;x=1", ";q=1"};

	for (size_t i = 0; i < countof(no); i++)
		if (accepted(no[i]))
			fail_msg("%s", no[i]);
	assert_false(accepted(NULL));
}

static void packs(struct gzip *g, size_t n)
{
	struct buf body cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	struct str packed;
	z_stream z = {0};

	for (size_t i = 0; body.n < n; i++)
		buf_fmt(&body, "{\"id\":\"M%zu\"},", i * i);
	packed = gzip_pack(g, buf_str(&body));
	assert_true(packed.n < body.n / 2);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)packed.p;
	z.avail_in = (uInt)packed.n;
	z.next_out = (Bytef *)buf_room(&out, body.n + 1);
	z.avail_out = (uInt)body.n + 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(z.avail_out, 1);
	assert_memory_equal(out.p, body.p, body.n);
	assert_int_equal(inflateEnd(&z), Z_OK);
}

static void each_answer_is_a_whole_file(void **state)
{
	struct gzip *g = gzip_new();

	packs(g, GZIP_LEAST);
	packs(g, GZIP_MOST);
	packs(g, 100000);
	packs(g, GZIP_LEAST);
	gzip_free(g);
	gzip_free(gzip_new());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_lists_it_accepts_it),
		cmocka_unit_test(who_does_not_gets_it_plain),
		cmocka_unit_test(each_answer_is_a_whole_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
