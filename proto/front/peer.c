#include "proto/front/peer.h"

#include <arpa/inet.h>

#include "core/base/str.h"

struct call_from peer_from(const char *peer)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct call_from from = {0};
	struct str s = str_of(peer);
	char ip[INET6_ADDRSTRLEN] = "";
	uint8_t a[16];

	if (!s.n)
		return from;
	bool six = s.p[0] == '[';
	size_t end = str_find(s, six ? ']' : ':');

	if (six && end == s.n)
		return from;
	s = str_n(s.p + six, end - six);
	if (!s.n || s.n >= sizeof(ip))
		return from;
	memcpy(ip, s.p, s.n);
	if (inet_pton(six ? AF_INET6 : AF_INET, ip, a) != 1)
		return from;
	if (six) {
		memcpy(from.address, a, 16);
	} else {
		memcpy(from.address, mapped, 12);
		memcpy(from.address + 12, a, 4);
	}
	return from;
}
