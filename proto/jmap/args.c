/*
 * Arguments of methods: names, types, ranges (RFC 8620 3.6.2 invalidArguments).
 */
#include <inttypes.h>

#include "proto/jmap/json.h"
#include "proto/jmap/verbs.h"

static bool listed(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static int wrong(struct req *r, const char *name)
{
	return req_error(r, ERROR_INVALID_ARGUMENTS, "%.60s: wrong type", name);
}

int args_open(struct req *r, struct json_object *args, const char *const *names,
	const char *const *more)
{
	struct json_object *v;
	struct str id;

	json_object_object_foreach(args, name, value)
	{
		(void)value;
		if (!listed(names, name) && !listed(more, name))
			return req_error(r, ERROR_INVALID_ARGUMENTS,
				"%.60s: no such argument", name);
	}
	if (!json_member(args, "accountId", &v) || !json_text(v, &id))
		return req_error(r, ERROR_INVALID_ARGUMENTS,
			"accountId: missing, or no Id");
	if (!str_eq(id, str_n(r->account.z, r->account.n)))
		return req_error(r, ERROR_ACCOUNT_NOT_FOUND, "%s", "");
	return 0;
}

int arg_flag(
	struct req *r, struct json_object *args, const char *name, bool *v_r)
{
	struct json_object *v;

	if (!json_member(args, name, &v) || json_flag(v, v_r))
		return 0;
	return wrong(r, name);
}

int arg_int(struct req *r, struct json_object *args, const char *name,
	bool nullable, int64_t min, int64_t *v_r, bool *given_r)
{
	struct json_object *v;
	int64_t n;

	if (!json_member(args, name, &v) || (nullable && !v))
		return 0;
	if (!json_int(v, &n) || n < min)
		return wrong(r, name);
	*v_r = n;
	if (given_r)
		*given_r = true;
	return 0;
}

int arg_text(struct req *r, struct json_object *args, const char *name,
	struct str *v_r)
{
	struct json_object *v;

	*v_r = STR_NONE;
	if (!json_member(args, name, &v) || !v || json_text(v, v_r))
		return 0;
	return wrong(r, name);
}

int arg_of_type(struct req *r, struct json_object *args, const char *name,
	enum json_type type, struct json_object **v_r)
{
	*v_r = NULL;
	if (!json_member(args, name, v_r) || !*v_r ||
		json_object_get_type(*v_r) == type)
		return 0;
	return wrong(r, name);
}

int arg_ids(struct req *r, struct json_object *args, const char *name,
	bool nullable, const char *limit, uint64_t max,
	struct json_object **v_r)
{
	struct str ignore;
	size_t n;
	int ret = arg_of_type(r, args, name, json_type_array, v_r);

	if (ret == 0 && !*v_r && !nullable)
		return req_error(
			r, ERROR_INVALID_ARGUMENTS, "%s: missing", name);
	if (ret || !*v_r)
		return ret;
	n = json_object_array_length(*v_r);
	if (n > max)
		return req_error(r, ERROR_REQUEST_TOO_LARGE,
			"more than %s (%" PRIu64 ")", limit, max);
	for (size_t i = 0; i < n; i++)
		if (!json_text(json_object_array_get_idx(*v_r, i), &ignore))
			return req_error(r, ERROR_INVALID_ARGUMENTS,
				"%s: not an Id[]", name);
	return 0;
}
