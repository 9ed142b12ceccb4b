#ifndef SLUICE_TESTS_BENCH_SUBJECT_H
#define SLUICE_TESTS_BENCH_SUBJECT_H
/* The store under test, through store/store.h and store/read.h alone. Everything here ends the
 * program on any failure. */
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "store/store_config.h"

struct event;

struct subject {
    struct store_config config;
    struct store *store;
    uint32_t stream; /* "events", without consumers */
};

/* Settings: a stream that is never full, and one that keeps next to nothing. */
extern const char subject_large[], subject_small[];

void subject_open(struct subject *subject, const char *settings, const char *directory,
                  bool background_checkpoints);
void subject_close(struct subject *subject);
void subject_append(struct subject *subject, const struct event *event);
void subject_commit(struct subject *subject);
void subject_maintain(struct subject *subject);  /* until there is nothing more to do */
uint64_t subject_stored_bytes(const char *path); /* of the stream, as counted against its quota */

#endif
