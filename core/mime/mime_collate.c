#include "core/mime/collate.h"

#include <glib.h>

#include "core/base/utf8.h"

static void add(struct buf *out, uint32_t cp)
{
	gunichar parts[18];
	size_t n = g_unichar_fully_decompose(
		g_unichar_totitle(cp), TRUE, parts, countof(parts));

	for (size_t i = 0; i < n; i++)
		out->n += utf8_encode(parts[i], buf_room(out, 4));
}

void mime_casemap(struct str text, struct buf *out)
{
	while (text.n) {
		unsigned char c = (unsigned char)text.p[0];
		uint32_t cp;
		size_t n = 1;

		if (c < 0x80) {
			buf_addc(
				out, (char)(c >= 'a' && c <= 'z' ? c - 32 : c));
		} else {
			n = utf8_decode(text, &cp);
			add(out, cp);
		}
		text = str_skip(text, n);
	}
}
