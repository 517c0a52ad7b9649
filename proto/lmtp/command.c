#include "conf/conf.h"
#include "proto/lmtp/path.h"
#include "proto/lmtp/session.h"

static void on_lhlo(struct lmtp *s, struct str arg)
{
	struct str name = str_trim(arg);
	if (!name.n || name.n > 255 || str_find(name, ' ') < name.n) {
		lmtp_say(s, "501 5.5.4 Say LHLO and your name");
		return;
	}
	lmtp_reset(s);
	free((char *)(uintptr_t)s->hello.p);
	s->hello = str_n(mem_dup(name.p, name.n), name.n);
	s->state = LMTP_READY;
	lmtp_say(s, "250-%s", s->pool->host);
	lmtp_say(s, "250-PIPELINING");
	lmtp_say(s, "250-8BITMIME");
	lmtp_say(s, "250-SMTPUTF8");
	lmtp_say(s, "250-ENHANCEDSTATUSCODES");
	lmtp_say(s, "250 SIZE %llu",
		(unsigned long long)conf_get()->max_size_message);
}

static void on_helo(struct lmtp *s, struct str arg)
{
	/* RFC 2033 4.1: a client that thinks this is SMTP must not go on. */
	lmtp_say(s, "500 5.5.1 This is LMTP: say LHLO");
}

/* The parameters of MAIL (RFC 1870, 6152, 6531). False: refused, and said so. */
static bool mail_params(struct lmtp *s, struct str rest)
{
	struct str key, value;
	uint64_t size;
	bool bad;
	while (param_cut(&rest, &key, &value, &bad)) {
		if (str_ieq(key, STR("SIZE"))) {
			if (!str_u64(value, &size)) {
				lmtp_say(s, "501 5.5.4 SIZE is a number");
				return false;
			}
			if (size > conf_get()->max_size_message) {
				lmtp_say(s, "552 5.3.4 Message is too big");
				return false;
			}
		} else if (str_ieq(key, STR("BODY"))) {
			if (!str_ieq(value, STR("7BIT")) &&
				!str_ieq(value, STR("8BITMIME"))) {
				lmtp_say(s,
					"501 5.5.4 BODY is 7BIT or 8BITMIME");
				return false;
			}
		} else if (!str_ieq(key, STR("SMTPUTF8")) || value.p) {
			lmtp_say(s, "555 5.5.4 No such parameter of MAIL");
			return false;
		}
	}
	if (bad)
		lmtp_say(s, "501 5.5.4 A space belongs before a parameter");
	return !bad;
}

static void on_mail(struct lmtp *s, struct str arg)
{
	struct str sender;
	if (s->state != LMTP_READY) {
		lmtp_say(s, s->state == LMTP_HELLO
				    ? "503 5.5.1 Say LHLO first"
				    : "503 5.5.1 One MAIL at a time");
		return;
	}
	if (arg.n < 5 || !str_ieq(str_n(arg.p, 5), STR("FROM:"))) {
		lmtp_say(s, "501 5.5.4 Say MAIL FROM:<address>");
		return;
	}
	arg = str_skip(arg, 5);
	if (!path_cut(&arg, &sender)) {
		lmtp_say(s, "501 5.1.7 That is no sender");
		return;
	}
	if (!mail_params(s, arg))
		return;
	buf_reset(&s->sender);
	buf_adds(&s->sender, sender);
	s->state = LMTP_MAIL;
	lmtp_say(s, "250 2.1.0 Sender is good");
}

static void on_looked_up(struct call *c, unsigned status, struct str body)
{
	struct lmtp *s = container_of(c, struct lmtp, call);
	s->state = LMTP_MAIL;
	if (status == 250) {
		buf_adds(&s->rcpts, buf_str(&s->asking));
		buf_addc(&s->rcpts, '\0');
		s->rcpts_n++;
		lmtp_say(s, "250 2.1.5 Recipient is good");
	} else if (status == 550) {
		lmtp_say(s, "550 5.1.1 No such user here");
	} else {
		lmtp_say(s, "451 4.3.0 Try again later");
	}
	lmtp_ready(s);
}

