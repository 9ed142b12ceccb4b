#ifndef SLUICE_STORE_ROWS_H
#define SLUICE_STORE_ROWS_H
/*
 * Rows of the store's tables (schema.sql), recognised among the records of a damaged database by
 * their shape; batches also by their checksum, so that nothing but what was written passes for one.
 * Rows of formats 1 and 2. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/batch.h"

struct record;

enum row_kind {
    ROW_NONE,
    ROW_BATCH,
    ROW_BATCH_DAMAGED, /* would be one, but for its checksum: only batch.key is set */
    ROW_STREAM,
    ROW_NAME, /* stream.id and stream.name alone: of the index over the names */
    ROW_RANGE,
    ROW_EPOCH,
    ROW_BOOT,
    ROW_MARK,
    ROW_META
};

/* Which member is set follows from kind. Slices are those of the record. */
struct row {
    enum row_kind kind;
    union {
        struct {
            struct batch_row columns;
            uint32_t crc;
            struct slice data;
        } batch;
        struct {
            uint32_t id;
            struct slice name;
            uint64_t next_offset, end_bytes, end_stored;
        } stream;
        struct {
            int64_t id;
            struct slice consumer, lane;
            uint32_t stream;
            uint64_t next_offset, end_offset; /* UINT64_MAX: open */
            struct slice attributes;          /* .data NULL: none */
        } range;
        struct {
            uint32_t stream;
            uint64_t first_offset;
            struct slice epoch;
        } epoch;
        struct {
            int64_t key;
            struct slice id;
            bool base_known, correction_known;
            int64_t base_us, correction_us;
        } boot;
        struct {
            int64_t key, run_us;
        } mark;
        struct {
            struct slice key, text;
            bool numeric;
            int64_t number;
        } meta;
    };
};

/* A record_filter: whether a record could be a row of ours. */
bool row_possible(const struct record *record);
/* What the record is. A damaged one that could not be assembled is to be counted by the caller. */
void row_recognise(const struct record *record, struct row *ret);
/* Whether a record that row_possible() let through, but could not be assembled, was a batch. */
bool row_was_batch(const struct record *record);

#endif
