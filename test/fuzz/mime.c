/*
 * Messages: any bytes come apart into parts that lie within them, and every form
 * of every header field can be asked for.
 */
#include "core/mime/mime.h"
#include "test/fuzz/fuzz.h"

static void forms(const struct mime_header *h, struct arena *a)
{
	const struct mime_addr *addr;
	const struct str *list;
	int64_t ms;
	int offset;

	mime_as_raw(h->value, a);
	mime_as_text(h->value, a);
	check(mime_as_addresses(h->value, a, &addr) <= MIME_LIST);
	check(mime_as_message_ids(h->value, a, &list) <= MIME_LIST);
	check(mime_as_urls(h->value, a, &list) <= MIME_LIST);
	mime_as_date(h->value, &ms, &offset);
	mime_base_subject(h->value, a);
}

static void look_at(struct str raw, const struct mime_part *p, size_t depth,
	struct arena *a)
{
	struct buf body cleanup(buf_fini) = {0};

	check(depth <= MIME_DEPTH && p->headers_n <= MIME_HEADERS);
	check(p->offset <= raw.n && p->length <= raw.n - p->offset);
	check(p->header_offset + p->header_length <= p->offset);
	for (size_t i = 0; i < min_of(p->headers_n, 50); i++)
		forms(&p->headers[i], a);
	for (size_t i = 0; i < p->sub_n; i++)
		look_at(raw, p->sub[i], depth + 1, a);
	if (p->sub)
		return;
	mime_decode(raw, p, &body);
	check(body.n == p->size);
	mime_body_text(raw, p, 0, a);
	check(mime_body_text(raw, p, 100, a).text.n <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str raw = fuzz_exact(data, n);
	const struct mime_message *m = mime_parse(raw, &a);

	look_at(raw, m->root, 1, &a);
	for (size_t i = 0; i < m->attachments_n; i++)
		check(m->attachments[i]->type.n);
	free((char *)raw.p);
	return 0;
}
