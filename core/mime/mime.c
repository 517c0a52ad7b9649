/*
 * A whole message: split, described, listed.
 */
#include "core/mime/mime.h"

#include "core/mime/internal.h"

void mime_setup(void)
{
	mime_charset_load();
}

struct mime_message *mime_parse(struct str raw, struct arena *a)
{
	struct mime_message *m = arena_new(a, sizeof(*m));
	size_t parts;

	if (!raw.p)
		raw = STR("");
	m->raw = raw;
	m->root = mime_split(raw, a, &parts);
	mime_lists(m, parts, a);
	m->preview = mime_preview(m, a);
	if (!mime_as_date(
		    mime_header_raw(m->root, STR("Date")), &m->sent_ms, NULL))
		m->sent_ms = INT64_MIN;
	return m;
}
