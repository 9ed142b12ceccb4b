/* Appending: into the open batch of a stream, in memory. Nothing here touches the disk but one
 * look-up when a stream gets full. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/event.h"
#include "store/internal.h"

enum { BATCH_FIRST_BYTES = 1024 }; /* memory of a batch that nothing is known about */

static void set_full(struct stream *stream, bool full)
{
    if (stream->full == full)
        return;
    stream->full = full;
    metric_put(stream->metrics, METRIC_STREAM_FULL, full);
    if (full)
        log_warn("store", "stream is full of events not yet sent", "stream=%s max_bytes=%lld",
                 stream->name, (long long)stream->config->max_bytes);
    else
        log_info("store", "stream takes events again", "stream=%s", stream->name);
}

/* Stored bytes that somebody still has to send and that are not about to be dropped. Only asked
 * when the stream as a whole has reached its quota, and looked up again only when the lowest cursor
 * has moved. */
static int unsent_bytes(struct store *store, struct stream *stream, uint64_t *ret)
{
    uint64_t lowest = cursor_lowest(store, stream->id, false);
    *ret = 0;
    if (lowest < stream->drop_to)
        lowest = stream->drop_to;
    if (lowest >= stream->next_offset)
        return 0;
    if (!stream->sent_known || stream->sent_cursor != lowest) {
        int r = retention_stored_before(store, stream, lowest, &stream->sent_stored);
        if (!r)
            r = repack_taken_before(store, stream, lowest, &stream->sent_taken);
        if (r)
            return result_trace(r);
        stream->sent_cursor = lowest;
        stream->sent_known = true;
    }
    /* Two upper bounds: the first counts the slack behind the cursor and is exact without it. */
    uint64_t counted = stream->end_stored - stream->sent_stored;
    uint64_t there = stream->stored_bytes - stream->sent_taken;
    *ret = counted < there ? counted : there;
    return 0;
}

/* How many of the stored bytes have to go before bytes more fit into the stream, as far as that can
 * be known before compression; events that were sent go by themselves. 0: it fits. */
static int stream_excess(struct store *store, struct stream *stream, uint64_t bytes, uint64_t *ret)
{
    uint64_t max = (uint64_t)stream->config->max_bytes;
    uint64_t open = stream->open_bytes + (stream->open_batches + 1) * BATCH_ROW_BYTES + bytes;
    *ret = 0;
    if (stream->stored_bytes + open <= max)
        return 0;
    /* Open events are unsent only for those who wait for them; without a consumer all may go. */
    if (cursor_lowest(store, stream->id, false) == UINT64_MAX)
        return 0;
    uint64_t unsent;
    int r = unsent_bytes(store, stream, &unsent);
    if (r)
        return result_trace(r);
    *ret = unsent + open > max ? unsent + open - max : 0;
    return 0;
}

/* Whether bytes more fit, into the stream and into the disk space of all; if the stream drops its
 * oldest events, it is made to fit. 0, STORE_FULL, -errno. */
static int check_room(struct store *store, struct stream *stream, uint64_t bytes)
{
    if (store->open_bytes + bytes > STORE_OPEN_MAX_BYTES && store->open_events)
        return STORE_FULL;
    for (int attempt = 0;; attempt++) {
        uint64_t excess = 0;
        int r = stream_excess(store, stream, bytes, &excess);
        if (r)
            return result_trace(r);
        uint64_t beyond = quota_excess(store, stream, bytes);
        excess = excess > beyond ? excess : beyond;
        if (!excess)
            return 0;
        if (attempt || store_when_full(store, stream->id) != STORE_WHEN_FULL_DROP_OLDEST) {
            if (beyond)
                quota_want(store, bytes);
            return STORE_FULL;
        }
        r = drop_plan(store, stream, excess);
        if (r)
            return result_trace(r);
    }
}

