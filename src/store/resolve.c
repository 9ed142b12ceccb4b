/*
 * The second pass of salvage: what the rows say is brought into agreement, stream by stream in the
 * order of the keys.
 *
 *   overlaps  rows that were re-packed may be found beside the row they went into. Of two rows the
 *             one that begins first stays whole; of the other what goes beyond it.
 *   holes     between two rows, and behind the last one as far as anything mentions, something was
 *             lost. Before the first one it may have been retention, but not where a consumer had
 *             not got it yet.
 *   sums      slack, so that the quota counts what is there.
 */
#include "store/draft.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/result.h"
#include "event/event.h"
#include "pack/codec.h"
#include "store/salvage.h"

/* The keys and sums of marks, boots and cursors carry no checksum: what is beyond this is a flipped
 * bit, and believing it would use up the offsets of the stream. */
#define MENTION_MAX (BATCH_OFFSET_MAX >> 1)

enum { COMPRESS_MIN_BYTES = 512, CHANGE_BYTES = 1024 };

/* A stream while its rows are walked. */
struct walk {
    uint32_t stream;
    uint64_t rows, end;                         /* offset behind the last one */
    uint64_t stored, stored_before, stored_end; /* sum of sizes; cumulative sums around the rows */
    uint64_t gaps, more_from, more_to, more;    /* holes beyond DRAFT_GAPS_MAX */
};

/* A row without its data. */
struct extent {
    int64_t key;
    uint64_t base, end, end_stored, stored;
};

static int put_gap(struct draft *draft, uint32_t stream, uint64_t from, uint64_t to, uint64_t count)
{
    char key[24], text[96];
    snprintf(key, sizeof(key), "damaged:%04u", draft->gap_rows++);
    snprintf(text, sizeof(text), "%" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64, stream, from, to,
             count);
    return result_trace(draft_put_meta(draft, key, text));
}

static int hole(struct draft *draft, struct walk *walk, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    draft->report->gaps++;
    draft->report->missing += to - from;
    if (draft->gap_rows < DRAFT_GAPS_MAX)
        return result_trace(put_gap(draft, walk->stream, from, to, to - from));
    if (!walk->more)
        walk->more_from = from;
    walk->more_to = to;
    walk->more += to - from;
    return 0;
}

/* 0, DATABASE_NONE, -errno. */
static int next_row(struct draft *draft, int64_t after, int64_t last, struct extent *ret)
{
    sqlite3_stmt *row;
    int r = database_first(&draft->database, SQL_SALVAGE_NEXT, DATABASE_VALUES(after, last), &row);
    if (r)
        return r;
    ret->key = sqlite3_column_int64(row, 0);
    ret->base = batch_key_offset(ret->key);
    ret->end = ret->base + (uint64_t)sqlite3_column_int64(row, 1);
    ret->end_stored = (uint64_t)sqlite3_column_int64(row, 2);
    ret->stored = (uint64_t)sqlite3_column_int64(row, 3) + BATCH_ROW_BYTES;
    database_done(row);
    return 0;
}

static int delete_row(struct draft *draft, int64_t key)
{
    int r = database_run(&draft->database, SQL_BATCH_DELETE, DATABASE_VALUES(key, key));
    return r ? result_trace(r) : draft_wrote(draft, CHANGE_BYTES);
}

/* Encodes the records of a batch from the skip-th on anew. 0, -EBADMSG, -ENOMEM. */
static int cut_records(const struct bytes *records, uint64_t skip, struct batch *out)
{
    size_t position = 0;
    int64_t received_us = 0;
    int r = 0;
    for (uint64_t i = 0; !r && position < records->len; i++) {
        struct event event;
        r = batch_decode(bytes_slice(records), &position, &received_us, &event);
        if (!r && i >= skip)
            r = batch_append(out, &event);
    }
    return result_trace(r);
}

