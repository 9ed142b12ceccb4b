/*
 * Records of a damaged database. A leaf page of a table (type 0x0D), and each page of an index
 * (0x0A, 0x02), has an array of offsets of its cells; a cell holds the length of its record, the
 * beginning of the record and, where it does not fit, the number of a chain of overflow pages. A
 * record begins with the types of its columns.
 *
 * Every length is held against what is there before it is used; a chain has as many pages as the
 * record needs, so that a circle in it ends.
 */
#include "store/record.h"

#include "base/result.h"
#include "store/batch.h"
#include "store/pages.h"

enum {
    PAGE_TABLE_LEAF = 0x0D,
    PAGE_INDEX_LEAF = 0x0A,
    PAGE_INDEX_INNER = 0x02,
    PAGE_HEADER_BYTES = 8,
    PAGE_INNER_HEADER_BYTES = 12,
    FILE_HEADER_BYTES = 100,
    VARINT_MAX_BYTES = 9,
    TYPE_BLOB = 12,
    TYPE_TEXT = 13
};

/* SQLite's variable-length integer: 7 bits a byte, most significant first, the ninth has 8. */
static bool take_varint(struct slice *in, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < in->len && i < VARINT_MAX_BYTES; i++) {
        bool last = i == VARINT_MAX_BYTES - 1;
        v = last ? v << 8 | in->data[i] : v << 7 | (in->data[i] & 0x7F);
        if (last || in->data[i] < 0x80) {
            *in = slice_make(in->data + i + 1, in->len - i - 1);
            *ret = v;
            return true;
        }
    }
    return false;
}

static uint64_t type_bytes(uint64_t type)
{
    static const uint8_t sizes[TYPE_BLOB] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
    return type < TYPE_BLOB ? sizes[type] : (type - TYPE_BLOB) / 2;
}

static enum column_type type_of(uint64_t type)
{
    if (type == 0)
        return COLUMN_NULL;
    if (type == 7)
        return COLUMN_REAL;
    if (type < TYPE_BLOB)
        return COLUMN_INTEGER;
    return type % 2 ? COLUMN_TEXT : COLUMN_BLOB;
}

