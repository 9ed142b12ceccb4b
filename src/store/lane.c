/*
 * Ranges made and unmade one by one: backlog and replay beside the live ranges of attached feeds.
 * Each call is a transaction of its own and synced, since somebody outside acts on it: a split is
 * what lets a consumer send new events before old ones, a replay is a promise. In memory nothing
 * changes before the transaction has committed.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/result.h"
#include "store/internal.h"
#include "store/range.h"

static int begin(struct store *store)
{
    int r = retention_restore_sync(store);
    if (!r)
        r = checkpoint_mend(store);
    if (!r)
        r = database_run(&store->database, SQL_BEGIN, 0, NULL);
    return result_trace(r);
}

static int end(struct store *store, int r)
{
    struct database *d = &store->database;
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (r && !sqlite3_get_autocommit(d->db))
        (void)database_run(d, SQL_ROLLBACK, 0, NULL);
    return result_trace(salvage_note(store, r));
}

static int check(struct store *store, const struct store_range_spec *spec)
{
    const struct stream *stream = stream_find(store, spec->stream);
    size_t len = strlen(spec->consumer);
    bool open = spec->end_offset == STORE_RANGE_OPEN, live = spec->lane == STORE_LANE_LIVE;
    if (!stream || !len || len >= RANGE_CONSUMER_MAX_BYTES || live != open ||
        spec->next_offset > stream->next_offset ||
        (!open &&
         (spec->end_offset <= spec->next_offset || spec->end_offset > stream->next_offset)) ||
        (spec->attributes && strlen(spec->attributes) > STORE_RANGE_ATTRIBUTES_MAX_BYTES))
        return result_origin(-EINVAL);
    if (live && cursor_find_live(store, spec->consumer, spec->stream))
        return result_origin(-EEXIST);
    return 0;
}

int store_range_add(struct store *store, const struct store_range_spec *spec, int64_t *ret_id)
{
    assert(store_is_open(store));
    int r = check(store, spec);
    if (r)
        return result_trace(r);
    if (store->cursor_count == STORE_RANGES_MAX)
        return STORE_RANGES_FULL;
    int64_t id = 0;
    r = begin(store);
    if (!r)
        r = cursor_insert(store, spec, &id);
    r = end(store, r);
    if (r)
        return result_trace(r);
    cursor_keep(store, spec, id);
    *ret_id = id;
    return 0;
}

int store_range_remove(struct store *store, int64_t id)
{
    assert(store_is_open(store));
    struct cursor *cursor = NULL;
    for (unsigned i = 0; i < store->cursor_count; i++)
        if (store->cursors[i].id == id)
            cursor = &store->cursors[i];
    if (!cursor)
        return STORE_RANGE_UNKNOWN;
    if (cursor->feed)
        return result_origin(-EBUSY);
    int r = begin(store);
    if (!r)
        r = database_run(&store->database, SQL_RANGE_DELETE, DATABASE_VALUES(id));
    r = end(store, r);
    if (r)
        return result_trace(r);
    cursor_drop(store, cursor);
    return 0;
}

/* The backlog that goes on where the live range is. */
static struct cursor *find_before(struct store *store, const struct cursor *live)
{
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        if (cursor != live && cursor->stream == live->stream && cursor->end == live->next &&
            !cursor_finished(cursor) && cursor_in_lane(cursor, STORE_LANE_BACKLOG) &&
            strcmp(cursor->consumer, live->consumer) == 0)
            return cursor;
    }
    return NULL;
}

int store_range_split(struct store *store, const char *consumer, uint32_t stream, uint64_t at,
                      int64_t *ret_id)
{
    assert(store_is_open(store));
    struct cursor *live = cursor_find_live(store, consumer, stream);
    if (!live)
        return STORE_RANGE_UNKNOWN;
    uint64_t head = stream_find(store, stream)->next_offset;
    if (at > head)
        at = head;
    if (at <= live->next)
        return STORE_RANGE_EMPTY;
    struct cursor *before = find_before(store, live);
    if (!before && store->cursor_count == STORE_RANGES_MAX)
        return STORE_RANGES_FULL;
    const struct store_range_spec spec = {.consumer = live->consumer,
                                          .stream = stream,
                                          .lane = STORE_LANE_BACKLOG,
                                          .next_offset = live->next,
                                          .end_offset = at};
    int64_t id = before ? before->id : 0;
    int r = begin(store);
    if (!r)
        r = before ? database_run(&store->database, SQL_RANGE_END, DATABASE_VALUES(id, (int64_t)at))
                   : cursor_insert(store, &spec, &id);
    if (!r)
        r = database_run(&store->database, SQL_RANGE_MOVE, DATABASE_VALUES(live->id, (int64_t)at));
    r = end(store, r);
    if (r)
        return result_trace(r);
    if (before)
        before->end = at;
    else
        cursor_keep(store, &spec, id);
    store->moved_acknowledged -= live->next - live->committed;
    live->committed = live->next = at;
    *ret_id = id;
    return 0;
}
