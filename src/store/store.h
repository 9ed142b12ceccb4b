#ifndef SLUICE_STORE_STORE_H
#define SLUICE_STORE_STORE_H
/*
 * struct store: the durable streams of the gateway, on one SQLite database (WAL, synchronous=FULL).
 * The writing side. One thread, the pipeline's, calls everything here; reading from other threads
 * is store/read.h on connections of their own.
 *
 * Appending only packs into memory; nothing is durable before store_commit() has returned 0. A
 * commit that fails loses nothing: the open batch is kept and the next store_commit() tries again.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct error;
struct event;
struct metric_set;
struct notice;
struct range_feed;
struct segment;
struct store;
struct store_config;

#define STORE_FILE_NAME "sluice.db" /* in the data directory */

enum {
    STORE_PATH_MAX_BYTES = 4096,
    STORE_EPOCH_BYTES = 17, /* 16 hex digits and a NUL */
    STORE_STREAMS_MAX = 64,
    STORE_RECORD_MAX_BYTES = 280 * 1024 * 1024
};

struct store_options {
    const char *data_dir;              /* must exist or be creatable; made 0700 */
    const char *gateway_id;            /* NULL: made once, random, and kept in meta */
    const struct store_config *config; /* store/store_config.h; borrowed until store_free() */
    const struct clock *clock;
    bool background_checkpoints; /* by a thread of the store's own, while it is open */
    /* Cursor moves ride along with a commit of events only when the first of them is so old, or
     * there are a thousand acknowledgements, or retention waits for them. 0: with every commit. */
    int64_t cursor_interval_us;
    const char *machine_id; /* whose the database is; NULL: what the system says */
    const char *boot_id; /* of the machine; NULL: as the kernel says; borrowed until store_free() */
};

/* Named outcomes of store_open(): the file is left as it was found. */
enum store_open_outcome {
    STORE_FOREIGN = 1,    /* not a database of ours */
    STORE_NEWER = 2,      /* ours, of a newer format */
    STORE_LOCKED = 3,     /* another process holds the data directory */
    STORE_UNREADABLE = 4, /* data directory or file cannot be read or written by this user */
    STORE_DAMAGED = 5     /* ours, malformed, and so is what was salvaged from it */
};

/* A store that is not open yet: everything but open, path and free is forbidden. -ENOMEM. */
int store_new(const struct store_options *options, struct store **ret);

/* Opens or creates the database: lock, identity, streams, ranges. Start-up cost is independent of
 * what is stored, but for a damaged database: that is set aside (data_dir/quarantine-<n>/), what is
 * readable of it is copied into a new one, and a new epoch begins. 0, an enum store_open_outcome,
 * or -errno (full disk: may be tried again later). error says where, what and how to mend it in
 * every case but 0. May be called again after a failure. */
int store_open(struct store *store, struct error *error);
bool store_is_open(const struct store *store);

/* Marks the clean shutdown (best effort), closes and frees. NULL accepted; returns NULL. What was
 * appended and not committed is gone: nobody was told otherwise. */
struct store *store_free(struct store *store);

const char *store_path(const struct store *store);        /* of the database file */
const char *store_gateway_id(const struct store *store);  /* once open */
uint64_t store_disk_max_bytes(const struct store *store); /* the quota of all files; 0: none */
const char *store_epoch(const struct store *store);       /* 16 hex digits, once open */

/* The epoch as store_epoch() has it, for other threads once they know that the store is open. */
void store_epoch_now(const struct store *store, char ret[STORE_EPOCH_BYTES]);

/* A new epoch from the head of every stream on, because somebody has seen ids that are still to be
 * given. Appends a notice to the gateway's own stream, and the next store_commit() that succeeds
 * begins the epoch in its transaction, whatever else is in it: what is open now, and was shown to
 * nobody, belongs to the new one. reason: one word, for the notice. 0, also if one is waiting
 * already; -errno. */
int store_epoch_begin(struct store *store, const char *reason);

/* The number of a stream, made if it is new. 0 or -errno / STORE_STREAM_LIMIT. */
enum { STORE_STREAM_LIMIT = 1 };
int store_stream(struct store *store, const char *name, uint32_t *ret_stream);

