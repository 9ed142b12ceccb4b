#ifndef SLUICE_STORE_FORGET_H
#define SLUICE_STORE_FORGET_H
/* Work on a store that no gateway has open, without opening it as one: no epoch begins, nothing is
 * evicted. Whoever calls holds the data directory by salvage_lock() (salvage.h). Blocks on the
 * disk; one thread. */

struct error;

/* Deletes the ranges of a consumer, in one stream or (NULL) in all, from the database at path;
 * durable when it returns. What only they held is then for retention to take. *ret_ranges: how many
 * there were, 0 if none. 0, an enum store_open_outcome (store.h), -errno; error filled. */
int store_forget(const char *path, const char *consumer, const char *stream, struct error *error,
                 unsigned *ret_ranges);

#endif
