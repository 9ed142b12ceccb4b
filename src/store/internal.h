#ifndef SLUICE_STORE_INTERNAL_H
#define SLUICE_STORE_INTERNAL_H
/* struct store and what its files share. Of the store room alone; everything here belongs to the
 * thread that calls store.h. */
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "store/account.h"
#include "store/batch.h"
#include "store/database.h"
#include "store/identity.h"
#include "store/quarantine.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

struct checkpointer;
struct metric_set;
struct event;
struct pack_context;
struct range_feed;

enum {
    STORE_APPLICATION_ID = 0x736C6365, /* "slce" */
    STORE_FORMAT = 2,                  /* user_version */
    STORE_PAGE_BYTES = 1024,
    STORE_WAL_FRAME_BYTES = STORE_PAGE_BYTES + 24,
    STORE_STREAM_ID_MAX = 0x7FFF,
    STORE_OPEN_MAX_BYTES = 320 * 1024 * 1024, /* of all open batches together */
    STORE_OPEN_BATCHES_MAX = 1024,            /* follows: two neighbours are over BATCH_CUT_BYTES */
    STORE_EPOCH_MAX_BYTES = STORE_EPOCH_BYTES,
    STORE_GATEWAY_ID_MAX_BYTES = 128,
    BOOT_ID_MAX_BYTES = 40,
    BOOT_ROWS_MAX = 64 /* of one boot in one stream */
};

#define BOOT_UNKNOWN INT64_MIN          /* a base or correction that is NULL */
#define BOOT_STEP_US (INT64_C(1000000)) /* less does not count as a change of the clock */

/* A row of table "boot", of the boot that is. */
struct boot_row {
    bool present; /* else the stream has none of this boot, and the rest means nothing */
    int64_t base_us, correction_us;
};

/* What boot.c knows of the clocks. */
struct boot {
    char id[BOOT_ID_MAX_BYTES];
    int64_t base_us;          /* by which events are received now */
    int64_t synced_base_us;   /* BOOT_UNKNOWN: not synced in this boot */
    unsigned moves;           /* of base_us since the last commit, while events were open */
    int64_t unsynced_base_us; /* of the first unsynced events; BOOT_UNKNOWN: there are none */
    bool correct;             /* rows wait for their correction */
    bool announce;            /* which is still to be told */
};

struct stream {
    uint32_t id;
    char name[STORE_STREAM_NAME_MAX_BYTES];
    const struct store_stream_config *config;
    /* As committed. */
    uint64_t first_offset, next_offset;
    uint64_t end_bytes;    /* cumulative record bytes */
    uint64_t end_stored;   /* cumulative stored bytes */
    uint64_t slack;        /* see schema.sql */
    uint64_t stored_bytes; /* of the batches that are there */
    /* Open: oldest first; offsets go on from next_offset without a gap. */
    struct batch *first, *last;
    uint64_t open_bytes;
    unsigned open_batches;
    struct boot_row boot; /* the last one written */
    size_t batch_bytes;   /* records of the last one committed: what the next will need */
    struct batch *spare;  /* one emptied batch, so that its memory is used again */
    unsigned feeds;       /* ranges of attached feeds: whether anybody wants segments */
    /* Where sent_cursor lies in cumulative stored bytes; looked up when the stream gets full. */
    bool sent_known;
    uint64_t sent_cursor, sent_stored;
    uint64_t sent_taken; /* at least so many of stored_bytes lie before sent_cursor */
    bool full;
    uint64_t drop_to;      /* unsent events below go with the next commit; 0: none */
    uint64_t drop_noticed; /* as far as gap records for them are appended */
    uint64_t drop_bytes;   /* stored bytes that frees, at least */
    /* Once they are deleted: stored bytes that are left, slack, record bytes before. */
    uint64_t drop_rest_stored, drop_rest_slack, drop_rest_bytes;
    bool over;            /* over max_bytes: retention goes on down to its low mark */
    uint64_t mark_offset; /* of the last age mark */
    int64_t mark_run_us;
    int64_t age_due_us; /* running time from which on the marks are asked again */
    /* Re-packing goes on at an offset once so many record bytes are there; see repack.c. */
    bool repack_known;
    uint64_t repack_offset, repack_due_bytes;
    struct metric_set *metrics;
};

