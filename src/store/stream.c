/* The streams in memory: loaded at the start from their first and last rows, made when asked for.
 */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/epoch.h"
#include "store/internal.h"

struct stream *stream_find(struct store *store, uint32_t id)
{
    for (unsigned i = 0; i < store->stream_count; i++)
        if (store->streams[i].id == id)
            return &store->streams[i];
    return NULL;
}

struct stream *stream_find_name(struct store *store, const char *name)
{
    for (unsigned i = 0; i < store->stream_count; i++)
        if (strcmp(store->streams[i].name, name) == 0)
            return &store->streams[i];
    return NULL;
}

uint64_t stream_open_next(const struct stream *stream)
{
    return stream->last ? stream->last->base_offset + stream->last->count : stream->next_offset;
}

void stream_show(const struct stream *stream)
{
    metric_put(stream->metrics, METRIC_STREAM_FIRST_OFFSET, stream->first_offset);
    metric_put(stream->metrics, METRIC_STREAM_NEXT_OFFSET, stream->next_offset);
    metric_put(stream->metrics, METRIC_STREAM_BYTES, stream->stored_bytes);
    metric_put(stream->metrics, METRIC_STREAM_FULL, stream->full);
}

void stream_open_reset(struct store *store)
{
    for (unsigned i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        while (stream->first) {
            struct batch *next = stream->first->next;
            batch_free(stream->first);
            stream->first = next;
        }
        stream->last = NULL;
        stream->spare = batch_free(stream->spare);
        stream->open_bytes = 0;
        stream->open_batches = 0;
    }
    store->open_events = store->open_bytes = 0;
    store->open_batches = 0;
}

/* The last row is not what was written, so where the stream ends is a guess: at least behind that
 * row, by the sums of the row before it. Whoever calls must begin an epoch. */
static int load_guess(struct store *store, struct stream *stream, const struct batch_row *last,
                      size_t data_bytes)
{
    uint64_t base = batch_key_offset(last->key);
    uint64_t n = last->n > 0 && last->n <= UINT32_MAX ? (uint64_t)last->n : 1;
    log_error("store", "the last batch of a stream is damaged", "stream=%s offset=%llu",
              stream->name, (unsigned long long)base);
    if (base + n > stream->next_offset)
        stream->next_offset = base + n;
    sqlite3_stmt *row;
    int r =
        base ? database_first(
                   &store->database, SQL_BATCH_LAST,
                   DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, base - 1)), &row)
             : DATABASE_NONE;
    if (!r) {
        stream->end_bytes = (uint64_t)sqlite3_column_int64(row, 2);
        stream->end_stored = (uint64_t)sqlite3_column_int64(row, 3);
        database_done(row);
    }
    stream->end_stored += data_bytes + BATCH_ROW_BYTES;
    store->distrust = true;
    return r < 0 ? result_trace(r) : 0;
}

/* Head and tail from the rows; where there are none, from what the last trim left. */
static int load_extent(struct store *store, struct stream *stream)
{
    const int64_t low = batch_key(stream->id, 0), high = batch_key(stream->id, BATCH_OFFSET_MAX);
    stream->first_offset = stream->next_offset;
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_READ_AT, DATABASE_VALUES(low, high), &row);
    if (r)
        return r == DATABASE_NONE ? 0 : result_trace(r);
    struct batch_row last;
    struct slice data;
    r = read_check(row, &last, &data);
    size_t data_bytes = data.len;
    database_done(row);
    if (r == STORE_READ_DAMAGED)
        r = load_guess(store, stream, &last, data_bytes);
    else if (!r) {
        /* After a salvage the row of the stream may know of more than is left. */
        uint64_t end = batch_key_offset(last.key) + (uint64_t)last.n;
        stream->next_offset = end > stream->next_offset ? end : stream->next_offset;
        stream->end_bytes = (uint64_t)last.end_bytes;
        stream->end_stored = (uint64_t)last.end_stored;
    }
    if (r)
        return result_trace(r);
    r = database_first(&store->database, SQL_BATCH_FIRST, DATABASE_VALUES(low, high), &row);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    stream->first_offset = batch_key_offset(sqlite3_column_int64(row, 0));
    uint64_t before = (uint64_t)sqlite3_column_int64(row, 3) -
                      ((uint64_t)sqlite3_column_int64(row, 4) + BATCH_ROW_BYTES);
    before += stream->slack;
    stream->stored_bytes = stream->end_stored > before ? stream->end_stored - before : 0;
    database_done(row);
    return 0;
}

