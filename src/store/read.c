/*
 * Reading on a connection of one's own. Every call begins and ends its own snapshot: a statement is
 * reset before the result is handed out, so that a consumer that waits for its network never keeps
 * the writer from starting the log over.
 */
#include "store/read.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/result.h"
#include "pack/codec.h"
#include "store/internal.h"

/* A batch is read once, from front to back: pages kept after that are of no use but for the few at
 * the root of the tree. */
#define READER_CACHE "PRAGMA cache_size=-64"

struct store_reader {
    struct database database;
    struct pack_context *pack;
    struct { /* the last one looked up: offsets [first, end) of the stream have this epoch */
        uint32_t stream;
        uint64_t first, end; /* none: both 0 */
        char epoch[sizeof(((struct segment *)NULL)->epoch)];
    } interval;
};

/* An application id other than ours means that we have nothing to look for in this file. */
static int check_identity(struct database *d, const char *path, struct error *error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(d->db, "PRAGMA application_id", -1, &statement, NULL);
    int64_t id = 0;
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            id = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_ROW) {
        int r = result_origin(database_result(d->db, code));
        file_failure(r, path, error);
        return r;
    }
    int64_t format = 0;
    int r = database_number(d, SQL_USER_VERSION, &format);
    if (r) {
        r = r < 0 ? r : -EBADMSG;
        file_failure(r, path, error);
        return result_trace(r);
    }
    if (id == STORE_APPLICATION_ID && format == STORE_FORMAT)
        return 0;
    error_where(error, "%s", path);
    error_what(error, id == STORE_APPLICATION_ID ? "was written by another version of sluice"
                                                 : "is not a store of sluice");
    error_mend(error, "name the data directory of a gateway of this version");
    return result_origin(-EINVAL);
}

int store_reader_open(const char *path, struct error *error, struct store_reader **ret)
{
    struct store_reader *reader = calloc(1, sizeof(*reader));
    int r = reader ? pack_context_new(&reader->pack) : result_origin(-ENOMEM);
    if (!r)
        r = database_open(&reader->database, path, SQLITE_OPEN_READONLY);
    if (r) {
        file_failure(r, path, error);
        store_reader_close(reader);
        return result_trace(r);
    }
    r = check_identity(&reader->database, path, error);
    if (!r)
        r = database_exec(&reader->database, READER_CACHE);
    if (r) {
        store_reader_close(reader);
        return result_trace(r);
    }
    *ret = reader;
    return 0;
}

struct store_reader *store_reader_close(struct store_reader *reader)
{
    if (!reader)
        return NULL;
    database_close(&reader->database);
    pack_context_free(reader->pack);
    free(reader);
    return NULL;
}

struct database *read_database(struct store_reader *reader)
{
    return &reader->database;
}

/* The columns of the row standing in row, as batch_read_at selects them, and whether they and the
 * data are what was written. 0, STORE_READ_DAMAGED, -ENOMEM. *ret_data lives as long as the row. */
int read_check(sqlite3_stmt *row, struct batch_row *ret, struct slice *ret_data)
{
    *ret = (struct batch_row){.key = sqlite3_column_int64(row, 0),
                              .n = sqlite3_column_int64(row, 1),
                              .t_min_us = sqlite3_column_int64(row, 2),
                              .t_max_us = sqlite3_column_int64(row, 3),
                              .codec = sqlite3_column_int64(row, 4),
                              .raw_bytes = sqlite3_column_int64(row, 5),
                              .end_bytes = sqlite3_column_int64(row, 6),
                              .end_stored = sqlite3_column_int64(row, 7)};
    const void *blob = sqlite3_column_blob(row, 9);
    *ret_data = slice_make(blob, blob ? (size_t)sqlite3_column_bytes(row, 9) : 0);
    /* SQLite answers NULL for a blob it cannot assemble: no memory, or a broken page chain. */
    if (!blob && sqlite3_errcode(sqlite3_db_handle(row)) == SQLITE_NOMEM)
        return result_origin(-ENOMEM);
    if (batch_row_crc(ret, *ret_data) != (uint32_t)sqlite3_column_int64(row, 8) || ret->n < 1 ||
        ret->n > UINT32_MAX || ret->raw_bytes < 1)
        return STORE_READ_DAMAGED;
    return 0;
}

/* Checks and unpacks the row standing in row. 0; STORE_READ_DAMAGED; -ENOMEM; -ENOTSUP for a codec
 * that this build has not. */
