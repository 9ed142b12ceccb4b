#include "mqtt/frame.h"

#include <assert.h>

/* One row per type: which of the sixteen flag values are legal (a bit each), and from whom it comes
 * under which level. */
static const struct {
    const char *name;
    uint16_t flags;
    bool from_client[2]; /* by level: 3.1.1, 5.0 */
    bool from_server[2];
} types[16] = {
    [0] = {"RESERVED", 0, {false, false}, {false, false}},
    [MQTT_CONNECT] = {"CONNECT", 1u << 0, {true, true}, {false, false}},
    [MQTT_CONNACK] = {"CONNACK", 1u << 0, {false, false}, {true, true}},
    /* retain, QoS 0..2, DUP only with QoS 1 and 2 */
    [MQTT_PUBLISH] = {"PUBLISH", 0x3c3f, {true, true}, {true, true}},
    [MQTT_PUBACK] = {"PUBACK", 1u << 0, {true, true}, {true, true}},
    [MQTT_PUBREC] = {"PUBREC", 1u << 0, {true, true}, {true, true}},
    [MQTT_PUBREL] = {"PUBREL", 1u << 2, {true, true}, {true, true}},
    [MQTT_PUBCOMP] = {"PUBCOMP", 1u << 0, {true, true}, {true, true}},
    [MQTT_SUBSCRIBE] = {"SUBSCRIBE", 1u << 2, {true, true}, {false, false}},
    [MQTT_SUBACK] = {"SUBACK", 1u << 0, {false, false}, {true, true}},
    [MQTT_UNSUBSCRIBE] = {"UNSUBSCRIBE", 1u << 2, {true, true}, {false, false}},
    [MQTT_UNSUBACK] = {"UNSUBACK", 1u << 0, {false, false}, {true, true}},
    [MQTT_PINGREQ] = {"PINGREQ", 1u << 0, {true, true}, {false, false}},
    [MQTT_PINGRESP] = {"PINGRESP", 1u << 0, {false, false}, {true, true}},
    [MQTT_DISCONNECT] = {"DISCONNECT", 1u << 0, {true, true}, {false, true}},
    [MQTT_AUTH] = {"AUTH", 1u << 0, {false, true}, {false, true}},
};

/* The fixed header: its length in bytes and the remaining length. in.len >= 1. */
static inline int header_read(struct slice in, uint32_t *ret_header, uint32_t *ret_remaining)
{
    uint8_t first = in.data[0];
    if (!(types[first >> 4].flags >> (first & 0x0f) & 1))
        return MQTT_MALFORMED;
    uint32_t remaining = 0;
    for (unsigned i = 1; i <= 4; i++) {
        if (in.len <= i)
            return MQTT_NEED_MORE;
        uint8_t b = in.data[i];
        remaining |= (uint32_t)(b & 0x7f) << (7 * (i - 1));
        if (b & 0x80)
            continue;
        if (!b && i > 1) /* a longer form of a smaller number */
            return MQTT_MALFORMED;
        *ret_header = i + 1;
        *ret_remaining = remaining;
        return 0;
    }
    return MQTT_MALFORMED;
}

int mqtt_frame_next(struct slice in, uint32_t max_packet_bytes, struct mqtt_frame *ret)
{
    if (!in.len)
        return MQTT_NEED_MORE;
    uint32_t header, remaining;
    int r = header_read(in, &header, &remaining);
    if (r)
        return r;
    uint32_t size = header + remaining; /* at most 5 + 268435455 */
    if (size > max_packet_bytes)
        return MQTT_TOO_LARGE;
    if (in.len < size)
        return MQTT_NEED_MORE;
    ret->first = in.data[0];
    ret->consumed = size;
    ret->body = slice_make(in.data + header, remaining);
    return 0;
}

uint32_t mqtt_frame_size(struct slice in)
{
    uint32_t header, remaining;
    return in.len && header_read(in, &header, &remaining) == 0 ? header + remaining : 0;
}

bool mqtt_type_expected(enum mqtt_type type, struct mqtt_dialect dialect)
{
    assert((unsigned)type < 16);
    unsigned level = dialect.level == MQTT_5_0;
    return dialect.sender == MQTT_FROM_CLIENT ? types[type].from_client[level]
                                              : types[type].from_server[level];
}

const char *mqtt_type_name(enum mqtt_type type)
{
    return (unsigned)type < 16 ? types[type].name : types[0].name;
}
