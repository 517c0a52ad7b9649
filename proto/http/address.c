#include "proto/http/address.h"

#include <netinet/in.h>
#include <string.h>

#define PREFIX 8 /* bytes of an IPv6 address: /64 */

static struct str key_of(
	char family, const void *p, size_t n, char key[ADDRESS_KEY_MAX])
{
	key[0] = family;
	memcpy(key + 1, p, n);
	return str_n(key, 1 + n);
}

struct str address_key(const struct sockaddr *a, char key[ADDRESS_KEY_MAX])
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (a->sa_family) {
	case AF_INET:
		memcpy(&in, a, sizeof(in));
		return key_of('4', &in.sin_addr, 4, key);
	case AF_INET6:
		memcpy(&in6, a, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
			return key_of('4', in6.sin6_addr.s6_addr + 12, 4, key);
		return key_of('6', &in6.sin6_addr, PREFIX, key);
	default:
		return STR_NONE;
	}
}
