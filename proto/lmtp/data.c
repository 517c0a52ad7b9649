#include <stdio.h>

#include "conf/conf.h"
#include "core/base/clock.h"
#include "core/io/sock.h"
#include "proto/lmtp/session.h"

/* What each status of a recipient says, in words and in RFC 3463's numbers. */
static const struct {
	unsigned status;
	const char *text;
} replies[] = {
	{250, "250 2.0.0 Stored"},
	{451, "451 4.3.0 Not stored, try again later"},
	{452, "452 4.3.1 No space, try again later"},
	{550, "550 5.1.1 No such user here"},
	{552, "552 5.3.4 Message is too big"},
	{554, "554 5.6.0 This message cannot be stored"},
};

static const char *reply_text(unsigned status)
{
	for (size_t i = 0; i < countof(replies); i++)
		if (replies[i].status == status)
			return replies[i].text;
	return "451 4.3.0 Not stored, try again later";
}

/* One reply a recipient, in the order of RCPT (RFC 2033 4.2). */
static void reply(struct lmtp *s, const uint16_t *status, unsigned same)
{
	struct str rest = buf_str(&s->rcpts), rcpt;
	for (unsigned i = 0; i < s->rcpts_n && str_cut(&rest, '\0', &rcpt); i++)
		lmtp_say(s, "%s", reply_text(status ? status[i] : same));
	lmtp_reset(s);
	lmtp_ready(s);
}

/* The backend's answer about all of them, as one LMTP status. */
static unsigned whole_status(unsigned status)
{
	return status == 413 ? 552 : status == 507 ? 452 : 451;
}

static void on_stored(struct call *c, unsigned status, struct str body)
{
	struct lmtp *s = container_of(c, struct lmtp, call);
	uint16_t *each = NULL;
	if (s->state == LMTP_DATA) {
		s->early = status; /* the rest is read and thrown away */
		buf_reset(&s->data);
		conn_pause(s->conn, false);
		return;
	}
	if (status == 200 && body.n == s->rcpts_n * sizeof(*each))
		each = mem_dup(body.p, body.n);
	if (!each)
		s->unseen = 0;
	reply(s, each, whole_status(status));
	free(each);
}

/* RFC 5321 4.4: the trace field that goes on top, in whole lines. */
static void add_trace(struct lmtp *s, struct buf *out)
{
	char date[CLOCK_MAIL_MAX], peer[SOCK_TEXT_MAX];
	struct str rest = buf_str(&s->rcpts), first = STR_NONE;
	str_cut(&rest, '\0', &first);
	clock_mail(clock_real_ms(), date);
	sock_peer_text(conn_fd(s->conn), peer);
	buf_fmt(out, "Received: from %.*s (%s)\r\n\tby %s with LMTP",
		STR_ARG(s->hello), peer, s->pool->host);
	/* With several, naming them would tell each of the others. */
	if (s->rcpts_n == 1)
		buf_fmt(out, "\r\n\tfor <%.*s>", STR_ARG(first));
	buf_fmt(out, ";\r\n\t%s\r\n", date);
}

static void pass_on(struct lmtp *s)
{
	struct backend *b = s->pool->backend;
	if (!s->call.id) {
		buf_reset(&s->data);
		return;
	}
	buf_drop(&s->data, b->ops->write(b, &s->call, s->data.p, s->data.n));
	if (s->data.n)
		conn_pause(s->conn, true);
	else if (s->dot.state == DOT_END)
		b->ops->end(b, &s->call);
}

static void on_room(struct call *c)
{
	struct lmtp *s = container_of(c, struct lmtp, call);
	pass_on(s);
	if (s->state == LMTP_DATA && !s->data.n)
		conn_pause(s->conn, false);
}

void lmtp_data_begin(struct lmtp *s)
{
	struct buf head cleanup(buf_fini) = {0};
	struct backend *b = s->pool->backend;
	add_trace(s, &head);
	buf_addc(&head, '\0');
	buf_adds(&head, buf_str(&s->sender));
	buf_addc(&head, '\0');
	buf_add(&head, s->rcpts.p, s->rcpts.n - 1);
	struct call_open o = {.kind = CALL_DELIVER, .head = buf_str(&head)};
	s->state = LMTP_DATA;
	s->dot = (struct dot){0};
	s->size = 0;
	s->too_big = false;
	s->early = 0;
	s->call.on_answer = on_stored;
	s->call.on_room = on_room;
	b->ops->open(b, &s->call, &o);
	s->unseen = s->call.id;
}

static void measure(struct lmtp *s, size_t n)
{
	s->size += n;
	if (s->too_big || s->size <= conf_get()->max_size_message)
		return;
	s->too_big = true;
	s->unseen = 0;
	call_cancel(s->pool->backend, &s->call);
}

size_t lmtp_data(struct lmtp *s, const char *p, size_t n)
{
	size_t before = s->data.n;
	size_t taken = dot_feed(&s->dot, p, n, &s->data);
	bool whole = s->dot.state == DOT_END;
	measure(s, s->data.n - before);
	if (whole) {
		s->state = LMTP_STORING;
		conn_pause(s->conn, true);
	}
	pass_on(s);
	if (whole && s->too_big)
		reply(s, NULL, 552);
	else if (whole && s->early)
		reply(s, NULL, whole_status(s->early));
	return taken;
}
