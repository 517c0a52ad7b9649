/*
 * What a Session object shows, and the state string of it (RFC 8620 2).
 */
#pragma once

#include "proto/jmap/ids.h"

#define SESSION_STATE_MAX 20

/* Changes whenever another property of the Session object does. */
void session_state(
	struct idz account, const char *user, char z[SESSION_STATE_MAX]);
