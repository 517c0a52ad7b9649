#include "test/bench/lib/letter.h"

#include <stdint.h>
#include <unistd.h>

/* What letters are about; "letter" is in all of them, "needle" in one of 1,000. */
static const char *const words[] = {"harbour", "winter", "ledger", "meeting",
	"garden", "invoice", "bridge", "quarter", "orchard", "signal", "marble",
	"railway", "pepper", "castle", "window", "thunder"};

/* Three in a row are a Thread, whichever client sends them. */
static void head(struct buf *b, const char *to, long i)
{
	long first = i - i % 3;

	buf_fmt(b,
		"From: Bob <bob@example.net>\r\nTo: <%s>\r\n"
		"Subject: %sMatter %ld\r\n"
		"Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
		"Message-ID: <%ld.%d@example.net>\r\n",
		to, i == first ? "" : "Re: ", first, i, getpid());
	if (i != first)
		buf_fmt(b, "References: <%ld.%d@example.net>\r\n", first,
			getpid());
	buf_addz(b, "\r\n");
}

void letter(struct buf *b, const char *to, long i, size_t bytes)
{
	uint64_t r = (uint64_t)i;

	head(b, to, i);
	if (i % 1000 == 0)
		buf_addz(b, "A needle.\r\n");
	while (b->n < bytes) {
		r = r * 6364136223846793005u + 1442695040888963407u;
		buf_fmt(b, "A letter about the %s and the %s of today.\r\n",
			words[r >> 60], words[r >> 56 & 15]);
	}
}
