#ifndef SLUICE_STORE_BATCH_H
#define SLUICE_STORE_BATCH_H
/*
 * Record batches as bytes: the codec of records and the checksum of a row of table "batch". The
 * format is specified at the head of batch.c. Pure; of the store room alone.
 */
#include <stdint.h>

#include "base/bytes.h"

struct event;

enum {
    BATCH_CUT_BYTES = 1024 * 1024, /* a batch that has grown to this is closed, another begun */
    BATCH_ROW_BYTES = 64,          /* what a row counts for besides its blob: key, header, cells */
    BATCH_STREAM_SHIFT = 48        /* key = stream << 48 | base offset */
};

#define BATCH_OFFSET_MAX ((UINT64_C(1) << BATCH_STREAM_SHIFT) - 1)

static inline int64_t batch_key(uint32_t stream, uint64_t offset)
{
    return (int64_t)((uint64_t)stream << BATCH_STREAM_SHIFT | offset);
}

static inline uint64_t batch_key_offset(int64_t key)
{
    return (uint64_t)key & BATCH_OFFSET_MAX;
}

/* A batch being filled. */
struct batch {
    struct batch *next; /* of the same stream, younger */
    struct bytes records;
    uint32_t count;
    uint64_t base_offset;
    int64_t t_min_us, t_max_us;         /* received times */
    int64_t received_us;                /* of the last record: base of the next one's delta */
    uint64_t end_bytes, end_stored;     /* columns of its row, set when it is written */
    int64_t clock_base_us;              /* of all its received times, see boot.c */
    int64_t row_base_us, correction_us; /* of its row in table "boot", set when it is written */
};

int batch_new(uint64_t base_offset, size_t reserve_bytes, struct batch **ret); /* 0, -ENOMEM */
struct batch *batch_free(struct batch *batch);               /* NULL accepted; returns NULL */
void batch_reset(struct batch *batch, uint64_t base_offset); /* empties it, keeps its memory */

/* An upper bound of what the record of event takes, in bytes. */
size_t batch_record_bound(const struct event *event);

/* Appends one record. 0, -ENOMEM (nothing is appended). */
int batch_append(struct batch *batch, const struct event *event);

/* Decodes the record at *position, whose predecessor was received at *received_us (0 before the
 * first), and advances both. Slices point into records. 0 or -EBADMSG; survives any bytes. */
int batch_decode(struct slice records, size_t *position, int64_t *received_us, struct event *ret);

/* The columns of a row of table "batch" besides crc and data. */
struct batch_row {
    int64_t key;
    int64_t n;
    int64_t t_min_us, t_max_us;
    int64_t codec;      /* enum pack_codec */
    int64_t raw_bytes;  /* of the records, uncompressed */
    int64_t end_bytes;  /* cumulative record bytes of the stream to the end of this batch */
    int64_t end_stored; /* likewise stored bytes: blob and BATCH_ROW_BYTES */
};

uint32_t batch_row_crc(const struct batch_row *row, struct slice data);

#endif
