/*
 * SearchSnippet (RFC 8621 5).
 */
#pragma once

#include "proto/jmap/method.h"

method_fn snippet_get;
