/*
 * The on-disk format of record batches.
 *
 * A row of table "batch" is one batch of a stream:
 *
 *   key         stream << 48 | offset of the first record
 *   n           number of records, >= 1; their offsets are consecutive
 *   t_min t_max smallest and largest received time, microseconds since 1970-01-01 UTC
 *   codec       enum pack_codec: how data is compressed
 *   raw_bytes   size of data before compression
 *   end_bytes   sum of raw_bytes over all batches of the stream that ever were, this one included
 *   end_stored  the same sum of stored bytes (blob and 64 per row); differences of two rows tell
 *               lag and quota without visiting the rows between
 *   crc         CRC-32C over the eight columns above, each as 8 bytes little endian in this order,
 *               and then data. It stands before the blob so that no reader has to walk the blob's
 *               overflow pages to reach it.
 *   data        the records, compressed
 *
 * Records, after decompression, follow each other without padding. A record is a head of two bytes
 * and variable-length integers, then the strings they measure:
 *
 *   flags       1 byte: bits 0-1 QoS (0..2), bit 2 retain, bit 3 payload is UTF-8,
 *               bits 4-5 quality of the received time (enum clock_quality), bits 6-7 zero
 *   parts       1 byte: what follows, see enum part; bit 7 zero
 *   received    signed: received time minus that of the record before (of 0 for the first)
 *   time        signed: event time minus received time; only with PART_TIME
 *   topic_len
 *   device      with PART_DEVICE_IN_TOPIC: offset and length of a piece of the topic; else length
 *   type        the same with PART_TYPE_IN_TOPIC
 *   client      only with PART_CLIENT; the same with PART_CLIENT_IN_TOPIC
 *   content_type_len  only with PART_CONTENT_TYPE
 *   attributes_len    only with PART_ATTRIBUTES
 *   payload_len
 *   topic, device, type, client, content type, attributes, payload: the bytes verbatim, those that
 *               are pieces of the topic or absent left out
 *
 * Integers are LEB128: 7 bits a byte, least significant first, bit 7 set on all but the last, at
 * most 10 bytes. Signed ones are zigzag coded. Attributes are an attribute list
 * (event/attribute.h).
 */
#include "store/batch.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "event/attribute.h"
#include "event/event.h"
#include "store/crc32c.h"
#include "store/store.h"

enum {
    FLAG_QOS_MASK = 0x03,
    FLAG_RETAIN = 0x04,
    FLAG_UTF8 = 0x08,
    FLAG_QUALITY_SHIFT = 4,
    FLAG_QUALITY_MASK = 0x30,
    FLAG_KNOWN = 0x3F
};

enum part {
    PART_DEVICE_IN_TOPIC = 0x01,
    PART_TYPE_IN_TOPIC = 0x02,
    PART_CLIENT = 0x04,
    PART_CLIENT_IN_TOPIC = 0x08, /* only with PART_CLIENT */
    PART_CONTENT_TYPE = 0x10,
    PART_ATTRIBUTES = 0x20,
    PART_TIME = 0x40,
    PART_KNOWN = 0x7F
};

enum {
    VARINT_MAX_BYTES = 10,
    HEAD_VARINTS = 12, /* received, time, topic, 2 x (device, type, client), ct, attrs, payload */
    HEAD_MAX_BYTES = 2 + HEAD_VARINTS * VARINT_MAX_BYTES,
    TOPIC_SEARCH_MAX_BYTES = 256, /* longer topics are not searched: bounds the time per event */
    BATCH_RECORDS_MAX_BYTES = BATCH_CUT_BYTES + STORE_RECORD_MAX_BYTES
};

int batch_new(uint64_t base_offset, size_t reserve_bytes, struct batch **ret)
{
    struct batch *batch = malloc(sizeof(*batch));
    if (!batch)
        return result_origin(-ENOMEM);
    batch->records = (struct bytes)BYTES_INIT(BATCH_RECORDS_MAX_BYTES);
    batch_reset(batch, base_offset);
    if (bytes_reserve(&batch->records, reserve_bytes)) {
        free(batch);
        return result_origin(-ENOMEM);
    }
    *ret = batch;
    return 0;
}

struct batch *batch_free(struct batch *batch)
{
    if (!batch)
        return NULL;
    bytes_deinit(&batch->records);
    free(batch);
    return NULL;
}

