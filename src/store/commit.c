/*
 * The commit. One transaction takes the open batches of all streams, one row each, and the cursor
 * moves that wait; when it has returned the rows are synced, and only then may anything be
 * acknowledged.
 *
 *   OK --failure--> FAILING --success--> OK
 *
 * A failed commit changes nothing in memory: batches stay open and moves stay waiting, so that the
 * next call writes the same events under the same offsets.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "pack/codec.h"
#include "store/epoch.h"
#include "store/internal.h"
#include "store/range.h"

enum {
    COMPRESS_MIN_BYTES = 512, /* less does not repay the call, nor fewer pages */
    COMPRESS_GAIN = 16,       /* at least one part in so many must be saved */
    OVERDUE_SHARE = 8,        /* retention is overdue when max_bytes is exceeded by an eighth */
    SPARE_SHARE = 4,          /* memory kept for the next batch: so many times what was used */
    SPARE_BYTES = 64 * 1024,  /* and so much in any case */
    LOG_COMMIT_PAGES = 64 /* of a commit besides the pages of its batches: more than it writes */
};

static void set_failing(struct store *store, int failure)
{
    bool failing = failure != 0;
    if (failing)
        metric_add(metric_process(), METRIC_COMMIT_FAILURES, 1);
    if (store->failing == failing)
        return;
    store->failing = failing;
    if (failing)
        log_error("store", "commit failed: nothing is acknowledged until it succeeds",
                  "path=%s error=\"%s\" open_events=%zu", store->path, strerror(-failure),
                  store->open_events);
    else
        log_info("store", "commits succeed again", "path=%s", store->path);
}

struct slice commit_compress(struct store *store, const struct bytes *records, int64_t *ret_codec)
{
    *ret_codec = PACK_NONE;
    if (records->len < COMPRESS_MIN_BYTES || !pack_codec_available(PACK_ZSTD))
        return bytes_slice(records);
    bytes_reset(&store->packed, BATCH_CUT_BYTES);
    /* Without memory for it, it is stored as it is. */
    if (pack_compress(store->pack, PACK_ZSTD, bytes_slice(records),
                      records->len - records->len / COMPRESS_GAIN, &store->packed))
        return bytes_slice(records);
    *ret_codec = PACK_ZSTD;
    return bytes_slice(&store->packed);
}

int commit_write_row(struct store *store, const struct batch_row *row, struct slice data)
{
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_BATCH_INSERT, &statement);
    if (r)
        return result_trace(r);
    const int64_t columns[] = {row->key,       row->n,          row->t_min_us,
                               row->t_max_us,  row->codec,      row->raw_bytes,
                               row->end_bytes, row->end_stored, batch_row_crc(row, data)};
    int count = (int)(sizeof(columns) / sizeof(columns[0]));
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, columns[i]);
    sqlite3_bind_blob64(statement, count + 1, data.data, data.len, SQLITE_STATIC);
    r = database_step(statement);
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

static int write_stream(struct store *store, struct stream *stream)
{
    uint64_t end_bytes = stream->end_bytes, end_stored = stream->end_stored;
    for (struct batch *batch = stream->first; batch; batch = batch->next) {
        if (!batch->count)
            continue;
        struct batch_row row = {.key = batch_key(stream->id, batch->base_offset),
                                .n = batch->count,
                                .t_min_us = batch->t_min_us,
                                .t_max_us = batch->t_max_us,
                                .raw_bytes = (int64_t)batch->records.len};
        struct slice data = commit_compress(store, &batch->records, &row.codec);
        batch->end_bytes = end_bytes += batch->records.len;
        batch->end_stored = end_stored += data.len + BATCH_ROW_BYTES;
        row.end_bytes = (int64_t)end_bytes;
        row.end_stored = (int64_t)end_stored;
        int r = commit_write_row(store, &row, data);
        if (r)
            return result_trace(r);
    }
    return 0;
}

