#include "cmd/jmapd/ctl.h"

#include <errno.h>
#include <unistd.h>

static const struct {
	uint32_t value;
	const char *name;
} names[] = {
#define CTL(name, value) {(value), #name},
#include "cmd/jmapd/ctl.def"
#undef CTL
};

const char *ctl_name(uint32_t type)
{
	for (size_t i = 0; i < countof(names); i++)
		if (names[i].value == type)
			return names[i].name;
	return "?";
}

int ctl_send(int sock, const struct ctl_head *h, struct str rest,
	const int *fds, size_t n, struct err *e)
{
	struct buf packet cleanup(buf_fini) = {0};
	buf_add(&packet, h, sizeof(*h));
	buf_adds(&packet, rest);
	check(packet.n <= CTL_PACKET);
	return sock_send_fds(sock, buf_str(&packet), fds, n, e);
}

int ctl_recv(int sock, struct buf *in, struct ctl_packet *p, struct err *e)
{
	buf_reset(in);
	int ret = sock_recv_fds(sock, in, CTL_PACKET, p->fd, &p->fds, e);
	if (ret <= 0)
		return ret;
	if (in->n < sizeof(p->head))
		return err_set(
			e, -EPROTO, "a control packet of %zu bytes", in->n);
	memcpy(&p->head, in->p, sizeof(p->head));
	p->rest = str_skip(buf_str(in), sizeof(p->head));
	return 1;
}

void ctl_close_fds(struct ctl_packet *p)
{
	for (size_t i = 0; i < p->fds; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	p->fds = 0;
}