/* A row of table "range" in memory. */
struct cursor {
    int64_t id;
    uint32_t stream;
    char consumer[128];
    char lane[16];
    uint64_t end;            /* UINT64_MAX: open */
    uint64_t committed;      /* next_offset in the database */
    uint64_t next;           /* as acknowledged; >= committed, <= end */
    bool told;               /* that nobody comes for what it holds */
    struct range_feed *feed; /* attached, or NULL */
    unsigned range;          /* index in feed */
};

struct store {
    char data_dir[STORE_PATH_MAX_BYTES];
    char path[STORE_PATH_MAX_BYTES];
    char gateway_id[STORE_GATEWAY_ID_MAX_BYTES];
    bool gateway_id_given;
    char epoch[STORE_EPOCH_MAX_BYTES];
    char epoch_next[STORE_EPOCH_MAX_BYTES];   /* begins with the next commit; "": none */
    _Atomic uint64_t epoch_number;            /* epoch, for other threads */
    int64_t epochs;                           /* that began after the first one */
    char machine[IDENTITY_MACHINE_MAX_BYTES]; /* the one we run on */
    uint64_t run;                             /* see epoch.c */
    struct identity identity;                 /* the file as last read or written */
    bool identity_due;                        /* it could not be written */
    int64_t identity_us;                      /* monotonic: when that was last tried */
    const struct store_config *config;
    const struct clock *clock;
    const char *boot_id; /* NULL: the kernel's */
    struct boot boot;
    int lock_fd; /* -1: not held */
    struct database database;
    bool background;                   /* a checkpointer is wanted */
    struct checkpointer *checkpointer; /* NULL: the writer copies the log itself */
    struct pack_context *pack;
    struct bytes packed; /* scratch of one compressed batch */
    bool first_run;      /* the database was made by this store_open() */
    bool failing;        /* the last commit failed */
    bool sync_lowered;   /* commits are not synced now: an unsynced transaction is under way, or
                            its end could not restore synchronous=FULL */
    bool cursors_lost;   /* a salvage: who has no cursor may have had one */
    bool salvaged;       /* and that has not been told yet */
    bool needs_salvage;  /* the writer met damage */
    struct quarantine quarantine;
    bool distrust; /* opening met damage after which an offset might be given twice */
    unsigned stream_count, cursor_count;
    struct stream streams[STORE_STREAMS_MAX];
    struct cursor cursors[STORE_RANGES_MAX];
    size_t open_events, open_bytes;
    int64_t range_id;      /* the highest one that was there or given in this run */
    int64_t absent_due_us; /* monotonic: when cursor_tell_absent() looks again */
    int64_t cursor_interval_us;
    bool cursors_ride;           /* the commit under way takes the moves waiting */
    uint64_t moved_acknowledged; /* sum of the moves waiting */
    int64_t moved_since_us;      /* monotonic time of the first of them */
    struct bytes committed; /* struct segment *, one reference each: what the last commit wrote */
    size_t committed_taken; /* bytes of it that store_committed_next() gave away */
    int wal_pages;          /* in the WAL as of the last commit */
    int checkpoint_pages;   /* the next checkpoint is tried from so many on */
    bool vacuum;            /* pages may have become free */
    uint64_t used_pages;    /* of the database, free ones not counted, as of the last commit */
    unsigned open_batches;  /* of all streams */
    uint64_t wanted_bytes;  /* an append was refused for want of so much disk space; 0: none */
    bool pressed;           /* disk.max_bytes is nearly used up: what was sent goes early */
    struct account account;
    int64_t run_base_us; /* running time of all runs before this one */
    int64_t opened_us;   /* monotonic */
    int64_t measured_us; /* monotonic: when the sizes of the files were last asked */
};

/* stream.c: the streams in memory. */
struct stream *stream_find(struct store *store, uint32_t id);           /* NULL: none */
struct stream *stream_find_name(struct store *store, const char *name); /* NULL: none */
int stream_load_all(struct store *store);                               /* 0, -errno */
int stream_create(struct store *store, const char *name,
                  struct stream **ret);      /* in a transaction */
