#include "mqtt/subscribe.h"

#include <assert.h>

#include "mqtt/reader.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"

enum { /* subscription options [MQTT-3.8.3.1] */
       OPTION_QOS = 0x03,
       OPTION_NO_LOCAL = 0x04,
       OPTION_RETAIN_AS_PUBLISHED = 0x08,
       OPTION_RETAIN_HANDLING = 0x30,
       OPTION_RESERVED = 0xc0,
       OPTION_RESERVED_V3 = 0xfc
};

enum { OPTION_RETAIN_HANDLING_SHIFT = 4, QOS_MAX = 2, RETAIN_HANDLING_MAX = 2 };
enum { V3_SUBACK_FAILURE = 0x80 };

static void filter_read(struct mqtt_reader *r, struct slice *ret_filter, bool *ret_shared)
{
    struct slice filter = mqtt_read_string(r);
    if (mqtt_reader_failed(r))
        return;
    struct mqtt_topic_filter parsed;
    if (!mqtt_topic_filter_parse(filter, &parsed)) {
        mqtt_reader_fail(r, MQTT_TOPIC_FILTER_INVALID, "topic filter is not valid [MQTT-4.7.1-1]");
        return;
    }
    *ret_filter = filter;
    *ret_shared = parsed.group.len > 0;
}

static void subscription_read(struct mqtt_reader *r, enum mqtt_level level)
{
    struct slice filter;
    bool shared = false;
    filter_read(r, &filter, &shared);
    uint8_t options = mqtt_read_u8(r);
    if (mqtt_reader_failed(r))
        return;
    if (options & (level == MQTT_5_0 ? OPTION_RESERVED : OPTION_RESERVED_V3))
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET,
                         "reserved bits of the subscription options [MQTT-3.8.3-5]");
    else if ((options & OPTION_QOS) > QOS_MAX)
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "subscription with QoS 3");
    else if ((options & OPTION_RETAIN_HANDLING) >> OPTION_RETAIN_HANDLING_SHIFT >
             RETAIN_HANDLING_MAX)
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "subscription with retain handling 3");
    else if (shared && (options & OPTION_NO_LOCAL))
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR,
                         "No Local on a shared subscription [MQTT-3.8.3-4]");
}

/* Validates a list to its end and counts it: SUBSCRIBE with options, UNSUBSCRIBE without. */
static uint32_t list_read(struct mqtt_reader *r, enum mqtt_type type, enum mqtt_level level)
{
    uint32_t count = 0;
    if (r->at == r->end)
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "no topic filter [MQTT-3.8.3-2], [MQTT-3.10.3-2]");
    while (r->at != r->end) {
        struct slice filter;
        bool shared;
        if (type == MQTT_SUBSCRIBE)
            subscription_read(r, level);
        else
            filter_read(r, &filter, &shared);
        count++;
    }
    return count;
}

/* SUBSCRIBE and UNSUBSCRIBE differ in the elements of the list only. */
static int request_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                          struct mqtt_subscribe *ret, const char **ret_detail)
{
    enum mqtt_type type = mqtt_frame_type(frame);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_subscribe s = {.packet_id = mqtt_read_packet_id(&r)};
    if (dialect.level == MQTT_5_0)
        mqtt_read_properties(&r, mqtt_packet_bit(type, dialect.sender), &s.properties);
    s.filters = slice_make(r.at, mqtt_reader_left(&r));
    s.count = list_read(&r, type, dialect.level);
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = s;
    return verdict;
}

int mqtt_subscribe_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                          struct mqtt_subscribe *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_SUBSCRIBE);
    return request_decode(frame, dialect, ret, ret_detail);
}

int mqtt_unsubscribe_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                            struct mqtt_unsubscribe *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_UNSUBSCRIBE);
    struct mqtt_subscribe s;
    int verdict = request_decode(frame, dialect, &s, ret_detail);
    if (verdict)
        return verdict;
    *ret = (struct mqtt_unsubscribe){.packet_id = s.packet_id,
                                     .count = s.count,
                                     .filters = s.filters,
                                     .properties = s.properties};
    return 0;
}

bool mqtt_filter_next(struct slice *rest, struct slice *ret_filter)
{
    struct mqtt_reader r = mqtt_reader_make(*rest);
    struct slice filter = mqtt_read_binary(&r);
    *rest = slice_make(r.at, mqtt_reader_left(&r));
    if (mqtt_reader_failed(&r))
        return false;
    *ret_filter = filter;
    return true;
}

bool mqtt_subscription_next(struct slice *rest, struct mqtt_subscription *ret)
{
    struct mqtt_reader r = mqtt_reader_make(*rest);
    struct slice filter = mqtt_read_binary(&r);
    uint8_t options = mqtt_read_u8(&r);
    *rest = slice_make(r.at, mqtt_reader_left(&r));
    if (mqtt_reader_failed(&r))
        return false;
    *ret = (struct mqtt_subscription){
        .filter = filter,
        .qos = options & OPTION_QOS,
        .retain_handling =
            (uint8_t)((options & OPTION_RETAIN_HANDLING) >> OPTION_RETAIN_HANDLING_SHIFT),
        .no_local = options & OPTION_NO_LOCAL,
        .retain_as_published = options & OPTION_RETAIN_AS_PUBLISHED};
    return true;
}

