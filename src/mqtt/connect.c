#include "mqtt/connect.h"

#include <assert.h>

#include "mqtt/reader.h"
#include "mqtt/reason.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"

enum { /* connect flags [MQTT-3.1.2.3] */
       FLAG_RESERVED = 0x01,
       FLAG_CLEAN_START = 0x02,
       FLAG_WILL = 0x04,
       FLAG_WILL_QOS = 0x18,
       FLAG_WILL_RETAIN = 0x20,
       FLAG_PASSWORD = 0x40,
       FLAG_USER_NAME = 0x80
};

enum { FLAG_WILL_QOS_SHIFT = 3, QOS_MAX = 2 };

static const struct slice protocol_name = {.data = (const uint8_t *)"MQTT", .len = 4};
static const struct slice protocol_name_3_1 = {.data = (const uint8_t *)"MQIsdp", .len = 6};

static void level_read(struct mqtt_reader *r, enum mqtt_level *ret)
{
    struct slice name = mqtt_read_binary(r);
    uint8_t level = mqtt_read_u8(r);
    if (mqtt_reader_failed(r))
        return;
    if (slice_equal(name, protocol_name_3_1))
        mqtt_reader_fail(r, MQTT_UNSUPPORTED_PROTOCOL_VERSION, "MQTT 3.1 is not supported");
    else if (!slice_equal(name, protocol_name))
        mqtt_reader_fail(r, MQTT_UNSUPPORTED_PROTOCOL_VERSION,
                         "protocol name is not MQTT [MQTT-3.1.2-1]");
    else if (level != MQTT_3_1_1 && level != MQTT_5_0)
        mqtt_reader_fail(r, MQTT_UNSUPPORTED_PROTOCOL_VERSION,
                         "protocol level is neither 4 nor 5 [MQTT-3.1.2-2]");
    else
        *ret = (enum mqtt_level)level;
}

/* What is wrong with the connect flags at this level; NULL: nothing. */
static const char *flags_judge(uint8_t flags, enum mqtt_level level)
{
    if (flags & FLAG_RESERVED)
        return "reserved connect flag is set [MQTT-3.1.2-3]";
    if (!(flags & FLAG_WILL) && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)))
        return "will QoS or will retain without a will [MQTT-3.1.2-11]";
    if ((flags & FLAG_WILL_QOS) >> FLAG_WILL_QOS_SHIFT > QOS_MAX)
        return "will QoS 3 [MQTT-3.1.2-12]";
    if (level == MQTT_3_1_1 && (flags & FLAG_PASSWORD) && !(flags & FLAG_USER_NAME))
        return "password without user name (3.1.1: [MQTT-3.1.2-22])";
    return NULL;
}

static void will_read(struct mqtt_reader *r, const struct mqtt_connect *c, uint8_t flags,
                      struct mqtt_will *ret)
{
    ret->qos = (uint8_t)((flags & FLAG_WILL_QOS) >> FLAG_WILL_QOS_SHIFT);
    ret->retain = flags & FLAG_WILL_RETAIN;
    if (c->level == MQTT_5_0)
        mqtt_read_properties(r, MQTT_PACKET_WILL, &ret->properties);
    ret->topic = mqtt_read_string(r);
    if (!mqtt_reader_failed(r) && !mqtt_topic_name_valid(ret->topic))
        mqtt_reader_fail(r, MQTT_TOPIC_NAME_INVALID, "will topic is empty or has wildcards");
    ret->payload = mqtt_read_binary(r);
}

/* Payload, in the order of [MQTT-3.1.3-1]. */
static void payload_read(struct mqtt_reader *r, uint8_t flags, struct mqtt_connect *c)
{
    c->client_id = mqtt_read_string(r);
    c->has_will = flags & FLAG_WILL;
    if (c->has_will)
        will_read(r, c, flags, &c->will);
    c->has_user_name = flags & FLAG_USER_NAME;
    if (c->has_user_name)
        c->user_name = mqtt_read_string(r);
    c->has_password = flags & FLAG_PASSWORD;
    if (c->has_password)
        c->password = mqtt_read_binary(r);
}

int mqtt_connect_decode(const struct mqtt_frame *frame, struct mqtt_connect *ret,
                        const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_CONNECT);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_connect c = {.level = MQTT_3_1_1};
    level_read(&r, &c.level);
    uint8_t flags = mqtt_read_u8(&r);
    const char *wrong = flags_judge(flags, c.level);
    if (wrong)
        mqtt_reader_fail(&r, MQTT_MALFORMED_PACKET, wrong);
    c.clean_start = flags & FLAG_CLEAN_START;
    c.keep_alive_s = mqtt_read_u16(&r);
    if (c.level == MQTT_5_0)
        mqtt_read_properties(&r, mqtt_packet_bit(MQTT_CONNECT, MQTT_FROM_CLIENT), &c.properties);
    payload_read(&r, flags, &c);
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (verdict)
        return verdict;
    if (c.level == MQTT_3_1_1 && !c.client_id.len && !c.clean_start) {
        if (ret_detail)
            *ret_detail = "empty client identifier without clean session (3.1.1: [MQTT-3.1.3-8])";
        return MQTT_CLIENT_IDENTIFIER_NOT_VALID;
    }
    *ret = c;
    return 0;
}