static void look_up(struct lmtp *s, struct str rcpt)
{
	struct call_open o = {.kind = CALL_RCPT, .head = rcpt};
	buf_reset(&s->asking);
	buf_adds(&s->asking, rcpt);
	s->state = LMTP_ASKING;
	s->call.on_answer = on_looked_up;
	s->call.on_room = NULL;
	/* The replies of a pipeline keep their order: the next line waits. */
	conn_pause(s->conn, true);
	call_submit(s->pool->backend, &s->call, &o, NULL);
}

static void on_rcpt(struct lmtp *s, struct str arg)
{
	struct str rcpt, key, value;
	bool bad;
	if (s->state != LMTP_MAIL) {
		lmtp_say(s, "503 5.5.1 Say MAIL first");
		return;
	}
	if (arg.n < 3 || !str_ieq(str_n(arg.p, 3), STR("TO:"))) {
		lmtp_say(s, "501 5.5.4 Say RCPT TO:<address>");
		return;
	}
	arg = str_skip(arg, 3);
	if (!path_cut(&arg, &rcpt) || !rcpt.n) {
		lmtp_say(s, "501 5.1.3 That is no recipient");
		return;
	}
	if (param_cut(&arg, &key, &value, &bad) || bad) {
		lmtp_say(s, "555 5.5.4 No such parameter of RCPT");
		return;
	}
	if (s->rcpts.n + rcpt.n >= LMTP_HEAD_MAX) {
		lmtp_say(s, "452 4.5.3 Too many recipients");
		return;
	}
	look_up(s, rcpt);
}

static void on_data(struct lmtp *s, struct str arg)
{
	if (s->state != LMTP_MAIL) {
		lmtp_say(s, "503 5.5.1 Say MAIL and RCPT first");
		return;
	}
	if (!s->rcpts_n) { /* RFC 2033 4.2 */
		lmtp_say(s, "503 5.5.1 No recipient was good");
		return;
	}
	lmtp_say(s, "354 Go on, end with a lone dot");
	lmtp_data_begin(s);
}

static void on_rset(struct lmtp *s, struct str arg)
{
	lmtp_reset(s);
	lmtp_say(s, "250 2.0.0 Forgotten");
}

static void on_noop(struct lmtp *s, struct str arg)
{
	lmtp_say(s, "250 2.0.0 Here");
}

static void on_vrfy(struct lmtp *s, struct str arg)
{
	lmtp_say(s, "252 2.5.0 Try RCPT");
}

static void on_quit(struct lmtp *s, struct str arg)
{
	lmtp_say(s, "221 2.0.0 Bye");
	conn_close(s->conn, 1000);
}

static const struct {
	struct str verb;
	void (*fn)(struct lmtp *s, struct str arg);
} commands[] = {
	{{"LHLO", 4}, on_lhlo},
	{{"MAIL", 4}, on_mail},
	{{"RCPT", 4}, on_rcpt},
	{{"DATA", 4}, on_data},
	{{"RSET", 4}, on_rset},
	{{"NOOP", 4}, on_noop},
	{{"VRFY", 4}, on_vrfy},
	{{"QUIT", 4}, on_quit},
	{{"HELO", 4}, on_helo},
	{{"EHLO", 4}, on_helo},
};

/* RFC 5321 4.1.2: nothing that a header of ours would carry on as a line. */
static bool has_controls(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f)
			return true;
	return false;
}

void lmtp_command(struct lmtp *s, struct str line)
{
	size_t n = str_find(line, ' ');
	struct str verb = str_n(line.p, n);
	struct str arg = n < line.n ? str_skip(line, n + 1) : STR_NONE;
	if (has_controls(line)) {
		lmtp_say(s, "500 5.5.2 Control characters in a command");
		return;
	}
	for (size_t i = 0; i < countof(commands); i++)
		if (str_ieq(verb, commands[i].verb)) {
			commands[i].fn(s, arg);
			return;
		}
	lmtp_say(s, "500 5.5.1 No such command");
}
