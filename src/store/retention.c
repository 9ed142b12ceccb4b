/*
 * Retention: what has been sent goes, oldest first, while the stream is larger than max_bytes or
 * the events are older than max_age. Sent is what lies below the lowest committed cursor; where
 * nobody has a cursor nothing is owed to anybody.
 *
 * Age is running time: how long the gateway has run since an event was stored, over all its runs.
 * The wall clock is no measure (it may say 1970 today and 2026 tomorrow), and how long the power
 * was off nobody knows. Table "mark" notes, every 64th part of max_age (at least a minute), that
 * events before an offset were there at a running time; they go when max_age has passed since. So
 * an event stays up to a 64th longer than max_age, and a crash loses the time since the last mark.
 *
 * Evictions are not synced by themselves: they come with the next commit's sync, and if a power cut
 * takes them they are made again.
 */
#include "store/store.h"

#include <assert.h>

#include "base/metrics.h"
#include "base/result.h"
#include "store/epoch.h"
#include "store/internal.h"

enum {
    STEP_BATCHES = 256,           /* of one eviction */
    STEP_BYTES = 2 * 1024 * 1024, /* likewise; exceeded by at most one batch */
    LOW_MARK_SHARE = 64,          /* evict down to max_bytes less this share, not at each commit */
    MARK_SHARE = 64,
    VACUUM_STEP_PAGES = 128,
    VACUUM_KEEP_PAGES = 1024, /* free pages kept for the next commits */
    VACUUM_KEEP_SHARE = 4     /* or this share of the file, whichever is more */
};
#define MARK_MIN_US (INT64_C(60) * 1000000)
#define AGE_CHECK_US (INT64_C(10) * 1000000)

int64_t retention_run_us(const struct store *store)
{
    return store->run_base_us + (clock_monotonic_us(store->clock) - store->opened_us);
}

int retention_restore_sync(struct store *store)
{
    if (!store->sync_lowered)
        return 0;
    int r = database_exec(&store->database, "PRAGMA synchronous=FULL");
    store->sync_lowered = r != 0;
    return result_trace(r);
}

int retention_unsynced_begin(struct store *store)
{
    int r = 0;
    if (store->config->commit.durability == STORE_DURABILITY_POWER) {
        store->sync_lowered = true;
        r = database_exec(&store->database, "PRAGMA synchronous=NORMAL");
    }
    if (!r)
        r = database_run(&store->database, SQL_BEGIN, 0, NULL);
    return result_trace(r);
}

int retention_unsynced_end(struct store *store, int r)
{
    struct database *d = &store->database;
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (r && !sqlite3_get_autocommit(d->db))
        (void)database_run(d, SQL_ROLLBACK, 0, NULL);
    int restored = retention_restore_sync(store);
    return result_trace(r ? r : restored);
}

int retention_stored_before(struct store *store, struct stream *stream, uint64_t offset,
                            uint64_t *ret)
{
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_LAST,
                           DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, offset)),
                           &row);
    if (r < 0)
        return result_trace(r);
    if (r == DATABASE_NONE) {
        *ret = stream->end_stored - stream->stored_bytes;
        return 0;
    }
    uint64_t end =
        batch_key_offset(sqlite3_column_int64(row, 0)) + (uint64_t)sqlite3_column_int64(row, 1);
    *ret = (uint64_t)sqlite3_column_int64(row, 3);
    if (end > offset) /* partly sent: all of it is still needed */
        *ret -= (uint64_t)sqlite3_column_int64(row, 4) + BATCH_ROW_BYTES;
    database_done(row);
    return 0;
}

/* Events below *ret are older than max_age. */
static int aged_offset(struct store *store, const struct stream *stream, uint64_t *ret)
{
    *ret = 0;
    int64_t run_us = retention_run_us(store), then_us = run_us - stream->config->max_age_us;
    if (!stream->config->max_age_us || then_us < 0 || run_us < stream->age_due_us)
        return 0;
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_MARK_AGED,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX), then_us),
        &row);
    if (r)
        return result_trace(r < 0 ? r : 0);
    if (sqlite3_column_type(row, 0) != SQLITE_NULL)
        *ret = batch_key_offset(sqlite3_column_int64(row, 0));
    database_done(row);
    return 0;
}

