/*
 * Re-packing. A quiet stream gets a row for each event or two; each costs a head, a name for every
 * string that the event before had as well, and a compressor that has seen nothing yet. When nobody
 * waits for the store, runs of such rows become one row of about BLOCK_BYTES of records:
 *
 *   before   |1|1|2|1|1|3|1| ... |1|  n = 1, 1, 2, ...   end_stored = .., b
 *   after    |          301        |  n = 301, the key of the first, end_stored = b
 *
 * The sums of all later rows stay what they are, so nothing else is touched; end_stored now counts
 * more than is there, and what it counts too much stands in column slack of the stream. The bytes
 * of the events do not change, only the times, each coded against that of the event before. (So the
 * records before a block seem to end a little later than they do: lag in bytes is too small by some
 * six bytes for each row replaced, as long as the cursor stands at its beginning.)
 *
 * A run is rows without a gap between their offsets, whose CRC is right, none larger than a quarter
 * of the block. It ends where the ids (table epoch) or the clock (table boot) begin anew, and after
 * an eighth of max_age, which a block outstays, since it goes as a whole. A damaged row ends it,
 * too, and is left alone. What a stream may hold bounds its blocks, since one event not sent holds
 * the whole block.
 *
 * A run is re-packed when it makes a block or when it can grow no more, and if it is of ROWS_MIN
 * rows and a quarter can be saved. The tail is left as it is until then: it would have to be
 * written again with every event that comes, and is less than a block.
 *
 * Wear: a block is written once to the log and once to the database, and with it the pages around
 * and those that the rows leave. Measured (bench_store, events of 200 bytes, one a commit): 66 KB
 * for 256 rows, a tenth of what their commits wrote, and there is no sync. It makes 71 KB of 83
 * free, and more than half of it is what freeing the pages costs, which the eviction of the rows
 * would have written later. With ROWS_MIN rows of 4 KB that save only a quarter it is as much
 * again as the records took in log and database. There it ends, since larger rows stay, and nothing
 * is packed twice but what a start looks at again, where ROWS_MIN rows must be found anew. A block
 * that a power cut takes is made again.
 *
 * How far a stream has been looked through is only known in memory. A start goes back from the
 * newest row by a few blocks (START_BLOCKS, START_ROWS), when the stream has first time for it:
 * what lies before was looked at by the run before, and reading through a backlog of any length
 * again, to find it packed, is what a start must not cost.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>

#include "base/metrics.h"
#include "base/result.h"
#include "event/event.h"
#include "pack/codec.h"
#include "store/internal.h"
#include "store/vfs.h"

enum {
    BLOCK_BYTES = 64 * 1024, /* records of a block, before compression */
    BLOCK_SHARE = 16,        /* but at most this share of max_bytes */
    BLOCK_ROWS_MAX = 1024,   /* what one becomes of: bounds a step */
    ROW_SHARE = 4,           /* a row of this share of a block is large enough */
    ROWS_MIN = 16,           /* fewer do not repay the writing */
    GAIN = 4,                /* one part in so many must be saved */
    SCAN_ROWS = 1024,        /* large rows passed over in one step */
    START_BLOCKS = 16,
    START_ROWS = 4096,
    AGE_MARKS = 8, /* eighth of max_age: as many marks of retention.c */
    TAKEN_ROWS = 1024,
    LOG_PAGES = 512 /* of a block in the log: more than it writes */
};
#define AGE_MARK_MIN_US (INT64_C(60) * 1000000)

/* Rows that become one. */
struct run {
    struct batch *block;
    struct bytes scratch; /* records of one row */
    uint64_t limit;       /* the offset that it may not reach over */
    unsigned rows;
    struct batch_row first, last;
    uint64_t end;         /* offset behind the last row */
    uint64_t raw;         /* bytes of the rows' records */
    uint64_t taken;       /* stored bytes of all rows */
    uint64_t first_taken; /* of the first */
    bool closed;          /* it grows no more */
};

enum run_outcome { RUN_ENDS = 1 }; /* the row does not belong to the run */

