/*
 * Seek by time. Offsets say in which order events were stored; times only nearly rise with them,
 * and fall where the clock was set back. But within one row of table "boot" the clock was not set:
 * there an event was received at most SEEK_DISORDER_US before any event stored before it. So the
 * rows are taken one after the other; in each, bisection over the batches' t_max finds the last
 * place before which everything is surely too early, and from there the batches are walked.
 *
 * The answer is exact as long as that holds. Where the row has no base (a clock set more than
 * BOOT_ROWS_MAX times in one boot, events of format 1) it is only as good as the clock was.
 */
#include "store/read.h"

#include "base/result.h"
#include "event/event.h"
#include "store/internal.h"

/* Twice what a base leaves open, and what may pass between reading the clock and the pipeline's
 * queue in one receiver more than in another. */
#define SEEK_DISORDER_US (2 * BOOT_STEP_US + INT64_C(2000000))

struct seek {
    struct store_reader *reader;
    struct database *database;
    uint32_t stream;
    int64_t wall_us;
};

/* Events [from, to) lie in one row of table "boot". */
struct interval {
    uint64_t from, to;
    int64_t correction_us; /* 0 if unknown: times are then read as they were stored */
};

struct span {
    uint64_t from, to;
    int64_t latest_us; /* received time, as read */
};

static struct span span_of(sqlite3_stmt *row, const struct interval *in)
{
    struct span span = {.from = batch_key_offset(sqlite3_column_int64(row, 0))};
    span.to = span.from + (uint64_t)sqlite3_column_int64(row, 1);
    span.latest_us =
        (int64_t)((uint64_t)sqlite3_column_int64(row, 2) + (uint64_t)in->correction_us);
    return span;
}

/* Whether everything of the interval up to the end of span is too early. */
static bool excludes(const struct seek *s, const struct span *span)
{
    int64_t sure_us =
        s->wall_us < INT64_MIN + SEEK_DISORDER_US ? INT64_MIN : s->wall_us - SEEK_DISORDER_US;
    return span->latest_us < sure_us;
}

/* The last batch that begins in [from, last]. 0, DATABASE_NONE, -errno. */
static int span_at(const struct seek *s, const struct interval *in, uint64_t from, uint64_t last,
                   struct span *ret)
{
    sqlite3_stmt *row;
    int r = database_first(s->database, SQL_BATCH_TIME_AT,
                           DATABASE_VALUES(batch_key(s->stream, from), batch_key(s->stream, last)),
                           &row);
    if (r)
        return r < 0 ? result_trace(r) : r;
    *ret = span_of(row, in);
    database_done(row);
    return 0;
}

/* From *ret on the interval has to be looked at. 0, DATABASE_NONE: nowhere. */
static int bisect(const struct seek *s, const struct interval *in, uint64_t *ret)
{
    struct span span;
    int r = in->from < in->to ? span_at(s, in, in->from, in->to - 1, &span) : DATABASE_NONE;
    if (r)
        return r;
    if (excludes(s, &span))
        return DATABASE_NONE;
    uint64_t low = in->from, high = span.from;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        r = span_at(s, in, low, middle, &span);
        if (r < 0)
            return result_trace(r);
        if (!r && !excludes(s, &span))
            high = span.from;
        else
            low = !r && span.to > middle ? span.to : middle + 1;
    }
    *ret = low;
    return 0;
}

/* The first batch from offset on that may hold what is sought. 0, DATABASE_NONE, -errno. */
static int walk(const struct seek *s, const struct interval *in, uint64_t offset, struct span *ret)
{
    sqlite3_stmt *row;
    int r = database_first(
        s->database, SQL_BATCH_TIME_WALK,
        DATABASE_VALUES(batch_key(s->stream, offset), batch_key(s->stream, in->to - 1)), &row);
    for (; !r; r = database_step(row)) {
        const struct span span = span_of(row, in);
        if (span.latest_us < s->wall_us)
            continue;
        database_done(row);
        *ret = span;
        return 0;
    }
    return r < 0 ? result_trace(r) : r;
}

/* 0: found; STORE_READ_END: not in this batch, and *next is where the one after it begins. */
static int look_into(const struct seek *s, uint64_t *next, uint64_t *ret_offset)
{
    struct segment *segment;
    int r = store_read(s->reader, s->stream, *next, &segment, next);
    if (r)
        return r == STORE_READ_DAMAGED ? STORE_READ_END : result_trace(r);
    struct segment_iterator it;
    struct event event;
    uint64_t offset;
    segment_iterator_init(&it, segment, 0);
    do
        r = segment_next(&it, &event, &offset);
    while (!r && event.received_us < s->wall_us);
    *next = segment_end_offset(segment);
    segment_unref(segment);
    if (r)
        return r == SEGMENT_END ? STORE_READ_END : result_trace(r);
    *ret_offset = offset;
    return 0;
}

static int seek_interval(const struct seek *s, const struct interval *in, uint64_t *ret_offset)
{
    uint64_t at = in->from;
    struct span span = {.from = 0};
    int r = bisect(s, in, &at);
    while (!r && at < in->to) {
        r = walk(s, in, at, &span);
        if (r)
            break;
        at = span.from;
        r = look_into(s, &at, ret_offset);
        if (r != STORE_READ_END)
            return r;
        r = at > span.from ? 0 : DATABASE_NONE; /* it is gone, and nothing is behind it */
    }
    return r < 0 ? result_trace(r) : STORE_READ_END;
}

int store_read_seek_time(struct store_reader *reader, uint32_t stream, int64_t wall_us,
                         uint64_t *ret_offset)
{
    const struct seek s = {
        .reader = reader, .database = read_database(reader), .stream = stream, .wall_us = wall_us};
    struct interval in = {.from = 0, .to = 0};
    for (uint64_t after = 0;; after = in.from + 1) {
        sqlite3_stmt *row;
        int64_t correction_us = 0;
        int r = database_first(
            s.database, SQL_BOOT_AFTER,
            DATABASE_VALUES(batch_key(stream, after), batch_key(stream, BATCH_OFFSET_MAX)), &row);
        if (r < 0)
            return result_trace(r);
        bool last = r == DATABASE_NONE;
        in.to = BATCH_OFFSET_MAX;
        if (!last) {
            in.to = batch_key_offset(sqlite3_column_int64(row, 0));
            correction_us = sqlite3_column_int64(row, 1);
            database_done(row);
        }
        r = seek_interval(&s, &in, ret_offset);
        if (r != STORE_READ_END || last)
            return r;
        in.from = in.to;
        in.correction_us = correction_us;
    }
}
