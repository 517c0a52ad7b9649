/*
 * The address in a peer's name, as the store counts failed logins by it.
 */
#pragma once

#include "core/base/call.h"

/*
 * "192.0.2.1:80", "[2001:db8::1]:80" (core/io/sock.h); all else, a unix socket's
 * name too, has no address. peer may be NULL.
 */
struct call_from peer_from(const char *peer);