static uint64_t block_bytes(const struct stream *stream)
{
    uint64_t share = (uint64_t)stream->config->max_bytes / BLOCK_SHARE;
    return share < BLOCK_BYTES ? share : BLOCK_BYTES;
}

/* Lowers *limit to the offset in the key that a statement finds after first, if it finds one. */
static int limit_by(struct store *store, enum sql_statement which, unsigned count,
                    const int64_t *values, uint64_t *limit)
{
    sqlite3_stmt *row;
    int r = database_first(&store->database, which, count, values, &row);
    if (r)
        return r < 0 ? result_trace(r) : 0;
    uint64_t offset = batch_key_offset(sqlite3_column_int64(row, 0));
    database_done(row);
    if (offset < *limit)
        *limit = offset;
    return 0;
}

/* Where a run that begins at offset ends at the latest. */
static int find_limit(struct store *store, const struct stream *stream, uint64_t offset,
                      uint64_t *ret)
{
    const int64_t after = batch_key(stream->id, offset) + 1,
                  high = batch_key(stream->id, BATCH_OFFSET_MAX);
    uint64_t limit = UINT64_MAX;
    int r = limit_by(store, SQL_EPOCH_AFTER, DATABASE_VALUES(stream->id, (int64_t)offset), &limit);
    if (!r)
        r = limit_by(store, SQL_BOOT_AFTER, DATABASE_VALUES(after, high), &limit);
    if (!r && stream->config->max_age_us) {
        int64_t marks = stream->config->max_age_us / (AGE_MARKS * AGE_MARK_MIN_US);
        marks = marks < 1 ? 1 : marks > AGE_MARKS ? AGE_MARKS : marks;
        r = limit_by(store, SQL_MARK_AFTER, DATABASE_VALUES(after, high, marks - 1), &limit);
    }
    *ret = limit;
    return r;
}

/* Appends the records of a row to the block. 0; RUN_ENDS (they cannot be read; the block is as it
 * was); -ENOMEM. */
static int add_records(struct store *store, struct run *run, const struct batch_row *row,
                       struct slice data)
{
    struct batch *block = run->block, before = *block;
    bytes_reset(&run->scratch, BATCH_CUT_BYTES);
    if (!pack_codec_available((int)row->codec))
        return RUN_ENDS;
    int r =
        pack_decompress(store->pack, (int)row->codec, data, (size_t)row->raw_bytes, &run->scratch);
    struct slice records = bytes_slice(&run->scratch);
    size_t position = 0;
    int64_t received_us = 0;
    struct event event;
    while (!r && position < records.len) {
        r = batch_decode(records, &position, &received_us, &event);
        if (!r)
            r = batch_append(block, &event);
    }
    if (!r && block->count - before.count == row->n)
        return 0;
    size_t len = before.records.len;
    before.records = block->records; /* the memory may be other memory */
    before.records.len = len;
    *block = before;
    return r && r != -EBADMSG ? result_trace(r) : RUN_ENDS;
}

/* Takes the row standing in statement into the run. 0, RUN_ENDS, -errno. */
static int add_row(struct store *store, const struct stream *stream, sqlite3_stmt *statement,
                   struct run *run)
{
    uint64_t offset = batch_key_offset(sqlite3_column_int64(statement, 0));
    uint64_t raw = (uint64_t)sqlite3_column_int64(statement, 5);
    if (raw > block_bytes(stream) / ROW_SHARE || run->rows == BLOCK_ROWS_MAX ||
        (run->rows && (offset != run->end || offset >= run->limit)))
        return RUN_ENDS;
    struct batch_row row;
    struct slice data;
    int r = read_check(statement, &row, &data);
    if (r)
        return r < 0 ? result_trace(r) : RUN_ENDS;
    if (!run->rows) {
        batch_reset(run->block, offset);
        r = find_limit(store, stream, offset, &run->limit);
    }
    if (!r)
        r = add_records(store, run, &row, data);
    if (r)
        return r;
    uint64_t taken = data.len + BATCH_ROW_BYTES;
    if (!run->rows++) {
        run->first = row;
        run->first_taken = taken;
    }
    run->last = row;
    run->end = offset + (uint64_t)row.n;
    run->raw += raw;
    run->taken += taken;
    return 0;
}

