/*
 * Memory that two processes share: a memfd sealed against shrinking and growing,
 * so that no peer can take pages away under the other (no SIGBUS).
 */
#pragma once

#include "core/base/err.h"

/* A new sealed memfd of size bytes, all zero; the caller closes it. */
int shm_new(const char *name, size_t size, struct err *e);
/*
 * Maps exactly size bytes. Refuses (-EPROTO) a file of another size or without
 * the seals: it may come from a hostile peer. *p_r lives until shm_unmap().
 */
int shm_map(int fd, size_t size, void **p_r, struct err *e);
/* The same to read only; a descriptor that is open for reading will do. */
int shm_map_read(int fd, size_t size, const void **p_r, struct err *e);
void shm_unmap(void *p, size_t size);
