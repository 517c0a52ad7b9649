#include "proto/push/token.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/push/push.h"

static const char digits[] = "0123456789abcdefghijklmnopqrstuv";

void account_id(uint64_t account, char z[ACCOUNT_ID_MAX])
{
	char rev[16];
	size_t n = 0;
	do {
		rev[n++] = digits[account & 31];
		account >>= 5;
	} while (account);
	*z++ = 'u';
	while (n)
		*z++ = rev[--n];
	*z = '\0';
}

bool account_id_parse(struct str id, uint64_t *account_r)
{
	uint64_t v = 0;
	if (id.n < 2 || id.n > 14 || id.p[0] != 'u' ||
		(id.p[1] == '0' && id.n > 2))
		return false;
	for (size_t i = 1; i < id.n; i++) {
		const char *d = id.p[i] ? strchr(digits, id.p[i]) : NULL;
		if (!d || v > UINT64_MAX >> 5)
			return false;
		v = v << 5 | (uint64_t)(d - digits);
	}
	*account_r = v;
	return true;
}

void state_text(uint32_t generation, uint64_t modseq, char z[STATE_MAX])
{
	snprintf(z, STATE_MAX, "%08" PRIx32 "-%" PRIu64, generation, modseq);
}

static bool state_parse(
	struct str s, uint32_t *generation_r, uint64_t *modseq_r)
{
	uint32_t g = 0;
	if (s.n < 10 || s.p[8] != '-')
		return false;
	for (size_t i = 0; i < 8; i++) {
		const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
		if (!d || d - digits > 15)
			return false;
		g = g << 4 | (uint32_t)(d - digits);
	}
	*generation_r = g;
	return str_u64(str_skip(s, 9), modseq_r);
}

void token_add(
	struct buf *out, uint64_t account, uint32_t generation, uint64_t modseq)
{
	char id[ACCOUNT_ID_MAX], state[STATE_MAX];
	account_id(account, id);
	state_text(generation, modseq, state);
	buf_fmt(out, "%s%s:%s", out->n ? "," : "", id, state);
}

bool token_find(struct str token, uint64_t account, uint32_t *generation_r,
	uint64_t *modseq_r)
{
	struct str part, id;
	uint64_t which;
	while (str_cut(&token, ',', &part)) {
		if (!str_cut(&part, ':', &id) || !account_id_parse(id, &which))
			return false;
		if (which == account)
			return state_parse(part, generation_r, modseq_r);
	}
	return false;
}
