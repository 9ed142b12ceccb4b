#ifndef SLUICE_STORE_RANGE_H
#define SLUICE_STORE_RANGE_H
/*
 * Ranges: what is still to be sent, to whom. A consumer (an upstream) has one range per stream it
 * forwards; its start is the cursor, persisted in table "range", moved only over the longest
 * acknowledged prefix.
 *
 * struct range_feed is the meeting point of the pipeline and one consumer thread:
 *
 *   pipeline -> consumer   feed->queue: RANGE_ATTACHED once, then RANGE_SEGMENT for each committed
 *                          batch as long as the range is live and the queue has room. Else the
 *                          batch is not queued: the consumer sees head move on and reads the store
 *                          instead. A consumer that is behind is not live, so a backlog of any
 *                          length costs it no memory and no wake-ups.
 *   consumer -> pipeline   struct range_cursor_move through the pipeline's queue.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct metric_set;
struct segment;

enum {
    RANGE_STREAMS_MAX = 16,             /* streams of one consumer */
    RANGE_FEED_MAX_BYTES = 1024 * 1024, /* live batches waiting for one consumer */
    RANGE_CONSUMER_MAX_BYTES = 128      /* name with its NUL */
};

/* Kinds of items in feed->queue. */
enum range_feed_kind {
    RANGE_ATTACHED = 1, /* plain queue_item: the fields marked (attach) are valid from now on */
    RANGE_SEGMENT,      /* struct range_segment */
    RANGE_STOP,         /* plain queue_item: the consumer is to end (from the gateway) */
    RANGE_CLIENT        /* struct of the uplink room: what its client's threads report */
};

/* Where a consumer begins in a stream that it has no cursor for. */
enum range_start { RANGE_START_OLDEST, RANGE_START_NEWEST, RANGE_START_DEFAULT };

struct range {
    char stream_name[256];        /* set by whoever makes the feed */
    uint32_t stream;              /* (attach) */
    int64_t id;                   /* (attach) row in table "range" */
    uint64_t start_offset;        /* (attach) the persisted cursor */
    _Atomic uint64_t head_offset; /* next offset of the stream as committed; pipeline writes */
    _Atomic uint64_t head_bytes;  /* cumulative record bytes at head */
    /* What lies below was dropped, whether the consumer knows already or not; pipeline writes. */
    _Atomic uint64_t floor_offset, floor_bytes;
    /* The consumer writes: */
    _Atomic uint64_t cursor_offset; /* everything below is done with */
    _Atomic uint64_t cursor_bytes;  /* cumulative record bytes there; UINT64_MAX: not known */
    atomic_bool live;               /* it wants batches as they are committed; at first it does */
    struct metric_set *metrics;     /* gauges of the range, see range_show() */
};

struct range_feed {
    atomic_uint references;                  /* pipeline, consumer, gateway */
    char consumer[RANGE_CONSUMER_MAX_BYTES]; /* name of the upstream */
    enum range_start start;
    struct queue queue;
    unsigned count;
    struct range ranges[RANGE_STREAMS_MAX];
    atomic_bool damaged;      /* the consumer met pages that cannot be read: see sender.c */
    char gateway_id[128];     /* (attach) */
    char database_path[4096]; /* (attach) for store_reader_open() */
};

/* Makes a feed for consumer over count streams (at most RANGE_STREAMS_MAX, names copied). One
 * reference goes to the caller. -ENOMEM, -errno. */
int range_feed_new(const char *consumer, enum range_start start, const char *const *streams,
                   unsigned count, struct range_feed **ret);
struct range_feed *range_feed_ref(struct range_feed *feed);
struct range_feed *range_feed_unref(struct range_feed *feed); /* NULL accepted; returns NULL */

/* A committed batch on its way to a consumer; owns one reference to segment. */
struct range_segment {
    struct queue_item item; /* kind RANGE_SEGMENT */
    unsigned range;         /* index into feed->ranges */
    struct segment *segment;
};

/* Moves the head of the range forward, if it lies before offset, and shows it. The pipeline. */
void range_head_move(struct range *range, uint64_t offset, uint64_t bytes);
/* Says that what lies below offset is gone and shows it: it does not lag any more. The pipeline. */
void range_floor_move(struct range *range, uint64_t offset, uint64_t bytes);
/* Says how far the consumer is (bytes UINT64_MAX: not known) and shows it. The consumer; before it
 * is attached, the pipeline. */
void range_cursor_show(struct range *range, uint64_t offset, uint64_t bytes);
/* Says when the oldest event not yet acknowledged was received, microseconds UTC; 0: there is none,
 * or it is not known. The consumer. */
void range_oldest_show(struct range *range, int64_t received_us);
/* Switches live on or off. true: it was switched on and the head is no longer at offset seen_head,
 * so a batch may have been missed and the store has it. The consumer. */
bool range_live_set(struct range *range, bool live, uint64_t seen_head);

/* Pushes one reference of segment to the feed if the range is live and there is room, else drops
 * it; the head of the range is moved first, either way. The pipeline. */
void range_feed_publish(struct range_feed *feed, unsigned range, struct segment *segment);
/* Makes a bare item (RANGE_ATTACHED, RANGE_STOP) and pushes it. -ENOMEM. */
int range_feed_notify(struct range_feed *feed, enum range_feed_kind kind);

/* kind INGEST_ATTACH or INGEST_DETACH; owns one reference to feed. */
struct range_attach {
    struct queue_item item;
    struct range_feed *feed;
};
int range_attach_new(struct range_feed *feed, int kind, struct queue_item **ret);

/* kind INGEST_CURSOR; owns one reference to feed. */
struct range_cursor_move {
    struct queue_item item;
    struct range_feed *feed;
    unsigned range;
    uint64_t next_offset;  /* everything below is acknowledged */
    uint64_t acknowledged; /* how many events that adds */
};
int range_cursor_move_new(struct range_feed *feed, unsigned range, uint64_t next_offset,
                          uint64_t acknowledged, struct queue_item **ret);

#endif
