#ifndef SLUICE_STORE_SALVAGE_H
#define SLUICE_STORE_SALVAGE_H
/*
 * Damage: what can be read of a damaged database goes into a new one, and the old files are kept
 * aside (quarantine.h). Also offline, without a store: whoever calls holds the data directory by
 * salvage_lock(). Blocks on the disk; one thread.
 */
#include <stdbool.h>
#include <stdint.h>

struct error;

struct salvage_report {
    unsigned streams;
    uint64_t batches, events; /* salvaged */
    uint64_t stored_bytes;
    uint64_t batches_damaged; /* rows of which something is left, but not enough */
    uint64_t gaps, missing;   /* holes between batches, and the events of them */
};

/* Reads directory/sluice.db and its log, whatever they are, and makes the database draft of what is
 * sound in them. label names the directory in the new database. A draft of an earlier attempt is
 * replaced. 0 or -errno, then the draft is gone. */
int salvage_copy(const char *directory, const char *draft, const char *label,
                 struct salvage_report *ret);

/* Whether a file that is no SQLite database to look at, with its log, holds batches of ours. Reads
 * the first megabytes at most. */
bool salvage_recognises(int database_fd, int log_fd);

/* Takes the lock of a data directory that exists and says where its database is. *ret: a descriptor
 * to be closed. 0; STORE_LOCKED and other outcomes of store_open(), -errno, error filled. */
enum { SALVAGE_PATH_MAX_BYTES = 4096 };
int salvage_lock(const char *data_dir, char ret_path[SALVAGE_PATH_MAX_BYTES], struct error *error,
                 int *ret);

/* What the daemon does at its start with a damaged database, or with a quarantine that was
 * interrupted; force: also with one that seems sound. 0: done, ret filled; SALVAGE_NOTHING: nothing
 * was to be done; SALVAGE_REFUSED: the file is not ours, or of a newer version; -errno. error is
 * filled but for 0 and SALVAGE_NOTHING. */
enum salvage_outcome { SALVAGE_NOTHING = 1, SALVAGE_REFUSED = 2 };
int salvage_run(const char *data_dir, bool force, struct error *error, struct salvage_report *ret);

#endif
