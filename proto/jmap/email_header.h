/*
 * Header fields as properties of an Email or a part of it (RFC 8621 4.1.2, 4.1.3):
 * "headers", and header:{name}[:as{form}][:all].
 *
 * Values go straight to the writer. Those who write say how much room there is,
 * since one field may be as large as a message: false, when that did not suffice,
 * leaves something half written, which the caller takes back.
 */
#pragma once

#include "core/base/jw.h"
#include "core/mime/mime.h"

enum header_form {
	FORM_RAW,
	FORM_TEXT,
	FORM_ADDRESSES,
	FORM_GROUPED,
	FORM_MESSAGE_IDS,
	FORM_DATE,
	FORM_URLS,
	HEADER_FORMS,
};

struct header_prop {
	struct str key;	 /* the property, as the client wrote it */
	struct str name; /* the field */
	enum header_form form;
	bool all;
};

/* "header:" is the beginning of all of them, and of nothing else. */
bool header_is_prop(struct str key);
/*
 * Reads such a property (kept by reference). NULL, or why it is none: the form is
 * not one that this field may have, and so on.
 */
const char *header_prop_read(struct str key, struct header_prop *p_r);

/* Those of a call, each once. */
#define HEADER_PROPS_MAX 64
struct header_props {
	struct header_prop *at;
	size_t n;
};
/* As header_prop_read(); the key must outlive it. */
const char *header_props_add(
	struct header_props *h, struct str key, struct arena *a);

/* One field's value; raw must be there. */
bool header_value(enum header_form form, struct str raw, size_t room,
	struct arena *a, struct jw *w);
/* Key and value, of these fields. */
bool header_prop_write(const struct header_prop *p, const struct mime_header *h,
	size_t n, size_t room, struct jw *w);
/* EmailHeader[] of all of them. */
bool header_list_write(
	const struct mime_header *h, size_t n, size_t room, struct jw *w);