/* What can never be stored must not wait for room. */
static bool too_large(const struct store *store, const struct stream *stream,
                      const struct event *event, size_t bound)
{
    return bound > STORE_RECORD_MAX_BYTES ||
           bound + BATCH_ROW_BYTES > (uint64_t)stream->config->max_bytes ||
           !quota_fits_empty(store, stream, bound) || event->topic.len > EVENT_TOPIC_MAX_BYTES ||
           event->device.len > EVENT_TEXT_MAX_BYTES || event->type.len > EVENT_TEXT_MAX_BYTES ||
           event->client.len > EVENT_TEXT_MAX_BYTES ||
           event->content_type.len > EVENT_TEXT_MAX_BYTES ||
           event->attributes.len > EVENT_ATTRIBUTES_MAX_BYTES;
}

/* The batch that takes the next record of bound bytes. */
static int open_batch(struct store *store, struct stream *stream, size_t bound, struct batch **ret)
{
    struct batch *last = stream->last;
    if (last && last->records.len + bound <= BATCH_CUT_BYTES &&
        last->clock_base_us == boot_base(store, stream)) {
        *ret = last;
        return 0;
    }
    struct batch *batch = stream->spare;
    uint64_t base = stream_open_next(stream);
    if (batch) {
        batch_reset(batch, base);
        stream->spare = NULL;
    } else {
        size_t hint =
            stream->batch_bytes > BATCH_FIRST_BYTES ? stream->batch_bytes : BATCH_FIRST_BYTES;
        int r = batch_new(base, hint, &batch);
        if (r)
            return result_trace(r);
    }
    batch->clock_base_us = boot_base(store, stream);
    *(last ? &last->next : &stream->first) = batch;
    stream->last = batch;
    stream->open_batches++;
    store->open_batches++;
    *ret = batch;
    return 0;
}

/* Into the open batch, whether there is room or not. */
static int append(struct store *store, struct stream *stream, const struct event *event,
                  size_t bound, uint64_t *ret_offset)
{
    struct batch *batch = NULL;
    int r = open_batch(store, stream, bound, &batch);
    if (r)
        return result_trace(r);
    size_t before = batch->records.len;
    r = batch_append(batch, event);
    if (r) /* an empty batch may stay: the next append takes it, a commit passes it over */
        return result_trace(r);
    size_t grown = batch->records.len - before;
    stream->open_bytes += grown;
    store->open_bytes += grown;
    store->open_events++;
    *ret_offset = batch->base_offset + batch->count - 1;
    return 0;
}

int store_append(struct store *store, uint32_t stream_id, const struct event *event,
                 uint64_t *ret_offset)
{
    struct stream *stream = stream_find(store, stream_id);
    assert(stream && store_is_open(store));
    size_t bound = batch_record_bound(event);
    if (too_large(store, stream, event, bound))
        return STORE_TOO_LARGE;
    int r = check_room(store, stream, bound);
    if (r >= 0)
        set_full(stream, r == STORE_FULL);
    if (r)
        return r < 0 ? result_trace(salvage_note(store, r)) : r;
    return result_trace(append(store, stream, event, bound, ret_offset));
}

int append_own(struct store *store, struct stream *stream, const struct event *event)
{
    size_t bound = batch_record_bound(event);
    uint64_t ignored;
    /* Makes room by dropping; where even that does not help, what the gateway has to tell is
     * stored all the same: it is little, and rare. */
    int r = check_room(store, stream, bound);
    if (r < 0)
        return result_trace(r);
    return result_trace(append(store, stream, event, bound, &ignored));
}

enum store_when_full store_when_full(const struct store *store, uint32_t stream_id)
{
    for (unsigned i = 0; i < store->stream_count; i++)
        if (store->streams[i].id == stream_id)
            return store->streams[i].name[0] == '$' ? STORE_WHEN_FULL_DROP_OLDEST
                                                    : store->streams[i].config->when_full;
    return STORE_WHEN_FULL_BLOCK;
}

size_t store_open_events(const struct store *store)
{
    return store->open_events;
}

size_t store_open_bytes(const struct store *store)
{
    return store->open_bytes;
}
