#include "session/message.h"

#include <assert.h>

#include "event/attribute.h"
#include "event/event.h"
#include "mqtt/property.h"
#include "session/session.h"

static_assert((int)SESSION_SCRATCH_MAX_BYTES <= (int)EVENT_ATTRIBUTES_MAX_BYTES,
              "what fits into scratch fits into an event");

bool message_topic_allowed(struct slice topic)
{
    static const struct slice ours[] = {SLICE_LITERAL("$SYS"), SLICE_LITERAL("$share"),
                                        SLICE_LITERAL("$stream")};
    if (topic.len == 0 || topic.data[0] != '$')
        return true;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (topic.len >= ours[i].len && memcmp(topic.data, ours[i].data, ours[i].len) == 0 &&
            (topic.len == ours[i].len || topic.data[ours[i].len] == '/'))
            return false;
    return true;
}

static int append_user_properties(struct bytes *list, struct slice raw)
{
    struct mqtt_user_property user;
    while (mqtt_user_property_next(&raw, &user)) {
        struct attribute attribute = {
            .kind = ATTRIBUTE_USER, .name = user.name, .value = user.value};
        int r = attribute_append(list, &attribute);
        if (r)
            return r;
    }
    return 0;
}

static int append_plain(struct bytes *list, const struct mqtt_properties *properties,
                        enum mqtt_property id, enum attribute_kind kind)
{
    if (!mqtt_has(properties, id))
        return 0;
    struct attribute attribute = {.kind = kind, .value = mqtt_property_slice(properties, id)};
    return attribute_append(list, &attribute);
}

int message_apply_properties(const struct mqtt_properties *properties, struct bytes *scratch,
                             struct event *event)
{
    enum { KEEP_BYTES = 16 * 1024 };
    if (properties->present == 0)
        return 0;
    bytes_reset(scratch, KEEP_BYTES);
    int r = 0;
    if (mqtt_has(properties, MQTT_USER_PROPERTY))
        r = append_user_properties(scratch, properties->raw);
    if (!r)
        r = append_plain(scratch, properties, MQTT_RESPONSE_TOPIC, ATTRIBUTE_RESPONSE_TOPIC);
    if (!r)
        r = append_plain(scratch, properties, MQTT_CORRELATION_DATA, ATTRIBUTE_CORRELATION_DATA);
    if (r)
        return r;
    event->attributes = bytes_slice(scratch);
    event->content_type = mqtt_property_slice(properties, MQTT_CONTENT_TYPE);
    event->payload_utf8 = mqtt_property_integer(properties, MQTT_PAYLOAD_FORMAT, 0) == 1;
    return 0;
}
