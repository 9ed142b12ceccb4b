#include "mqtt/publish.h"

#include <assert.h>

#include "mqtt/reader.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"

enum { FLAG_RETAIN = 0x01, FLAG_QOS_SHIFT = 1, FLAG_DUP = 0x08, QOS_MAX = 2 };

/* Why a topic name is not valid. */
static __attribute__((cold)) void topic_fail(struct mqtt_reader *r, struct slice topic)
{
    if (!mqtt_string_valid(topic))
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET,
                         "topic name is not UTF-8 or contains U+0000 [MQTT-1.5.4-1]");
    else
        mqtt_reader_fail(r, MQTT_TOPIC_NAME_INVALID,
                         "topic name is empty or has wildcards [MQTT-3.3.2-2]");
}

static void payload_set(struct mqtt_publish *p, const struct mqtt_frame *frame, struct slice topic,
                        uint16_t packet_id, struct slice payload)
{
    p->topic = topic;
    p->payload = payload;
    p->packet_id = packet_id;
    p->qos = frame->first >> FLAG_QOS_SHIFT & 3;
    p->retain = frame->first & FLAG_RETAIN;
    p->dup = frame->first & FLAG_DUP;
}

/* The rest of a 5.0 PUBLISH that has properties: out of the way of those that have none. */
static __attribute__((noinline)) int
properties_decode(struct mqtt_reader *r, const struct mqtt_frame *frame,
                  struct mqtt_dialect dialect, struct slice topic, uint16_t packet_id,
                  struct mqtt_publish *ret, const char **ret_detail)
{
    struct mqtt_properties properties = {.present = 0};
    mqtt_read_properties(r, mqtt_packet_bit(MQTT_PUBLISH, dialect.sender), &properties);
    if (!mqtt_reader_failed(r) && !topic.len && !mqtt_has(&properties, MQTT_TOPIC_ALIAS))
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "neither topic name nor topic alias");
    struct slice payload = mqtt_read_raw(r, mqtt_reader_left(r));
    int verdict = mqtt_reader_finish(r, ret_detail);
    if (verdict)
        return verdict;
    payload_set(ret, frame, topic, packet_id, payload);
    ret->properties = properties;
    return 0;
}

int mqtt_publish_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                        struct mqtt_publish *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_PUBLISH);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    bool five = dialect.level == MQTT_5_0;
    struct slice topic = mqtt_read_binary(&r);
    if (!mqtt_topic_name_valid(topic) && !(five && !topic.len))
        topic_fail(&r, topic);
    uint16_t packet_id = 0;
    if (frame->first >> FLAG_QOS_SHIFT & 3)
        packet_id = mqtt_read_packet_id(&r);
    if (five) {
        if (r.at == r.end || *r.at)
            return properties_decode(&r, frame, dialect, topic, packet_id, ret, ret_detail);
        r.at++;
        if (!topic.len)
            mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "neither topic name nor topic alias");
    }
    struct slice payload = mqtt_read_raw(&r, mqtt_reader_left(&r));
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (verdict)
        return verdict;
    payload_set(ret, frame, topic, packet_id, payload);
    mqtt_properties_clear(&ret->properties);
    return 0;
}

static void publish_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_publish *p = packet;
    bool alias =
        dialect.level == MQTT_5_0 && !p->topic.len && mqtt_has(&p->properties, MQTT_TOPIC_ALIAS);
    if (!w->at)
        mqtt_write_require(w, alias || mqtt_topic_name_valid(p->topic));
    mqtt_write_require(w, p->qos <= QOS_MAX && (p->qos ? p->packet_id != 0 : !p->dup));
    mqtt_write_binary(w, p->topic);
    if (p->qos)
        mqtt_write_u16(w, p->packet_id);
    if (dialect.level == MQTT_5_0)
        mqtt_write_properties(w, &p->properties, mqtt_packet_bit(MQTT_PUBLISH, dialect.sender));
    mqtt_write_raw(w, p->payload);
}

int mqtt_publish_encode(const struct mqtt_publish *publish, struct mqtt_dialect dialect,
                        struct bytes *out)
{
    unsigned first = MQTT_PUBLISH << 4 | (publish->dup ? FLAG_DUP : 0u) |
                     (unsigned)(publish->qos & 3) << FLAG_QOS_SHIFT |
                     (publish->retain ? FLAG_RETAIN : 0u);
    return mqtt_write_packet(out, dialect, (uint8_t)first, publish_write, publish);
}
