#include "mqtt/reader.h"

#include "base/utf8.h"
#include "mqtt/frame.h"

void mqtt_reader_fail(struct mqtt_reader *r, enum mqtt_reason reason, const char *detail)
{
    if (r->reason == MQTT_SUCCESS) {
        r->reason = reason;
        r->detail = detail;
    }
    r->at = r->end;
}

void mqtt_reader_short(struct mqtt_reader *r)
{
    mqtt_reader_fail(r, MQTT_MALFORMED_PACKET, "packet ends in the middle of a field");
}

int mqtt_reader_finish(struct mqtt_reader *r, const char **ret_detail)
{
    if (r->at != r->end)
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET, "bytes left over at the end of the packet");
    if (r->reason != MQTT_SUCCESS && ret_detail)
        *ret_detail = r->detail;
    return (int)r->reason;
}

uint32_t mqtt_read_u32(struct mqtt_reader *r)
{
    if (mqtt_reader_left(r) < 4) {
        mqtt_reader_short(r);
        return 0;
    }
    uint32_t v =
        (uint32_t)r->at[0] << 24 | (uint32_t)r->at[1] << 16 | (uint32_t)r->at[2] << 8 | r->at[3];
    r->at += 4;
    return v;
}

uint32_t mqtt_read_varint(struct mqtt_reader *r)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t b = mqtt_read_u8(r);
        if (mqtt_reader_failed(r))
            return 0;
        v |= (uint32_t)(b & 0x7f) << (7 * i);
        if (b & 0x80)
            continue;
        if (!b && i)
            break;
        return v;
    }
    mqtt_reader_fail(r, MQTT_MALFORMED_PACKET,
                     "variable byte integer not minimal or beyond four bytes [MQTT-1.5.5-1]");
    return 0;
}

struct slice mqtt_read_string(struct mqtt_reader *r)
{
    struct slice s = mqtt_read_binary(r);
    if (!mqtt_string_valid(s)) {
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET,
                         "string is not UTF-8 or contains U+0000 [MQTT-1.5.4-1]");
        return SLICE_EMPTY;
    }
    return s;
}

uint16_t mqtt_read_packet_id(struct mqtt_reader *r)
{
    uint16_t id = mqtt_read_u16(r);
    if (!id)
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "packet identifier is 0 [MQTT-2.2.1-3]");
    return id;
}

bool mqtt_string_valid(struct slice s)
{
    if (s.len > MQTT_STRING_MAX_BYTES)
        return false;
    return !s.len || (!memchr(s.data, 0, s.len) && utf8_valid(s));
}