int commit_write(struct store *store)
{
    int r = drop_write(store); /* first: it appends gap records, and its pages are used again */
    for (unsigned i = 0; !r && i < store->stream_count; i++)
        r = write_stream(store, &store->streams[i]);
    if (!r)
        r = epoch_commit(store);
    if (!r)
        r = boot_write(store);
    store->cursors_ride = cursor_ride(store);
    if (!r && store->cursors_ride)
        r = cursor_write(store);
    return result_trace(r);
}

static int transaction(struct store *store, int (*write)(struct store *store))
{
    struct database *d = &store->database;
    int r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r)
        r = write(store);
    if (!r)
        r = account_save_due(store);
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (r && !sqlite3_get_autocommit(d->db))
        (void)database_run(d, SQL_ROLLBACK, 0, NULL);
    return result_trace(r);
}

/* Whether anybody takes batches of the stream from memory. */
static bool wanted(const struct store *store, const struct stream *stream)
{
    for (unsigned i = 0; stream->feeds && i < store->cursor_count; i++) {
        const struct cursor *cursor = &store->cursors[i];
        if (cursor->feed && cursor->stream == stream->id &&
            atomic_load(&cursor->feed->ranges[cursor->range].live))
            return true;
    }
    return false;
}

/* Consumers that are behind learn of a batch by the head alone and read it. */
static void move_heads(struct store *store, const struct stream *stream)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->feed && cursor->stream == stream->id)
            range_head_move(&cursor->feed->ranges[cursor->range], stream->next_offset,
                            stream->end_bytes);
    }
}

/* Moves the records of a committed batch into a segment for those who take segments. */
static int make_segment(struct store *store, const struct stream *stream, struct batch *batch)
{
    struct segment *segment;
    int r = bytes_reserve(&store->committed, sizeof(segment));
    if (!r)
        r = segment_new(&segment);
    if (r)
        return r;
    segment->stream = stream->id;
    memcpy(segment->epoch, store->epoch, sizeof(segment->epoch));
    segment->count = batch->count;
    segment->base_offset = batch->base_offset;
    segment->end_bytes = batch->end_bytes;
    boot_segment(batch, segment);
    segment->records = batch->records;
    batch->records = (struct bytes)BYTES_INIT(batch->records.max);
    r = bytes_append(&store->committed, &segment, sizeof(segment));
    assert(r == 0); /* reserved above */
    return r;
}

/* Tells the consumers of a committed batch. Its memory goes with it only to those who take it; the
 * heads of the others move when it is published, or at once if there is nothing to publish. */
static void hand_over(struct store *store, const struct stream *stream, struct batch *batch)
{
    if (!wanted(store, stream)) {
        move_heads(store, stream);
        if (!wanted(store, stream)) /* asked again after the heads: see range_live_set() */
            return;
    }
    if (make_segment(store, stream, batch))
        move_heads(store, stream); /* no memory */
}

/* Keeps the memory of an emptied batch for the next one, unless a burst made it large. */
static void put_away(struct stream *stream, struct batch *batch)
{
    size_t used = batch->records.len;
    if (stream->spare || !batch->records.cap ||
        batch->records.cap > SPARE_SHARE * used + SPARE_BYTES) {
        batch_free(batch);
        return;
    }
    batch_reset(batch, 0);
    stream->spare = batch;
}

static void finish_stream(struct store *store, struct stream *stream)
{
    uint64_t offset_before = stream->next_offset, bytes_before = stream->end_bytes;
    while (stream->first) {
        struct batch *batch = stream->first;
        stream->first = batch->next;
        if (batch->count) {
            stream->next_offset = batch->base_offset + batch->count;
            stream->stored_bytes += batch->end_stored - stream->end_stored;
            stream->end_stored = batch->end_stored;
            stream->end_bytes = batch->end_bytes;
            stream->batch_bytes = batch->records.len + batch->records.len / 8;
            hand_over(store, stream, batch);
        }
        put_away(stream, batch);
    }
    stream->last = NULL;
    stream->open_bytes = 0;
    stream->open_batches = 0;
    metric_add(stream->metrics, METRIC_STREAM_APPENDED_EVENTS, stream->next_offset - offset_before);
    metric_add(stream->metrics, METRIC_STREAM_APPENDED_BYTES, stream->end_bytes - bytes_before);
    stream_show(stream);
}

