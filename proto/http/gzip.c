#include "proto/http/gzip.h"

#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* zlib.h: 16 asks for the gzip format */
#define MEM_LEVEL 8
#define LEVEL 1
#define CHUNK 16384
#define KEPT 65536

struct gzip {
	z_stream z;
	bool begun;
	struct buf out;
};

struct gzip *gzip_new(void)
{
	return mem_new(sizeof(struct gzip));
}

void gzip_free(struct gzip *g)
{
	if (g->begun)
		(void)deflateEnd(&g->z);
	buf_fini(&g->out);
	free(g);
}

/* RFC 9110 12.4.2: "0" to "1" with at most three digits, in thousandths. */
static bool read_weight(struct str v, unsigned *weight_r)
{
	unsigned weight, step = 100;

	if (!v.n || v.n > 5 || (v.p[0] != '0' && v.p[0] != '1') ||
		(v.n > 1 && v.p[1] != '.'))
		return false;
	weight = v.p[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < v.n; i++, step /= 10) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		weight += (unsigned)(v.p[i] - '0') * step;
	}
	*weight_r = weight;
	return weight <= 1000;
}

/* "gzip;q=0.5": its name and weight; false when it is malformed. */
static bool read_coding(struct str item, struct str *name_r, unsigned *weight_r)
{
	struct str rest = item, part;

	*weight_r = 1000;
	if (!str_cut(&rest, ';', name_r))
		return false;
	*name_r = str_trim(*name_r);
	if (!rest.n)
		return name_r->n > 0;
	part = str_trim(rest);
	if (part.n < 2 || (part.p[0] | 0x20) != 'q' || part.p[1] != '=')
		return false;
	return read_weight(str_skip(part, 2), weight_r);
}

bool gzip_accepted(const struct http_request *r)
{
	int gzip = -1, identity = -1, any = -1;
	struct str rest, item, name;
	unsigned weight;

	for (size_t i = 0; i < r->headers_n; i++) {
		if (!str_ieq(r->headers[i].name, STR("Accept-Encoding")))
			continue;
		rest = r->headers[i].value;
		while (http_list_next(&rest, &item)) {
			if (!read_coding(item, &name, &weight))
				continue;
			if (str_ieq(name, STR("gzip")) ||
				str_ieq(name, STR("x-gzip")))
				gzip = (int)weight;
			else if (str_ieq(name, STR("identity")))
				identity = (int)weight;
			else if (str_eq(name, STR("*")))
				any = (int)weight;
		}
	}
	if (gzip < 0)
		gzip = any;
	/* What is not named is worth nothing beside what is. */
	return gzip > 0 && gzip >= identity;
}

static void begin(struct gzip *g)
{
	if (!g->begun)
		check(deflateInit2(&g->z, LEVEL, Z_DEFLATED, GZIP_WINDOW,
			      MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
	else
		check(deflateReset(&g->z) == Z_OK);
	g->begun = true;
}

struct str gzip_pack(struct gzip *g, struct str body)
{
	int ret;

	check(body.n <= UINT32_MAX);
	if (g->out.cap > KEPT)
		buf_fini(&g->out);
	buf_reset(&g->out);
	begin(g);
	g->z.next_in = (Bytef *)(uintptr_t)body.p;
	g->z.avail_in = (uInt)body.n;
	do {
		g->z.next_out = (Bytef *)buf_room(&g->out, CHUNK);
		g->z.avail_out = CHUNK;
		ret = deflate(&g->z, Z_FINISH);
		check(ret != Z_STREAM_ERROR);
		g->out.n += CHUNK - g->z.avail_out;
	} while (ret != Z_STREAM_END);
	return buf_str(&g->out);
}
