#include "event/letter.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/result.h"
#include "event/attribute.h"
#include "event/id.h"
#include "event/ingest.h"

static void notice_item_free(struct queue_item *item)
{
    struct notice_item *n = (struct notice_item *)item;
    notice_deinit(&n->notice);
    free(n);
}

int notice_item_new(enum notice_kind kind, struct notice_item **ret)
{
    struct notice_item *n = calloc(1, sizeof(*n));
    if (!n)
        return result_origin(-ENOMEM);
    n->item = (struct queue_item){
        .kind = INGEST_NOTICE, .bytes = sizeof(*n) + NOTICE_MAX_BYTES, .free = notice_item_free};
    notice_init(&n->notice, kind);
    *ret = n;
    return 0;
}

static void letter_free(struct queue_item *item)
{
    struct dead_letter *letter = (struct dead_letter *)item;
    bytes_deinit(&letter->bytes);
    free(letter);
}

/* The slices of an event that a letter keeps, in the order in which they are copied. */
static void kept(struct event *event, struct slice *ret[6])
{
    ret[0] = &event->topic;
    ret[1] = &event->device;
    ret[2] = &event->type;
    ret[3] = &event->content_type;
    ret[4] = &event->attributes;
    ret[5] = &event->payload;
}

int dead_letter_new(const struct event *event, const char *stream, uint64_t offset,
                    const char *reason, const char *upstream, struct dead_letter **ret)
{
    struct dead_letter *letter = calloc(1, sizeof(*letter));
    if (!letter)
        return result_origin(-ENOMEM);
    letter->event = *event;
    letter->event.client = letter->event.username = SLICE_EMPTY;
    struct slice *parts[6];
    kept(&letter->event, parts);
    size_t total = 0;
    for (int i = 0; i < 6; i++)
        total += parts[i]->len;
    letter->bytes = (struct bytes)BYTES_INIT(total + 1);
    if (bytes_reserve(&letter->bytes, total + 1)) {
        free(letter);
        return result_origin(-ENOMEM);
    }
    for (int i = 0; i < 6; i++) {
        uint8_t *at = letter->bytes.data + letter->bytes.len;
        int r = bytes_append_slice(&letter->bytes, *parts[i]);
        assert(r == 0); /* reserved above */
        (void)r;
        parts[i]->data = at;
    }
    letter->item = (struct queue_item){
        .kind = INGEST_DEAD_LETTER, .bytes = sizeof(*letter) + total, .free = letter_free};
    snprintf(letter->stream, sizeof(letter->stream), "%s", stream);
    snprintf(letter->upstream, sizeof(letter->upstream), "%s", upstream ? upstream : "");
    letter->offset = offset;
    letter->reason = reason;
    *ret = letter;
    return 0;
}

static int extension(struct bytes *list, const char *name, struct slice value)
{
    const struct attribute attribute = {
        .kind = ATTRIBUTE_EXTENSION, .name = slice_string(name), .value = value};
    return attribute_append(list, &attribute);
}

int dead_letter_event(const struct dead_letter *letter, const char *gateway_id,
                      char topic[NOTICE_TOPIC_MAX_BYTES], struct bytes *attributes,
                      struct event *ret)
{
    char id[ID_TEXT_MAX_BYTES];
    id_format(letter->stream, letter->offset, id);
    attributes->len = 0;
    int r = extension(attributes, "originid", slice_string(id));
    if (!r)
        r = extension(attributes, "origintopic", letter->event.topic);
    if (!r)
        r = extension(attributes, "deadreason", slice_string(letter->reason));
    if (!r && letter->upstream[0])
        r = extension(attributes, "deadupstream", slice_string(letter->upstream));
    if (!r)
        r = bytes_append_slice(attributes, letter->event.attributes);
    if (r)
        return r;
    notice_topic(gateway_id, "dlq", topic);
    *ret = letter->event;
    ret->topic = slice_string(topic);
    ret->attributes = bytes_slice(attributes);
    ret->retain = false;
    return 0;
}