static int unpack(struct store_reader *reader, sqlite3_stmt *row, uint32_t stream,
                  struct segment **ret)
{
    struct batch_row columns;
    struct slice data;
    int r = read_check(row, &columns, &data);
    if (r)
        return r;
    if (!pack_codec_available((int)columns.codec))
        return result_origin(-ENOTSUP);
    struct segment *segment;
    r = segment_new(&segment);
    if (r)
        return result_trace(r);
    segment->stream = stream;
    segment->count = (uint32_t)columns.n;
    segment->base_offset = batch_key_offset(columns.key);
    segment->end_bytes = (uint64_t)columns.end_bytes;
    segment->corrected = sqlite3_column_type(row, 10) != SQLITE_NULL;
    segment->correction_us = sqlite3_column_int64(row, 10);
    segment->records = (struct bytes)BYTES_INIT(BATCH_CUT_BYTES + (size_t)STORE_RECORD_MAX_BYTES);
    r = pack_decompress(reader->pack, (int)columns.codec, data, (size_t)columns.raw_bytes,
                        &segment->records);
    if (r) {
        segment_unref(segment);
        return r == -EBADMSG ? STORE_READ_DAMAGED : result_trace(r);
    }
    *ret = segment;
    return 0;
}

/* Finds the interval that offset lies in. An epoch that begins meanwhile begins at the head or
 * behind it, so up to the head, asked for first, what is found then stays right. 0 or -errno. */
static int find_interval(struct store_reader *reader, uint32_t stream, uint64_t offset)
{
    struct database *d = &reader->database;
    sqlite3_stmt *row;
    uint64_t end = offset + 1;
    int r = database_first(
        d, SQL_BATCH_LAST,
        DATABASE_VALUES(batch_key(stream, offset), batch_key(stream, BATCH_OFFSET_MAX)), &row);
    if (!r) {
        end =
            batch_key_offset(sqlite3_column_int64(row, 0)) + (uint64_t)sqlite3_column_int64(row, 1);
        database_done(row);
    }
    reader->interval.first = reader->interval.end = 0;
    if (r >= 0)
        r = database_first(d, SQL_EPOCH_AT, DATABASE_VALUES(stream, (int64_t)offset), &row);
    if (r == DATABASE_NONE) /* evicted and forgotten meanwhile */
        return result_trace(
            database_meta_get(d, "epoch", reader->interval.epoch, sizeof(reader->interval.epoch)));
    if (r)
        return result_trace(r);
    uint64_t first = (uint64_t)sqlite3_column_int64(row, 0);
    const unsigned char *text = sqlite3_column_text(row, 1);
    snprintf(reader->interval.epoch, sizeof(reader->interval.epoch), "%s",
             text ? (const char *)text : "");
    database_done(row);
    r = database_first(d, SQL_EPOCH_AFTER, DATABASE_VALUES(stream, (int64_t)offset), &row);
    if (!r) {
        uint64_t next = (uint64_t)sqlite3_column_int64(row, 0);
        end = next < end ? next : end;
        database_done(row);
    }
    if (r < 0)
        return result_trace(r);
    reader->interval.stream = stream;
    reader->interval.first = first;
    reader->interval.end = end;
    return 0;
}

static int set_epoch(struct store_reader *reader, struct segment *segment)
{
    uint64_t offset = segment->base_offset;
    bool known = reader->interval.stream == segment->stream && reader->interval.first <= offset &&
                 offset < reader->interval.end;
    int r = known ? 0 : find_interval(reader, segment->stream, offset);
    if (!r)
        memcpy(segment->epoch, reader->interval.epoch, sizeof(segment->epoch));
    return result_trace(r);
}

/* Where reading goes on after a damaged batch that begins at base and ought to end at end. */
static int skip_damaged(struct store_reader *reader, uint32_t stream, uint64_t base, uint64_t end,
                        uint64_t *ret_skip_to)
{
    sqlite3_stmt *row;
    int r = database_first(
        &reader->database, SQL_BATCH_KEY_AFTER,
        DATABASE_VALUES(batch_key(stream, base + 1), batch_key(stream, BATCH_OFFSET_MAX)), &row);
    if (r < 0)
        return result_trace(r);
    *ret_skip_to = end > base ? end : base + 1;
    if (!r) {
        *ret_skip_to = batch_key_offset(sqlite3_column_int64(row, 0));
        database_done(row);
    }
    return STORE_READ_DAMAGED;
}

/* The row that a statement finds between two keys, if it reaches beyond offset. 0,
 * STORE_READ_END (no such row), STORE_READ_DAMAGED, -errno. */
