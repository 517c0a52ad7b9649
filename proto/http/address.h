/*
 * By which bytes of its address a client is counted: IPv4 whole, IPv4 in IPv6 as
 * IPv4, IPv6 by its /64, the least that whoever is connected has to itself.
 */
#pragma once

#include <sys/socket.h>

#include "core/base/str.h"

#define ADDRESS_KEY_MAX 9

/* Lives in key; empty: it has no address (a unix socket) and is not counted. */
struct str address_key(const struct sockaddr *a, char key[ADDRESS_KEY_MAX]);