/* What one step takes. */
struct eviction {
    uint64_t end_offset; /* of the last batch that goes; 0: none goes */
    uint64_t bytes;
    uint64_t slack; /* of the stream afterwards */
    bool more;
};

static int choose(struct store *store, struct stream *stream, uint64_t aged, struct eviction *ret)
{
    struct eviction e = {.end_offset = 0};
    uint64_t max = (uint64_t)stream->config->max_bytes, low = max - max / LOW_MARK_SHARE;
    uint64_t sent = cursor_lowest(store, stream->id, true);
    if (stream->stored_bytes > max)
        stream->over = true;
    if (stream->stored_bytes <= low)
        stream->over = false;
    /* Pressed: what was sent goes whatever the stream's own limits say. */
    bool over = stream->over || store->pressed;
    if (store->pressed)
        low = 0;
    if ((!over && aged <= stream->first_offset) || sent <= stream->first_offset) {
        *ret = e;
        return 0;
    }
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_BATCH_WALK,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    uint64_t before = 0; /* start of the first row */
    for (unsigned n = 0; !r; n++) {
        uint64_t end =
            batch_key_offset(sqlite3_column_int64(row, 0)) + (uint64_t)sqlite3_column_int64(row, 1);
        uint64_t taken = (uint64_t)sqlite3_column_int64(row, 3) + BATCH_ROW_BYTES;
        uint64_t start = (uint64_t)sqlite3_column_int64(row, 2) - taken;
        before = n ? before : start;
        bool goes = end <= sent && end <= stream->next_offset &&
                    ((over && stream->stored_bytes - e.bytes > low) || end <= aged);
        e.more = goes && (n == STEP_BATCHES || e.bytes >= STEP_BYTES);
        if (!goes || e.more) {
            e.slack = repack_slack_left(stream->slack, before, start, e.bytes);
            database_done(row);
            break;
        }
        e.end_offset = end;
        e.bytes += taken;
        r = database_step(row);
    }
    if (r < 0)
        return result_trace(r);
    *ret = e;
    return 0;
}

int retention_delete(struct store *store, const struct stream *stream, uint64_t end_offset,
                     uint64_t slack)
{
    struct database *d = &store->database;
    int64_t low = batch_key(stream->id, 0), end = batch_key(stream->id, end_offset);
    int r = database_run(d, SQL_BATCH_DELETE, DATABASE_VALUES(low, end - 1));
    if (!r)
        r = database_run(d, SQL_MARK_TRIM, DATABASE_VALUES(low, end - 1));
    if (!r)
        r = database_run(d, SQL_BOOT_TRIM, DATABASE_VALUES(low, end));
    /* The last batch goes and with it what says where the stream goes on. */
    if (!r && end_offset == stream->next_offset)
        r = database_run(d, SQL_STREAM_TRIMMED,
                         DATABASE_VALUES(stream->id, (int64_t)stream->next_offset,
                                         (int64_t)stream->end_bytes, (int64_t)stream->end_stored,
                                         0));
    else if (!r && slack != stream->slack)
        r = database_run(d, SQL_STREAM_SLACK, DATABASE_VALUES(stream->id, (int64_t)slack));
    return result_trace(r);
}

