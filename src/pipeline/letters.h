#ifndef SLUICE_PIPELINE_LETTERS_H
#define SLUICE_PIPELINE_LETTERS_H
/*
 * What is written down for the gateway itself: notices and dead letters that other threads post,
 * the gap records of events that were never stored, and alarms. All of it goes into the store's
 * open batch and is committed with the events beside it. Belongs to the pipeline's thread; pipeline
 * room only.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/alarms.h"
#include "pipeline/audit.h"
#include "pipeline/item_list.h"
#include "pipeline/losses.h"

struct letters {
    struct store *store;
    struct item_list waiting; /* posted and not yet appended, and cursor moves behind them */
    struct losses losses;
    struct audit audit;
    struct alarms alarms;
    struct bytes scratch; /* attributes of one dead letter */
};

void letters_init(struct letters *letters, struct store *store, const struct alarms_config *alarms);
void letters_deinit(struct letters *letters);

/* Takes over an INGEST_NOTICE, INGEST_DEAD_LETTER or INGEST_CURSOR item. They keep their order: a
 * cursor must not be committed before the dead letter of what it passed. */
void letters_take(struct letters *letters, struct queue_item *item);

/* Appends what waits, as long as less than max_bytes are open; the store must be open. true: the
 * rest needs a commit first. */
bool letters_write(struct letters *letters, size_t max_bytes);
/* Appends what is due of itself, likewise. taking: the store takes events. all: what is not due,
 * too. */
void letters_look(struct letters *letters, int64_t now_us, bool taking, bool all);

/* Monotonic time at which letters_look() has something to do of itself. */
int64_t letters_due_us(const struct letters *letters);

#endif
