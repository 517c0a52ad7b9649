/*
 * The methods' table, and the capabilities that they belong to.
 */
#include "proto/jmap/method.h"

#include "proto/jmap/blob.h"
#include "proto/jmap/email.h"
#include "proto/jmap/scan.h"
#include "proto/jmap/snippet.h"
#include "proto/jmap/types.h"
#include "proto/jmap/verbs.h"

static const struct method methods[] = {
#define METHOD(n, c, w, f, t) \
	{.name = n, .cap = CAP_##c, .writes = w, .run = f, .type = t},
#include "proto/jmap/methods.def"
#undef METHOD
};

static const char *const urns[] = {
#define CAPABILITY(name, urn) [CAP_##name] = urn,
#include "proto/jmap/capabilities.def"
#undef CAPABILITY
};

const char *capability_urn(enum capability c)
{
	return urns[c];
}

enum capability capability_by_urn(struct str urn)
{
	int c = 0;

	while (c < CAPS && !str_eq(urn, str_of(urns[c])))
		c++;
	return (enum capability)c;
}

const struct method *method_by_name(struct str name)
{
	for (size_t i = 0; i < countof(methods); i++)
		if (str_eq(name, str_of(methods[i].name)))
			return &methods[i];
	return NULL;
}

bool method_writes(struct str name)
{
	const struct method *m = method_by_name(name);

	return m && m->writes;
}
