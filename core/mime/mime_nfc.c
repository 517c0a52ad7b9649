/*
 * Names as Net-Unicode wants them (RFC 5198): in Normalization Form C.
 */
#include <glib.h>

#include "core/base/utf8.h"
#include "core/mime/mime.h"

struct str mime_nfc(struct str text, struct arena *a)
{
	char *nfc = NULL;
	struct str out = text;

	/* GLib ends at a NUL, and takes valid UTF-8 only. */
	if (text.n && !memchr(text.p, '\0', text.n) && utf8_valid(text))
		nfc = g_utf8_normalize(text.p, (gssize)text.n, G_NORMALIZE_NFC);
	if (nfc)
		out = arena_str(a, str_of(nfc));
	g_free(nfc);
	return out;
}
