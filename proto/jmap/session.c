/*
 * The Session object (RFC 8620 2) with the mail (RFC 8621 1.3.1) and WebSocket
 * (RFC 8887 3) capabilities.
 *
 * jmap-url is the base of all URLs; without it "http://localhost:8080" stands there,
 * which serves a try-out on one machine.
 */
#include "proto/jmap/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <urcu.h>

#include "conf/conf.h"
#include "core/base/jw.h"
#include "core/base/map.h"
#include "proto/jmap/email.h"
#include "proto/jmap/email_query.h"
#include "proto/jmap/method.h"

/* What the object is made of. */
struct view {
	char base[256];
	const char *user;
	struct idz account;
	uint64_t size_upload, concurrent_upload, size_request, concurrent,
		calls, get, set, size_message;
};

static void view_init(struct view *v, struct idz account, const char *user)
{
	const struct conf *c;
	size_t n;

	memset(v, 0, sizeof(*v));
	v->user = user;
	v->account = account;
	rcu_read_lock();
	c = conf_get();
	snprintf(v->base, sizeof(v->base), "%s",
		c->jmap_url[0] ? c->jmap_url : "http://localhost:8080");
	v->size_upload = c->max_size_upload;
	v->concurrent_upload = c->max_concurrent_upload;
	v->size_request = c->max_size_request;
	v->concurrent = c->max_concurrent_requests;
	v->calls = c->max_calls_in_request;
	v->get = c->max_objects_in_get;
	v->set = c->max_objects_in_set;
	v->size_message = c->max_size_message;
	rcu_read_unlock();
	n = strlen(v->base);
	while (n > 0 && v->base[n - 1] == '/')
		v->base[--n] = '\0';
}

static void state_of_view(const struct view *v, char z[SESSION_STATE_MAX])
{
	/* No secret: the state is the same in every process and after a restart. */
	static const uint64_t key[2] = {0x6a6d617064, 1};
	char text[1024];
	int n = snprintf(text, sizeof(text),
		"%s\n%s\n%s\n%s\n%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
		JMAPD_VERSION, v->base, v->account.z, v->user, v->size_upload,
		v->concurrent_upload, v->size_request, v->concurrent, v->calls,
		v->get, v->set, v->size_message);

	check(n > 0 && (size_t)n < sizeof(text));
	snprintf(z, SESSION_STATE_MAX, "%016" PRIx64,
		hash_sip13(key, str_n(text, (size_t)n)));
}

void session_state(
	struct idz account, const char *user, char z[SESSION_STATE_MAX])
{
	struct view v;

	view_init(&v, account, user);
	state_of_view(&v, z);
}

static void url(
	struct jw *w, const char *key, const struct view *v, const char *path)
{
	char z[512];

	snprintf(z, sizeof(z), "%s%s", v->base, path);
	jw_kstrz(w, key, z);
}

/* RFC 8887 3: absolute, of scheme ws or wss. */
static void write_websocket(struct jw *w, const struct view *v)
{
	char z[512];
	bool tls = str_starts(str_of(v->base), STR("https://"));
	const char *rest = strstr(v->base, "://");

	snprintf(z, sizeof(z), "%s%s/jmap/ws", tls ? "wss" : "ws",
		rest ? rest : "://localhost:8080");
	jw_key(w, str_of(capability_urn(CAP_WEBSOCKET)));
	jw_obj(w);
	jw_kstrz(w, "url", z);
	jw_kbool(w, "supportsPush", true);
	jw_obj_end(w);
}

static void write_empty(struct jw *w, enum capability c)
{
	jw_key(w, str_of(capability_urn(c)));
	jw_obj(w);
	jw_obj_end(w);
}

static void write_names(struct jw *w, const char *key, const char *const *names)
{
	jw_key(w, str_of(key));
	jw_arr(w);
	for (; *names; names++)
		jw_strz(w, *names);
	jw_arr_end(w);
}

static void write_core(struct jw *w, const struct view *v)
{
	jw_key(w, str_of(capability_urn(CAP_CORE)));
	jw_obj(w);
	jw_ku64(w, "maxSizeUpload", v->size_upload);
	jw_ku64(w, "maxConcurrentUpload", v->concurrent_upload);
	jw_ku64(w, "maxSizeRequest", v->size_request);
	jw_ku64(w, "maxConcurrentRequests", v->concurrent);
	jw_ku64(w, "maxCallsInRequest", v->calls);
	jw_ku64(w, "maxObjectsInGet", v->get);
	jw_ku64(w, "maxObjectsInSet", v->set);
	write_names(w, "collationAlgorithms", email_collations);
	jw_obj_end(w);
}

/* RFC 8621 1.3.1, in the account. */
static void write_mail(struct jw *w, const struct view *v)
{
	jw_key(w, str_of(capability_urn(CAP_MAIL)));
	jw_obj(w);
	jw_ku64(w, "maxMailboxesPerEmail", EMAIL_MAILBOXES_MAX);
	jw_ku64(w, "maxMailboxDepth", MAILBOX_DEPTH);
	jw_ku64(w, "maxSizeMailboxName", MAILBOX_NAME);
	jw_ku64(w, "maxSizeAttachmentsPerEmail",
		email_attachments_max(v->size_message));
	write_names(w, "emailQuerySortOptions", email_sort_names);
	jw_kbool(w, "mayCreateTopLevelMailbox", true);
	jw_obj_end(w);
}

static void write_account(struct jw *w, const struct view *v)
{
	jw_key(w, STR("accounts"));
	jw_obj(w);
	jw_key(w, str_of(v->account.z));
	jw_obj(w);
	jw_kstrz(w, "name", v->user);
	jw_kbool(w, "isPersonal", true);
	jw_kbool(w, "isReadOnly", false);
	jw_key(w, STR("accountCapabilities"));
	jw_obj(w);
	write_empty(w, CAP_CORE);
	write_mail(w, v);
	write_websocket(w, v);
	jw_obj_end(w);
	jw_obj_end(w);
	jw_obj_end(w);
	jw_key(w, STR("primaryAccounts"));
	jw_obj(w);
	jw_kstrz(w, capability_urn(CAP_MAIL), v->account.z);
	jw_obj_end(w);
}

unsigned jmap_session(struct jmap_call *c, struct buf *out)
{
	char state[SESSION_STATE_MAX];
	struct view v;
	struct jw w;

	view_init(&v, id_of('u', c->account_no), c->user);
	state_of_view(&v, state);
	jw_init(&w, out);
	jw_obj(&w);
	jw_key(&w, STR("capabilities"));
	jw_obj(&w);
	write_core(&w, &v);
	write_empty(&w, CAP_MAIL);
	write_websocket(&w, &v);
	jw_obj_end(&w);
	write_account(&w, &v);
	jw_kstrz(&w, "username", c->user);
	url(&w, "apiUrl", &v, "/jmap/api");
	url(&w, "downloadUrl", &v,
		"/jmap/download/{accountId}/{blobId}/{name}?type={type}");
	url(&w, "uploadUrl", &v, "/jmap/upload/{accountId}/");
	url(&w, "eventSourceUrl", &v,
		"/jmap/eventsource?types={types}&closeafter={closeafter}"
		"&ping={ping}");
	jw_kstrz(&w, "state", state);
	jw_obj_end(&w);
	return 200;
}
