/* Blobs in pieces: whole ones, parts, parts of parts, from any byte on. */
#include "core/base/crypto.h"
#include "core/store/blob.h"
#include "proto/jmap/blob_stream.h"
#include "test/unit/proto/jmap/jmap_test.h"

#define QUOTA (100u << 20)

static struct err e;

static struct blob_id upload(struct str raw)
{
	struct tx *t;
	struct blob_id b;

	assert_int_equal(tx_begin(fx.account, TX_WRITE, &t, &e), 0);
	assert_int_equal(upload_add(t, raw, QUOTA, &b, &e), 0);
	assert_int_equal(tx_commit(t, &e), 0);
	tx_end(t);
	return b;
}

/* Bytes with a pattern that no shift of it has. */
static void fill(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addc(b, (char)(i * 31 + i / 251));
}

/* Each piece has a snapshot of its own. 1, 0. */
static int size_of(struct blob_stream *s, uint64_t *size_r)
{
	int ret;

	do {
		struct tx *t;

		assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
		ret = blob_stream_size(s, t, size_r, &e);
		tx_end(t);
	} while (ret == BLOB_STREAM_MORE);
	return ret;
}

static int find(const char *id)
{
	struct blob_stream *s cleanup(blob_stream_free) =
		blob_stream_new(str_of(id));
	struct tx *t cleanup(tx_end) = NULL;

	if (!s)
		return 0;
	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	return blob_stream_find(s, t, &e);
}

static size_t largest;

static void read_from(struct blob_stream *s, uint64_t first, struct buf *out)
{
	int ret;

	blob_stream_seek(s, first);
	do {
		struct buf piece cleanup(buf_fini) = {0};
		struct tx *t;

		assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
		ret = blob_stream_read(s, t, &piece, &e);
		tx_end(t);
		largest = max_of(largest, piece.n);
		buf_adds(out, buf_str(&piece));
	} while (ret > 0);
	assert_int_equal(ret, 0);
}

static void assert_reads(const char *id, struct str want)
{
	const uint64_t from[] = {0, 1, want.n / 2, want.n};
	struct blob_stream *s cleanup(blob_stream_free) =
		blob_stream_new(str_of(id));
	uint64_t size = 0;

	assert_non_null(s);
	assert_int_equal(find(id), 1);
	assert_int_equal(size_of(s, &size), 1);
	assert_int_equal(size, want.n);
	for (size_t i = 0; i < countof(from); i++) {
		struct buf got cleanup(buf_fini) = {0};
		uint64_t at = min_of(from[i], want.n);

		read_from(s, at, &got);
		assert_true(str_eq(buf_str(&got), str_skip(want, at)));
	}
}

static void assert_none(const char *id)
{
	struct blob_stream *s cleanup(blob_stream_free) =
		blob_stream_new(str_of(id));
	uint64_t size;

	assert_int_equal(find(id), 0);
	if (s)
		assert_int_equal(size_of(s, &size), 0);
}

static const char *part(const struct blob_id *b, uint64_t offset,
	uint64_t length, unsigned encoding)
{
	static char z[BLOB_ID_MAX];

	part_id_of(b,
		&(struct blob_part){.offset = offset,
			.length = length,
			.encoding = encoding,
			.part = true},
		z);
	return z;
}

static void test_a_blob_comes_in_pieces(void **state)
{
	const size_t sizes[] = {0, 1, 65536, 65537, 131072, 1000003};

	for (size_t i = 0; i < countof(sizes); i++) {
		struct buf raw cleanup(buf_fini) = {0};
		char id[BLOB_ID_MAX];
		struct blob_id b;

		fill(&raw, sizes[i]);
		b = upload(buf_str(&raw));
		blob_id_of(&b, id);
		assert_reads(id, buf_str(&raw));
	}
	assert_true(largest <= 131072);
}

static void test_a_part_that_is_not_encoded(void **state)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct blob_id b;

	fill(&raw, 400000);
	b = upload(buf_str(&raw));
	assert_reads(part(&b, 1000, 300000, MIME_IDENTITY),
		str_n(raw.p + 1000, 300000));
	assert_reads(part(&b, 400000, 0, MIME_IDENTITY), STR_NONE);
	assert_none(part(&b, 400001, 0, MIME_IDENTITY));
	assert_none(part(&b, 1, 400000, MIME_IDENTITY));
	assert_none(part(&b, UINT64_MAX, UINT64_MAX, MIME_IDENTITY));
}