void stream_open_reset(struct store *store); /* drops all open batches and their memory */
uint64_t stream_open_next(const struct stream *stream); /* offset of the next append */
void stream_show(const struct stream *stream);          /* gauges */

/* cursor.c */
int cursor_load_all(struct store *store);
bool cursor_waiting(const struct store *store);
bool cursor_ride(const struct store *store); /* whether they go with the commit being written */
int cursor_write(struct store *store);       /* in a transaction: the moves waiting */
void cursor_written(struct store *store);    /* after it committed */
/* Whether retention keeps for it what it has not got. */
bool cursor_holds(const struct cursor *cursor);
bool cursor_in_lane(const struct cursor *cursor, enum store_lane lane);
/* Whether all of it is acknowledged, and the next commit deletes it. */
bool cursor_finished(const struct cursor *cursor);
struct cursor *cursor_find_live(struct store *store, const char *consumer, uint32_t stream);
/* Inserts the row of a range, in a transaction or as one. 0, -errno. */
int cursor_insert(struct store *store, const struct store_range_spec *spec, int64_t *ret_id);
/* Takes it into memory; there is room. Pointers to others stay as they are. */
struct cursor *cursor_keep(struct store *store, const struct store_range_spec *spec, int64_t id);
/* Out of memory, with its move that waits. Pointers to others are void. */
void cursor_drop(struct store *store, struct cursor *cursor);
/* How many of the offsets from up to to somebody still needs. */
uint64_t cursor_needed(const struct store *store, uint32_t stream, uint64_t from, uint64_t to);
/* The events below offset are gone, and with them bytes record bytes, cumulative. */
void cursor_skip_to(struct store *store, const struct stream *stream, uint64_t offset,
                    uint64_t bytes);
/* The lowest offset of a stream that somebody still needs; UINT64_MAX if nobody does. */
uint64_t cursor_lowest(const struct store *store, uint32_t stream, bool committed);

/* absent.c: says, once, which ranges hold events for a consumer that does not come. */
void cursor_tell_absent(struct store *store);

/* boot.c */
/* In the transaction of the opening, once the streams are loaded: takes up this boot where an
 * earlier run of it ended. 0, -errno. */
int boot_open(struct store *store);
/* In the transaction of a commit, once all its batches are there. 0, -errno. */
int boot_write(struct store *store);
/* After it committed; the batches are still there. */
void boot_written(struct store *store);
/* What is known of the times of a batch just written. */
void boot_segment(const struct batch *batch, struct segment *segment);
/* The base by which what is appended to the stream now was received. */
int64_t boot_base(const struct store *store, const struct stream *stream);

/* append.c */
/* Appends an event of the gateway itself to one of its own streams, which takes it also when there
 * is no room. 0, -errno. */
int append_own(struct store *store, struct stream *stream, const struct event *event);

/* drop.c */
/* Plans that the oldest unsent events go, so that at least bytes of the stream's stored bytes are
 * freed or nothing stored is left. 0, -errno. */
int drop_plan(struct store *store, struct stream *stream, uint64_t bytes);
/* In the commit's transaction: deletes what was planned and appends the gap records. 0, -errno. */
int drop_write(struct store *store);
void drop_written(struct store *store); /* after it committed */

/* quota.c */
/* Stored bytes that have to go before bytes more may be appended to the stream without
 * disk.max_bytes being exceeded; 0: none. */
uint64_t quota_excess(const struct store *store, const struct stream *stream, uint64_t bytes);
/* Whether they would fit if no stream held anything. */
bool quota_fits_empty(const struct store *store, const struct stream *stream, uint64_t bytes);
/* What log and shared memory may take. */
uint64_t quota_log_bytes(const struct store_disk_config *disk);
/* An append of so many bytes is refused: what was sent has to make room for it. */
void quota_want(struct store *store, uint64_t bytes);
int quota_measure(struct store *store); /* asks the database how much is used. 0, -errno */

