#ifndef SLUICE_STORE_QUARANTINE_H
#define SLUICE_STORE_QUARANTINE_H
/*
 * Damaged databases set aside: data_dir/quarantine-<n>/ holds database, log and shared memory as
 * they were found. Of the store room; whoever calls holds the lock of the data directory and has
 * the database closed, but for quarantine_request().
 */
#include <stdbool.h>
#include <stdint.h>

#include "store/salvage.h"

struct error;
struct store;

enum {
    QUARANTINES_KEPT = 2,
    QUARANTINE_NAME_MAX_BYTES = 64 /* of what is added to the path of the data directory */
};

struct quarantine {
    const char *data_dir; /* borrowed */
    /* An attempt failed for want of space: it is not worth another with less than this free. */
    uint64_t needs_bytes;
    struct salvage_report report; /* of quarantine_finish() */
};

/* Moves the files of the database aside. 0, -errno (to be called again: nothing may be made in
 * their place before), error filled. */
int quarantine_begin(struct quarantine *quarantine, struct error *error);

/* Brings what was begun to its end: afterwards there is a sound database. 0; QUARANTINE_NONE:
 * nothing was begun; -errno, error filled. */
enum quarantine_outcome { QUARANTINE_NONE = 1 };
int quarantine_finish(struct quarantine *quarantine, struct error *error);

/* Notes that the database is to be set aside when it is opened next, although it may look sound.
 * The running writer. 0, -errno. */
int quarantine_request(const char *data_dir);
bool quarantine_requested(const char *data_dir);

/* In the transaction of the opening. Whether a salvage has not been told yet (store->salvaged):
 * then an epoch has to begin; and telling the gaps, once the streams are loaded. From then on
 * consumers without a cursor begin at the oldest event until the next orderly end, since theirs may
 * be lost. 0, -errno. */
int quarantine_untold(struct store *store);
int quarantine_tell(struct store *store, const char *old_epoch);

#endif
