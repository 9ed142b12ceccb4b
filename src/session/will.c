#include "session/will.h"

#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "event/event.h"
#include "mqtt/connect.h"
#include "session/message.h"

struct will {
    struct event event; /* its slices point behind the struct */
    uint8_t data[];
};

static uint8_t *keep(uint8_t *at, struct slice *part)
{
    if (part->len)
        memcpy(at, part->data, part->len);
    part->data = at;
    return at + part->len;
}

int will_new(const struct mqtt_will *packet, struct bytes *scratch, struct will **ret)
{
    struct event event = {
        .topic = packet->topic,
        .payload = packet->payload,
        .time_us = EVENT_NO_TIME,
        .qos = packet->qos,
        .retain = packet->retain,
    };
    int r = message_apply_properties(&packet->properties, scratch, &event);
    if (r)
        return r;
    struct will *will = malloc(sizeof *will + event.topic.len + event.payload.len +
                               event.content_type.len + event.attributes.len);
    if (!will)
        return result_origin(-ENOMEM);
    uint8_t *at = keep(will->data, &event.topic);
    at = keep(at, &event.payload);
    at = keep(at, &event.content_type);
    keep(at, &event.attributes);
    will->event = event;
    *ret = will;
    return 0;
}

struct will *will_free(struct will *will)
{
    free(will);
    return NULL;
}

void will_event(const struct will *will, struct event *ret)
{
    *ret = will->event;
}
