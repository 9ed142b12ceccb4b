/* The rows of table "range" in memory: who has acknowledged how much of which stream. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/metrics.h"
#include "base/result.h"
#include "store/internal.h"
#include "store/range.h"

enum {
    ALONE_AFTER_US = 10 * 1000000, /* moves are committed without events after this time */
    ALONE_AFTER_EVENTS = 10000,    /* or so many acknowledgements */
    RIDE_EVENTS = 1000             /* with a commit of events: at the latest after so many */
};

#define LANE_LIVE "live" /* as statements.sql has it */
#define LANE_REPLAY "replay"

static int load_next(struct store *store, int64_t after)
{
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_RANGE_NEXT, DATABASE_VALUES(after), &row);
    if (r)
        return r;
    if (store->cursor_count == STORE_RANGES_MAX) {
        database_done(row);
        return result_origin(-E2BIG);
    }
    struct cursor *cursor = &store->cursors[store->cursor_count++];
    const unsigned char *consumer = sqlite3_column_text(row, 1);
    *cursor = (struct cursor){.id = sqlite3_column_int64(row, 0),
                              .stream = (uint32_t)sqlite3_column_int64(row, 2),
                              .end = sqlite3_column_type(row, 5) == SQLITE_NULL
                                         ? UINT64_MAX
                                         : (uint64_t)sqlite3_column_int64(row, 5),
                              .committed = (uint64_t)sqlite3_column_int64(row, 4)};
    snprintf(cursor->consumer, sizeof(cursor->consumer), "%s",
             consumer ? (const char *)consumer : "");
    const unsigned char *lane = sqlite3_column_text(row, 3);
    snprintf(cursor->lane, sizeof(cursor->lane), "%s", lane ? (const char *)lane : "");
    database_done(row);
    /* A cursor beyond the head would pass over events that are yet to come. */
    const struct stream *stream = stream_find(store, cursor->stream);
    if (stream && cursor->committed > stream->next_offset)
        cursor->committed = stream->next_offset;
    cursor->next = cursor->committed;
    return 0;
}

int cursor_load_all(struct store *store)
{
    int64_t after = 0;
    int r;
    store->cursor_count = 0;
    while (!(r = load_next(store, after)))
        after = store->cursors[store->cursor_count - 1].id;
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

bool cursor_waiting(const struct store *store)
{
    return store->moved_acknowledged > 0;
}

/* Each move adds a page to its commit, so at the rate of commits they would cost more flash than
 * the events. What a crash repeats for that carries the same ids. Not where retention waits for
 * them. */
bool cursor_ride(const struct store *store)
{
    if (!store->open_events || store->pressed || store->moved_acknowledged >= RIDE_EVENTS ||
        clock_monotonic_us(store->clock) - store->moved_since_us >= store->cursor_interval_us)
        return true;
    for (unsigned i = 0; i < store->stream_count; i++) {
        const struct stream *stream = &store->streams[i];
        if (stream->stored_bytes + stream->open_bytes > (uint64_t)stream->config->max_bytes)
            return true;
    }
    return false;
}

int cursor_write(struct store *store)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        const struct cursor *cursor = &store->cursors[i];
        if (cursor->next == cursor->committed)
            continue;
        int r = database_run(&store->database, SQL_RANGE_MOVE,
                             DATABASE_VALUES(cursor->id, (int64_t)cursor->next));
        if (r)
            return result_trace(r);
    }
    return 0;
}

void cursor_written(struct store *store)
{
    for (unsigned i = 0; i < store->cursor_count; i++)
        store->cursors[i].committed = store->cursors[i].next;
    store->moved_acknowledged = 0;
}

bool cursor_holds(const struct cursor *cursor)
{
    return strcmp(cursor->lane, LANE_REPLAY) != 0;
}

static void move(struct store *store, struct cursor *cursor, uint64_t next_offset)
{
    if (!store->moved_acknowledged)
        store->moved_since_us = clock_monotonic_us(store->clock);
    store->moved_acknowledged += next_offset - cursor->next;
    cursor->next = next_offset;
}

void cursor_skip_to(struct store *store, const struct stream *stream, uint64_t offset,
                    uint64_t bytes)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->stream != stream->id || cursor->next >= offset)
            continue;
        move(store, cursor, offset);
        if (cursor->feed)
            range_floor_move(&cursor->feed->ranges[cursor->range], offset, bytes);
    }
}

uint64_t cursor_lowest(const struct store *store, uint32_t stream, bool committed)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < store->cursor_count; i++) {
        const struct cursor *cursor = &store->cursors[i];
        uint64_t offset = committed ? cursor->committed : cursor->next;
        if (cursor->stream == stream && offset < lowest && cursor_holds(cursor))
            lowest = offset;
    }
    return lowest;
}

