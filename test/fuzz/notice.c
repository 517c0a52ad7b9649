/*
 * A change ring whose other side lies, as in ring.c.
 */
#include "ipc/notice.h"
#include "test/fuzz/fuzz.h"

#define SLOTS 8

static void lie(struct notice_shm *m, struct tape *t)
{
	unsigned what = (unsigned)tape_take(t, 1);
	uint64_t v = tape_take(t, what >> 4);

	switch (what % 6) {
	case 0:
		atomic_store(&m->tail, v);
		break;
	case 1:
		atomic_store(&m->head, v);
		break;
	case 2:
		atomic_fetch_add(&m->tail, v % (SLOTS + 2));
		break;
	case 3:
		atomic_fetch_add(&m->head, v % (SLOTS + 2));
		break;
	case 4:
		atomic_store(&m->starved, (uint32_t)v);
		break;
	case 5:
		m->slot[v % SLOTS].kind = (uint16_t)(v >> 8);
		m->slot[v % SLOTS].types = (uint16_t)(v >> 16);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tape t = {data, n};
	size_t size = (notice_ring_size(SLOTS) + 63) & ~63ul;
	struct notice_shm *m = aligned_alloc(64, size);
	struct notice_ring r, w;
	struct notice one = {.account = 1, .kind = NOTICE_CHANGE}, got;
	bool reads = true, writes = true;

	memset(m, 0, size);
	notice_open_writer(&w, m, SLOTS);
	notice_open_reader(&r, m, SLOTS);
	while (t.n && (reads || writes)) {
		unsigned op = (unsigned)tape_take(&t, 1);

		notice_empty(&r);
		if (op % 4 == 0)
			lie(m, &t);
		else if (op % 4 == 1)
			reads = reads && notice_get(&r, &got) >= 0;
		else if (op % 4 == 2)
			notice_relieve(&r);
		else
			writes = writes && notice_put(&w, &one) >= 0;
	}
	free(m);
	return 0;
}
