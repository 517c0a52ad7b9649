#include "proto/front/push_enable.h"

#include "core/base/types.h"
#include "proto/jmap/raw.h"

static bool is_null(struct str v)
{
	return raw_type(v) == 'n';
}

static void add_type(unsigned *types, struct str name)
{
	enum type t = type_by_name(name);

	if (t != TYPES)
		*types |= TYPE_BIT(t);
}

static bool read_types(struct str v, struct arena *a, unsigned *types_r)
{
	struct raw_iter i;
	struct str item;
	size_t n = 0;

	*types_r = TYPE_ALL;
	if (is_null(v))
		return true;
	if (raw_type(v) != '[')
		return false;
	*types_r = 0;
	for (i = raw_iter(v); raw_next(&i, NULL, &item); n++) {
		if (raw_type(item) != '"')
			return false;
		add_type(types_r, raw_text(item, a));
	}
	if (!n)
		*types_r = TYPE_ALL;
	return true;
}

bool push_wish_read(struct str text, struct arena *a, struct push_wish *r)
{
	struct raw_iter i;
	struct str name, v;

	*r = (struct push_wish){.types = TYPE_ALL};
	text = str_skip(text, raw_space(text, 0));
	for (i = raw_iter(text); raw_next(&i, &name, &v);) {
		if (raw_is(name, STR("dataTypes"))) {
			if (!read_types(v, a, &r->types))
				return false;
		} else if (raw_is(name, STR("pushState")) && !is_null(v)) {
			if (raw_type(v) != '"')
				return false;
			r->token = raw_text(v, a);
		}
	}
	return true;
}

bool push_types_read(struct str list, unsigned *types_r)
{
	bool any = list.n > 0;
	struct str name;

	*types_r = str_eq(list, STR("*")) ? TYPE_ALL : 0;
	while (str_cut(&list, ',', &name))
		add_type(types_r, str_trim(name));
	return any;
}
