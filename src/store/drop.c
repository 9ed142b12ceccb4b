/*
 * Dropping what has not been sent, where when_full is "drop_oldest". An append that does not fit
 * plans which batches go; the next commit deletes them in its own transaction, together with the
 * gap records that tell each upstream what it will not get. So either the events are there, or the
 * record of their loss is, whenever power fails.
 *
 * More goes at once than the one event needs (DROP_SHARE of max_bytes): otherwise a stream that
 * runs full would write a gap record with each commit.
 */
#include "store/internal.h"

#include <assert.h>
#include <stdio.h>

#include "base/metrics.h"
#include "base/result.h"
#include "store/notice.h"
#include "store/range.h"

enum { DROP_SHARE = 32, DROP_MAX_BYTES = 1024 * 1024 };

static uint64_t enough(const struct stream *stream, uint64_t bytes)
{
    uint64_t share = (uint64_t)stream->config->max_bytes / DROP_SHARE;
    return bytes + (share < DROP_MAX_BYTES ? share : DROP_MAX_BYTES);
}

/* The key of the batch that holds offset, or of the first one after it. */
static int first_key(struct store *store, const struct stream *stream, uint64_t offset,
                     int64_t *ret)
{
    int64_t key = batch_key(stream->id, offset);
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_LAST,
                           DATABASE_VALUES(batch_key(stream->id, 0), key), &row);
    if (r < 0)
        return result_trace(r);
    *ret = key;
    if (!r) {
        *ret = sqlite3_column_int64(row, 0);
        database_done(row);
    }
    return 0;
}

int drop_plan(struct store *store, struct stream *stream, uint64_t bytes)
{
    uint64_t from = cursor_lowest(store, stream->id, false);
    if (from == UINT64_MAX || from < stream->first_offset)
        from = stream->first_offset;
    if (from < stream->drop_to)
        from = stream->drop_to;
    uint64_t freed = 0, wanted = enough(stream, bytes), to = from;
    int64_t key = 0;
    sqlite3_stmt *row;
    int r = first_key(store, stream, from, &key);
    if (!r)
        r = database_first(&store->database, SQL_BATCH_WALK,
                           DATABASE_VALUES(key, batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    while (!r) {
        uint64_t end =
            batch_key_offset(sqlite3_column_int64(row, 0)) + (uint64_t)sqlite3_column_int64(row, 1);
        if (end > from) {
            freed += (uint64_t)sqlite3_column_int64(row, 3) + BATCH_ROW_BYTES;
            to = end;
        }
        if (freed >= wanted) {
            database_done(row);
            break;
        }
        r = database_step(row);
    }
    if (r < 0)
        return result_trace(r);
    if (to > stream->next_offset)
        to = stream->next_offset;
    if (to > from) {
        stream->drop_to = to;
        stream->drop_bytes += freed;
    }
    return 0;
}

/* The epoch of the event at offset, and where the next one begins. */
static int find_epoch(struct store *store, const struct stream *stream, uint64_t offset,
                      char epoch[STORE_EPOCH_MAX_BYTES], uint64_t *ret_end)
{
    sqlite3_stmt *row;
    snprintf(epoch, STORE_EPOCH_MAX_BYTES, "%s", store->epoch);
    *ret_end = UINT64_MAX;
    int r = database_first(&store->database, SQL_EPOCH_AT,
                           DATABASE_VALUES(stream->id, (int64_t)offset), &row);
    if (!r) {
        const unsigned char *text = sqlite3_column_text(row, 1);
        snprintf(epoch, STORE_EPOCH_MAX_BYTES, "%s", text ? (const char *)text : "");
        database_done(row);
    }
    if (r >= 0)
        r = database_first(&store->database, SQL_EPOCH_AFTER,
                           DATABASE_VALUES(stream->id, (int64_t)offset), &row);
    if (!r) {
        *ret_end = (uint64_t)sqlite3_column_int64(row, 0);
        database_done(row);
    }
    return r < 0 ? result_trace(r) : 0;
}

/* One record for each epoch, since the ids of the events belong to it. */
static int append_gap(struct store *store, const struct stream *stream, const char *upstream,
                      uint64_t from, uint64_t to)
{
    while (from < to) {
        char epoch[STORE_EPOCH_MAX_BYTES];
        uint64_t end;
        int r = find_epoch(store, stream, from, epoch, &end);
        if (r)
            return result_trace(r);
        if (end > to)
            end = to;
        const struct gap gap = {.stream = stream->name,
                                .from = from,
                                .to = end,
                                .count = end - from,
                                .reason = "drop_oldest",
                                .upstream = upstream,
                                .epoch = epoch};
        r = notice_gap(store, &gap);
        if (r)
            return result_trace(r);
        from = end;
    }
    return 0;
}

/* For each range that had not been acknowledged up to there. */
static int append_gaps(struct store *store, struct stream *stream)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        const struct cursor *cursor = &store->cursors[i];
        uint64_t from = cursor->next > stream->first_offset ? cursor->next : stream->first_offset;
        if (from < stream->drop_noticed)
            from = stream->drop_noticed;
        uint64_t to = cursor->end < stream->drop_to ? cursor->end : stream->drop_to;
        if (cursor->stream != stream->id || !cursor_holds(cursor) || from >= to)
            continue;
        int r = append_gap(store, stream, cursor->consumer, from, to);
        if (r)
            return result_trace(r);
    }
    stream->drop_noticed = stream->drop_to;
    return 0;
}