static int put_cut(struct draft *draft, uint32_t stream, const struct batch *cut,
                   const struct batch_row *of)
{
    struct batch_row row = {.key = batch_key(stream, cut->base_offset),
                            .n = cut->count,
                            .t_min_us = cut->t_min_us,
                            .t_max_us = cut->t_max_us,
                            .codec = PACK_NONE,
                            .raw_bytes = (int64_t)cut->records.len,
                            .end_bytes = of->end_bytes,
                            .end_stored = of->end_stored};
    struct slice data = bytes_slice(&cut->records);
    bytes_reset(&draft->packed, BATCH_CUT_BYTES);
    if (data.len >= COMPRESS_MIN_BYTES && pack_codec_available(PACK_ZSTD) &&
        pack_compress(draft->pack, PACK_ZSTD, data, data.len - 1, &draft->packed) == 0) {
        row.codec = PACK_ZSTD;
        data = bytes_slice(&draft->packed);
    }
    return result_trace(draft_put_batch(draft, &row, batch_row_crc(&row, data), data));
}

/* Of a row, what lies from offset on becomes a row of its own. 0; -EBADMSG, -ENOTSUP: it cannot be
 * taken apart; -errno. */
static int cut_row(struct draft *draft, uint32_t stream, const struct extent *extent,
                   uint64_t offset)
{
    sqlite3_stmt *statement;
    struct batch_row row;
    struct slice data;
    int r = database_first(&draft->database, SQL_BATCH_READ_AT,
                           DATABASE_VALUES(extent->key, extent->key), &statement);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    r = read_check(statement, &row, &data);
    if (!r && !pack_codec_available((int)row.codec))
        r = result_origin(-ENOTSUP);
    bytes_reset(&draft->unpacked, BATCH_CUT_BYTES);
    if (!r)
        r = pack_decompress(draft->pack, (int)row.codec, data, (size_t)row.raw_bytes,
                            &draft->unpacked);
    database_done(statement);
    struct batch *cut = NULL;
    if (!r)
        r = batch_new(offset, draft->unpacked.len, &cut);
    if (!r)
        r = cut_records(&draft->unpacked, offset - extent->base, cut);
    if (!r && cut->count != extent->end - offset)
        r = result_origin(-EBADMSG);
    if (!r)
        r = put_cut(draft, stream, cut, &row);
    batch_free(cut);
    return r > 0 ? result_origin(-EBADMSG) : result_trace(r);
}

/* A row that begins before the one before it ends goes; what it has beyond that stays. */
static int overlap(struct draft *draft, const struct walk *walk, const struct extent *row)
{
    int r = row->end > walk->end ? cut_row(draft, walk->stream, row, walk->end) : 0;
    if (r == -EBADMSG || r == -ENOTSUP) {
        draft->report->batches_damaged++;
        r = 0;
    }
    return r ? result_trace(r) : result_trace(delete_row(draft, row->key));
}

