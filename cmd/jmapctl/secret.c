#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/jmapctl/jmapctl.h"
#include "core/base/crypto.h"

#define SECRET_MAX 1024 /* bytes */

static int read_line(int fd, struct buf *out, struct err *e)
{
	char c;
	for (;;) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read the password");
		if (n == 0 || c == '\n')
			return 0;
		if (out->n >= SECRET_MAX)
			return err_set(e, -EINVAL, "the password is too long");
		buf_addc(out, c);
	}
}

static int ask(int tty, const char *prompt, struct buf *out, struct err *e)
{
	struct termios was, quiet;
	if (tcgetattr(tty, &was) < 0)
		return err_sys(e, "terminal");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	dprintf(tty, "%s: ", prompt);
	if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
		return err_sys(e, "terminal");
	int ret = read_line(tty, out, e);
	tcsetattr(tty, TCSAFLUSH, &was);
	dprintf(tty, "\n");
	return ret;
}

int secret_read(bool from_stdin, bool twice, struct buf *out, struct err *e)
{
	struct buf again cleanup(buf_fini) = {0};
	int ret = 0;
	if (from_stdin) {
		ret = read_line(0, out, e);
	} else {
		int tty cleanup(fd_close) =
			open("/dev/tty", O_RDWR | O_CLOEXEC);
		if (tty < 0)
			return err_set(e, -ENOTTY,
				"no terminal to ask for the password; "
				"use --password-stdin");
		ret = ask(tty, "Password", out, e);
		if (!ret && twice)
			ret = ask(tty, "Again", &again, e);
		if (!ret && twice && !ct_equal(buf_str(out), buf_str(&again)))
			ret = err_set(e, -EINVAL, "the two are not the same");
	}
	if (!ret && !out->n)
		ret = err_set(e, -EINVAL, "the password is empty");
	return ret;
}
