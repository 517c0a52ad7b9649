/*
 * The data types that there are.
 */
#pragma once

#include "proto/jmap/type.h"

extern const struct jmap_type mailbox_type, thread_type, email_type;