void batch_reset(struct batch *batch, uint64_t base_offset)
{
    struct bytes records = batch->records;
    bytes_reset(&records, 2 * BATCH_CUT_BYTES);
    *batch = (struct batch){.records = records,
                            .base_offset = base_offset,
                            .t_min_us = INT64_MAX,
                            .t_max_us = INT64_MIN};
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

/* The difference wraps on purpose: times are whatever a device says. */
static uint8_t *put_difference(uint8_t *p, int64_t a, int64_t b)
{
    uint64_t d = (uint64_t)a - (uint64_t)b;
    return put_varint(p, d << 1 ^ (0 - (d >> 63)));
}

static uint8_t *put_slice(uint8_t *p, struct slice s)
{
    if (s.len)
        memcpy(p, s.data, s.len);
    return p + s.len;
}

/* Whether part is a piece of topic, and where. Mostly it was cut out of it in the first place. */
static bool find_in_topic(struct slice topic, struct slice part, size_t *ret)
{
    if (part.len > topic.len || !part.len)
        return false;
    uintptr_t begin = (uintptr_t)topic.data, at = (uintptr_t)part.data;
    if (at >= begin && at - begin <= topic.len - part.len) {
        *ret = at - begin;
        return true;
    }
    if (topic.len > TOPIC_SEARCH_MAX_BYTES)
        return false;
    const uint8_t *end = topic.data + (topic.len - part.len + 1);
    for (const uint8_t *p = topic.data; p < end; p++) {
        p = memchr(p, part.data[0], (size_t)(end - p));
        if (!p)
            return false;
        if (memcmp(p, part.data, part.len) == 0) {
            *ret = (size_t)(p - topic.data);
            return true;
        }
    }
    return false;
}

/* Head of a string that may be a piece of the topic; what is left of it to write comes back in
 * *rest. */
static uint8_t *put_part_head(uint8_t *p, struct slice topic, struct slice part, uint8_t bit,
                              uint8_t *parts, struct slice *rest)
{
    size_t at = 0;
    *rest = part;
    if (find_in_topic(topic, part, &at)) {
        *parts |= bit;
        *rest = SLICE_EMPTY;
        p = put_varint(p, at);
    }
    return put_varint(p, part.len);
}

size_t batch_record_bound(const struct event *event)
{
    return HEAD_MAX_BYTES + event->topic.len + event->device.len + event->type.len +
           event->client.len + event->content_type.len + event->attributes.len + event->payload.len;
}

int batch_append(struct batch *batch, const struct event *event)
{
    assert(event->topic.len && event->device.len && event->type.len && event->qos <= 2);
    int r = bytes_reserve(&batch->records, batch_record_bound(event));
    if (r)
        return result_fold(r);
    uint8_t *p = batch->records.data + batch->records.len;
    uint8_t parts = 0;
    *p++ = (uint8_t)(event->qos | (event->retain ? FLAG_RETAIN : 0) |
                     (event->payload_utf8 ? FLAG_UTF8 : 0) |
                     (unsigned)event->quality << FLAG_QUALITY_SHIFT);
    uint8_t *parts_at = p++;
    p = put_difference(p, event->received_us, batch->received_us);
    if (event->time_us != EVENT_NO_TIME) {
        parts |= PART_TIME;
        p = put_difference(p, event->time_us, event->received_us);
    }
    p = put_varint(p, event->topic.len);
    struct slice device, type, client = SLICE_EMPTY;
    p = put_part_head(p, event->topic, event->device, PART_DEVICE_IN_TOPIC, &parts, &device);
    p = put_part_head(p, event->topic, event->type, PART_TYPE_IN_TOPIC, &parts, &type);
    if (event->client.len) {
        parts |= PART_CLIENT;
        p = put_part_head(p, event->topic, event->client, PART_CLIENT_IN_TOPIC, &parts, &client);
    }
    if (event->content_type.len) {
        parts |= PART_CONTENT_TYPE;
        p = put_varint(p, event->content_type.len);
    }
    if (event->attributes.len) {
        parts |= PART_ATTRIBUTES;
        p = put_varint(p, event->attributes.len);
    }
    p = put_varint(p, event->payload.len);
    *parts_at = parts;
    p = put_slice(put_slice(put_slice(p, event->topic), device), type);
    p = put_slice(put_slice(put_slice(p, client), event->content_type), event->attributes);
    p = put_slice(p, event->payload);
    batch->records.len = (size_t)(p - batch->records.data);
    batch->received_us = event->received_us;
    if (event->received_us < batch->t_min_us)
        batch->t_min_us = event->received_us;
    if (event->received_us > batch->t_max_us)
        batch->t_max_us = event->received_us;
    batch->count++;
    return 0;
}

/* Reading: every taker says whether there was enough; nothing is believed. */
static bool take_varint(struct slice *in, uint64_t *ret)
{
    uint64_t v = 0;
    size_t max = in->len < VARINT_MAX_BYTES ? in->len : VARINT_MAX_BYTES;
    for (size_t i = 0; i < max; i++) {
        uint8_t byte = in->data[i];
        if (i == VARINT_MAX_BYTES - 1 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *ret = v;
            *in = slice_make(in->data + i + 1, in->len - i - 1);
            return true;
        }
    }
    return false;
}

static bool take_difference(struct slice *in, int64_t base, int64_t *ret)
{
    uint64_t z;
    if (!take_varint(in, &z))
        return false;
    *ret = (int64_t)((uint64_t)base + (z >> 1 ^ (0 - (z & 1))));
    return true;
}

static bool take_length(struct slice *in, uint64_t max, size_t *ret)
{
    uint64_t v;
    if (!take_varint(in, &v) || v > max)
        return false;
    *ret = (size_t)v;
    return true;
}

static bool take_slice(struct slice *in, size_t len, struct slice *ret)
{
    if (len > in->len)
        return false;
    *ret = slice_make(in->data, len);
    *in = slice_make(in->data + len, in->len - len);
    return true;
}

/* A string's head: its length and, if it is a piece of the topic, where. */
struct part_head {
    size_t at, len;
    bool in_topic;
};

static bool take_part_head(struct slice *in, bool in_topic, size_t topic_len, struct part_head *ret)
{
    ret->in_topic = in_topic;
    if (in_topic && !take_length(in, topic_len, &ret->at))
        return false;
    return take_length(in, in_topic ? topic_len - ret->at : EVENT_TEXT_MAX_BYTES, &ret->len);
}

static bool take_part(struct slice *in, const struct part_head *head, struct slice topic,
                      struct slice *ret)
{
    if (!head->in_topic)
        return take_slice(in, head->len, ret);
    *ret = slice_make(topic.data + head->at, head->len);
    return true;
}

struct record_head {
    uint8_t flags, parts;
    size_t topic_len, content_type_len, attributes_len, payload_len;
    struct part_head device, type, client;
};

static bool take_head(struct slice *in, int64_t received_us, struct record_head *head,
                      struct event *event)
{
    if (in->len < 2)
        return false;
    head->flags = in->data[0];
    head->parts = in->data[1];
    *in = slice_make(in->data + 2, in->len - 2);
    uint8_t parts = head->parts;
    if (head->flags & ~FLAG_KNOWN || parts & ~PART_KNOWN)
        return false;
    event->time_us = EVENT_NO_TIME;
    if (!take_difference(in, received_us, &event->received_us) ||
        (parts & PART_TIME && !take_difference(in, event->received_us, &event->time_us)))
        return false;
    return take_length(in, EVENT_TOPIC_MAX_BYTES, &head->topic_len) &&
           take_part_head(in, parts & PART_DEVICE_IN_TOPIC, head->topic_len, &head->device) &&
           take_part_head(in, parts & PART_TYPE_IN_TOPIC, head->topic_len, &head->type) &&
           (!(parts & PART_CLIENT) ||
            take_part_head(in, parts & PART_CLIENT_IN_TOPIC, head->topic_len, &head->client)) &&
           (!(parts & PART_CONTENT_TYPE) ||
            take_length(in, EVENT_TEXT_MAX_BYTES, &head->content_type_len)) &&
           (!(parts & PART_ATTRIBUTES) ||
            take_length(in, EVENT_ATTRIBUTES_MAX_BYTES, &head->attributes_len)) &&
           take_length(in, STORE_RECORD_MAX_BYTES, &head->payload_len);
}

static bool take_strings(struct slice *in, const struct record_head *head, struct event *event)
{
    return take_slice(in, head->topic_len, &event->topic) &&
           take_part(in, &head->device, event->topic, &event->device) &&
           take_part(in, &head->type, event->topic, &event->type) &&
           take_part(in, &head->client, event->topic, &event->client) &&
           take_slice(in, head->content_type_len, &event->content_type) &&
           take_slice(in, head->attributes_len, &event->attributes) &&
           take_slice(in, head->payload_len, &event->payload) && event->topic.len &&
           event->device.len && event->type.len && attribute_list_valid(event->attributes);
}

int batch_decode(struct slice records, size_t *position, int64_t *received_us, struct event *ret)
{
    if (*position > records.len)
        return result_origin(-EBADMSG);
    struct slice in = slice_make(records.data + *position, records.len - *position);
    struct record_head head = {.flags = 0};
    struct event event = {.username = SLICE_EMPTY};
    if (!take_head(&in, *received_us, &head, &event) || !take_strings(&in, &head, &event))
        return result_origin(-EBADMSG);
    event.qos = head.flags & FLAG_QOS_MASK;
    unsigned quality = (unsigned)(head.flags & FLAG_QUALITY_MASK) >> FLAG_QUALITY_SHIFT;
    if (event.qos > 2 || quality > CLOCK_CORRECTED)
        return result_origin(-EBADMSG);
    event.quality = (enum clock_quality)quality;
    event.retain = head.flags & FLAG_RETAIN;
    event.payload_utf8 = head.flags & FLAG_UTF8;
    *position = records.len - in.len;
    *received_us = event.received_us;
    *ret = event;
    return 0;
}

uint32_t batch_row_crc(const struct batch_row *row, struct slice data)
{
    const int64_t columns[] = {row->key,   row->n,         row->t_min_us,  row->t_max_us,
                               row->codec, row->raw_bytes, row->end_bytes, row->end_stored};
    uint64_t bytes[sizeof(columns) / sizeof(columns[0])];
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        bytes[i] = htole64((uint64_t)columns[i]);
    return crc32c(crc32c(0, slice_make(bytes, sizeof(bytes))), data);
}
