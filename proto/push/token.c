#include "proto/push/token.h"

#include "core/base/ids.h"

void token_add(
	struct buf *out, uint64_t account, uint32_t generation, uint64_t modseq)
{
	buf_fmt(out, "%s%s:%s", out->n ? "," : "", id_of('u', account).z,
		state_of(generation, modseq).z);
}

bool token_find(struct str token, uint64_t account, uint32_t *generation_r,
	uint64_t *modseq_r)
{
	struct str part, id;
	uint64_t which;
	while (str_cut(&token, ',', &part)) {
		if (!str_cut(&part, ':', &id) || !id_parse('u', id, &which))
			return false;
		if (which == account)
			return state_parse(part, generation_r, modseq_r);
	}
	return false;
}
