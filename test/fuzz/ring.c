/*
 * A ring whose other side lies: the input is a tape of what it writes into the
 * shared memory, and of what our side does between. Nothing outside the memory
 * is touched, and whatever is taken fits the contract.
 */
#include "ipc/msg.h"
#include "ipc/ring.h"
#include "test/fuzz/fuzz.h"

#define CAP 512
#define TAKE_MAX 100

static void judge(uint16_t type, struct str rec)
{
	unsigned char head[128];
	struct str rest;

	check(type != 0);
	if (msg_split(type, rec, head, sizeof(head), &rest))
		check(rest.n + msg_head_size(type) == rec.n);
	check(msg_name(type) && msg_writer(type) <= MSG_BY_STORE);
}

/* False: the liar was found out, and the ring's life is over. */
static bool read_one(struct ring *r, unsigned op)
{
	struct buf out cleanup(buf_fini) = {0};
	struct str rec = STR_NONE;
	uint16_t type = 0;
	volatile char sum = 0;
	int ret;

	if (op & 1)
		ret = ring_take(r, &type, &out, TAKE_MAX);
	else
		ret = ring_peek(r, &type, &rec);
	if (ret != 1)
		return ret == 0;
	if (op & 1) {
		check(out.n <= TAKE_MAX);
		rec = buf_str(&out);
	} else {
		check(rec.n <= ring_max(r));
		check(rec.p >= (char *)r->shm->data);
		check(rec.p + rec.n <= (char *)r->shm->data + CAP);
	}
	for (size_t i = 0; i < rec.n; i++)
		sum = (char)(sum + rec.p[i]);
	judge(type, rec);
	ring_release(r);
	return true;
}

static bool write_one(struct ring *w, struct tape *t)
{
	char body[CAP] = {0};
	struct iovec v = {body, 0};

	check(ring_room(w) <= ring_max(w));
	v.iov_len = tape_take(t, 1) % (ring_max(w) + 1);
	if (ring_put(w, (uint16_t)(1 + tape_take(t, 1)), &v, 1) < 0)
		return false;
	ring_publish(w);
	return true;
}

static void lie(struct ring_shm *m, struct tape *t)
{
	size_t n = tape_take(t, 1) % 16, at;
	struct ring_record rec;

	switch (tape_take(t, 1) % 5) {
	case 0:
		atomic_store(&m->tail, tape_take(t, n));
		break;
	case 1:
		atomic_store(&m->head, tape_take(t, n));
		break;
	case 2:
		atomic_fetch_add(&m->tail, tape_take(t, 2) & ~7ul);
		break;
	case 3:
		at = tape_take(t, 1) * RING_ALIGN % CAP;
		rec.len = (uint32_t)tape_take(t, n % 5);
		rec.type = (uint16_t)tape_take(t, 1);
		rec.pad = (uint16_t)tape_take(t, n % 3);
		memcpy(m->data + at, &rec, sizeof(rec));
		break;
	case 4:
		atomic_fetch_add(&m->head, tape_take(t, 2) & ~7ul);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tape t = {data, n};
	struct ring_shm *m = aligned_alloc(64, (ring_size(CAP) + 63) & ~63ul);
	struct ring r, w;
	bool reads = true, writes = true;

	memset(m, 0, ring_size(CAP));
	ring_open_writer(&w, m, CAP);
	ring_open_reader(&r, m, CAP);
	while (t.n && (reads || writes)) {
		unsigned op = (unsigned)tape_take(&t, 1);

		if (op % 3 == 0)
			lie(m, &t);
		else if (op % 3 == 1)
			reads = reads && read_one(&r, op >> 2);
		else
			writes = writes && write_one(&w, &t);
	}
	free(m);
	return 0;
}
