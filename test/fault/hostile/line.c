/*
 * What it tells the master. Each of these ends it.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/fault/hostile/hostile.h"

#define LINE(name) \
	static void name(struct hostile *h, struct str args, struct buf *out)

LINE(pongs)
{
	for (;;)
		role_tell(&h->role, CTL_PONG, 0, 0, STR_NONE);
}

LINE(ready_again)
{
	role_tell(&h->role, CTL_READY, 0, 0, STR_NONE);
}

LINE(type_unknown)
{
	role_tell(&h->role, (enum ctl_type)999, 0, 0, STR_NONE);
}

/* "accuse N": each life of the first worker that there may have been. */
LINE(accuse)
{
	for (uint64_t life = 0; life < 100; life++)
		role_tell(&h->role, CTL_BAD_WORKER, 0, life, STR_NONE);
}

LINE(answer_admin)
{
	for (uint64_t ticket = 0; ticket < 100; ticket++)
		role_tell(&h->role, CTL_ADMIN_OK, ticket, 0, STR("granted"));
}

LINE(short_packet)
{
	check(send(ROLE_FD_CTL, "abc", 3, 0) == 3);
}

LINE(giant_packet)
{
	static char bytes[CTL_PACKET + 1];

	check(send(ROLE_FD_CTL, bytes, sizeof(bytes), 0) == sizeof(bytes));
}

/* A connection with bytes that nobody reads, and an hour to wait for that. */
static int lingering(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger hour = {.l_onoff = 1, .l_linger = 3600};
	static const char bytes[65536];
	socklen_t len = sizeof(a);
	int door = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(bind(door, (struct sockaddr *)&a, len) == 0);
	check(listen(door, 1) == 0);
	check(getsockname(door, (struct sockaddr *)&a, &len) == 0);
	check(connect(fd, (struct sockaddr *)&a, len) == 0);
	check(accept(door, NULL, NULL) >= 0); /* open until we end */
	close(door);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)) == 0);
	return fd;
}

/* As many as the kernel passes; one of them waits when it is closed. */
LINE(descriptors)
{
	int fd[SOCK_FDS];
	struct ctl_head head = {.type = CTL_PONG};
	struct err e;

	fd[0] = lingering();
	for (int i = 1; i < SOCK_FDS; i++)
		fd[i] = 0;
	check(ctl_send(ROLE_FD_CTL, &head, STR_NONE, fd, SOCK_FDS, &e) == 1);
	close(fd[0]);
}

const struct attack line[] = {
	{"pongs", pongs},
	{"ready-again", ready_again},
	{"type-not-known", type_unknown},
	{"accuse", accuse},
	{"answer-admin", answer_admin},
	{"short-packet", short_packet},
	{"giant-packet", giant_packet},
	{"descriptors", descriptors},
	{0},
};