/* Filter, then options if they are not NULL. */
static int element_append(struct bytes *list, struct slice filter, const uint8_t *options)
{
    size_t size = 2 + filter.len + (options ? 1 : 0);
    int r = bytes_reserve(list, size);
    if (r)
        return r == BYTES_FULL ? MQTT_ENCODE_FULL : r;
    struct mqtt_writer w = {.at = list->data + list->len};
    mqtt_write_binary(&w, filter);
    if (options)
        mqtt_write_u8(&w, *options);
    list->len += size;
    return 0;
}

int mqtt_filter_append(struct bytes *list, struct slice filter)
{
    if (!mqtt_topic_filter_valid(filter))
        return MQTT_ENCODE_INVALID;
    return element_append(list, filter, NULL);
}

int mqtt_subscription_append(struct bytes *list, const struct mqtt_subscription *subscription)
{
    const struct mqtt_subscription *s = subscription;
    struct mqtt_topic_filter parsed;
    if (!mqtt_topic_filter_parse(s->filter, &parsed) || s->qos > QOS_MAX ||
        s->retain_handling > RETAIN_HANDLING_MAX || (parsed.group.len && s->no_local))
        return MQTT_ENCODE_INVALID;
    uint8_t options = (uint8_t)(s->qos | (s->no_local ? OPTION_NO_LOCAL : 0) |
                                (s->retain_as_published ? OPTION_RETAIN_AS_PUBLISHED : 0) |
                                s->retain_handling << OPTION_RETAIN_HANDLING_SHIFT);
    return element_append(list, s->filter, &options);
}

static void request_write(struct mqtt_writer *w, const struct mqtt_subscribe *s,
                          enum mqtt_type type, struct mqtt_dialect dialect)
{
    if (!w->at) {
        struct mqtt_reader r = mqtt_reader_make(s->filters);
        list_read(&r, type, dialect.level);
        mqtt_write_require(w, !mqtt_reader_failed(&r));
    }
    mqtt_write_packet_id(w, s->packet_id);
    if (dialect.level == MQTT_5_0)
        mqtt_write_properties(w, &s->properties, mqtt_packet_bit(type, MQTT_FROM_CLIENT));
    mqtt_write_raw(w, s->filters);
}

static void subscribe_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    request_write(w, packet, MQTT_SUBSCRIBE, dialect);
}

static void unsubscribe_write(struct mqtt_writer *w, const void *packet,
                              struct mqtt_dialect dialect)
{
    request_write(w, packet, MQTT_UNSUBSCRIBE, dialect);
}

int mqtt_subscribe_encode(const struct mqtt_subscribe *subscribe, struct mqtt_dialect dialect,
                          struct bytes *out)
{
    return mqtt_write_packet(out, dialect, MQTT_SUBSCRIBE << 4 | 2, subscribe_write, subscribe);
}

int mqtt_unsubscribe_encode(const struct mqtt_unsubscribe *unsubscribe, struct mqtt_dialect dialect,
                            struct bytes *out)
{
    struct mqtt_subscribe s = {.packet_id = unsubscribe->packet_id,
                               .filters = unsubscribe->filters,
                               .properties = unsubscribe->properties};
    return mqtt_write_packet(out, dialect, MQTT_UNSUBSCRIBE << 4 | 2, unsubscribe_write, &s);
}

static bool code_valid(uint8_t code, enum mqtt_type type, enum mqtt_level level)
{
    if (level == MQTT_5_0)
        return mqtt_reason_allowed(code, mqtt_packet_bit(type, MQTT_FROM_SERVER));
    return code <= QOS_MAX || code == V3_SUBACK_FAILURE;
}

int mqtt_suback_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                       struct mqtt_suback *ret, const char **ret_detail)
{
    enum mqtt_type type = mqtt_frame_type(frame);
    assert(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_suback s = {.type = type, .packet_id = mqtt_read_packet_id(&r)};
    if (dialect.level == MQTT_5_0)
        mqtt_read_properties(&r, mqtt_packet_bit(type, MQTT_FROM_SERVER), &s.properties);
    if (dialect.level == MQTT_5_0 || type == MQTT_SUBACK) {
        s.codes = mqtt_read_raw(&r, mqtt_reader_left(&r));
        if (!s.codes.len)
            mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "no reason code [MQTT-3.9.3-1]");
    }
    for (size_t i = 0; i < s.codes.len; i++)
        if (!code_valid(s.codes.data[i], type, dialect.level))
            mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR,
                             "no reason code of this packet [MQTT-3.9.3-2]");
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = s;
    return verdict;
}

static void suback_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_suback *s = packet;
    bool five = dialect.level == MQTT_5_0;
    mqtt_write_packet_id(w, s->packet_id);
    if (five)
        mqtt_write_properties(w, &s->properties, mqtt_packet_bit(s->type, MQTT_FROM_SERVER));
    else if (s->type == MQTT_UNSUBACK)
        return;
    mqtt_write_require(w, s->codes.len > 0);
    for (size_t i = 0; i < s->codes.len; i++) {
        uint8_t code = s->codes.data[i];
        mqtt_write_require(w, code_valid(code, s->type, MQTT_5_0));
        mqtt_write_u8(w, !five && code >= MQTT_UNSPECIFIED_ERROR ? V3_SUBACK_FAILURE : code);
    }
}

int mqtt_suback_encode(const struct mqtt_suback *suback, struct mqtt_dialect dialect,
                       struct bytes *out)
{
    if (suback->type != MQTT_SUBACK && suback->type != MQTT_UNSUBACK)
        return MQTT_ENCODE_INVALID;
    return mqtt_write_packet(out, dialect, (uint8_t)((unsigned)suback->type << 4), suback_write,
                             suback);
}