static int walk_rows(struct draft *draft, struct walk *walk)
{
    int64_t after = batch_key(walk->stream, 0) - 1;
    const int64_t last = batch_key(walk->stream, BATCH_OFFSET_MAX);
    struct extent row;
    int r;
    while (!(r = next_row(draft, after, last, &row))) {
        if (walk->rows && row.base < walk->end) {
            r = overlap(draft, walk, &row);
            if (r)
                return result_trace(r);
            continue; /* what was cut stands behind the row before, too */
        }
        if (walk->rows)
            r = hole(draft, walk, walk->end, row.base);
        else
            walk->stored_before = row.end_stored - row.stored;
        if (r)
            return result_trace(r);
        after = row.key;
        walk->rows++;
        walk->end = row.end;
        walk->stored += row.stored;
        walk->stored_end = row.end_stored;
        draft->report->batches++;
        draft->report->events += row.end - row.base;
        draft->report->stored_bytes += row.stored;
    }
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

/* The columns of table stream. */
struct tail {
    uint64_t next_offset, end_bytes, end_stored;
};

static int get_tail(struct draft *draft, uint32_t stream, struct tail *ret)
{
    sqlite3_stmt *row;
    int r = database_first(&draft->database, SQL_STREAM_NEXT, DATABASE_VALUES(stream - 1), &row);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    ret->next_offset = (uint64_t)sqlite3_column_int64(row, 2);
    ret->end_bytes = (uint64_t)sqlite3_column_int64(row, 3);
    ret->end_stored = (uint64_t)sqlite3_column_int64(row, 4);
    database_done(row);
    return 0;
}

/* The lowest cursor that holds events of the stream; UINT64_MAX: none. And the offset of the first
 * row, or of none. */
static int get_begin(struct draft *draft, uint32_t stream, uint64_t *ret_cursor,
                     uint64_t *ret_first)
{
    sqlite3_stmt *row;
    struct extent first;
    *ret_cursor = *ret_first = UINT64_MAX;
    int r = database_first(&draft->database, SQL_SALVAGE_LOWEST, DATABASE_VALUES(stream), &row);
    if (!r) {
        if (sqlite3_column_type(row, 0) != SQLITE_NULL)
            *ret_cursor = (uint64_t)sqlite3_column_int64(row, 0);
        database_done(row);
        r = next_row(draft, batch_key(stream, 0) - 1, batch_key(stream, BATCH_OFFSET_MAX), &first);
        if (!r)
            *ret_first = first.base;
    }
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

static int get_mentioned(struct draft *draft, uint32_t stream, uint64_t *ret)
{
    sqlite3_stmt *row;
    int r =
        database_first(&draft->database, SQL_SALVAGE_MENTIONED,
                       DATABASE_VALUES(stream, batch_key(stream, 0), (int64_t)MENTION_MAX), &row);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    *ret = (uint64_t)sqlite3_column_int64(row, 0);
    database_done(row);
    return 0;
}

static int resolve_stream(struct draft *draft, uint32_t stream)
{
    struct walk walk = {.stream = stream};
    struct tail tail = {.next_offset = 0};
    uint64_t cursor = UINT64_MAX, first = UINT64_MAX, mentioned = 0;
    int r = get_tail(draft, stream, &tail);
    if (!r)
        r = get_mentioned(draft, stream, &mentioned);
    if (!r)
        r = get_begin(draft, stream, &cursor, &first);
    if (r)
        return result_trace(r);
    if (tail.next_offset > MENTION_MAX)
        tail.next_offset = 0;
    if (cursor < first && first != UINT64_MAX)
        r = hole(draft, &walk, cursor, first);
    if (!r)
        r = walk_rows(draft, &walk);
    uint64_t next = tail.next_offset > mentioned ? tail.next_offset : mentioned;
    if (walk.end > next)
        next = walk.end;
    /* Where no row is left, nothing but a cursor tells that there were any. */
    uint64_t lost_from = walk.rows ? walk.end : cursor;
    if (!r && lost_from != UINT64_MAX)
        r = hole(draft, &walk, lost_from, next);
    if (!r && walk.more)
        r = put_gap(draft, stream, walk.more_from, walk.more_to, walk.more);
    if (!r && walk.rows)
        r = database_run(&draft->database, SQL_SALVAGE_EPOCH_GUESS,
                         DATABASE_VALUES(stream, (int64_t)first));
    uint64_t counted = walk.stored_end - walk.stored_before;
    uint64_t slack = walk.rows && counted > walk.stored ? counted - walk.stored : 0;
    if (!r)
        r = database_run(&draft->database, SQL_STREAM_TRIMMED,
                         DATABASE_VALUES(stream, (int64_t)next, (int64_t)tail.end_bytes,
                                         (int64_t)tail.end_stored, (int64_t)slack));
    if (!r)
        r = database_run(&draft->database, SQL_SALVAGE_CLAMP,
                         DATABASE_VALUES(stream, (int64_t)next));
    draft->report->streams++;
    return r ? result_trace(r) : draft_wrote(draft, CHANGE_BYTES);
}

static int put_stream(struct draft *draft, uint32_t id, const char *name)
{
    char text[STORE_STREAM_NAME_MAX_BYTES];
    snprintf(text, sizeof(text), "%s", name ? name : "");
    if (!name)
        snprintf(text, sizeof(text), "recovered-%" PRIu32, id);
    const struct row row = {.kind = ROW_STREAM, .stream = {.id = id, .name = slice_string(text)}};
    return result_trace(draft_put(draft, &row));
}

static const char *find_name(const struct draft *draft, uint32_t id)
{
    for (unsigned i = 0; i < draft->name_count; i++)
        if (draft->names[i].id == id)
            return draft->names[i].name;
    return NULL;
}

/* What looks like a stream and its name is one if anything else speaks of it. */
static int put_spoken(struct draft *draft, const struct draft_name *name)
{
    sqlite3_stmt *row;
    int r = database_first(&draft->database, SQL_SALVAGE_SPOKEN, DATABASE_VALUES(name->id), &row);
    if (r)
        return r == DATABASE_NONE ? 0 : result_trace(r);
    database_done(row);
    return result_trace(put_stream(draft, name->id, name->name));
}

/* Whether the stream has a row. 0, DATABASE_NONE, -errno. */
static int has_row(struct draft *draft, uint32_t stream)
{
    sqlite3_stmt *row;
    int r = database_first(&draft->database, SQL_STREAM_NEXT, DATABASE_VALUES(stream - 1), &row);
    if (r)
        return r;
    bool same = sqlite3_column_int64(row, 0) == stream;
    database_done(row);
    return same ? 0 : DATABASE_NONE;
}

/* Each stream of which there are batches has a row: its own, one by the name that the index over
 * the names has, or one by a name of its number. */
static int name_streams(struct draft *draft)
{
    for (unsigned i = 0; i < draft->name_count; i++) {
        int r = put_spoken(draft, &draft->names[i]);
        if (r)
            return result_trace(r);
    }
    int64_t from = batch_key(1, 0);
    for (;;) {
        sqlite3_stmt *row;
        int r = database_first(
            &draft->database, SQL_BATCH_KEY_AFTER,
            DATABASE_VALUES(from, batch_key(STORE_STREAM_ID_MAX, BATCH_OFFSET_MAX)), &row);
        if (r)
            return r == DATABASE_NONE ? 0 : result_trace(r);
        uint32_t stream = (uint32_t)(sqlite3_column_int64(row, 0) >> BATCH_STREAM_SHIFT);
        database_done(row);
        r = has_row(draft, stream);
        if (r == DATABASE_NONE)
            r = put_stream(draft, stream, find_name(draft, stream));
        if (r)
            return result_trace(r);
        if (stream == STORE_STREAM_ID_MAX)
            return 0;
        from = batch_key(stream + 1, 0);
    }
}

static int drop_strays(struct draft *draft)
{
    static const enum sql_statement strays[] = {SQL_SALVAGE_STRAY_RANGES, SQL_SALVAGE_STRAY_EPOCHS,
                                                SQL_SALVAGE_STRAY_BOOTS,  SQL_SALVAGE_STRAY_MARKS,
                                                SQL_SALVAGE_TWICE,        SQL_SALVAGE_BACKLOG,
                                                SQL_SALVAGE_BACKLOGS,     SQL_SALVAGE_REPLAYS};
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(strays) / sizeof(strays[0]); i++)
        r = database_run(&draft->database, strays[i], 0, NULL);
    return result_trace(r);
}

int draft_resolve(struct draft *draft)
{
    int r = name_streams(draft);
    if (!r)
        r = drop_strays(draft);
    int64_t after = 0;
    while (!r) {
        sqlite3_stmt *row;
        r = database_first(&draft->database, SQL_STREAM_NEXT, DATABASE_VALUES(after), &row);
        if (r)
            break;
        after = sqlite3_column_int64(row, 0);
        database_done(row);
        r = resolve_stream(draft, (uint32_t)after);
    }
    return r == DATABASE_NONE ? 0 : result_trace(r);
}
