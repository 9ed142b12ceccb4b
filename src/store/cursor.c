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

/* As statements.sql has them. A lane of another name holds, and is sent by nobody. */
static const char *const lane_names[] = {
    [STORE_LANE_LIVE] = "live", [STORE_LANE_BACKLOG] = "backlog", [STORE_LANE_REPLAY] = "replay"};

bool cursor_in_lane(const struct cursor *cursor, enum store_lane lane)
{
    return strcmp(cursor->lane, lane_names[lane]) == 0;
}

/* A range beyond the head would pass over events that are yet to come, or send them twice. */
static int clamp(struct store *store, struct cursor *cursor)
{
    const struct stream *stream = stream_find(store, cursor->stream);
    if (!stream)
        return 0;
    if (cursor->committed > stream->next_offset)
        cursor->committed = stream->next_offset;
    if (cursor->end == STORE_RANGE_OPEN || cursor->end <= stream->next_offset)
        return 0;
    cursor->end = stream->next_offset;
    return result_trace(database_run(&store->database, SQL_RANGE_END,
                                     DATABASE_VALUES(cursor->id, (int64_t)cursor->end)));
}

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
    int clamped = clamp(store, cursor);
    cursor->next = cursor->committed;
    store->range_id = cursor->id;
    return clamped;
}

int cursor_load_all(struct store *store)
{
    int64_t after = 0;
    int r;
    store->cursor_count = 0;
    store->range_id = 0;
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
        int r = 0;
        if (cursor_finished(cursor))
            r = database_run(&store->database, SQL_RANGE_DELETE, DATABASE_VALUES(cursor->id));
        else if (cursor->next != cursor->committed)
            r = database_run(&store->database, SQL_RANGE_MOVE,
                             DATABASE_VALUES(cursor->id, (int64_t)cursor->next));
        if (r)
            return result_trace(r);
    }
    return 0;
}

void cursor_written(struct store *store)
{
    for (unsigned i = store->cursor_count; i-- > 0;) {
        struct cursor *cursor = &store->cursors[i];
        cursor->committed = cursor->next;
        if (cursor_finished(cursor))
            cursor_drop(store, cursor);
    }
    store->moved_acknowledged = 0;
}

bool cursor_holds(const struct cursor *cursor)
{
    return !cursor_in_lane(cursor, STORE_LANE_REPLAY);
}

bool cursor_finished(const struct cursor *cursor)
{
    return cursor->next >= cursor->end;
}

static void move(struct store *store, struct cursor *cursor, uint64_t next_offset)
{
    if (!store->moved_acknowledged)
        store->moved_since_us = clock_monotonic_us(store->clock);
    store->moved_acknowledged += next_offset - cursor->next;
    cursor->next = next_offset;
}

/* Forward, and neither beyond the head nor beyond the end. */
static void acknowledge(struct store *store, struct cursor *cursor, uint64_t next_offset)
{
    const struct stream *stream = stream_find(store, cursor->stream);
    if (stream && next_offset > stream->next_offset)
        next_offset = stream->next_offset;
    if (next_offset > cursor->end)
        next_offset = cursor->end;
    if (next_offset > cursor->next)
        move(store, cursor, next_offset);
}

void cursor_skip_to(struct store *store, const struct stream *stream, uint64_t offset,
                    uint64_t bytes)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->stream != stream->id || cursor->next >= offset || cursor_finished(cursor))
            continue;
        move(store, cursor, offset < cursor->end ? offset : cursor->end);
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
        if (cursor->stream == stream && offset < lowest && offset < cursor->end &&
            cursor_holds(cursor))
            lowest = offset;
    }
    return lowest;
}

uint64_t cursor_needed(const struct store *store, uint32_t stream, uint64_t from, uint64_t to)
{
    uint64_t needed = 0;
    /* Each round goes to where a range begins or ends. */
    while (from < to) {
        uint64_t end = from, begin = to;
        for (unsigned i = 0; i < store->cursor_count; i++) {
            const struct cursor *cursor = &store->cursors[i];
            if (cursor->stream != stream || !cursor_holds(cursor) || cursor->end <= from)
                continue;
            if (cursor->next <= from)
                end = cursor->end > end ? cursor->end : end;
            else if (cursor->next < cursor->end)
                begin = cursor->next < begin ? cursor->next : begin;
        }
        if (end > to)
            end = to;
        needed += end - from;
        from = end > from ? end : begin;
    }
    return needed;
}