static void test_an_encoded_part_is_decoded_as_it_goes(void **state)
{
	struct buf data cleanup(buf_fini) = {0}, raw cleanup(buf_fini) = {0};
	struct blob_id b;
	size_t at;

	/* More than one call may count. */
	fill(&data, 3000000);
	buf_addz(&raw, "before");
	at = raw.n;
	base64_add(&raw, buf_str(&data));
	buf_addz(&raw, "behind");
	b = upload(buf_str(&raw));
	largest = 0;
	assert_reads(part(&b, at, raw.n - at - 6, MIME_BASE64), buf_str(&data));
	assert_true(largest <= 131072);
}

/* base64 of ("xx" and base64 of data and "yy"). */
static void nest(struct buf *raw, struct str data, size_t *inner_n)
{
	struct buf inner cleanup(buf_fini) = {0};

	buf_addz(&inner, "xx");
	base64_add(&inner, data);
	*inner_n = inner.n - 2;
	buf_addz(&inner, "yy");
	base64_add(raw, buf_str(&inner));
}

static void test_a_part_of_an_encoded_part(void **state)
{
	struct buf data cleanup(buf_fini) = {0}, raw cleanup(buf_fini) = {0};
	struct blob_part p = {.part = true, .encoding = MIME_BASE64, .in_n = 1};
	char id[BLOB_ID_MAX];
	struct blob_id b;
	size_t inner;

	fill(&data, 500000);
	nest(&raw, buf_str(&data), &inner);
	b = upload(buf_str(&raw));
	p.length = raw.n;
	p.in[0] = (struct blob_span){2, inner, MIME_BASE64};
	part_id_of(&b, &p, id);
	assert_reads(id, buf_str(&data));
	p.in[0] = (struct blob_span){2 + inner, 2, MIME_IDENTITY};
	part_id_of(&b, &p, id);
	assert_reads(id, STR("yy"));
	/* Beyond what the part decodes to. */
	p.in[0] = (struct blob_span){2 + inner, 3, MIME_IDENTITY};
	part_id_of(&b, &p, id);
	assert_none(id);
	p.in[0] = (struct blob_span){5 + inner, 0, MIME_IDENTITY};
	part_id_of(&b, &p, id);
	assert_none(id);
}

static void test_what_is_no_blob(void **state)
{
	struct blob_id b = {{1, 2, 3}};
	char id[BLOB_ID_MAX];

	blob_id_of(&b, id);
	assert_none(id);
	assert_none(part(&b, 0, 0, MIME_IDENTITY));
	assert_none("");
	assert_none("b");
	assert_null(blob_stream_new(STR("nonsense")));
}

static void test_a_blob_that_goes_meanwhile(void **state)
{
	struct buf raw cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};
	struct blob_stream *s cleanup(blob_stream_free) = NULL;
	struct blob_id b;
	struct tx *t;
	char id[BLOB_ID_MAX];
	uint64_t size;

	fill(&raw, 400000);
	b = upload(buf_str(&raw));
	blob_id_of(&b, id);
	s = blob_stream_new(str_of(id));
	assert_int_equal(size_of(s, &size), 1);
	blob_stream_seek(s, 0);
	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	assert_int_equal(blob_stream_read(s, t, &out, &e), 1);
	tx_end(t);
	assert_int_equal(tx_begin(fx.account, TX_WRITE, &t, &e), 0);
	assert_int_equal(upload_expire(t, INT64_MAX / 2, &e), 0);
	assert_int_equal(tx_commit(t, &e), 0);
	tx_end(t);
	assert_int_equal(tx_begin(fx.account, TX_READ, &t, &e), 0);
	assert_int_equal(blob_stream_read(s, t, &out, &e), 0);
	tx_end(t);
	assert_true(out.n < raw.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_blob_comes_in_pieces),
		cmocka_unit_test(test_a_part_that_is_not_encoded),
		cmocka_unit_test(test_an_encoded_part_is_decoded_as_it_goes),
		cmocka_unit_test(test_a_part_of_an_encoded_part),
		cmocka_unit_test(test_what_is_no_blob),
		cmocka_unit_test(test_a_blob_that_goes_meanwhile),
	};

	return cmocka_run_group_tests(tests, fx_open, fx_close);
}
