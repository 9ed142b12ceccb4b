#ifndef SLUICE_PIPELINE_LOSSES_H
#define SLUICE_PIPELINE_LOSSES_H
/*
 * Events that were never given an offset: dropped because they came with QoS 0 into a full stream,
 * refused, or too large. One gap record tells a whole run of them: it is written when none has come
 * for a second, or every ten seconds while they go on. Belongs to the pipeline's thread; pipeline
 * room only.
 */
#include <stdint.h>

struct store;

enum { LOSSES_MAX = 32 }; /* runs at the same time: of different streams or reasons */

struct losses {
    struct store *store;
    unsigned count;
    struct loss {
        const char *stream, *reason; /* outlive the pipeline; compared by pointer */
        uint64_t events;
        int64_t first_us, last_us; /* monotonic */
    } runs[LOSSES_MAX];
};

void losses_init(struct losses *losses, struct store *store);

/* Notes one. */
void losses_add(struct losses *losses, const char *stream, const char *reason, int64_t now_us);

/* Appends the gap records of the runs that are over at now_us (INT64_MAX: all) to the store's open
 * batch. */
void losses_tell(struct losses *losses, int64_t now_us);

/* When the next one is to be told: monotonic, INT64_MAX if there are none. */
int64_t losses_due_us(const struct losses *losses);

#endif
