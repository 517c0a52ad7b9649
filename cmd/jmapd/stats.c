#include "cmd/jmapd/stats.h"

int notebook_begin(struct notebook *n, uint64_t digest)
{
	for (int i = 0; i < NOTEBOOK_SLOTS; i++) {
		uint64_t empty = 0;
		if (atomic_compare_exchange_strong(
			    &n->at_work[i], &empty, digest))
			return i;
	}
	return -1;
}

void notebook_end(struct notebook *n, int slot)
{
	if (slot >= 0)
		atomic_store(&n->at_work[slot], 0);
}

static uint32_t deaths(const struct notebook *n, uint64_t digest)
{
	for (size_t i = 0; i < NOTEBOOK_SEEN; i++)
		if (n->seen[i].digest == digest)
			return n->seen[i].deaths;
	return 0;
}

bool notebook_is_poison(const struct notebook *n, uint64_t digest)
{
	return deaths(n, digest) >= NOTEBOOK_DEATHS;
}

bool notebook_suspects(const struct notebook *n, uint64_t digest)
{
	return deaths(n, digest) > 0;
}

static void count_death(struct notebook *n, uint64_t digest)
{
	for (size_t i = 0; i < NOTEBOOK_SEEN; i++)
		if (n->seen[i].digest == digest) {
			n->seen[i].deaths++;
			return;
		}
	n->seen[n->next].digest = digest;
	n->seen[n->next].deaths = 1;
	n->next = (n->next + 1) % NOTEBOOK_SEEN;
}

unsigned notebook_death(struct notebook *n)
{
	unsigned at_work = 0;
	for (size_t i = 0; i < NOTEBOOK_SLOTS; i++) {
		uint64_t digest = atomic_exchange(&n->at_work[i], 0);
		if (digest) {
			count_death(n, digest);
			at_work++;
		}
	}
	return at_work;
}

void notebook_forget(struct notebook *n)
{
	for (size_t i = 0; i < NOTEBOOK_SLOTS; i++)
		atomic_store(&n->at_work[i], 0);
}
