/* The words of a text: what counts as one, and how it is folded. */
#include "test/unit/core/mime/fixture.h"

#include "core/base/utf8.h"
#include "core/mime/text.h"

/* The words with a "|" between them; "~" before the end of a run. */
static void words(struct str text, struct buf *out)
{
	struct str copy = exact(text);
	struct mime_words w;
	struct mime_word one;
	size_t from = 0;

	mime_words_init(&w, copy);
	while (mime_words_next(&w, &one)) {
		assert_true(one.from >= from && one.from < one.to);
		assert_true(one.to <= copy.n);
		assert_true(one.word.n > 0 && one.word.n <= MIME_WORD_MAX);
		assert_true(utf8_valid(one.word));
		from = one.from;
		if (out->n)
			buf_addc(out, '|');
		if (one.kind == MIME_RUN_END)
			buf_addc(out, '~');
		buf_adds(out, one.word);
	}
	free((void *)(uintptr_t)copy.p);
}

static void assert_words(const char *text, const char *want)
{
	struct buf b cleanup(buf_fini) = {0};

	words(str_of(text), &b);
	assert_string_equal(buf_z(&b), want);
}

static void a_word_is_letters_and_digits(void **state)
{
	assert_words("", "");
	assert_words(" .,-- !?", "");
	assert_words("Hello, World", "hello|world");
	assert_words("bob@Example.NET", "bob|example|net");
	assert_words("a_b c-3 (x)", "a|b|c|3|x");
	assert_words("don't", "don|t");
	assert_words("\xf0\x9f\x98\x80 smile", "smile");
}

static void case_and_accents_do_not_count(void **state)
{
	assert_words("Ärger ÉCOLE Ñandú", "arger|ecole|nandu");
	/* The same, decomposed. */
	assert_words("A\xcc\x88rger E\xcc\x81"
		     "COLE",
		"arger|ecole");
	assert_words("ΟΔΥΣΣΕΎΣ Οδυσσεύς", "οδυσσευσ|οδυσσευσ");
	assert_words("Ёлка ЙОД", "елка|иод");
	assert_words("Việt Nam", "viet|nam");
}

static void letters_that_people_type_otherwise_are_plain(void **state)
{
	assert_words("Straße STRASSE ẞ", "strasse|strasse|ss");
	assert_words("Søren Łódź Đuro Œuvre æther ısı İ",
		"soren|lodz|duro|oeuvre|aether|isi|i");
}

static void what_looks_the_same_is_the_same(void **state)
{
	assert_words("ﬁne Ｗｉｄｅ ① ²", "fine|wide|1|2");
	assert_words("ｶﾞｯﾃﾝ", "ガッ|ッテ|テン|~ン");
}

static void a_soft_hyphen_is_inside_a_word(void **state)
{
	assert_words("Donau\xc2\xad"
		     "dampf",
		"donaudampf");
	assert_words("a\xe2\x80\x8b"
		     "b",
		"a|b");
	assert_words("a\xef\xb8\x8f", "a");
}

static void vowel_signs_are_part_of_an_indic_word(void **state)
{
	assert_words("हिन्दी भाषा", "हिन्दी|भाषा");
}

static void scripts_without_spaces_give_pairs(void **state)
{
	assert_words("東京都", "東京|京都|~都");
	assert_words("猫", "~猫");
	assert_words("メール、届く", "メー|ール|~ル|届く|~く");
	assert_words("한국어", "한국|국어|~어");
	assert_words("สวัสดี", "สว|วั|ัส|สด|ดี|~ี");
	assert_words("𠮷野家", "𠮷野|野家|~家");
}

static void a_run_ends_where_a_word_begins(void **state)
{
	assert_words("iPhone手機abc", "iphone|手機|~機|abc");
	assert_words("第3回", "~第|3|~回");
}

static void decomposed_kana_and_hangul_are_composed(void **state)
{
	assert_words("か\xe3\x82\x99き", "がき|~き");
	/* h-a-n, g-u-k as single letters */
	assert_words("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"
		     "\xe1\x84\x80\xe1\x85\xae\xe1\x86\xa8",
		"한국|~국");
}

static void a_long_word_is_cut_and_not_split(void **state)
{
	struct buf text cleanup(buf_fini) = {0};
	struct buf got cleanup(buf_fini) = {0};

	for (int i = 0; i < 5000; i++)
		buf_addc(&text, 'q');
	buf_addz(&text, " end");
	words(buf_str(&text), &got);
	assert_int_equal(str_find(buf_str(&got), '|'), got.n - 4);
	assert_true(got.n <= MIME_WORD_MAX + 4);
}

static void offsets_name_the_bytes_of_the_text(void **state)
{
	struct str text = STR("«Ärger» 東京!");
	struct mime_words w;
	struct mime_word one;

	mime_words_init(&w, text);
	assert_true(mime_words_next(&w, &one));
	assert_str(mime_slice(text, one.from, one.to), "Ärger");
	assert_true(mime_words_next(&w, &one));
	assert_int_equal(one.kind, MIME_PAIR);
	assert_str(mime_slice(text, one.from, one.to), "東京");
	assert_true(mime_words_next(&w, &one));
	assert_int_equal(one.kind, MIME_RUN_END);
	assert_str(mime_slice(text, one.from, one.to), "京");
	assert_false(mime_words_next(&w, &one));
	assert_false(mime_words_next(&w, &one));
}

/* Any bytes: it ends, and stays within them. */
static void bytes_that_are_no_text_are_passed_over(void **state)
{
	uint32_t seed = 1;

	assert_words("a\xff\xfe"
		     "b \xe6\x9d",
		"a|b");
	for (int round = 0; round < 2000; round++) {
		struct buf got cleanup(buf_fini) = {0};
		char bytes[64];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed = seed * 1664525 + 1013904223;
			bytes[i] = (char)(seed >> 24);
		}
		words(str_n(bytes, (size_t)round % sizeof(bytes)), &got);
	}
}

/* Every character of Unicode, between two others and alone. */
static void every_character_can_be_read(void **state)
{
	for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
		struct buf got cleanup(buf_fini) = {0};
		char bytes[8] = {'a'};
		size_t n = 1 + utf8_encode(cp, bytes + 1);

		bytes[n++] = 'b';
		words(str_n(bytes, n), &got);
		assert_true(got.n >= 2 && got.n <= 64);
		assert_int_equal(got.p[0], 'a');
		assert_int_equal(got.p[got.n - 1], 'b');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_is_letters_and_digits),
		cmocka_unit_test(case_and_accents_do_not_count),
		cmocka_unit_test(letters_that_people_type_otherwise_are_plain),
		cmocka_unit_test(what_looks_the_same_is_the_same),
		cmocka_unit_test(a_soft_hyphen_is_inside_a_word),
		cmocka_unit_test(vowel_signs_are_part_of_an_indic_word),
		cmocka_unit_test(scripts_without_spaces_give_pairs),
		cmocka_unit_test(a_run_ends_where_a_word_begins),
		cmocka_unit_test(decomposed_kana_and_hangul_are_composed),
		cmocka_unit_test(a_long_word_is_cut_and_not_split),
		cmocka_unit_test(offsets_name_the_bytes_of_the_text),
		cmocka_unit_test(bytes_that_are_no_text_are_passed_over),
		cmocka_unit_test(every_character_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
