/*
 * Frames of RFC 6455 5.2, without any I/O: heads in and out, masks, close codes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

enum ws_opcode {
	WS_OP_CONT = 0x0,
	WS_OP_TEXT = 0x1,
	WS_OP_BINARY = 0x2,
	WS_OP_CLOSE = 0x8,
	WS_OP_PING = 0x9,
	WS_OP_PONG = 0xa,
};

#define WS_HEAD_MAX 14 /* of a client: 2 + 8 + mask */
#define WS_HEAD_OUT_MAX 10
#define WS_CONTROL_MAX 125 /* RFC 6455 5.5 */
#define WS_PACKED 0x40	   /* RSV1: a compressed message (RFC 7692 6) */

struct ws_head {
	uint64_t length;
	uint8_t mask[4];
	uint8_t opcode; /* enum ws_opcode */
	bool fin;
	bool packed; /* the first frame of a compressed message */
};

/*
 * Reads the head of a client's frame at p. Returns its bytes; 0 = more are needed;
 * negative: minus the close code. What is wrong is said with the first byte that
 * shows it. may_pack: messages may be compressed.
 */
int ws_head_read(const char *p, size_t n, bool may_pack, struct ws_head *h_r);
static inline bool ws_is_control(unsigned opcode)
{
	return opcode & 0x8;
}

/* Unmasks in place; at is the offset of p in the frame's payload. */
void ws_unmask(char *p, size_t n, const uint8_t mask[4], uint64_t at);

/* The head of a server's frame (whole, unmasked); returns its bytes. An opcode
 * of data may come with WS_PACKED. */
size_t ws_head_write(
	char out[WS_HEAD_OUT_MAX], unsigned opcode, uint64_t length);

/*
 * Reads the payload of a Close frame (RFC 6455 5.5.1). Returns the peer's code
 * (1005: it gave none), or minus the code that answers a wrong one.
 */
int ws_close_read(struct str payload);