static int load_mark(struct store *store, struct stream *stream)
{
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_MARK_LAST,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    if (r)
        return r == DATABASE_NONE ? 0 : result_trace(r);
    stream->mark_offset = batch_key_offset(sqlite3_column_int64(row, 0));
    stream->mark_run_us = sqlite3_column_int64(row, 1);
    database_done(row);
    /* After a crash the running time goes on from the last mark, not from the last clean end. */
    if (stream->mark_run_us > store->run_base_us)
        store->run_base_us = stream->mark_run_us;
    return 0;
}

/* The stream of the row standing in row (id, name, next_offset, end_bytes, end_stored). */
static int load_row(struct store *store, sqlite3_stmt *row, struct stream **ret)
{
    int64_t id = sqlite3_column_int64(row, 0);
    const unsigned char *name = sqlite3_column_text(row, 1);
    if (!name || id > STORE_STREAM_ID_MAX)
        return result_origin(-EBADMSG);
    if (store->stream_count == STORE_STREAMS_MAX)
        return result_origin(-E2BIG);
    struct stream *stream = &store->streams[store->stream_count];
    *stream = (struct stream){.id = (uint32_t)id,
                              .next_offset = (uint64_t)sqlite3_column_int64(row, 2),
                              .end_bytes = (uint64_t)sqlite3_column_int64(row, 3),
                              .end_stored = (uint64_t)sqlite3_column_int64(row, 4),
                              .slack = (uint64_t)sqlite3_column_int64(row, 5)};
    snprintf(stream->name, sizeof(stream->name), "%s", (const char *)name);
    stream->config = store_config_stream(store->config, stream->name);
    stream->metrics = metric_set_get(METRIC_GROUP_STREAM, stream->name, NULL);
    *ret = stream;
    return 0;
}

static int load_next(struct store *store, int64_t after)
{
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_STREAM_NEXT, DATABASE_VALUES(after), &row);
    if (r)
        return r;
    struct stream *stream = NULL;
    r = load_row(store, row, &stream);
    database_done(row);
    if (!r)
        r = load_extent(store, stream);
    if (!r)
        r = load_mark(store, stream);
    if (!r)
        store->stream_count++;
    return result_trace(r);
}

int stream_load_all(struct store *store)
{
    int64_t after = 0;
    int r;
    store->stream_count = 0;
    store->distrust = false;
    while (!(r = load_next(store, after)))
        after = store->streams[store->stream_count - 1].id;
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

/* Makes the stream unless it is there. Inside a transaction; when that fails the caller forgets the
 * stream again. 0, STORE_STREAM_LIMIT, -errno. */
int stream_create(struct store *store, const char *name, struct stream **ret)
{
    if ((*ret = stream_find_name(store, name)))
        return 0;
    if (store->stream_count == STORE_STREAMS_MAX)
        return STORE_STREAM_LIMIT;
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_STREAM_INSERT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    r = database_step(statement);
    if (r < 0)
        return result_trace(r);
    int64_t id = sqlite3_last_insert_rowid(store->database.db);
    r = load_next(store, id - 1);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    *ret = &store->streams[store->stream_count - 1];
    return 0;
}

static int create_alone(struct store *store, const char *name, struct stream **ret)
{
    struct database *d = &store->database;
    unsigned count = store->stream_count;
    int r = checkpoint_mend(store);
    if (!r)
        r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r)
        r = stream_create(store, name, ret);
    if (!r)
        r = epoch_write_stream(store, *ret);
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (r) {
        store->stream_count = count;
        if (!sqlite3_get_autocommit(d->db))
            (void)database_run(d, SQL_ROLLBACK, 0, NULL);
    }
    return r;
}

int store_stream(struct store *store, const char *name, uint32_t *ret_stream)
{
    struct stream *stream = stream_find_name(store, name);
    if (stream) {
        *ret_stream = stream->id;
        return 0;
    }
    if (!store_stream_name_valid(name, true))
        return result_origin(-EINVAL);
    int r = create_alone(store, name, &stream);
    if (r)
        return r < 0 ? result_trace(r) : r;
    *ret_stream = stream->id;
    return 0;
}
