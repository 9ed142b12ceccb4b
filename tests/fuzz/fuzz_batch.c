/* Record batches from a disk that lies. Any bytes decode into events that lie within them or are
 * refused; what decoded is encoded again and decodes to the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "event/attribute.h"
#include "event/event.h"
#include "store/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct slice whole, struct slice part)
{
    if (part.len && (part.data < whole.data || part.data + part.len > whole.data + whole.len))
        abort();
}

static int events_equal(const struct event *a, const struct event *b)
{
    return slice_equal(a->topic, b->topic) && slice_equal(a->device, b->device) &&
           slice_equal(a->type, b->type) && slice_equal(a->client, b->client) &&
           slice_equal(a->content_type, b->content_type) &&
           slice_equal(a->attributes, b->attributes) && slice_equal(a->payload, b->payload) &&
           a->received_us == b->received_us && a->time_us == b->time_us &&
           a->quality == b->quality && a->qos == b->qos && a->retain == b->retain &&
           a->payload_utf8 == b->payload_utf8;
}

static void check_round_trip(const struct event *event)
{
    struct batch *batch = NULL;
    if (batch_new(0, batch_record_bound(event), &batch))
        return;
    if (batch_append(batch, event) == 0) {
        struct event again;
        size_t position = 0;
        int64_t received_us = 0;
        if (batch_decode(bytes_slice(&batch->records), &position, &received_us, &again) ||
            position != batch->records.len || !events_equal(event, &again))
            abort();
        if (batch->records.len > batch_record_bound(event))
            abort();
    }
    batch_free(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice records = slice_make(data, size);
    size_t position = 0;
    int64_t received_us = 0;
    struct event event;
    while (position < size) {
        size_t before = position;
        if (batch_decode(records, &position, &received_us, &event))
            break;
        if (position <= before || position > size)
            abort();
        const struct slice parts[] = {event.topic,        event.client,     event.device,
                                      event.content_type, event.attributes, event.payload};
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            check_inside(records, parts[i]);
        (void)attribute_list_valid(event.attributes);
        check_round_trip(&event);
    }
    return 0;
}