struct cursor *cursor_find_live(struct store *store, const char *consumer, uint32_t stream)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->stream == stream && cursor_in_lane(cursor, STORE_LANE_LIVE) &&
            strcmp(cursor->consumer, consumer) == 0)
            return cursor;
    }
    return NULL;
}

int cursor_insert(struct store *store, const struct store_range_spec *spec, int64_t *ret_id)
{
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_RANGE_INSERT, &statement);
    if (r)
        return result_trace(r);
    int64_t id = store->range_id + 1;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_text(statement, 2, spec->consumer, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, spec->stream);
    sqlite3_bind_text(statement, 4, lane_names[spec->lane], -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, (int64_t)spec->next_offset);
    if (spec->end_offset != STORE_RANGE_OPEN)
        sqlite3_bind_int64(statement, 6, (int64_t)spec->end_offset);
    if (spec->attributes)
        sqlite3_bind_text(statement, 7, spec->attributes, -1, SQLITE_STATIC);
    r = database_step(statement);
    if (r < 0)
        return result_trace(r);
    *ret_id = id;
    return 0;
}

struct cursor *cursor_keep(struct store *store, const struct store_range_spec *spec, int64_t id)
{
    assert(store->cursor_count < STORE_RANGES_MAX);
    struct cursor *cursor = &store->cursors[store->cursor_count++];
    *cursor = (struct cursor){.id = id,
                              .stream = spec->stream,
                              .end = spec->end_offset,
                              .committed = spec->next_offset,
                              .next = spec->next_offset};
    snprintf(cursor->consumer, sizeof(cursor->consumer), "%s", spec->consumer);
    snprintf(cursor->lane, sizeof(cursor->lane), "%s", lane_names[spec->lane]);
    store->range_id = id;
    return cursor;
}

static void detach(struct store *store, struct cursor *cursor)
{
    cursor->feed = NULL;
    stream_find(store, cursor->stream)->feeds--;
}

void cursor_drop(struct store *store, struct cursor *cursor)
{
    if (cursor->feed)
        detach(store, cursor);
    store->moved_acknowledged -= cursor->next - cursor->committed;
    const struct cursor *end = &store->cursors[store->cursor_count--];
    memmove(cursor, cursor + 1, (size_t)(end - cursor - 1) * sizeof(*cursor));
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
    const struct store_range_spec spec = {.consumer = feed->consumer,
                                          .stream = stream->id,
                                          .lane = STORE_LANE_LIVE,
                                          .next_offset = start_offset(store, stream, feed->start),
                                          .end_offset = STORE_RANGE_OPEN};
    int64_t id;
    int r = cursor_insert(store, &spec, &id);
    if (r)
        return result_trace(r);
    *ret = cursor_keep(store, &spec, id);
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
    struct cursor *cursor = cursor_find_live(store, feed->consumer, id);
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
        if (cursor->feed == feed)
            detach(store, cursor);
    }
}

void store_move_cursor(struct store *store, struct range_feed *feed, unsigned range,
                       uint64_t next_offset)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor->feed == feed && cursor->range == range)
            acknowledge(store, cursor, next_offset);
    }
}

void store_range_move(struct store *store, int64_t id, uint64_t next_offset)
{
    for (unsigned i = 0; i < store->cursor_count; i++)
        if (store->cursors[i].id == id)
            acknowledge(store, &store->cursors[i], next_offset);
}

int64_t store_cursors_due_us(const struct store *store)
{
    if (!store->moved_acknowledged)
        return INT64_MAX;
    if (store->moved_acknowledged >= ALONE_AFTER_EVENTS)
        return store->moved_since_us;
    return store->moved_since_us + ALONE_AFTER_US;
}