static int append_all_gaps(struct store *store)
{
    /* Telling may itself make "$gateway" drop, which is told, too. That comes to an end: only what
     * was committed before is ever dropped. */
    for (bool again = true; again;) {
        again = false;
        for (unsigned i = 0; i < store->stream_count; i++) {
            struct stream *stream = &store->streams[i];
            if (stream->drop_noticed >= stream->drop_to)
                continue;
            int r = append_gaps(store, stream);
            if (r)
                return result_trace(r);
            again = true;
        }
    }
    return 0;
}

/* What the rows below drop_to take, and where the first of them and the first after them begin in
 * cumulative stored bytes. */
static int look_up_slack(struct store *store, struct stream *stream)
{
    uint64_t before = 0, after = stream->end_stored, bytes = 0;
    stream->drop_rest_slack = stream->slack;
    if (!stream->slack)
        return 0;
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_BATCH_WALK,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    for (bool first = true; !r; first = false) {
        uint64_t taken = (uint64_t)sqlite3_column_int64(row, 3) + BATCH_ROW_BYTES;
        uint64_t start = (uint64_t)sqlite3_column_int64(row, 2) - taken;
        before = first ? start : before;
        if (batch_key_offset(sqlite3_column_int64(row, 0)) >= stream->drop_to) {
            after = start;
            database_done(row);
            break;
        }
        bytes += taken;
        r = database_step(row);
    }
    if (r < 0)
        return result_trace(r);
    stream->drop_rest_slack = repack_slack_left(stream->slack, before, after, bytes);
    return 0;
}

/* What is left of the stream after the deletion. */
static int look_up_rest(struct store *store, struct stream *stream)
{
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_BATCH_FIRST,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    if (r < 0)
        return result_trace(r);
    stream->drop_rest_stored = 0;
    stream->drop_rest_bytes = stream->end_bytes;
    if (r) {
        stream->drop_rest_slack = 0;
        return 0;
    }
    uint64_t before = (uint64_t)sqlite3_column_int64(row, 3) -
                      ((uint64_t)sqlite3_column_int64(row, 4) + BATCH_ROW_BYTES) +
                      stream->drop_rest_slack;
    stream->drop_rest_stored = stream->end_stored > before ? stream->end_stored - before : 0;
    stream->drop_rest_bytes =
        (uint64_t)sqlite3_column_int64(row, 2) - (uint64_t)sqlite3_column_int64(row, 5);
    database_done(row);
    return 0;
}

int drop_write(struct store *store)
{
    int r = append_all_gaps(store);
    for (unsigned i = 0; !r && i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        if (!stream->drop_to)
            continue;
        r = look_up_slack(store, stream);
        if (!r)
            r = retention_delete(store, stream, stream->drop_to, stream->drop_rest_slack);
        if (!r)
            r = look_up_rest(store, stream);
    }
    return result_trace(r);
}

void drop_written(struct store *store)
{
    for (unsigned i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        if (!stream->drop_to)
            continue;
        /* Retention may have taken more than was planned. */
        uint64_t first = stream->first_offset;
        uint64_t end = stream->drop_to > first ? stream->drop_to : first;
        uint64_t unsent = cursor_needed(store, stream->id, first, end);
        metric_add(stream->metrics, METRIC_STREAM_EVICTED_EVENTS, end - first - unsent);
        metric_add(stream->metrics, METRIC_STREAM_DROPPED_EVENTS, unsent);
        stream->first_offset = end;
        stream->stored_bytes = stream->drop_rest_stored;
        stream->slack = stream->drop_rest_slack;
        stream->sent_known = false;
        store->vacuum = true;
        cursor_skip_to(store, stream, end, stream->drop_rest_bytes);
        stream->drop_to = stream->drop_noticed = stream->drop_bytes = 0;
        stream_show(stream);
    }
}
