#include "proto/ws/frame.h"

#include "core/base/utf8.h"
#include "proto/ws/ws.h"

static bool is_opcode(unsigned op)
{
	return op <= WS_OP_BINARY || (op >= WS_OP_CLOSE && op <= WS_OP_PONG);
}

static uint64_t big_endian(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* The 7, 16 or 64 bits of length; more = bytes of the longer forms. */
static int read_length(
	const unsigned char *p, size_t n, size_t more, struct ws_head *h)
{
	uint64_t least = more == 2 ? 126 : 65536;

	if (!more) {
		h->length = p[1] & 0x7f;
		return 0;
	}
	if (more == 8 && n > 2 && p[2] & 0x80)
		return -WS_PROTOCOL_ERROR;
	if (n < 2 + more)
		return 0;
	h->length = big_endian(p + 2, more);
	/* RFC 6455 5.2: the minimal number of bytes. */
	return h->length < least ? -WS_PROTOCOL_ERROR : 0;
}

/* RFC 7692 6: RSV1 is for the first frame of a data message, and if agreed on. */
static bool reserved_right(unsigned first, bool may_pack)
{
	unsigned op = first & 0x0f;

	if (!(first & 0x70))
		return true;
	return (first & 0x70) == WS_PACKED && may_pack &&
	       (op == WS_OP_TEXT || op == WS_OP_BINARY);
}

int ws_head_read(const char *bytes, size_t n, bool may_pack, struct ws_head *h)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t more, size;
	int ret;

	if (n < 1)
		return 0;
	h->fin = p[0] & 0x80;
	h->opcode = p[0] & 0x0f;
	h->packed = p[0] & WS_PACKED;
	if (!reserved_right(p[0], may_pack) || !is_opcode(h->opcode))
		return -WS_PROTOCOL_ERROR;
	if (ws_is_control(h->opcode) && !h->fin)
		return -WS_PROTOCOL_ERROR;
	if (n < 2)
		return 0;
	if (!(p[1] & 0x80)) /* RFC 6455 5.1: a client masks */
		return -WS_PROTOCOL_ERROR;
	if (ws_is_control(h->opcode) && (p[1] & 0x7f) > WS_CONTROL_MAX)
		return -WS_PROTOCOL_ERROR;
	more = (p[1] & 0x7f) == 127 ? 8 : (p[1] & 0x7f) == 126 ? 2 : 0;
	ret = read_length(p, n, more, h);
	size = 2 + more + 4;
	if (ret || n < size)
		return ret;
	memcpy(h->mask, p + 2 + more, 4);
	return (int)size;
}

void ws_unmask(char *p, size_t n, const uint8_t mask[4], uint64_t at)
{
	uint8_t turned[8];
	uint64_t word, v;

	for (size_t i = 0; i < 8; i++)
		turned[i] = mask[(at + i) & 3];
	memcpy(&word, turned, 8);
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		v ^= word;
		memcpy(p, &v, 8);
	}
	for (size_t i = 0; i < n; i++)
		p[i] = (char)((uint8_t)p[i] ^ turned[i]);
}

size_t ws_head_write(
	char out[WS_HEAD_OUT_MAX], unsigned opcode, uint64_t length)
{
	size_t more = length > 65535 ? 8 : length > 125 ? 2 : 0;

	out[0] = (char)(0x80 | opcode);
	out[1] = (char)(more == 8 ? 127 : more ? 126 : length);
	for (size_t i = 0; i < more; i++)
		out[2 + i] = (char)(length >> 8 * (more - 1 - i) & 0xff);
	return 2 + more;
}

static bool is_close_code(unsigned code)
{
	static const struct {
		unsigned first, last;
	} codes[] = {
#define CLOSE(a, b) {a, b},
#include "proto/ws/close_codes.def"
#undef CLOSE
	};

	for (size_t i = 0; i < countof(codes); i++)
		if (code >= codes[i].first && code <= codes[i].last)
			return true;
	return false;
}

int ws_close_read(struct str payload)
{
	unsigned code;

	if (!payload.n)
		return WS_NO_STATUS;
	if (payload.n == 1)
		return -WS_PROTOCOL_ERROR;
	code = (unsigned)big_endian((const unsigned char *)payload.p, 2);
	if (!is_close_code(code))
		return -WS_PROTOCOL_ERROR;
	if (!utf8_valid(str_skip(payload, 2)))
		return -WS_INVALID_DATA;
	return (int)code;
}
