/*
 * What is asked of json-c, and what is kept from it.
 */
#include "proto/jmap/json.h"

#include <json-c/json_c_version.h>
#include <json-c/json_tokener.h>

#include "proto/jmap/engine.h"
#include "proto/jmap/raw.h"
#include "proto/jmap/scan.h"

enum { INT_MAX_SAFE_BITS = 53 };

/* Counts values and looks for names that json-c would cut at U+0000. */
static const char *unfit(struct str text)
{
	size_t values = 0;

	/* What most are: too short for too many, and nothing to look for. */
	if (text.n <= JSON_VALUES && !memmem(text.p, text.n, "\\u0000", 6))
		return NULL;
	for (size_t at = 0; at < text.n;) {
		char c = text.p[at];
		size_t next;

		if (c != '"') {
			values += c == '[' || c == '{' || c == ',';
			at++;
			continue;
		}
		next = raw_skip(text, at);
		if (memmem(text.p + at, next - at, "\\u0000", 6)) {
			size_t colon = raw_space(text, next);

			if (colon < text.n && text.p[colon] == ':')
				return "U+0000 in a name";
		}
		at = next;
	}
	return values > JSON_VALUES ? "too many values" : NULL;
}

struct json_object *json_parse(struct str text, const char **why_r)
{
	struct json_tokener *t;
	struct json_object *o;

	*why_r = unfit(text);
	if (*why_r)
		return NULL;
	t = json_tokener_new_ex(SCAN_DEPTH + 2);
	check(t && text.n <= INT32_MAX);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(t, text.p, (int)text.n);
	if (!o)
		*why_r = json_tokener_error_desc(json_tokener_get_error(t));
	json_tokener_free(t);
	return o;
}

void json_free(struct json_object *o)
{
	json_object_put(o);
}

bool json_member(
	struct json_object *o, const char *name, struct json_object **v_r)
{
	return json_object_object_get_ex(o, name, v_r);
}

bool json_text(struct json_object *o, struct str *s_r)
{
	if (json_object_get_type(o) != json_type_string)
		return false;
	*s_r = str_n(json_object_get_string(o),
		(size_t)json_object_get_string_len(o));
	return true;
}

bool json_int(struct json_object *o, int64_t *v_r)
{
	int64_t v;

	if (json_object_get_type(o) != json_type_int)
		return false;
	v = json_object_get_int64(o);
	/* RFC 8620 1.3: -2^53+1 <= value <= 2^53-1. */
	if (v >= (int64_t)1 << INT_MAX_SAFE_BITS ||
		v <= -((int64_t)1 << INT_MAX_SAFE_BITS))
		return false;
	*v_r = v;
	return true;
}

bool json_flag(struct json_object *o, bool *v_r)
{
	if (json_object_get_type(o) != json_type_boolean)
		return false;
	*v_r = json_object_get_boolean(o);
	return true;
}

bool json_equal(struct json_object *a, struct json_object *b)
{
	return json_object_equal(a, b) != 0;
}

const char *jmap_library_version(void)
{
	return "json-c " JSON_C_VERSION;
}
