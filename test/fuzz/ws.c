/*
 * WebSocket frames of a client: heads, masks and close codes. A head says the
 * same whole and byte by byte; unmasking in pieces is unmasking.
 */
#include "core/base/buf.h"
#include "proto/ws/frame.h"
#include "test/fuzz/fuzz.h"

/* The verdict at the first byte that brings one. */
static int head_by_byte(struct str in, bool may_pack, struct ws_head *h)
{
	int ret = 0;

	for (size_t n = 0; n <= min_of(in.n, WS_HEAD_MAX) && !ret; n++) {
		struct str s = fuzz_exact(in.p, n);
		ret = ws_head_read(s.p, s.n, may_pack, h);
		free((char *)s.p);
	}
	return ret;
}

static void payload(const struct ws_head *h, struct str in)
{
	size_t n = min_of(h->length, in.n), half = n / 2;
	struct str a = fuzz_exact(in.p, n), b = fuzz_exact(in.p, n);
	int code;

	ws_unmask((char *)a.p, n, h->mask, 0);
	ws_unmask((char *)b.p, half, h->mask, 0);
	ws_unmask((char *)b.p + half, n - half, h->mask, half);
	check(str_eq(a, b));
	if (h->opcode == WS_OP_CLOSE) {
		code = ws_close_read(a);
		check(code != 0 && code > -5000 && code < 5000);
	}
	free((char *)a.p);
	free((char *)b.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	bool may_pack = n & 1;
	char out[WS_HEAD_OUT_MAX];

	while (in.n) {
		struct ws_head h = {0}, slow = {0};
		int ret = ws_head_read(in.p, in.n, may_pack, &h);

		check(ret == head_by_byte(in, may_pack, &slow));
		if (ret <= 0)
			break;
		check((size_t)ret <= min_of(in.n, WS_HEAD_MAX));
		check(h.length == slow.length && h.opcode == slow.opcode);
		check(!ws_is_control(h.opcode) || h.length <= WS_CONTROL_MAX);
		check(h.packed == slow.packed && (!h.packed || may_pack));
		check(ws_head_write(out, h.opcode, h.length) + 4 ==
			(size_t)ret);
		in = str_skip(in, (size_t)ret);
		payload(&h, in);
		in = str_skip(in, min_of(h.length, in.n));
	}
	return 0;
}