/* Retention is due between commits, in store_maintain(). Where nobody finds the time for it, disk
 * usage must be bounded all the same. */
static void evict_overdue(struct store *store, struct stream *stream)
{
    uint64_t max = (uint64_t)stream->config->max_bytes;
    bool more;
    if (stream->stored_bytes > max + max / OVERDUE_SHARE || store->pressed)
        (void)salvage_note(store, retention_evict(store, stream, &more)); /* tried again later */
}

void commit_finish(struct store *store)
{
    boot_written(store);
    if (store->cursors_ride)
        cursor_written(store);
    drop_written(store);    /* moves cursors over what it dropped, for the next commit to write */
    epoch_committed(store); /* before the batches are handed over, which belong to it */
    store->open_events = store->open_bytes = 0;
    store->open_batches = 0;
    for (unsigned i = 0; i < store->stream_count; i++)
        if (store->streams[i].first)
            finish_stream(store, &store->streams[i]);
    (void)result_trace(quota_measure(store)); /* the former figure stays in force */
}

/* The log must not grow beyond its bound. Checkpoints between commits see to it; here is the last
 * guard, for when a reader kept them from coming to an end or a single event is huge. */
static int bound_log(struct store *store)
{
    uint64_t bytes = store->open_bytes + store->open_bytes / 32 +
                     (store->open_batches + LOG_COMMIT_PAGES) * STORE_WAL_FRAME_BYTES;
    uint64_t log_bytes = (uint64_t)store->wal_pages * STORE_WAL_FRAME_BYTES;
    if (!store->wal_pages || log_bytes + bytes <= (uint64_t)store->config->disk.wal_max_bytes)
        return 0;
    int r = checkpoint_run(store);
    if (!r && store->wal_pages)
        r = result_origin(-EBUSY);
    return result_trace(r);
}

int store_commit(struct store *store)
{
    assert(store_is_open(store));
    commit_drop_segments(store);
    bool events = store->open_events > 0;
    if (!events && !cursor_waiting(store) && !epoch_waiting(store))
        return 0;
    int64_t begin_us = clock_monotonic_us(store->clock);
    int r = retention_restore_sync(store);
    if (!r)
        r = checkpoint_mend(store);
    if (!r)
        r = bound_log(store);
    if (!r)
        r = transaction(store, commit_write);
    set_failing(store, r);
    if (salvage_note(store, r)) {
        /* A full disk: what is copied into free pages of the database makes room in the log. Not
         * before the commit is tried: where there are none it takes the room away. */
        (void)checkpoint_run(store);
        return result_trace(r);
    }
    int64_t took_us = clock_monotonic_us(store->clock) - begin_us;
    metric_add(metric_process(), events ? METRIC_COMMITS : METRIC_CURSOR_COMMITS, 1);
    metric_add(metric_process(), METRIC_COMMIT_SECONDS, took_us > 0 ? (uint64_t)took_us : 0);
    commit_finish(store);
    for (unsigned i = 0; i < store->stream_count; i++)
        evict_overdue(store, &store->streams[i]);
    account_committed(store);
    return 0;
}

int commit_cursors(struct store *store)
{
    if (!cursor_waiting(store))
        return 0;
    int r = transaction(store, cursor_write);
    if (r)
        return result_trace(r);
    metric_add(metric_process(), METRIC_CURSOR_COMMITS, 1);
    cursor_written(store);
    return 0;
}

struct segment *store_committed_next(struct store *store)
{
    if (store->committed_taken == store->committed.len)
        return NULL;
    struct segment *segment;
    memcpy(&segment, store->committed.data + store->committed_taken, sizeof(segment));
    store->committed_taken += sizeof(segment);
    return segment;
}

void commit_drop_segments(struct store *store)
{
    struct segment *segment;
    while ((segment = store_committed_next(store)))
        segment_unref(segment);
    store->committed.len = 0;
    store->committed_taken = 0;
}
