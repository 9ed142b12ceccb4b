/* Table "range" as readers see it: what is to be sent to whom, and how much that is, from the store
 * alone. */
#include "store/read.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/result.h"
#include "store/internal.h"

static_assert((int)STORE_READ_JSON_BYTES > (int)STORE_RANGE_ATTRIBUTES_MAX_BYTES, "with its NUL");

static void take_text(sqlite3_stmt *row, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    snprintf(out, size, "%s", text ? (const char *)text : "");
}

int store_read_next_range(struct store_reader *reader, int64_t *id, struct store_range_info *ret)
{
    sqlite3_stmt *row;
    int r = database_first(read_database(reader), SQL_RANGE_LIST, DATABASE_VALUES(*id), &row);
    if (r)
        return r == DATABASE_NONE ? STORE_READ_END : result_trace(r);
    *ret = (struct store_range_info){.id = sqlite3_column_int64(row, 0),
                                     .stream = (uint32_t)sqlite3_column_int64(row, 2),
                                     .next_offset = (uint64_t)sqlite3_column_int64(row, 5),
                                     .end_offset = STORE_RANGE_OPEN};
    if (sqlite3_column_type(row, 6) != SQLITE_NULL)
        ret->end_offset = (uint64_t)sqlite3_column_int64(row, 6);
    take_text(row, 1, ret->consumer, sizeof(ret->consumer));
    take_text(row, 3, ret->stream_name, sizeof(ret->stream_name));
    take_text(row, 4, ret->lane, sizeof(ret->lane));
    take_text(row, 7, ret->attributes, sizeof(ret->attributes));
    ret->holds = strcmp(ret->lane, "replay") != 0;
    database_done(row);
    *id = ret->id;
    return 0;
}

/* Record bytes of the stream before offset, cumulative. */
static int bytes_before(struct store_reader *reader, const struct store_stream_info *info,
                        uint64_t offset, uint64_t *ret)
{
    struct segment *segment;
    int r = STORE_READ_END;
    while (offset < info->next_offset) {
        uint64_t skip_to = offset;
        r = store_read(reader, info->stream, offset, &segment, &skip_to);
        if (r != STORE_READ_DAMAGED || skip_to <= offset)
            break;
        offset = skip_to;
        r = STORE_READ_END;
    }
    *ret = info->end_bytes;
    if (r)
        return r < 0 ? result_trace(r) : 0;
    struct segment_iterator it;
    segment_iterator_init(&it, segment, offset);
    *ret = segment_iterator_bytes(&it);
    segment_unref(segment);
    return 0;
}

int store_read_range_lag(struct store_reader *reader, const struct store_stream_info *info,
                         const struct store_range_info *range, struct store_range_lag *ret)
{
    struct store_range_lag lag = {.from = range->next_offset, .to = range->end_offset};
    if (lag.from < info->first_offset)
        lag.from = info->first_offset;
    if (lag.to > info->next_offset)
        lag.to = info->next_offset;
    if (lag.from > lag.to)
        lag.from = lag.to;
    uint64_t before = 0, end = 0;
    int r = lag.from < lag.to ? bytes_before(reader, info, lag.from, &before) : 0;
    if (!r && lag.from < lag.to)
        r = bytes_before(reader, info, lag.to, &end);
    if (r)
        return result_trace(r);
    lag.bytes = end > before ? end - before : 0;
    *ret = lag;
    return 0;
}
