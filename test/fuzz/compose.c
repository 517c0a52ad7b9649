/*
 * Composing: whatever a client sends, what is written is one field or one message,
 * and is read back as what was sent.
 */
#include "core/base/utf8.h"
#include "core/mime/compose.h"
#include "core/mime/internal.h"
#include "test/fuzz/fuzz.h"

/* Up to the next byte of 255, which is in no UTF-8. */
static struct str take(struct tape *t)
{
	struct str s = str_n(t->p, 0);

	while (s.n < t->n && t->p[s.n] != 0xff)
		s.n++;
	t->p += min_of(s.n + 1, t->n);
	t->n -= min_of(s.n + 1, t->n);
	return s;
}

/* Whole lines of one field alone. */
static struct str one_field(const struct buf *b, struct arena *a)
{
	struct buf all cleanup(buf_fini) = {0};
	struct mime_part *root;

	buf_adds(&all, buf_str(b));
	buf_addz(&all, "X-End: 1\r\n\r\nbody");
	root = mime_parse(arena_str(a, buf_str(&all)), a)->root;
	check(root->headers_n == 2);
	check(str_eq(root->headers[1].name, STR("X-End")));
	for (struct str s = buf_str(b), line; str_cut(&s, '\n', &line);)
		check(line.n <= 999 && str_ends(line, STR("\r")));
	return root->headers[0].value;
}

static void text_of(struct str in, struct arena *a)
{
	struct buf b cleanup(buf_fini) = {0};
	struct buf n cleanup(buf_fini) = {0};
	struct buf want cleanup(buf_fini) = {0};
	struct str got;

	if (!compose_text(&b, STR("X-A"), in)) {
		check(b.n == 0);
		return;
	}
	got = mime_as_text(one_field(&b, a), a);
	/* Normalized, and with blanks for tabs: as plain words are read. */
	buf_addc(&want, '.');
	for (size_t i = 0; i < in.n; i++)
		buf_addc(&want, in.p[i] == '\t' ? ' ' : in.p[i]);
	if (mime_find(in, 0, STR("=?")) < in.n)
		return;
	buf_addc(&n, '.');
	buf_adds(&n, got);
	check(str_eq(
		mime_as_text(buf_str(&n), a), mime_as_text(buf_str(&want), a)));
}

static void raw_of(struct str in, struct arena *a)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str got;

	if (!compose_raw(&b, STR("X-A"), in)) {
		check(b.n == 0);
		return;
	}
	got = one_field(&b, a);
	check(str_eq(mime_clean(got, a), mime_clean(in, a)));
}

static void lists_of(struct str one, struct str two, struct arena *a)
{
	struct mime_addr at[2] = {{.name = one, .email = two}, {.email = one}};
	struct str ids[2] = {one, two};
	struct buf b cleanup(buf_fini) = {0};

	if (compose_addresses(&b, STR("X-A"), at, 2))
		one_field(&b, a);
	buf_reset(&b);
	if (compose_message_ids(&b, STR("X-A"), ids, 2))
		one_field(&b, a);
	buf_reset(&b);
	if (compose_urls(&b, STR("X-A"), ids, 2))
		one_field(&b, a);
}

static void part_of(
	struct str name, struct str type, struct str content, struct arena *a)
{
	struct buf head cleanup(buf_fini) = {0};
	struct buf raw cleanup(buf_fini) = {0};
	struct buf back cleanup(buf_fini) = {0};
	struct compose_part p = {.content = content};
	struct mime_message *m;

	if (!compose_type(&head, type, STR_NONE, STR_NONE, STR_NONE))
		type = STR("text/plain");
	buf_reset(&head);
	p.type = mime_lower_str(type, a);
	if (str_starts(p.type, STR("multipart/")))
		return;
	compose_type(&head, type, STR_NONE, STR_NONE, STR_NONE);
	compose_disposition(&head, STR("inline"), name);
	compose_cid(&head, name);
	compose_location(&head, name);
	p.head = buf_str(&head);
	compose_message(&raw, STR("A: b\r\n"), &p);
	m = mime_parse(buf_str(&raw), a);
	check(str_eq(m->root->type, p.type));
	mime_decode(m->raw, m->root, &back);
	check(str_eq(buf_str(&back), content));
}

/* A Content-Type of the client's: a boundary that is added is the boundary. */
static void type_of(struct str in, struct arena *a)
{
	struct buf line cleanup(buf_fini) = {0};
	struct buf out cleanup(buf_fini) = {0};
	struct str type, charset;

	if (compose_raw(&line, STR("Content-Type"), in) &&
		compose_own_type(
			&out, buf_str(&line), STR("=_b"), a, &type, &charset))
		one_field(&out, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	struct tape t = {data, n};
	struct str one = take(&t), two = take(&t);
	struct str rest = str_n(t.p, t.n);

	one = fuzz_exact(one.p, one.n);
	two = fuzz_exact(two.p, two.n);
	text_of(one, &a);
	raw_of(one, &a);
	lists_of(one, two, &a);
	part_of(one, two, rest, &a);
	type_of(one, &a);
	free((char *)one.p);
	free((char *)two.p);
	return 0;
}