/* commit.c */
/* In a transaction: everything that is open and waits. Then, when it was committed, _finish. */
int commit_write(struct store *store);
void commit_finish(struct store *store);
int commit_cursors(struct store *store); /* the moves waiting alone. 0, -errno */
void commit_drop_segments(struct store *store);
/* The form in which records are stored, and its codec: records itself, or store->packed. */
struct slice commit_compress(struct store *store, const struct bytes *records, int64_t *ret_codec);
/* Inserts a row, in a transaction. 0, -errno. */
int commit_write_row(struct store *store, const struct batch_row *row, struct slice data);

/* retention.c */
/* Makes commits synced again if sync_lowered; nothing may be committed before that. 0, -errno. */
int retention_restore_sync(struct store *store);
int64_t retention_run_us(const struct store *store); /* accumulated running time */
/* A transaction whose commit writes the log without syncing it: what a power cut may take because
 * it is made again. The end commits, or rolls back if r is a failure already; it returns the first
 * failure. Where the sync cannot be restored, store_commit() tries again and commits nothing
 * before. */
int retention_unsynced_begin(struct store *store);
int retention_unsynced_end(struct store *store, int r);
/* One step for a stream; an own transaction, not synced. 0, -errno; *ret_more: again. */
int retention_evict(struct store *store, struct stream *stream, bool *ret_more);
/* Stored bytes of the stream before offset, cumulative. 0, -errno. */
int retention_stored_before(struct store *store, struct stream *stream, uint64_t offset,
                            uint64_t *ret);

/* repack.c: where rows were re-packed, end_stored counts more than is there (column slack). */
/* What stays of slack when counting begins at after instead of at before (both as end_stored
 * counts) and the rows between take bytes: their slack does not count any more. */
uint64_t repack_slack_left(uint64_t slack, uint64_t before, uint64_t after, uint64_t bytes);
/* A lower bound of the stored bytes of the rows below offset. 0, -errno. */
int repack_taken_before(struct store *store, const struct stream *stream, uint64_t offset,
                        uint64_t *ret);

/* checkpoint.c */
void checkpoint_init(struct store *store); /* from now on the store knows the WAL's size */
int checkpoint_run(struct store *store);   /* passive; truncating when far too large */
/* Between commits: asks the checkpointer, takes up what it did, or copies here. 0, -errno;
 * *ret_more: again soon (not while the checkpointer works). */
int checkpoint_step(struct store *store, bool *ret_more);
/* After a sync that failed: writes again what it may have lost. The retry of a commit writes its
 * own frames anew, but not those of the evictions before it, which wait for its sync; if they are
 * missing recovery ends there, and what was committed after them is lost. So nothing follows them
 * before this has succeeded. 0 (also if there is nothing to mend), -errno. */
int checkpoint_mend(struct store *store);
void checkpoint_measure(struct store *store); /* sizes of the files, at most once a second */

/* file.c */
int file_lock(struct store *store, struct error *error); /* makes the directory, too */
/* The same for a directory that exists: *ret is to be closed. 0, as store_open(). */
int file_lock_directory(const char *data_dir, struct error *error, int *ret);
int file_sync_directory(const char *path); /* 0, -errno */
int file_schema(const char *path);         /* makes the file, with empty tables. 0, -errno */
int file_publish(const char *draft, const char *path);    /* by rename, durable. 0, -errno */
int file_identify(const char *path, struct error *error); /* see there */
int file_create(const char *path, struct error *error);   /* an empty database of ours */
int file_failure(int r, const char *path,
                 struct error *error); /* -errno -> outcome, error filled */

/* A deletion of all batches of the stream below end_offset with what belongs to them; slack is what
 * the stream has then. In a transaction. 0, -errno. */
int retention_delete(struct store *store, const struct stream *stream, uint64_t end_offset,
                     uint64_t slack);

/* quarantine.c */
/* Notes a result of the writer, which it returns: damage is salvaged at the next opening. */
int salvage_note(struct store *store, int r);

/* read.c: see there */
struct database *read_database(struct store_reader *reader);
int read_check(sqlite3_stmt *row, struct batch_row *ret, struct slice *ret_data);

/* segment.c */
int segment_new(struct segment **ret); /* one reference, everything zero. 0, -ENOMEM */

#endif