static int64_t big_endian(const uint8_t *p, size_t len)
{
    uint64_t v = len && p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

/* The types of the columns; *body is left behind them. types and *ret_bytes: what the body must
 * have. */
static bool decode_types(struct slice *body, struct record *record,
                         uint64_t types[RECORD_COLUMNS_MAX], uint64_t *ret_bytes)
{
    struct slice in = *body;
    uint64_t header = 0, bytes = 0;
    if (!take_varint(&in, &header) || header > body->len || header < body->len - in.len)
        return false;
    struct slice head = slice_make(in.data, header - (body->len - in.len));
    record->count = 0;
    while (head.len) {
        uint64_t type;
        if (record->count == RECORD_COLUMNS_MAX || !take_varint(&head, &type) || type == 10 ||
            type == 11 || type > UINT32_MAX)
            return false;
        types[record->count] = type;
        record->columns[record->count++] = (struct column){.type = type_of(type)};
        bytes += type_bytes(type);
    }
    *body = slice_make(body->data + header, body->len - header);
    *ret_bytes = bytes;
    return true;
}

bool record_decode(struct slice payload, struct record *ret)
{
    uint64_t types[RECORD_COLUMNS_MAX], bytes;
    struct slice body = payload;
    if (!decode_types(&body, ret, types, &bytes) || bytes > body.len)
        return false;
    for (unsigned i = 0; i < ret->count; i++) {
        struct column *column = &ret->columns[i];
        size_t len = (size_t)type_bytes(types[i]);
        column->bytes = slice_make(body.data, len);
        if (column->type == COLUMN_INTEGER)
            column->integer = types[i] == 9 ? 1 : types[i] == 8 ? 0 : big_endian(body.data, len);
        body = slice_make(body.data + len, body.len - len);
    }
    return true;
}

void record_iterator_init(struct record_iterator *it, struct pages *pages, uint32_t number,
                          struct bytes *scratch)
{
    *it = (struct record_iterator){.pages = pages, .scratch = scratch, .number = number};
    const uint8_t *page = pages_get(pages, number);
    size_t at = number == 1 ? FILE_HEADER_BYTES : 0;
    if (!page)
        return;
    uint8_t type = page[at];
    if (type != PAGE_TABLE_LEAF && type != PAGE_INDEX_LEAF && type != PAGE_INDEX_INNER)
        return;
    it->index = type != PAGE_TABLE_LEAF;
    it->cells = (unsigned)page[at + 3] << 8 | page[at + 4];
    size_t head = at + (type == PAGE_INDEX_INNER ? PAGE_INNER_HEADER_BYTES : PAGE_HEADER_BYTES);
    unsigned max = (unsigned)((pages_usable(pages) - head) / 2);
    if (it->cells > max)
        it->cells = max;
}

/* A cell as far as its page holds it. */
struct cell {
    uint64_t bytes; /* of the record */
    int64_t rowid;
    struct slice local; /* its beginning */
    uint32_t overflow;  /* 0: it is whole */
};

/* How much of a record stays in its page. */
static uint64_t local_bytes(uint64_t usable, bool index, uint64_t bytes)
{
    uint64_t max = index ? (usable - 12) * 64 / 255 - 23 : usable - 35;
    if (bytes <= max)
        return bytes;
    uint64_t min = (usable - 12) * 32 / 255 - 23;
    uint64_t local = min + (bytes - min) % (usable - 4);
    return local <= max ? local : min;
}

static bool find_cell(const struct record_iterator *it, const uint8_t *page, unsigned which,
                      struct cell *ret)
{
    uint32_t usable = pages_usable(it->pages);
    size_t at = it->number == 1 ? FILE_HEADER_BYTES : 0;
    bool inner = page[at] == PAGE_INDEX_INNER;
    const uint8_t *pointer =
        page + at + (inner ? PAGE_INNER_HEADER_BYTES : PAGE_HEADER_BYTES) + 2 * (size_t)which;
    size_t begin = (size_t)pointer[0] << 8 | pointer[1], skip = inner ? 4 : 0;
    if (begin < PAGE_HEADER_BYTES || begin + skip >= usable)
        return false;
    struct slice in = slice_make(page + begin + skip, usable - begin - skip);
    uint64_t rowid = 0;
    if (!take_varint(&in, &ret->bytes) || (!it->index && !take_varint(&in, &rowid)))
        return false;
    ret->rowid = (int64_t)rowid;
    uint64_t local = local_bytes(usable, it->index, ret->bytes);
    if (local > in.len || (local < ret->bytes && local + 4 > in.len))
        return false;
    ret->local = slice_make(in.data, (size_t)local);
    ret->overflow = local == ret->bytes ? 0 : (uint32_t)big_endian(in.data + local, 4);
    return true;
}

/* Puts the record together. 0, RECORD_BROKEN, -ENOMEM. */
static int assemble(struct pages *pages, const struct cell *cell, struct bytes *out)
{
    size_t part = pages_usable(pages) - 4;
    uint32_t next = cell->overflow;
    bytes_reset(out, BATCH_CUT_BYTES);
    if (cell->bytes > out->max || cell->bytes / part > pages_count(pages))
        return RECORD_BROKEN;
    int r = bytes_append_slice(out, cell->local);
    while (!r && out->len < cell->bytes) {
        const uint8_t *page = pages_get(pages, next);
        if (!page)
            return RECORD_BROKEN;
        size_t rest = (size_t)cell->bytes - out->len;
        next = (uint32_t)big_endian(page, 4);
        r = bytes_append(out, page + 4, rest < part ? rest : part);
    }
    return r == BYTES_FULL ? RECORD_BROKEN : r;
}

static int read_cell(struct record_iterator *it, record_filter *filter, const struct cell *cell,
                     struct record *ret)
{
    uint64_t types[RECORD_COLUMNS_MAX], bytes;
    struct slice head = cell->local;
    *ret = (struct record){.index = it->index, .rowid = cell->rowid};
    if (!decode_types(&head, ret, types, &bytes) ||
        bytes != cell->bytes - (cell->local.len - head.len) || !filter(ret))
        return RECORD_END;
    int r = assemble(it->pages, cell, it->scratch);
    if (!r && !record_decode(bytes_slice(it->scratch), ret))
        r = RECORD_BROKEN;
    return r;
}

int record_next(struct record_iterator *it, record_filter *filter, struct record *ret)
{
    while (it->next < it->cells) {
        const uint8_t *page = pages_get(it->pages, it->number);
        struct cell cell;
        if (!page)
            break;
        if (!find_cell(it, page, it->next++, &cell))
            continue;
        int r = read_cell(it, filter, &cell, ret);
        if (r != RECORD_END)
            return r;
    }
    return RECORD_END;
}
