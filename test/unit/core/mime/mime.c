/*
 * Whole messages: the samples of test/data/mail, every cut of them, changed
 * bytes, and several threads at once.
 */
#include "test/unit/core/mime/fixture.h"

#include <glob.h>
#include <pthread.h>

#include "core/base/clock.h"
#include "core/base/utf8.h"

#define SAMPLES "test/data/mail/"

static const char *const samples[] = {"plain", "reply", "alternative",
	"html_only", "attachments", "nested", "rfc2231", "cjk", "raw_8bit",
	"empty_parts", "broken_boundary", "broken_header", "bounce"};

static struct arena arena;

static int setup(void **state)
{
	mime_setup();
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static struct str file(const char *path)
{
	struct buf b cleanup(buf_fini) = {0};
	FILE *f = fopen(path, "rb");
	size_t n;

	assert_non_null(f);
	do {
		n = fread(buf_room(&b, 4096), 1, 4096, f);
		b.n += n;
	} while (n > 0);
	fclose(f);
	assert_true(b.n > 0);
	return arena_str(&arena, buf_str(&b));
}

static struct str sample(const char *name)
{
	return file(arena_fmt(&arena, SAMPLES "%s.eml", name).p);
}

/* Every message of the corpus; globfree() when done. */
static void corpus(glob_t *g)
{
	assert_int_equal(glob(SAMPLES "*.eml", 0, NULL, g), 0);
	assert_true(g->gl_pathc > countof(samples));
}

static struct mime_message *parse(const char *name)
{
	struct mime_message *m = mime_parse(sample(name), &arena);

	check_message(m);
	return m;
}

static struct str field(const struct mime_message *m, const char *name)
{
	return mime_header_raw(m->root, str_of(name));
}

static void assert_subject(const struct mime_message *m, const char *want)
{
	assert_str(mime_as_text(field(m, "Subject"), &arena), want);
}

static void assert_first(const struct mime_message *m, const char *name,
	const char *want_name, const char *want_email)
{
	const struct mime_addr *a;

	assert_true(mime_as_addresses(field(m, name), &arena, &a) > 0);
	if (want_name)
		assert_str(a[0].name, want_name);
	else
		assert_null(a[0].name.p);
	assert_str(a[0].email, want_email);
}

static void assert_text(
	const struct mime_message *m, size_t i, const char *want, bool problem)
{
	struct mime_text t;

	assert_true(i < m->text_body_n);
	t = mime_body_text(m->raw, m->text_body[i], 0, &arena);
	assert_str(t.text, want);
	assert_int_equal(t.encoding_problem, problem);
}

static void test_plain(void **state)
{
	struct mime_message *m = parse("plain");
	char z[CLOCK_UTC_MAX];

	assert_shape(m, "1:text/plain");
	assert_int_equal(m->root->headers_n, 9);
	assert_subject(m, "Lunch on Thursday?");
	assert_first(m, "from", "Bob Baker", "bob@example.com");
	clock_utc(m->sent_ms, z);
	assert_string_equal(z, "2026-11-23T08:15:00Z");
	assert_str(m->preview, "Hi Alice, are you free for lunch on Thursday? "
			       "The new place by the harbour opens at noon. "
			       "Bob -- Bob Baker, Example Bakery");
}

static void test_reply_has_the_subject_of_what_it_answers(void **state)
{
	struct mime_message *m = parse("reply");
	const struct str *ids;

	assert_first(m, "From", "Archer, Alice", "alice@example.org");
	assert_int_equal(
		mime_as_message_ids(field(m, "In-Reply-To"), &arena, &ids), 1);
	assert_str(ids[0], "20261123091500.1@example.com");
	assert_str(mime_base_subject(field(m, "Subject"), &arena),
		"lunch on thursday?");
}

static void test_alternative(void **state)
{
	struct mime_message *m = parse("alternative");
	const struct mime_addr *a;
	const struct str *urls;

	assert_shape(m, "multipart/alternative(1:text/plain 2:text/html)");
	assert_subject(m, "Pl\xc3\xa4ne f\xc3\xbcr das neue B\xc3\xbcro");
	assert_first(
		m, "From", "J\xc3\xb6rg M\xc3\xbcller", "joerg@example.com");
	assert_first(m, "Cc", "Dave D.", "dave@example.org");
	assert_int_equal(mime_as_addresses(field(m, "To"), &arena, &a), 4);
	assert_true(a[0].group_start);
	assert_str(a[2].name, "Carol C.");
	assert_true(a[3].group_end);
	assert_int_equal(
		mime_as_urls(field(m, "List-Unsubscribe"), &arena, &urls), 2);
	assert_str(urls[1], "https://lists.example.com/leave");
	assert_text(m, 0,
		"Das neue B\xc3\xbcro hat gro\xc3\x9f"
		"e Fenster \xe2\x80\x93 und eine K\xc3\xbc"
		"che. \nUmzug ist im M\xc3\xa4rz.\n",
		false);
	assert_ptr_equal(m->html_body[0], m->root->sub[1]);
	assert_false(m->has_attachment);
}

static void test_html_only(void **state)
{
	struct mime_message *m = parse("html_only");

	assert_ptr_equal(m->text_body[0], m->root);
	assert_str(m->preview, "Caf\xc3\xa9 prices From 3 \xe2\x82\xac to 4 "
			       "\xe2\x82\xac: 1 < 2.");
}

static void test_attachments(void **state)
{
	struct mime_message *m = parse("attachments");

	assert_shape(m, "multipart/mixed(1:text/plain 2:application/pdf "
			"3:image/png)");
	assert_int_equal(m->attachments_n, 2);
	assert_str(m->attachments[0]->name, "report.pdf");
	assert_int_equal(m->attachments[0]->size, 40 * 30);
	assert_int_equal(m->attachments[1]->size, 70);
	assert_true(m->has_attachment);
}

static void test_nested(void **state)
{
	struct mime_message *m = parse("nested");

	assert_shape(m, "multipart/mixed(1:text/plain multipart/related("
			"multipart/alternative(2.1.1:text/plain "
			"2.1.2:text/html) 2.2:image/png) 3:message/rfc822 "
			"4:text/plain)");
	assert_int_equal(m->text_body_n, 3);
	assert_int_equal(m->html_body_n, 3);
	assert_int_equal(m->attachments_n, 2);
	assert_str(m->attachments[0]->cid, "dot@example.com");
	assert_true(str_starts(
		str_n(m->raw.p + m->attachments[1]->offset, 5), STR("From:")));
	assert_str(mime_base_subject(field(m, "subject"), &arena), "minutes");
}

static void test_rfc_2231(void **state)
{
	struct mime_message *m = parse("rfc2231");

	assert_int_equal(m->attachments_n, 2);
	assert_str(m->attachments[0]->name,
		"\xe2\x82\xac exchange r\xc3\xa4tes for 2026.txt");
	assert_str(m->attachments[1]->name, "\xc3\xbc"
					    "bersicht.csv");
}

static void test_cjk(void **state)
{
	struct mime_message *m = parse("cjk");
	const char *text = "\xe6\x9d\xa5\xe9\x80\xb1\xe3\x81\xae\xe4\xbc\x9a"
			   "\xe8\xad\xb0";

	assert_subject(m, "\xe6\x9d\xa5\xe9\x80\xb1\xe3\x81\xae\xe4\xbc\x9a"
			  "\xe8\xad\xb0\xe3\x81\xab\xe3\x81\xa4\xe3\x81\x84"
			  "\xe3\x81\xa6");
	assert_first(m, "From", "\xe7\x8e\x8b\xe5\xb0\x8f\xe6\x98\x8e",
		"xiaoming@example.com");
	assert_true(str_starts(m->preview, str_of(text)));
}

static void test_raw_8_bit(void **state)
{
	struct mime_message *m = parse("raw_8bit");

	assert_subject(m, "Gr\xc3\xbc\xc3\x9f"
			  "e ohne MIME");
	assert_first(m, "From", "J\xc3\xb6rg", "joerg@example.com");
	assert_text(m, 0,
		"Sch\xc3\xb6ne Gr\xc3\xbc\xc3\x9f"
		"e, 5 \xe2\x82\xac liegen bei.\n",
		true);
}

static void test_empty_parts(void **state)
{
	struct mime_message *m = parse("empty_parts");

	assert_shape(m, "multipart/mixed(1:text/plain 2:text/html "
			"3:application/octet-stream 4:text/plain)");
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(m->root->sub[i]->size, 0);
	assert_subject(m, "");
	assert_str(m->preview, "the only text");
}

static void test_broken_boundary(void **state)
{
	struct mime_message *m = parse("broken_boundary");

	assert_shape(m, "multipart/mixed(multipart/alternative("
			"1.1:text/plain 1.2:text/html) 2:text/plain)");
	assert_body(m, m->root->sub[1], "line one\r\n--ab\r\n");
	assert_str(m->root->sub[1]->name, "log.txt");
}

static void test_broken_header(void **state)
{
	struct mime_message *m = parse("broken_header");
	const struct str *ids;

	assert_true(m->sent_ms == INT64_MIN);
	assert_first(m, "From", "Unclosed", "who@example.com");
	assert_subject(m, "=?utf-8?Q?not closed and =?x-unknown?B?AAAA?=");
	assert_int_equal(
		mime_as_message_ids(field(m, "References"), &arena, &ids), 2);
	assert_str(ids[1], "c@example.com");
	assert_int_equal(
		mime_as_message_ids(field(m, "Message-ID"), &arena, &ids), 0);
	assert_text(m, 0,
		"this line is no field\nStill: body\n\nBroken, but "
		"readable.\n",
		true);
}

static void test_bounce(void **state)
{
	struct mime_message *m = parse("bounce");

	assert_shape(m, "multipart/report(1:text/plain "
			"2:message/delivery-status 3:text/rfc822-headers)");
	assert_first(
		m, "From", "Mail Delivery System", "MAILER-DAEMON@example.com");
	assert_int_equal(m->attachments_n, 2);
}

/* Asks a message for everything it can be asked for. */
static void use(struct str raw, struct arena *a)
{
	struct mime_message *m = mime_parse(raw, a);
	const struct mime_addr *addr;
	const struct str *list;
	int64_t ms;

	check_message(m);
	assert_true(utf8_valid(m->preview));
	for (size_t i = 0; i < m->root->headers_n; i++) {
		struct str v = m->root->headers[i].value;

		assert_true(utf8_valid(mime_as_text(v, a)));
		assert_true(utf8_valid(mime_as_raw(v, a)));
		assert_true(utf8_valid(mime_base_subject(v, a)));
		mime_as_addresses(v, a, &addr);
		mime_as_message_ids(v, a, &list);
		mime_as_urls(v, a, &list);
		mime_as_date(v, &ms, NULL);
	}
	for (size_t i = 0; i < m->text_body_n; i++) {
		struct mime_text t =
			mime_body_text(raw, m->text_body[i], i % 9, a);

		assert_true(utf8_valid(t.text));
	}
}

static void test_every_cut_of_every_message(void **state)
{
	glob_t g;

	corpus(&g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct str whole = file(g.gl_pathv[i]);

		for (size_t n = 0; n <= whole.n; n++) {
			struct arena a cleanup(arena_fini) = {0};
			struct str cut = exact(mime_slice(whole, 0, n));

			use(cut, &a);
			free((void *)(uintptr_t)cut.p);
		}
	}
	globfree(&g);
}

static uint32_t next_number(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void test_messages_with_changed_bytes(void **state)
{
	static const char bytes[] = "\0\r\n -=?:;,<>()\"'[]@*\\%&/ab1\x80\xff";
	uint32_t seed = 7;
	glob_t g;

	corpus(&g);
	for (size_t i = 0; i < g.gl_pathc * 20; i++) {
		struct arena a cleanup(arena_fini) = {0};
		struct str s = exact(file(g.gl_pathv[i % g.gl_pathc]));
		char *p = (char *)(uintptr_t)s.p;

		for (int k = 0; k < 8; k++)
			p[next_number(&seed) % s.n] =
				bytes[next_number(&seed) % sizeof(bytes)];
		use(s, &a);
		free(p);
	}
	globfree(&g);
}

struct job {
	struct str raw[countof(samples)];
	size_t used[countof(samples)];
};

static void *parse_all(void *ctx)
{
	struct job *j = ctx;

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < countof(samples); i++) {
			struct arena a cleanup(arena_fini) = {0};

			use(j->raw[i], &a);
			j->used[i] = a.used;
		}
	}
	return NULL;
}

