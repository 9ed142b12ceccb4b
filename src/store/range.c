#include "store/range.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/result.h"
#include "event/ingest.h"
#include "store/read.h"

int range_feed_new(const char *consumer, enum range_start start, const char *const *streams,
                   unsigned count, struct range_feed **ret)
{
    assert(count <= RANGE_STREAMS_MAX && strlen(consumer) < RANGE_CONSUMER_MAX_BYTES);
    struct range_feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return result_origin(-ENOMEM);
    int r = queue_init(&feed->queue, RANGE_FEED_MAX_BYTES);
    if (r) {
        free(feed);
        return result_trace(r);
    }
    atomic_init(&feed->references, 1);
    snprintf(feed->consumer, sizeof(feed->consumer), "%s", consumer);
    feed->start = start;
    atomic_init(&feed->damaged, false);
    feed->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct range *range = &feed->ranges[i];
        atomic_init(&range->head_offset, 0);
        atomic_init(&range->head_bytes, 0);
        atomic_init(&range->cursor_offset, 0);
        atomic_init(&range->cursor_bytes, UINT64_MAX);
        atomic_init(&range->live, true);
        snprintf(range->stream_name, sizeof(range->stream_name), "%s", streams[i]);
        range->metrics = metric_set_get(METRIC_GROUP_RANGE, consumer, streams[i]);
    }
    *ret = feed;
    return 0;
}

struct range_feed *range_feed_ref(struct range_feed *feed)
{
    atomic_fetch_add_explicit(&feed->references, 1, memory_order_relaxed);
    return feed;
}

struct range_feed *range_feed_unref(struct range_feed *feed)
{
    if (!feed || atomic_fetch_sub_explicit(&feed->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    queue_deinit(&feed->queue);
    free(feed);
    return NULL;
}

/* Both sides write the gauges, each when its end has moved. Whoever finds after writing that the
 * other end has moved as well writes again, so what stands there at last is what holds. */
static void range_show(struct range *range)
{
    uint64_t head, head_bytes, cursor, cursor_bytes, floor;
    do {
        floor = atomic_load(&range->floor_offset);
        head = atomic_load(&range->head_offset);
        head_bytes = atomic_load(&range->head_bytes);
        cursor = atomic_load(&range->cursor_offset);
        cursor_bytes = atomic_load(&range->cursor_bytes);
        bool dropped = floor > cursor;
        uint64_t next = dropped ? floor : cursor;
        uint64_t bytes = dropped ? atomic_load(&range->floor_bytes) : cursor_bytes;
        bool bytes_known = head > next && head_bytes > bytes;
        metric_put(range->metrics, METRIC_RANGE_NEXT_OFFSET, next);
        metric_put(range->metrics, METRIC_RANGE_LAG_EVENTS, head > next ? head - next : 0);
        metric_put(range->metrics, METRIC_RANGE_LAG_BYTES, bytes_known ? head_bytes - bytes : 0);
        atomic_thread_fence(memory_order_seq_cst); /* the gauges are written before the next look */
    } while (head != atomic_load(&range->head_offset) ||
             head_bytes != atomic_load(&range->head_bytes) ||
             cursor != atomic_load(&range->cursor_offset) ||
             floor != atomic_load(&range->floor_offset) ||
             cursor_bytes != atomic_load(&range->cursor_bytes));
}

void range_head_move(struct range *range, uint64_t offset, uint64_t bytes)
{
    if (offset <= atomic_load(&range->head_offset))
        return; /* said already when it was committed */
    /* Bytes first: whoever sees the new offset sees bytes that are no older. */
    atomic_store(&range->head_bytes, bytes);
    atomic_store(&range->head_offset, offset);
    range_show(range);
}

void range_floor_move(struct range *range, uint64_t offset, uint64_t bytes)
{
    atomic_store(&range->floor_bytes, bytes);
    atomic_store(&range->floor_offset, offset);
    range_show(range);
}

void range_cursor_show(struct range *range, uint64_t offset, uint64_t bytes)
{
    atomic_store(&range->cursor_bytes, bytes);
    atomic_store(&range->cursor_offset, offset);
    range_show(range);
}

void range_oldest_show(struct range *range, int64_t received_us)
{
    metric_put(range->metrics, METRIC_RANGE_OLDEST_UNSENT,
               received_us > 0 ? (uint64_t)received_us : 0);
}

bool range_live_set(struct range *range, bool live, uint64_t seen_head)
{
    /* The pipeline moves the head and then asks for live; here it is the other way round. One of
     * the two sees what the other did. */
    bool was_live = atomic_exchange(&range->live, live);
    return live && !was_live && atomic_load(&range->head_offset) != seen_head;
}

static void segment_item_free(struct queue_item *item)
{
    struct range_segment *s = (struct range_segment *)item;
    segment_unref(s->segment);
    free(s);
}

void range_feed_publish(struct range_feed *feed, unsigned range, struct segment *segment)
{
    assert(range < feed->count);
    range_head_move(&feed->ranges[range], segment_end_offset(segment), segment->end_bytes);
    bool live = atomic_load(&feed->ranges[range].live);
    struct range_segment *s = live ? malloc(sizeof(*s)) : NULL;
    if (!s) {
        segment_unref(segment);
        return;
    }
    *s = (struct range_segment){.item = {.bytes = sizeof(*s) + segment->records.cap,
                                         .kind = RANGE_SEGMENT,
                                         .free = segment_item_free},
                                .range = range,
                                .segment = segment};
    struct queue_item *item = &s->item;
    if (queue_push(&feed->queue, &item))
        segment_item_free(item);
}

static void bare_item_free(struct queue_item *item)
{
    free(item);
}

int range_feed_notify(struct range_feed *feed, enum range_feed_kind kind)
{
    struct queue_item *item = malloc(sizeof(*item));
    if (!item)
        return result_origin(-ENOMEM);
    /* Counts for nothing: a queue full of batches must still take it. */
    *item = (struct queue_item){.bytes = 0, .kind = (int)kind, .free = bare_item_free};
    if (queue_push(&feed->queue, &item))
        free(item); /* closed: nobody listens any more */
    return 0;
}

static void attach_free(struct queue_item *item)
{
    struct range_attach *attach = (struct range_attach *)item;
    range_feed_unref(attach->feed);
    free(attach);
}

int range_attach_new(struct range_feed *feed, int kind, struct queue_item **ret)
{
    struct range_attach *attach = malloc(sizeof(*attach));
    if (!attach)
        return result_origin(-ENOMEM);
    *attach =
        (struct range_attach){.item = {.bytes = sizeof(*attach), .kind = kind, .free = attach_free},
                              .feed = range_feed_ref(feed)};
    *ret = &attach->item;
    return 0;
}

static void cursor_move_free(struct queue_item *item)
{
    struct range_cursor_move *move = (struct range_cursor_move *)item;
    range_feed_unref(move->feed);
    free(move);
}

int range_cursor_move_new(struct range_feed *feed, unsigned range, uint64_t next_offset,
                          uint64_t acknowledged, struct queue_item **ret)
{
    struct range_cursor_move *move = malloc(sizeof(*move));
    if (!move)
        return result_origin(-ENOMEM);
    *move = (struct range_cursor_move){
        .item = {.bytes = sizeof(*move), .kind = INGEST_CURSOR, .free = cursor_move_free},
        .feed = range_feed_ref(feed),
        .range = range,
        .next_offset = next_offset,
        .acknowledged = acknowledged};
    *ret = &move->item;
    return 0;
}