/* Tells the store by which clocks the events appended from now on were received: once for each
 * reading of the clocks, before their events. Costs a comparison, unless the clock was set or
 * synced since; then batches end here, and the first sync of a boot corrects what was received in
 * it before (written with the next commit). Nothing else in the store depends on the wall clock. */
void store_time(struct store *store, const struct clock_stamp *stamp);

/* Adds an event to the open batch of a stream. Copies. Where the stream drops its oldest events,
 * room is made; they go with the next commit. Outcomes: */
enum store_append_outcome {
    STORE_FULL = 1,     /* max_bytes is reached by events not yet sent, or disk.max_bytes is used
                           up: see store_when_full(). With "drop_oldest": what is open has to be
                           committed first, or others hold the disk */
    STORE_TOO_LARGE = 2 /* more than STORE_RECORD_MAX_BYTES, or than the stream may hold at all */
};
int store_append(struct store *store, uint32_t stream, const struct event *event,
                 uint64_t *ret_offset);

enum store_when_full { STORE_WHEN_FULL_BLOCK, STORE_WHEN_FULL_REJECT, STORE_WHEN_FULL_DROP_OLDEST };
enum store_when_full store_when_full(const struct store *store, uint32_t stream);

/* Appends a notice (event/notice.h), filled but not finished, to the stream of its kind: "$audit"
 * or "$gateway". Committed with the next commit. 0 or -errno: then it is logged and counted as
 * lost. The notice stays the caller's. */
int store_notice(struct store *store, struct notice *notice);

/* What is appended and not committed. */
size_t store_open_events(const struct store *store);
size_t store_open_bytes(const struct store *store);

/* ★ Writes the open batches and the cursor moves waiting, in one transaction, and syncs. 0: all of
 * it is on disk. -errno: none of it is, and all of it is kept for the next call. */
int store_commit(struct store *store);

/* How long the next group of events must wait for others at least, so that commit.write_budget is
 * kept; 0: not at all. Changes with time and after each commit. Not yet open: 0. */
int64_t store_commit_delay_us(const struct store *store);

/* After a successful commit: the batches it wrote to streams that a feed is attached to, by stream
 * and offset (one per stream; more if it was cut at 1 MiB), each with a reference that goes to the
 * caller; NULL when there are no more. Not calling it to the end is allowed: the next
 * store_commit() drops what is left. */
struct segment *store_committed_next(struct store *store);

/* Consumers, see range.h. Opens the ranges of a feed, creating them as feed->start says, and fills
 * in their state. 0 or -errno. The store keeps a pointer until store_detach(). */
int store_attach(struct store *store, struct range_feed *feed);
void store_detach(struct store *store, struct range_feed *feed);

/* Notes that everything below next_offset was acknowledged to range number range of feed. Rides
 * along with the next commit, or one soon after (store_options.cursor_interval_us). Moves backwards
 * are ignored. */
void store_move_cursor(struct store *store, struct range_feed *feed, unsigned range,
                       uint64_t next_offset);

/* When moves waiting must be committed even without events: the monotonic time in microseconds, or
 * INT64_MAX if there are none. (10 s after the first one, at once from 10,000 acknowledgements.) */
int64_t store_cursors_due_us(const struct store *store);

/* Retention and checkpointing, in small steps: call between commits when there is time. 0 or
 * -errno. *ret_more: there is more to do. */
int store_maintain(struct store *store, bool *ret_more);

/* Whether the open database has turned out to be damaged, by the writer or by a consumer. Then it
 * has to be closed and opened anew, which sets it aside and salvages it; nothing else mends it. */
bool store_needs_salvage(struct store *store);

/* Re-packs small batches into larger ones, a block a call: call it when store_maintain() has
 * nothing left and nobody waits. Does nothing while events wait for their commit. 0 or -errno
 * (those batches stay as they are). *ret_more: there is more to do. */
int store_repack(struct store *store, bool *ret_more);

/* Takes over new limits and policies after a reload; config replaces the one of store_new(). */
void store_reconfigure(struct store *store, const struct store_config *config);

#endif