static struct cursor *find(struct store *store, const char *consumer, uint32_t stream)
{
    for (unsigned i = 0; i < store->cursor_count; i++)
        if (store->cursors[i].stream == stream && strcmp(store->cursors[i].lane, LANE_LIVE) == 0 &&
            strcmp(store->cursors[i].consumer, consumer) == 0)
            return &store->cursors[i];
    return NULL;
}

static uint64_t start_offset(const struct store *store, const struct stream *stream,
                             enum range_start start)
{
    if (store->cursors_lost) /* it may have had one: repeated rather than lost */
        start = RANGE_START_OLDEST;
    if (start == RANGE_START_DEFAULT)
        start = store->first_run ? RANGE_START_OLDEST : RANGE_START_NEWEST;
    return start == RANGE_START_OLDEST ? stream->first_offset : stream->next_offset;
}

/* Makes the row of a consumer that comes to a stream for the first time; synced, so that it does
 * not begin elsewhere after a crash. */
static int create(struct store *store, const struct range_feed *feed, const struct stream *stream,
                  struct cursor **ret)
{
    if (store->cursor_count == STORE_RANGES_MAX)
        return result_origin(-E2BIG);
    uint64_t offset = start_offset(store, stream, feed->start);
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_RANGE_INSERT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(statement, 1, feed->consumer, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, stream->id);
    sqlite3_bind_int64(statement, 3, (int64_t)offset);
    r = database_step(statement);
    if (r < 0)
        return result_trace(r);
    struct cursor *cursor = &store->cursors[store->cursor_count++];
    *cursor = (struct cursor){.id = sqlite3_last_insert_rowid(store->database.db),
                              .stream = stream->id,
                              .lane = LANE_LIVE,
                              .end = UINT64_MAX,
                              .committed = offset,
                              .next = offset};
    snprintf(cursor->consumer, sizeof(cursor->consumer), "%s", feed->consumer);
    *ret = cursor;
    return 0;
}

static int attach_range(struct store *store, struct range_feed *feed, unsigned index)
{
    struct range *range = &feed->ranges[index];
    uint32_t id;
    int r = store_stream(store, range->stream_name, &id);
    if (r)
        return result_trace(r < 0 ? r : -E2BIG);
    struct stream *stream = stream_find(store, id);
    struct cursor *cursor = find(store, feed->consumer, id);
    if (!cursor)
        r = create(store, feed, stream, &cursor);
    if (!r && cursor->feed)
        r = result_origin(-EBUSY); /* two consumers of one name */
    if (r)
        return result_trace(r);
    cursor->feed = feed;
    cursor->range = index;
    stream->feeds++;
    range->stream = id;
    range->id = cursor->id;
    range->start_offset = cursor->next;
    /* No head is below the cursor: nothing is shown to lag that does not. */
    range_cursor_show(range, cursor->next, UINT64_MAX);
    range_head_move(range, stream->next_offset, stream->end_bytes);
    return 0;
}

int store_attach(struct store *store, struct range_feed *feed)
{
    assert(store_is_open(store));
    int r = checkpoint_mend(store);
    for (unsigned i = 0; !r && i < feed->count; i++)
        r = attach_range(store, feed, i);
    if (r) {
        store_detach(store, feed);
        return result_trace(r);
    }
    snprintf(feed->gateway_id, sizeof(feed->gateway_id), "%s", store->gateway_id);
    snprintf(feed->database_path, sizeof(feed->database_path), "%s", store->path);
    return 0;
}

void store_detach(struct store *store, struct range_feed *feed)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->feed != feed)
            continue;
        cursor->feed = NULL;
        stream_find(store, cursor->stream)->feeds--;
    }
}

void store_move_cursor(struct store *store, struct range_feed *feed, unsigned range,
                       uint64_t next_offset)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->feed != feed || cursor->range != range)
            continue;
        const struct stream *stream = stream_find(store, cursor->stream);
        if (next_offset > stream->next_offset)
            next_offset = stream->next_offset;
        if (next_offset <= cursor->next)
            return;
        move(store, cursor, next_offset);
        return;
    }
}

int64_t store_cursors_due_us(const struct store *store)
{
    if (!store->moved_acknowledged)
        return INT64_MAX;
    if (store->moved_acknowledged >= ALONE_AFTER_EVENTS)
        return store->moved_since_us;
    return store->moved_since_us + ALONE_AFTER_US;
}