static int read_row(struct store_reader *reader, enum sql_statement which, uint32_t stream,
                    const int64_t keys[2], uint64_t offset, struct segment **ret,
                    uint64_t *ret_skip_to)
{
    sqlite3_stmt *row;
    int r = database_first(&reader->database, which, 2, keys, &row);
    if (r == DATABASE_NONE)
        return STORE_READ_END;
    if (r)
        return result_trace(r);
    uint64_t base = batch_key_offset(sqlite3_column_int64(row, 0));
    uint64_t end = base + (uint64_t)sqlite3_column_int64(row, 1);
    struct segment *segment = NULL;
    r = end <= offset && end > base ? STORE_READ_END : unpack(reader, row, stream, &segment);
    database_done(row);
    if (r == STORE_READ_DAMAGED)
        return skip_damaged(reader, stream, base, end, ret_skip_to);
    if (!r)
        r = set_epoch(reader, segment);
    if (r) {
        segment_unref(segment);
        return result_trace(r);
    }
    *ret = segment;
    return 0;
}

int store_read(struct store_reader *reader, uint32_t stream, uint64_t offset, struct segment **ret,
               uint64_t *ret_skip_to)
{
    if (offset > BATCH_OFFSET_MAX)
        return STORE_READ_END;
    const int64_t at[2] = {batch_key(stream, 0), batch_key(stream, offset)};
    int r = read_row(reader, SQL_BATCH_READ_AT, stream, at, offset, ret, ret_skip_to);
    if (r != STORE_READ_END || offset == BATCH_OFFSET_MAX)
        return r;
    const int64_t after[2] = {batch_key(stream, offset + 1), batch_key(stream, BATCH_OFFSET_MAX)};
    return read_row(reader, SQL_BATCH_READ_AFTER, stream, after, offset, ret, ret_skip_to);
}

int store_read_stream(struct store_reader *reader, const char *name, struct store_stream_info *ret)
{
    struct database *d = &reader->database;
    sqlite3_stmt *row;
    int r = database_statement(d, SQL_STREAM_FIND, &row);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    r = database_step(row);
    if (r)
        return result_trace(r < 0 ? r : -ENOENT);
    struct store_stream_info info = {.stream = (uint32_t)sqlite3_column_int64(row, 0),
                                     .next_offset = (uint64_t)sqlite3_column_int64(row, 1),
                                     .end_bytes = (uint64_t)sqlite3_column_int64(row, 2)};
    uint64_t slack = (uint64_t)sqlite3_column_int64(row, 4);
    database_done(row);
    info.first_offset = info.next_offset;
    const int64_t keys[2] = {batch_key(info.stream, 0), batch_key(info.stream, BATCH_OFFSET_MAX)};
    r = database_first(d, SQL_BATCH_FIRST, 2, keys, &row);
    if (!r) {
        info.first_offset = batch_key_offset(sqlite3_column_int64(row, 0));
        uint64_t before = (uint64_t)sqlite3_column_int64(row, 3) -
                          ((uint64_t)sqlite3_column_int64(row, 4) + BATCH_ROW_BYTES);
        database_done(row);
        r = database_first(d, SQL_BATCH_LAST, 2, keys, &row);
        if (!r) {
            uint64_t last_end = batch_key_offset(sqlite3_column_int64(row, 0)) +
                                (uint64_t)sqlite3_column_int64(row, 1);
            if (last_end > info.next_offset) /* which may be beyond lost batches */
                info.next_offset = last_end;
            info.end_bytes = (uint64_t)sqlite3_column_int64(row, 2);
            uint64_t end = (uint64_t)sqlite3_column_int64(row, 3);
            before += slack;
            info.stored_bytes = end > before ? end - before : 0;
            database_done(row);
        }
    }
    if (r < 0)
        return result_trace(r);
    *ret = info;
    return 0;
}

int store_read_next_stream(struct store_reader *reader, uint32_t *stream,
                           char name[STORE_STREAM_NAME_MAX_BYTES])
{
    sqlite3_stmt *row;
    int r = database_first(&reader->database, SQL_STREAM_NEXT, DATABASE_VALUES(*stream), &row);
    if (r == DATABASE_NONE)
        return STORE_READ_END;
    if (r)
        return result_trace(r);
    *stream = (uint32_t)sqlite3_column_int64(row, 0);
    const unsigned char *text = sqlite3_column_text(row, 1);
    snprintf(name, STORE_STREAM_NAME_MAX_BYTES, "%s", text ? (const char *)text : "");
    database_done(row);
    return 0;
}
