/*
 * The I-JSON scanner, and json-c behind it: what the scanner calls valid, json-c
 * must take, for the store parses it after the worker let it through.
 */
#include "proto/jmap/json.h"
#include "proto/jmap/scan.h"
#include "test/fuzz/fuzz.h"

/* What json-c may refuse: a name with U+0000 in it. */
static void behind(struct str text)
{
	const char *why = NULL;
	struct json_object *o = json_parse(text, &why);

	check(o || memmem(text.p, text.n, "\\u0000", 6));
	json_free(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str text = fuzz_exact(data, n);
	struct scan r;

	scan_json(text, &a, &r);
	check(r.valid || (r.why && r.at <= n));
	if (r.id.p) {
		check(r.id.p >= text.p && r.id.n >= 2);
		check(r.id.p + r.id.n <= text.p + text.n);
		check(r.id.p[0] == '"' && r.id.p[r.id.n - 1] == '"');
	}
	method_writes(text);
	if (r.valid && r.object)
		behind(text);
	free((char *)text.p);
	return 0;
}
