#ifndef SLUICE_STORE_RECORD_H
#define SLUICE_STORE_RECORD_H
/* Records of SQLite's file format, read from the pages of a damaged database (store/pages.h)
 * without SQLite: any bytes are survived. Pure. */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct pages;

enum { RECORD_COLUMNS_MAX = 16 };

/* A column of a record. */
enum column_type { COLUMN_NULL, COLUMN_INTEGER, COLUMN_REAL, COLUMN_TEXT, COLUMN_BLOB };
struct column {
    enum column_type type;
    int64_t integer;    /* COLUMN_INTEGER */
    struct slice bytes; /* TEXT, BLOB */
};

/* A record of a table or of an index (of which a table WITHOUT ROWID consists). */
struct record {
    bool index;
    int64_t rowid; /* of a table's record */
    unsigned count;
    struct column columns[RECORD_COLUMNS_MAX];
};

/* The records of one page, in the order of its cells. */
struct record_iterator {
    struct pages *pages;
    struct bytes *scratch; /* what a record is assembled in */
    uint32_t number;
    unsigned next, cells;
    bool index;
};

/* Asked with the types of a record's columns, whose integers and texts are not there yet, whether
 * it is worth assembling. */
typedef bool record_filter(const struct record *record);

/* A page that is no leaf of a table and no page of an index has no records. */
void record_iterator_init(struct record_iterator *it, struct pages *pages, uint32_t number,
                          struct bytes *scratch);

/* The next record that passes the filter and can be assembled; its slices point into
 * the scratch. 0; RECORD_END; RECORD_BROKEN (it passed, but a page of it is missing; go on);
 * -ENOMEM. */
enum record_outcome { RECORD_END = 1, RECORD_BROKEN = 2 };
int record_next(struct record_iterator *it, record_filter *filter, struct record *ret);

/* Takes a record apart: payload is the whole of it. false: it is none. */
bool record_decode(struct slice payload, struct record *ret);

#endif
