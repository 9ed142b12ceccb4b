#ifndef SLUICE_STORE_READ_H
#define SLUICE_STORE_READ_H
/*
 * Reading streams. struct segment is one record batch in memory, decompressed: immutable, shared by
 * reference count between threads. struct store_reader is a read-only connection that belongs to
 * one thread; it never holds a snapshot between calls, so it never keeps the WAL from being reset.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct error;
struct event;

struct segment {
    atomic_uint references;
    uint32_t stream;       /* store-internal stream number */
    char epoch[17];        /* of all its events: a batch never spans two epochs */
    uint32_t count;        /* records, >= 1 */
    uint64_t base_offset;  /* of the first record */
    uint64_t end_bytes;    /* cumulative record bytes of the stream to the end of this segment */
    struct bytes records;  /* encoded records, format at the head of store/batch.c */
    bool corrected;        /* what the wall clock was off is known: */
    int64_t correction_us; /* is added to received times whose quality is "unsynced" */
};

struct segment *segment_ref(struct segment *segment);   /* returns segment */
struct segment *segment_unref(struct segment *segment); /* NULL accepted; returns NULL */

static inline uint64_t segment_end_offset(const struct segment *segment)
{
    return segment->base_offset + segment->count;
}

/* Iteration over the records of a segment from an offset on. The iterator borrows the segment. */
struct segment_iterator {
    const struct segment *segment;
    size_t position;      /* bytes into records */
    uint64_t next_offset; /* of the record at position */
    int64_t received_us;  /* running base of the delta-coded times */
};

/* Starts at the first record with an offset >= offset. */
void segment_iterator_init(struct segment_iterator *it, const struct segment *segment,
                           uint64_t offset);

/* The next event (slices into the segment) and its offset; its received time is corrected where
 * that is known, its quality then CLOCK_CORRECTED. 0, SEGMENT_END, or -EBADMSG if the records are
 * damaged (cannot happen for a segment whose CRC was checked, but for a bug). */
enum segment_outcome { SEGMENT_END = 1 };
int segment_next(struct segment_iterator *it, struct event *ret, uint64_t *ret_offset);

/* Record bytes of the stream that lie before the iterator, cumulative: for lag in bytes. */
uint64_t segment_iterator_bytes(const struct segment_iterator *it);

struct store_reader;

/* Opens database path (store_path()) read-only. 0 or -errno with error filled. */
int store_reader_open(const char *path, struct error *error, struct store_reader **ret);
struct store_reader *store_reader_close(struct store_reader *reader); /* NULL ok; returns NULL */

/* The batch of a stream that holds offset or, if that is gone, the first one after it (then
 * base_offset > offset: what lies between was removed by retention or is damaged). A reference goes
 * to the caller. Outcomes: */
enum store_read_outcome {
    STORE_READ_END = 1,    /* nothing at or after offset */
    STORE_READ_DAMAGED = 2 /* the batch there fails its CRC; at *ret_skip_to the next begins */
};
int store_read(struct store_reader *reader, uint32_t stream, uint64_t offset, struct segment **ret,
               uint64_t *ret_skip_to);

/* The first offset of a stream whose event was received, as read, at wall_us (microseconds UTC) or
 * later; where the clock was set back that may be a while before others received earlier. Looks at
 * few batches, however long the stream is; see seek.c for what it relies on. 0, STORE_READ_END (no
 * such event), -errno. */
int store_read_seek_time(struct store_reader *reader, uint32_t stream, int64_t wall_us,
                         uint64_t *ret_offset);

/* First and next offset of a stream and its cumulative record bytes, as committed. 0 or -errno; an
 * unknown stream is -ENOENT. For offline tools and status. */
struct store_stream_info {
    uint32_t stream;
    uint64_t first_offset, next_offset;
    uint64_t stored_bytes; /* of batches, compressed */
    uint64_t end_bytes;    /* cumulative record bytes */
};
int store_read_stream(struct store_reader *reader, const char *name, struct store_stream_info *ret);

/* Walks the names of the streams in order of their numbers. 0, STORE_READ_END. name must have 256
 * bytes. *stream starts at 0 and is advanced. */
enum { STORE_STREAM_NAME_MAX_BYTES = 256 };
int store_read_next_stream(struct store_reader *reader, uint32_t *stream,
                           char name[STORE_STREAM_NAME_MAX_BYTES]);

/* Walks the ranges in order of their ids; *id starts at 0 and is advanced. 0, STORE_READ_END,
 * -errno. */
enum { STORE_READ_CONSUMER_BYTES = 128, STORE_READ_LANE_BYTES = 16, STORE_READ_JSON_BYTES = 4097 };
struct store_range_info {
    int64_t id;
    char consumer[STORE_READ_CONSUMER_BYTES];
    uint32_t stream;
    char stream_name[STORE_STREAM_NAME_MAX_BYTES]; /* "": there is no such stream */
    char lane[STORE_READ_LANE_BYTES];              /* as it stands there: "live", "backlog", ... */
    bool holds;                                    /* against retention */
    uint64_t next_offset;
    uint64_t end_offset;                    /* UINT64_MAX: open */
    char attributes[STORE_READ_JSON_BYTES]; /* JSON text; "": none */
};
int store_read_next_range(struct store_reader *reader, int64_t *id, struct store_range_info *ret);

/* What a range is still to get of the stream info tells of, and holds if it does: offsets [from,
 * to), record bytes to match. Reads two batches; where one is damaged, bytes count from the next.
 * 0, -errno. */
struct store_range_lag {
    uint64_t from, to;
    uint64_t bytes;
};
int store_read_range_lag(struct store_reader *reader, const struct store_stream_info *info,
                         const struct store_range_info *range, struct store_range_lag *ret);

#endif
