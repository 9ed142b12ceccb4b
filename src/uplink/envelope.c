#include "uplink/envelope.h"

#include <errno.h>
#include <stdlib.h>

#include "event/attribute.h"
#include "event/event.h"

void envelope_deinit(struct envelope *e)
{
    free(e->user);
    e->user = NULL;
    e->user_cap = e->user_count = 0;
    bytes_deinit(&e->text);
    bytes_deinit(&e->body);
    bytes_deinit(&e->names);
}

static int add_user(struct envelope *e, struct slice name, struct slice value)
{
    if (e->user_count == e->user_cap) {
        size_t cap = e->user_cap ? e->user_cap * 2 : 32;
        if (cap > ENVELOPE_USER_MAX)
            cap = ENVELOPE_USER_MAX;
        if (cap == e->user_cap)
            return ENVELOPE_TOO_LARGE;
        struct envelope_user *more = realloc(e->user, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        e->user = more;
        e->user_cap = cap;
    }
    e->user[e->user_count++] = (struct envelope_user){.name = name, .value = value};
    return 0;
}

/* Response topic and correlation data go through in every form; user properties only in raw. */
static int take_attributes(struct envelope *e, struct slice list, bool user)
{
    struct attribute a;
    int r;
    while ((r = attribute_next(&list, &a)) == 0)
        switch (a.kind) {
        case ATTRIBUTE_USER:
            if (user && (r = add_user(e, a.name, a.value)))
                return r;
            break;
        case ATTRIBUTE_RESPONSE_TOPIC:
            e->response_topic = a.value;
            break;
        case ATTRIBUTE_CORRELATION_DATA:
            e->correlation_data = a.value;
            break;
        case ATTRIBUTE_EXTENSION:
            break;
        }
    return r == ATTRIBUTE_END ? 0 : r;
}

static int encode_raw(struct envelope *e, const struct event *event)
{
    e->payload = event->payload;
    e->payload_utf8 = event->payload_utf8;
    e->content_type = event->content_type;
    return take_attributes(e, event->attributes, true);
}

/* The changed names of user properties are collected in e->text behind the topic; it must not move
 * while slices point into it, so room is made for all of them first. */
static int encode_binary_user(struct envelope *e)
{
    struct slice list = e->event.user;
    struct cloudevent_user user;
    int r;
    while ((r = cloudevent_next_user(&e->event, &list, &e->names, &user)) == 0) {
        if (user.name.data == e->names.data) {
            size_t at = e->text.len;
            r = bytes_append_slice(&e->text, user.name);
            if (r)
                return r < 0 ? r : ENVELOPE_TOO_LARGE;
            user.name = slice_make(e->text.data + at, user.name.len);
        }
        r = add_user(e, user.name, user.value);
        if (r)
            return r;
    }
    return r == CLOUDEVENT_USER_END ? 0 : r;
}

static int encode_binary(struct envelope *e, const struct event *event)
{
    e->payload = event->payload;
    e->payload_utf8 = event->payload_utf8;
    e->content_type = event->content_type;
    int r = 0;
    for (unsigned i = 0; !r && i < e->event.count; i++)
        r = add_user(e, e->event.attributes[i].name, e->event.attributes[i].value);
    if (!r)
        r = encode_binary_user(e);
    return r ? r : take_attributes(e, event->attributes, false);
}

static int encode_structured(struct envelope *e, const struct event *event)
{
    bytes_reset(&e->body, ENVELOPE_KEEP_BYTES);
    int r = cloudevent_encode_json(&e->event, &e->body);
    if (r)
        return r < 0 ? r : ENVELOPE_TOO_LARGE;
    e->payload = bytes_slice(&e->body);
    e->payload_utf8 = true;
    e->content_type = SLICE_LITERAL(CLOUDEVENT_JSON_TYPE);
    return take_attributes(e, event->attributes, false);
}

/* The topic with a NUL, and room behind it for every name that may have to be changed. */
static int encode_topic(struct envelope *e, const struct envelope_rules *rules,
                        const struct event *event)
{
    bytes_reset(&e->text, ENVELOPE_KEEP_BYTES);
    int r = topic_template_expand(rules->topic, event, rules->stream, rules->gateway, &e->text);
    size_t len = e->text.len;
    if (!r)
        r = bytes_append_u8(&e->text, 0);
    if (!r && rules->mqtt5 && rules->envelope == UPSTREAM_BINARY)
        r = bytes_reserve(&e->text, event->attributes.len);
    if (r)
        return r < 0 ? r : ENVELOPE_TOPIC_INVALID;
    e->topic = slice_make(e->text.data, len);
    return topic_publishable(e->topic) ? 0 : ENVELOPE_TOPIC_INVALID;
}

int envelope_encode(struct envelope *e, const struct envelope_rules *rules,
                    const struct event *event, uint64_t offset)
{
    e->user_count = 0;
    e->content_type = e->response_topic = e->correlation_data = SLICE_EMPTY;
    e->retain = event->retain;
    int r = encode_topic(e, rules, event);
    if (r)
        return r;
    if (rules->envelope == UPSTREAM_RAW)
        return encode_raw(e, event);
    struct cloudevent_origin origin = {
        .source = rules->source, .stream = rules->stream, .offset = offset};
    cloudevent_describe(event, &origin, &e->event);
    return rules->envelope == UPSTREAM_BINARY && rules->mqtt5 ? encode_binary(e, event)
                                                              : encode_structured(e, event);
}

static unsigned varint_bytes(uint64_t n)
{
    return n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : 4;
}

static uint64_t property_bytes(const struct envelope *e)
{
    uint64_t n = e->payload_utf8 ? 2 : 0;
    const struct slice single[] = {e->content_type, e->response_topic, e->correlation_data};
    for (unsigned i = 0; i < 3; i++)
        n += single[i].len ? 3 + single[i].len : 0;
    for (size_t i = 0; i < e->user_count; i++)
        n += 5 + e->user[i].name.len + e->user[i].value.len;
    return n;
}

uint64_t envelope_packet_bytes(const struct envelope *e, bool mqtt5)
{
    uint64_t n = 2 + e->topic.len + 2 + e->payload.len;
    if (mqtt5) {
        uint64_t properties = property_bytes(e);
        n += varint_bytes(properties) + properties;
    }
    return 1 + varint_bytes(n) + n;
}
