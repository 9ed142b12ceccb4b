#include "store/rows.h"

#include <string.h>

#include "store/internal.h"
#include "store/record.h"

enum {
    BATCH_COLUMNS = 10,
    BATCH_CRC = 8,
    BATCH_DATA = 9,
    META_KEY_MAX_BYTES = 64,
    META_TEXT_MAX_BYTES = 4096,
    LANE_MAX_BYTES = 15,
    CONSUMER_MAX_BYTES = 127,
    ATTRIBUTES_MAX_BYTES = 64 * 1024
};

/* A letter per column: n NULL (also the alias of the rowid, which is stored so), i integer,
 * t text, v any value but a blob, b blob (or, when empty, whatever SQLite makes of it), x integer
 * or NULL, y text or NULL. */
static const struct {
    enum row_kind kind;
    bool index;
    const char *columns;
} shapes[] = {
    {ROW_BATCH, false, "niiiiiiiib"}, {ROW_STREAM, false, "ntiiii"},
    {ROW_STREAM, false, "ntiii"}, /* format 1 */
    {ROW_RANGE, false, "ntitixy"},    {ROW_BOOT, false, "ntxx"},
    {ROW_BOOT, false, "ntx"}, /* format 1, without base_us */
    {ROW_MARK, false, "ni"},          {ROW_EPOCH, true, "iit"},
    {ROW_META, true, "tv"},
};

static bool fits(char letter, enum column_type type)
{
    switch (letter) {
    case 'n':
        return type == COLUMN_NULL;
    case 'i':
        return type == COLUMN_INTEGER;
    case 't':
        return type == COLUMN_TEXT;
    case 'b':
        return type == COLUMN_BLOB;
    case 'x':
        return type == COLUMN_INTEGER || type == COLUMN_NULL;
    case 'y':
        return type == COLUMN_TEXT || type == COLUMN_NULL;
    default:
        return type == COLUMN_INTEGER || type == COLUMN_TEXT;
    }
}

static enum row_kind shape_of(const struct record *record)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const char *columns = shapes[i].columns;
        bool same = shapes[i].index == record->index && strlen(columns) == record->count;
        for (unsigned k = 0; same && k < record->count; k++)
            same = fits(columns[k], record->columns[k].type);
        if (same)
            return shapes[i].kind;
    }
    return ROW_NONE;
}

bool row_possible(const struct record *record)
{
    return shape_of(record) != ROW_NONE;
}

bool row_was_batch(const struct record *record)
{
    return shape_of(record) == ROW_BATCH;
}

static bool is_stream_id(int64_t id)
{
    return id >= 1 && id <= STORE_STREAM_ID_MAX;
}

static bool is_key(int64_t key)
{
    return is_stream_id(key >> BATCH_STREAM_SHIFT);
}

static bool is_offset(int64_t offset)
{
    return offset >= 0 && (uint64_t)offset <= BATCH_OFFSET_MAX;
}

/* Of bytes that were ever stored. */
static bool is_sum(int64_t bytes)
{
    return bytes >= 0 && bytes < INT64_C(1) << 60;
}

static bool is_printable(struct slice text, size_t max)
{
    if (!text.len || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7F)
            return false;
    return true;
}

static bool is_stream_name(struct slice text)
{
    char name[STORE_STREAM_NAME_MAX_BYTES];
    if (!is_printable(text, sizeof(name) - 1))
        return false;
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return store_stream_name_valid(name, true);
}

