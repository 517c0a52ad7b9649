/*
 * Configuration files. One that is taken can be written out as the sample file
 * would have it, and reads back as the same.
 */
#include "conf/conf.h"
#include "test/fuzz/fuzz.h"

static void back(const struct conf *c)
{
	struct buf out cleanup(buf_fini) = {0};
	struct conf again;
	struct err e = {0};

	for (size_t i = 0; i < conf_options_n; i++) {
		buf_fmt(&out, "%s: ", conf_options[i].key);
		conf_print(c, &conf_options[i], &out);
		buf_addc(&out, '\n');
	}
	check(conf_parse(buf_str(&out), "again", &again, &e) == 0);
	for (size_t i = 0; i < conf_options_n; i++)
		check(!conf_differs(c, &again, &conf_options[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = fuzz_exact(data, n);
	struct conf c;
	struct err e = {0};

	log_set_level(LOG_ERROR);
	if (conf_parse(text, "fuzz", &c, &e) == 0)
		back(&c);
	else
		check(e.code < 0 && e.text[0]);
	free((char *)text.p);
	return 0;
}