static void test_threads_parse_at_once(void **state)
{
	struct job job[4];
	pthread_t thread[countof(job)];

	for (size_t i = 0; i < countof(samples); i++)
		job[0].raw[i] = sample(samples[i]);
	for (size_t t = 0; t < countof(job); t++) {
		memcpy(job[t].raw, job[0].raw, sizeof(job[t].raw));
		assert_int_equal(
			pthread_create(&thread[t], NULL, parse_all, &job[t]),
			0);
	}
	for (size_t t = 0; t < countof(job); t++)
		assert_int_equal(pthread_join(thread[t], NULL), 0);
	for (size_t t = 1; t < countof(job); t++)
		assert_memory_equal(
			job[t].used, job[0].used, sizeof(job[t].used));
}

/* A message that would take hours if anything looked back for each part. */
static void test_fifty_megabytes_in_one_pass(void **state)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct mime_message *m;

	buf_addz(&b, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (int i = 0; i < MIME_PARTS; i++) {
		buf_addz(&b, "--b\nContent-Type: text/html; name=\"(\n\n");
		while (b.n < (size_t)(i + 1) * 5000)
			buf_addz(&b, "--a\n<a \"(=?\n");
	}
	m = mime_parse(buf_str(&b), &a);
	assert_int_equal(m->root->sub_n, MIME_PARTS - 1);
	assert_true(a.used < b.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_reply_has_the_subject_of_what_it_answers),
		cmocka_unit_test(test_alternative),
		cmocka_unit_test(test_html_only),
		cmocka_unit_test(test_attachments),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_rfc_2231),
		cmocka_unit_test(test_cjk),
		cmocka_unit_test(test_raw_8_bit),
		cmocka_unit_test(test_empty_parts),
		cmocka_unit_test(test_broken_boundary),
		cmocka_unit_test(test_broken_header),
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_every_cut_of_every_message),
		cmocka_unit_test(test_messages_with_changed_bytes),
		cmocka_unit_test(test_threads_parse_at_once),
		cmocka_unit_test(test_fifty_megabytes_in_one_pass),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
