#include "event/ingest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "event/event.h"

/* A batch that grew beyond this for one large packet gives the memory back. Memory grows by powers
 * of two: the next one above the target takes what a last read of a connection adds. */
enum {
    KEEP_BYTES = 256 * 1024,
    KEEP_MIN_BYTES = 32 * 1024,
    KEEP_SHARE = 4, /* a burst that is over: memory is kept up to so many times what was used */
    ALIGNMENT = 8
};
static_assert(INGEST_BATCH_TARGET_BYTES + 64 * 1024 <= KEEP_BYTES, "a full batch is kept");

static_assert(sizeof(struct ingest_record) % ALIGNMENT == 0, "records stay aligned");

static void item_free(struct queue_item *item)
{
    ingest_batch_free((struct ingest_batch *)item);
}

int ingest_batch_new(struct queue *reply, struct ingest_batch **ret)
{
    struct ingest_batch *batch = malloc(sizeof *batch);
    if (!batch)
        return -ENOMEM;
    *batch = (struct ingest_batch){
        .item = {.kind = INGEST_BATCH, .bytes = sizeof *batch, .free = item_free},
        .reply = reply,
        .bytes = BYTES_INIT(INGEST_RECORD_MAX_BYTES),
    };
    *ret = batch;
    return 0;
}

struct ingest_batch *ingest_batch_free(struct ingest_batch *batch)
{
    if (batch) {
        bytes_deinit(&batch->bytes);
        free(batch);
    }
    return NULL;
}

void ingest_batch_reset(struct ingest_batch *batch)
{
    size_t used = KEEP_SHARE * batch->bytes.len;
    bytes_reset(&batch->bytes, used < KEEP_MIN_BYTES ? KEEP_MIN_BYTES
                               : used < KEEP_BYTES   ? used
                                                     : KEEP_BYTES);
    batch->count = 0;
    batch->item.bytes = sizeof *batch;
}

int ingest_batch_add(struct ingest_batch *batch, const struct event *event, uint64_t connection,
                     uint16_t packet_id, uint8_t protocol_level)
{
    const struct slice parts[] = {event->topic,        event->client,     event->username,
                                  event->content_type, event->attributes, event->payload};
    size_t n = sizeof(struct ingest_record);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        n += parts[i].len;
    size_t padded = (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (padded > INGEST_RECORD_MAX_BYTES)
        return BYTES_FULL;
    int r = bytes_reserve(&batch->bytes, padded);
    if (r)
        return r;
    uint8_t *p = batch->bytes.data + batch->bytes.len;
    struct ingest_record record = {
        .connection = connection,
        .record_bytes = (uint32_t)padded,
        .payload_len = (uint32_t)event->payload.len,
        .attributes_len = (uint32_t)event->attributes.len,
        .topic_len = (uint16_t)event->topic.len,
        .client_len = (uint16_t)event->client.len,
        .username_len = (uint16_t)event->username.len,
        .content_type_len = (uint16_t)event->content_type.len,
        .packet_id = packet_id,
        .qos = event->qos,
        .outcome = INGEST_PENDING,
        .retain = event->retain,
        .payload_utf8 = event->payload_utf8,
        .protocol_level = protocol_level,
    };
    memcpy(p, &record, sizeof record);
    p += sizeof record;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].len)
            memcpy(p, parts[i].data, parts[i].len);
        p += parts[i].len;
    }
    memset(p, 0, padded - n);
    batch->bytes.len += padded;
    batch->item.bytes += padded;
    batch->count++;
    return 0;
}

int ingest_batch_split(struct ingest_batch *batch, size_t position, struct ingest_batch **ret)
{
    struct ingest_batch *rest = NULL;
    int r = ingest_batch_new(batch->reply, &rest);
    if (!r)
        r = bytes_append(&rest->bytes, batch->bytes.data + position, batch->bytes.len - position);
    if (r) {
        ingest_batch_free(rest);
        return r;
    }
    rest->received = batch->received;
    rest->item.bytes = rest->bytes.len; /* the header stays counted with the first part */
    batch->item.bytes -= rest->bytes.len;
    batch->bytes.len = position;
    batch->count = 0;
    size_t at = 0;
    while (ingest_batch_next(batch, &at))
        batch->count++;
    at = 0;
    while (ingest_batch_next(rest, &at))
        rest->count++;
    *ret = rest;
    return 0;
}

struct ingest_record *ingest_batch_next(struct ingest_batch *batch, size_t *position)
{
    if (*position >= batch->bytes.len)
        return NULL;
    struct ingest_record *record = (struct ingest_record *)(void *)(batch->bytes.data + *position);
    *position += record->record_bytes;
    return record;
}

void ingest_record_event(const struct ingest_batch *batch, const struct ingest_record *record,
                         struct event *ret)
{
    const uint8_t *p = (const uint8_t *)(record + 1);
    struct event e = {
        .received_us = batch->received.wall_us,
        .quality = batch->received.quality,
        .time_us = EVENT_NO_TIME,
        .qos = record->qos,
        .retain = record->retain,
        .payload_utf8 = record->payload_utf8,
    };
    e.topic = slice_make(p, record->topic_len);
    p += record->topic_len;
    e.client = slice_make(p, record->client_len);
    p += record->client_len;
    e.username = slice_make(p, record->username_len);
    p += record->username_len;
    e.content_type = slice_make(p, record->content_type_len);
    p += record->content_type_len;
    e.attributes = slice_make(p, record->attributes_len);
    p += record->attributes_len;
    e.payload = slice_make(p, record->payload_len);
    *ret = e;
}