/* Finds the next run from the stream's mark on, passing over rows that cannot begin one. */
static int gather(struct store *store, struct stream *stream, struct run *run)
{
    uint64_t target = block_bytes(stream);
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_READ_ALL,
                           DATABASE_VALUES(batch_key(stream->id, stream->repack_offset),
                                           batch_key(stream->id, BATCH_OFFSET_MAX)),
                           &row);
    for (unsigned n = 0; !r; n++) {
        int added = n < SCAN_ROWS + BLOCK_ROWS_MAX ? add_row(store, stream, row, run) : RUN_ENDS;
        if (added == RUN_ENDS && !run->rows)
            stream->repack_offset = batch_key_offset(sqlite3_column_int64(row, 0)) + 1;
        run->closed = (added == RUN_ENDS && (run->rows || n >= SCAN_ROWS)) || run->raw >= target;
        if (added < 0 || run->closed) {
            database_done(row);
            return added < 0 ? result_trace(added) : 0;
        }
        r = database_step(row);
    }
    return r < 0 ? result_trace(r) : 0;
}

uint64_t repack_slack_left(uint64_t slack, uint64_t before, uint64_t after, uint64_t bytes)
{
    uint64_t counted = after > before ? after - before : 0;
    uint64_t gone = counted > bytes ? counted - bytes : 0;
    return slack > gone ? slack - gone : 0;
}

/* The slack of the stream with a row that takes taken bytes in place of the run: what is counted
 * and not there from its first row on, or, where that is the first of the stream, behind it. */
static int slack_with(struct store *store, const struct stream *stream, const struct run *run,
                      uint64_t taken, uint64_t *ret)
{
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_LAST,
                           DATABASE_VALUES(batch_key(stream->id, 0), run->first.key - 1), &row);
    if (r < 0)
        return result_trace(r);
    if (!r) {
        database_done(row);
        *ret = stream->slack + (run->taken - taken);
        return 0;
    }
    *ret = repack_slack_left(stream->slack, (uint64_t)run->first.end_stored,
                             (uint64_t)run->last.end_stored, run->taken - run->first_taken);
    return 0;
}

static int replace(struct store *store, const struct stream *stream, const struct run *run,
                   const struct batch_row *row, struct slice data, uint64_t slack)
{
    struct database *d = &store->database;
    int r = retention_unsynced_begin(store);
    if (!r)
        r = database_run(d, SQL_BATCH_DELETE, DATABASE_VALUES(run->first.key, run->last.key));
    if (!r)
        r = commit_write_row(store, row, data);
    if (!r && slack != stream->slack)
        r = database_run(d, SQL_STREAM_SLACK, DATABASE_VALUES(stream->id, (int64_t)slack));
    return result_trace(retention_unsynced_end(store, r));
}

/* Writes the run as one row if that pays. */
static int pack(struct store *store, struct stream *stream, const struct run *run)
{
    const struct batch *block = run->block;
    struct batch_row row = {.key = run->first.key,
                            .n = block->count,
                            .t_min_us = block->t_min_us,
                            .t_max_us = block->t_max_us,
                            .raw_bytes = (int64_t)block->records.len,
                            .end_bytes = run->last.end_bytes,
                            .end_stored = run->last.end_stored};
    struct slice data = commit_compress(store, &block->records, &row.codec);
    uint64_t taken = data.len + BATCH_ROW_BYTES, slack = 0;
    if (taken > run->taken - run->taken / GAIN || block->records.len > run->raw)
        return 0;
    int r = slack_with(store, stream, run, taken, &slack);
    if (!r)
        r = replace(store, stream, run, &row, data, slack);
    if (r)
        return result_trace(r);
    uint64_t saved = run->taken - taken;
    stream->slack = slack;
    stream->stored_bytes -= saved < stream->stored_bytes ? saved : stream->stored_bytes;
    stream->sent_known = false;
    store->vacuum = true;
    metric_add(stream->metrics, METRIC_STREAM_REPACKED_BATCHES, run->rows);
    stream_show(stream);
    return result_trace(quota_measure(store));
}