int retention_evict(struct store *store, struct stream *stream, bool *ret_more)
{
    uint64_t aged = 0;
    struct eviction e = {.end_offset = 0};
    int r = aged_offset(store, stream, &aged);
    if (!r)
        r = choose(store, stream, aged, &e);
    if (r)
        return result_trace(r);
    *ret_more = e.more;
    if (!e.end_offset) {
        /* Nothing is old enough: asking costs a look-up, so not after each commit. */
        if (retention_run_us(store) >= stream->age_due_us)
            stream->age_due_us = retention_run_us(store) + AGE_CHECK_US;
        return 0;
    }
    r = retention_unsynced_begin(store);
    if (!r)
        r = retention_delete(store, stream, e.end_offset, e.slack);
    r = retention_unsynced_end(store, r);
    if (r)
        return result_trace(r);
    metric_add(stream->metrics, METRIC_STREAM_EVICTED_EVENTS, e.end_offset - stream->first_offset);
    stream->first_offset = e.end_offset;
    stream->slack = e.slack;
    stream->stored_bytes -= e.bytes < stream->stored_bytes ? e.bytes : stream->stored_bytes;
    stream->sent_known = false;
    store->vacuum = true;
    stream_show(stream);
    return result_trace(quota_measure(store));
}

static bool mark_due(const struct store *store, const struct stream *stream)
{
    int64_t interval_us = stream->config->max_age_us / MARK_SHARE;
    if (interval_us < MARK_MIN_US)
        interval_us = MARK_MIN_US;
    return stream->config->max_age_us && stream->next_offset > stream->mark_offset &&
           retention_run_us(store) - stream->mark_run_us >= interval_us;
}

static int mark(struct store *store, struct stream *stream)
{
    int64_t run_us = retention_run_us(store);
    uint64_t aged = 0;
    int r = aged_offset(store, stream, &aged);
    if (r)
        return result_trace(r);
    r = retention_unsynced_begin(store);
    /* Of the marks that are old enough the last one says it all; so their number stays bounded also
     * while nothing may be evicted. */
    if (!r && aged)
        r = database_run(
            &store->database, SQL_MARK_TRIM,
            DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, aged) - 1));
    if (!r)
        r = database_run(&store->database, SQL_MARK_INSERT,
                         DATABASE_VALUES(batch_key(stream->id, stream->next_offset), run_us));
    r = retention_unsynced_end(store, r);
    if (r)
        return result_trace(r);
    stream->mark_offset = stream->next_offset;
    stream->mark_run_us = run_us;
    return 0;
}

/* Gives free pages back to the file system, but for what the next commits will take. */
static int vacuum(struct store *store, bool *ret_more)
{
    int64_t pages = 0, unused = 0;
    int r = database_number(&store->database, SQL_PAGE_COUNT, &pages);
    if (!r)
        r = database_number(&store->database, SQL_FREELIST_COUNT, &unused);
    if (r)
        return result_trace(r < 0 ? r : 0);
    int64_t keep = pages / VACUUM_KEEP_SHARE;
    if (keep < VACUUM_KEEP_PAGES)
        keep = VACUUM_KEEP_PAGES;
    *ret_more = unused - VACUUM_STEP_PAGES > keep;
    if (unused <= keep) {
        store->vacuum = false;
        return 0;
    }
    static_assert(VACUUM_STEP_PAGES == 128, "the number of pages stands in the pragma below");
    r = retention_unsynced_begin(store);
    if (!r)
        r = database_exec(&store->database, "PRAGMA incremental_vacuum(128)");
    return result_trace(retention_unsynced_end(store, r));
}

static int maintain(struct store *store, bool *ret_more)
{
    *ret_more = false;
    checkpoint_measure(store);
    epoch_maintain(store);
    cursor_tell_absent(store);
    account_update(store);
    int r = checkpoint_mend(store);
    if (!r)
        r = checkpoint_step(store, ret_more);
    if (r || *ret_more)
        return result_trace(r);
    for (unsigned i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        bool more = false;
        r = mark_due(store, stream) ? mark(store, stream) : 0;
        if (!r)
            r = retention_evict(store, stream, &more);
        if (r)
            return result_trace(r);
        *ret_more = *ret_more || more;
    }
    return store->vacuum && !*ret_more ? result_trace(vacuum(store, ret_more)) : 0;
}

int store_maintain(struct store *store, bool *ret_more)
{
    assert(store_is_open(store));
    return result_trace(salvage_note(store, maintain(store, ret_more)));
}