static bool is_epoch(struct slice text)
{
    if (text.len != STORE_EPOCH_MAX_BYTES - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
            return false;
    return true;
}

static bool take_batch(const struct record *record, struct row *ret)
{
    const struct column *c = record->columns;
    const struct batch_row row = {.key = record->rowid,
                                  .n = c[1].integer,
                                  .t_min_us = c[2].integer,
                                  .t_max_us = c[3].integer,
                                  .codec = c[4].integer,
                                  .raw_bytes = c[5].integer,
                                  .end_bytes = c[6].integer,
                                  .end_stored = c[7].integer};
    if (!is_key(row.key))
        return false;
    ret->batch.columns = row;
    ret->batch.data = c[BATCH_DATA].bytes;
    ret->batch.crc = batch_row_crc(&row, ret->batch.data);
    if (ret->batch.crc != (uint64_t)c[BATCH_CRC].integer || row.n < 1 || row.n > UINT32_MAX ||
        row.raw_bytes < 1 || batch_key_offset(row.key) + (uint64_t)row.n > BATCH_OFFSET_MAX)
        ret->kind = ROW_BATCH_DAMAGED;
    return true;
}

static bool take_stream(const struct record *record, struct row *ret)
{
    const struct column *c = record->columns;
    ret->stream.id = (uint32_t)record->rowid;
    ret->stream.name = c[1].bytes;
    ret->stream.next_offset = (uint64_t)c[2].integer;
    ret->stream.end_bytes = (uint64_t)c[3].integer;
    ret->stream.end_stored = (uint64_t)c[4].integer;
    return is_stream_id(record->rowid) && is_stream_name(c[1].bytes) && is_offset(c[2].integer) &&
           is_sum(c[3].integer) && is_sum(c[4].integer);
}

static bool take_range(const struct record *record, struct row *ret)
{
    const struct column *c = record->columns;
    bool open = c[5].type == COLUMN_NULL;
    ret->range.id = record->rowid;
    ret->range.consumer = c[1].bytes;
    ret->range.stream = (uint32_t)c[2].integer;
    ret->range.lane = c[3].bytes;
    ret->range.next_offset = (uint64_t)c[4].integer;
    ret->range.end_offset = open ? UINT64_MAX : (uint64_t)c[5].integer;
    ret->range.attributes = c[6].type == COLUMN_NULL ? SLICE_EMPTY : c[6].bytes;
    return record->rowid > 0 && is_printable(c[1].bytes, CONSUMER_MAX_BYTES) &&
           is_stream_id(c[2].integer) && is_printable(c[3].bytes, LANE_MAX_BYTES) &&
           is_offset(c[4].integer) && (open || is_offset(c[5].integer)) &&
           ret->range.attributes.len <= ATTRIBUTES_MAX_BYTES;
}

static bool take_boot(const struct record *record, struct row *ret)
{
    const struct column *c = record->columns;
    const struct column *correction = &c[record->count - 1];
    ret->boot.key = record->rowid;
    ret->boot.id = c[1].bytes;
    ret->boot.base_known = record->count == 4 && c[2].type == COLUMN_INTEGER;
    ret->boot.base_us = ret->boot.base_known ? c[2].integer : 0;
    ret->boot.correction_known = correction->type == COLUMN_INTEGER;
    ret->boot.correction_us = ret->boot.correction_known ? correction->integer : 0;
    return is_key(record->rowid) && is_printable(c[1].bytes, BOOT_ID_MAX_BYTES);
}

/* A row of a table without rowid, or an entry of an index. */
static bool take_keyed(const struct record *record, struct row *ret)
{
    const struct column *c = record->columns;
    if (ret->kind == ROW_EPOCH) {
        ret->epoch.stream = (uint32_t)c[0].integer;
        ret->epoch.first_offset = (uint64_t)c[1].integer;
        ret->epoch.epoch = c[2].bytes;
        return is_stream_id(c[0].integer) && is_offset(c[1].integer) && is_epoch(c[2].bytes);
    }
    ret->meta.key = c[0].bytes;
    ret->meta.numeric = c[1].type == COLUMN_INTEGER;
    ret->meta.number = ret->meta.numeric ? c[1].integer : 0;
    ret->meta.text = ret->meta.numeric ? SLICE_EMPTY : c[1].bytes;
    return is_printable(c[0].bytes, STORE_STREAM_NAME_MAX_BYTES - 1) &&
           ret->meta.text.len <= META_TEXT_MAX_BYTES;
}

/* Keys of table meta whose values are numbers: they look like entries of the index over the names
 * of the streams. */
static bool is_numeric_key(struct slice key)
{
    static const char *const keys[] = {"clean",         "run_us",      "run",
                                       "written_bytes", "syncs",       "cursors_lost",
                                       "epochs",        "flash_bytes", "budget_credit"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (slice_equal_string(key, keys[i]))
            return true;
    return false;
}

/* The two tables look alike; what may be the name of a stream is taken for one unless it is known
 * not to be. */
static void tell_name(struct row *row)
{
    const struct slice key = row->meta.key;
    if (row->meta.numeric && is_stream_id(row->meta.number) && is_stream_name(key) &&
        !is_numeric_key(key)) {
        uint32_t id = (uint32_t)row->meta.number;
        *row = (struct row){.kind = ROW_NAME, .stream = {.id = id, .name = key}};
    } else if (key.len > META_KEY_MAX_BYTES) {
        row->kind = ROW_NONE;
    }
}

void row_recognise(const struct record *record, struct row *ret)
{
    bool ok = false;
    *ret = (struct row){.kind = shape_of(record)};
    switch (ret->kind) {
    case ROW_BATCH:
        ok = take_batch(record, ret);
        break;
    case ROW_STREAM:
        ok = take_stream(record, ret);
        break;
    case ROW_RANGE:
        ok = take_range(record, ret);
        break;
    case ROW_BOOT:
        ok = take_boot(record, ret);
        break;
    case ROW_MARK:
        ret->mark.key = record->rowid;
        ret->mark.run_us = record->columns[1].integer;
        ok = is_key(record->rowid) && ret->mark.run_us >= 0;
        break;
    case ROW_EPOCH:
    case ROW_META:
        ok = take_keyed(record, ret);
        break;
    case ROW_NONE:
    case ROW_NAME:
    case ROW_BATCH_DAMAGED:
        break;
    }
    if (!ok)
        ret->kind = ROW_NONE;
    else if (ret->kind == ROW_META)
        tell_name(ret);
}
