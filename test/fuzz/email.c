/*
 * What the Email type reads that others may have written: a card from a file that
 * is damaged, names of header properties and blobIds from a client.
 */
#include "proto/jmap/email_card.h"
#include "proto/jmap/email_header.h"
#include "test/fuzz/fuzz.h"

static void within(struct str all, struct str s)
{
	check(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
}

static void card(struct str b)
{
	struct card_part p;
	struct card c;

	if (!card_open(b, &c))
		return;
	for (size_t i = 0; i < CARD_PROPS; i++)
		within(b, c.prop[i]);
	for (unsigned l = 0; l < CARD_LISTS; l++) {
		for (size_t k = 0; k < c.list_n[l]; k++) {
			size_t i = card_listed(&c, (enum card_list)l, k);

			if (!card_part(&c, i, &p))
				continue;
			check(i < p.end && p.end <= c.parts_n);
			for (size_t j = 0; j < BODY_KEPT; j++)
				within(b, p.prop[j]);
		}
	}
	for (size_t i = 0; i < min_of(c.parts_n, 1000u); i++)
		card_part(&c, i, &p);
}

/* A name that is taken is its pieces and nothing else. */
static void name(struct str key)
{
	struct header_prop p;
	size_t n;

	if (header_prop_read(key, &p))
		return;
	n = STR("header:").n;
	within(key, p.name);
	check(p.name.n > 0 && p.name.p == key.p + n && p.form < HEADER_FORMS);
	check(memchr(p.name.p, ':', p.name.n) == NULL);
	key = str_skip(key, n + p.name.n);
	check(p.all == str_ends(key, STR(":all")));
	check(key.n <= STR(":asGroupedAddresses:all").n);
}

static void blob(struct str id)
{
	struct blob_part p;
	struct blob_id b;
	char z[BLOB_ID_MAX];

	if (!blob_id_parse(id, &b, &p))
		return;
	if (p.part)
		part_id_of(&b, &p, z);
	else
		blob_id_of(&b, z);
	check(str_eq(id, str_of(z)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str s = fuzz_exact(data, n);

	card(s);
	name(s);
	blob(s);
	free((char *)s.p);
	return 0;
}
