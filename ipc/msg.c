/*
 * The table of messages, grown from msg.def.
 */
#include "ipc/msg.h"

#define WORKER MSG_BY_WORKER
#define STORE MSG_BY_STORE

static const struct {
	const char *name;
	size_t head; /* bytes */
	enum msg_writer writer;
} msgs[] = {
#define MSG(name, value, writer, head) [value] = {#name, sizeof(head), writer},
#include "ipc/msg.def"
#undef MSG
};

const char *msg_name(uint32_t type)
{
	return type < countof(msgs) && msgs[type].name ? msgs[type].name : "?";
}

size_t msg_head_size(uint32_t type)
{
	return type < countof(msgs) ? msgs[type].head : 0;
}

enum msg_writer msg_writer(uint32_t type)
{
	return type < countof(msgs) ? msgs[type].writer : MSG_BY_NOBODY;
}

bool msg_split(uint32_t type, struct str rec, void *head, size_t head_n,
	struct str *rest_r)
{
	size_t n = msg_head_size(type);

	if (n == 0 || n > head_n || n > rec.n)
		return false;
	memcpy(head, rec.p, n);
	memset((char *)head + n, 0, head_n - n);
	*rest_r = str_skip(rec, n);
	return true;
}
