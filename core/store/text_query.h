/*
 * A text query taken apart, for the index and for snippets alike.
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"

/* What is looked at; the rest of a longer query is passed over. */
#define TEXT_TERMS 64
#define TEXT_TERM_WORDS 64

/* Words that must stand one behind the other. */
struct text_term {
	struct str *word; /* as mime_words_next() gives them */
	size_t n;	  /* at least one */
	bool prefix;	  /* the last one is the beginning of a word */
};
struct text_query {
	struct text_term term[TEXT_TERMS];
	size_t n; /* 0: nothing is asked for, and nothing matches */
};

/* Adds the terms of a text to q, which begins as all zeroes. */
void text_query_add(struct text_query *q, struct str text, struct arena *a);