bool mqtt_connect_answer(const struct mqtt_frame *frame, uint8_t reason, enum mqtt_level *ret)
{
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct slice name = mqtt_read_binary(&r);
    uint8_t level = mqtt_read_u8(&r);
    if (mqtt_reader_failed(&r))
        return false;
    if (slice_equal(name, protocol_name_3_1))
        level = MQTT_3_1_1;
    else if (!slice_equal(name, protocol_name))
        return false;
    if (level >= MQTT_5_0) {
        *ret = MQTT_5_0;
        return true;
    }
    if (mqtt_reason_to_v3(reason) < 0)
        return false;
    *ret = MQTT_3_1_1;
    return true;
}

static uint8_t flags_make(const struct mqtt_connect *c)
{
    unsigned flags = (c->clean_start ? FLAG_CLEAN_START : 0u) |
                     (c->has_password ? FLAG_PASSWORD : 0u) |
                     (c->has_user_name ? FLAG_USER_NAME : 0u);
    if (c->has_will)
        flags |= FLAG_WILL | (unsigned)(c->will.qos & 3) << FLAG_WILL_QOS_SHIFT |
                 (c->will.retain ? FLAG_WILL_RETAIN : 0u);
    return (uint8_t)flags;
}

static void will_write(struct mqtt_writer *w, const struct mqtt_connect *c)
{
    mqtt_write_require(w, c->will.qos <= QOS_MAX && mqtt_topic_name_valid(c->will.topic));
    if (c->level == MQTT_5_0)
        mqtt_write_properties(w, &c->will.properties, MQTT_PACKET_WILL);
    mqtt_write_string(w, c->will.topic);
    mqtt_write_binary(w, c->will.payload);
}

static void connect_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_connect *c = packet;
    uint8_t flags = flags_make(c);
    mqtt_write_require(w, c->level == MQTT_3_1_1 || c->level == MQTT_5_0);
    mqtt_write_require(w, !flags_judge(flags, c->level));
    mqtt_write_require(w, c->level == MQTT_5_0 || c->client_id.len || c->clean_start);
    mqtt_write_string(w, protocol_name);
    mqtt_write_u8(w, (uint8_t)c->level);
    mqtt_write_u8(w, flags);
    mqtt_write_u16(w, c->keep_alive_s);
    if (c->level == MQTT_5_0)
        mqtt_write_properties(w, &c->properties, mqtt_packet_bit(MQTT_CONNECT, dialect.sender));
    mqtt_write_string(w, c->client_id);
    if (c->has_will)
        will_write(w, c);
    if (c->has_user_name)
        mqtt_write_string(w, c->user_name);
    if (c->has_password)
        mqtt_write_binary(w, c->password);
}

int mqtt_connect_encode(const struct mqtt_connect *connect, uint32_t max_packet_bytes,
                        struct bytes *out)
{
    struct mqtt_dialect dialect = {
        .level = connect->level, .sender = MQTT_FROM_CLIENT, .max_packet_bytes = max_packet_bytes};
    return mqtt_write_packet(out, dialect, MQTT_CONNECT << 4, connect_write, connect);
}

int mqtt_connack_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                        struct mqtt_connack *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_CONNACK);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    uint32_t packet = mqtt_packet_bit(MQTT_CONNACK, MQTT_FROM_SERVER);
    struct mqtt_connack c = {.reason = MQTT_SUCCESS};
    uint8_t flags = mqtt_read_u8(&r);
    uint8_t code = mqtt_read_u8(&r);
    if (flags & 0xfe)
        mqtt_reader_fail(&r, MQTT_MALFORMED_PACKET, "reserved acknowledge flags [MQTT-3.2.2-1]");
    c.session_present = flags & 1;
    bool known =
        dialect.level == MQTT_5_0 ? mqtt_reason_allowed(code, packet) : code < MQTT_V3_CODE_COUNT;
    if (!known)
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "no code of a CONNACK [MQTT-3.2.2-8]");
    else
        c.reason = dialect.level == MQTT_5_0 ? code : (uint8_t)mqtt_reason_from_v3(code);
    if (c.session_present && c.reason != MQTT_SUCCESS)
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "session present in a refusal [MQTT-3.2.2-6]");
    if (dialect.level == MQTT_5_0)
        mqtt_read_properties(&r, packet, &c.properties);
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = c;
    return verdict;
}

static void connack_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_connack *c = packet;
    uint32_t bit = mqtt_packet_bit(MQTT_CONNACK, MQTT_FROM_SERVER);
    int code = dialect.level == MQTT_5_0 ? c->reason : mqtt_reason_to_v3(c->reason);
    mqtt_write_require(w, mqtt_reason_allowed(c->reason, bit) && code >= 0);
    mqtt_write_require(w, !c->session_present || c->reason == MQTT_SUCCESS);
    mqtt_write_u8(w, c->session_present);
    mqtt_write_u8(w, (uint8_t)code);
    if (dialect.level == MQTT_5_0)
        mqtt_write_properties(w, &c->properties, bit);
}

int mqtt_connack_encode(const struct mqtt_connack *connack, struct mqtt_dialect dialect,
                        struct bytes *out)
{
    return mqtt_write_packet(out, dialect, MQTT_CONNACK << 4, connack_write, connack);
}
