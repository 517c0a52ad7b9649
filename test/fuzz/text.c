/*
 * Searching: any bytes have words, a message has a text, and a snippet is whole,
 * whatever is looked for in it.
 */
#include "core/base/utf8.h"
#include "core/mime/text.h"
#include "core/store/text.h"
#include "test/fuzz/fuzz.h"

#define SNIPPET_MAX 80

static bool valid(struct str s)
{
	return s.n == 0 || utf8_valid(s);
}

static void words_of(struct str text)
{
	struct mime_words w;
	struct mime_word one;
	size_t from = 0;

	mime_words_init(&w, text);
	while (mime_words_next(&w, &one)) {
		check(one.from >= from && one.from < one.to);
		check(one.to <= text.n);
		check(one.word.n > 0 && one.word.n <= MIME_WORD_MAX);
		check(utf8_valid(one.word));
		from = one.from;
	}
}

static void snippet_of(struct str text, struct str query, size_t max)
{
	struct buf out cleanup(buf_fini) = {0};
	bool found = text_snippet(text, &query, 1, max, &out);

	check(found == (out.n > 0));
	check(out.n <= max);
	check(!found || !valid(text) || valid(buf_str(&out)));
}

/* One byte: how long the query is; the query; a message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mime_search s cleanup(mime_search_fini) = {0};
	struct tape t = {data, n};
	size_t first = tape_take(&t, 1);
	size_t query_n = min_of(first, t.n);
	struct str query = fuzz_exact(t.p, query_n);
	struct str raw = fuzz_exact(t.p + query_n, t.n - query_n);

	words_of(query);
	words_of(raw);
	snippet_of(raw, query, SNIPPET_MAX);
	mime_search_read(raw, 4096, &s);
	check(valid(buf_str(&s.subject)) && valid(buf_str(&s.from)));
	check(valid(buf_str(&s.body)));
	words_of(buf_str(&s.body));
	snippet_of(buf_str(&s.body), query, SNIPPET_MAX);
	snippet_of(buf_str(&s.subject), query, SIZE_MAX);
	free((char *)query.p);
	free((char *)raw.p);
	return 0;
}