/* Where looking begins after a start. */
static int find_start(struct store *store, struct stream *stream)
{
    uint64_t bytes = 0, enough = START_BLOCKS * block_bytes(stream);
    sqlite3_stmt *row;
    stream->repack_offset = stream->next_offset;
    int r = database_first(
        &store->database, SQL_BATCH_WALK_BACK,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    for (unsigned n = 0; !r; n++) {
        if (n == START_ROWS || bytes >= enough) {
            database_done(row);
            break;
        }
        stream->repack_offset = batch_key_offset(sqlite3_column_int64(row, 0));
        bytes += (uint64_t)sqlite3_column_int64(row, 1);
        r = database_step(row);
    }
    if (r < 0)
        return result_trace(r);
    stream->repack_known = true;
    return 0;
}

static int run_step(struct store *store, struct stream *stream, struct run *run)
{
    int r = gather(store, stream, run);
    if (r)
        return r;
    if (!run->closed) {
        stream->repack_due_bytes = stream->end_bytes + (block_bytes(stream) - run->raw);
        return 0;
    }
    /* First the mark: rows that cannot be written again now are not read again and again. */
    stream->repack_due_bytes = 0;
    if (run->rows)
        stream->repack_offset = run->end;
    return run->rows >= ROWS_MIN ? pack(store, stream, run) : 0;
}

static int step(struct store *store, struct stream *stream, bool *ret_more)
{
    if (stream->drop_to) /* up to there, and not to the end of a block, the next commit drops */
        return 0;
    if (!stream->repack_known) {
        *ret_more = true;
        return find_start(store, stream);
    }
    if (stream->end_bytes < stream->repack_due_bytes)
        return 0;
    struct run run = {.scratch = BYTES_INIT(BATCH_CUT_BYTES)};
    int r = batch_new(0, block_bytes(stream) + block_bytes(stream) / ROW_SHARE, &run.block);
    if (!r)
        r = run_step(store, stream, &run);
    *ret_more = !r && run.closed;
    batch_free(run.block);
    bytes_deinit(&run.scratch);
    return result_trace(r);
}

int store_repack(struct store *store, bool *ret_more)
{
    assert(store_is_open(store));
    *ret_more = false;
    if (store->open_events || store->failing || vfs_suspect(&store->database) ||
        ((int64_t)store->wal_pages + LOG_PAGES) * STORE_WAL_FRAME_BYTES >
            store->config->disk.wal_max_bytes)
        return 0;
    for (unsigned i = 0; i < store->stream_count && !*ret_more; i++) {
        int r = step(store, &store->streams[i], ret_more);
        if (r)
            return result_trace(salvage_note(store, r));
    }
    return 0;
}

int repack_taken_before(struct store *store, const struct stream *stream, uint64_t offset,
                        uint64_t *ret)
{
    uint64_t taken = 0;
    *ret = 0;
    if (!stream->slack)
        return 0;
    sqlite3_stmt *row;
    int r = database_first(&store->database, SQL_BATCH_WALK,
                           DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, offset)),
                           &row);
    for (unsigned n = 0; !r; n++) {
        uint64_t end =
            batch_key_offset(sqlite3_column_int64(row, 0)) + (uint64_t)sqlite3_column_int64(row, 1);
        if (n == TAKEN_ROWS || end > offset) {
            database_done(row);
            break;
        }
        taken += (uint64_t)sqlite3_column_int64(row, 3) + BATCH_ROW_BYTES;
        r = database_step(row);
    }
    *ret = taken < stream->stored_bytes ? taken : stream->stored_bytes;
    return r < 0 ? result_trace(r) : 0;
}
