#include "mqtt/ack.h"

#include <assert.h>

#include "mqtt/reader.h"
#include "mqtt/reason.h"
#include "mqtt/writer.h"

int mqtt_ack_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                    struct mqtt_ack *ret, const char **ret_detail)
{
    enum mqtt_type type = mqtt_frame_type(frame);
    assert(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_ack a = {.type = type, .packet_id = mqtt_read_packet_id(&r)};
    if (dialect.level == MQTT_5_0 && r.at != r.end) { /* both may be left out [MQTT-3.4.2.1] */
        uint32_t packet = mqtt_packet_bit(type, dialect.sender);
        a.reason = mqtt_read_u8(&r);
        if (!mqtt_reason_allowed(a.reason, packet))
            mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR,
                             "no reason code of this packet [MQTT-3.4.2-1]");
        if (r.at != r.end)
            mqtt_read_properties(&r, packet, &a.properties);
    }
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = a;
    return verdict;
}

static void ack_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_ack *a = packet;
    uint32_t bit = mqtt_packet_bit(a->type, dialect.sender);
    mqtt_write_require(w, mqtt_reason_allowed(a->reason, bit));
    mqtt_write_packet_id(w, a->packet_id);
    if (dialect.level != MQTT_5_0) {
        mqtt_write_require(w, a->reason < MQTT_UNSPECIFIED_ERROR);
        return;
    }
    if (a->reason == MQTT_SUCCESS && mqtt_properties_empty(&a->properties))
        return;
    mqtt_write_u8(w, a->reason);
    if (!mqtt_properties_empty(&a->properties))
        mqtt_write_properties(w, &a->properties, bit);
}

int mqtt_ack_encode(const struct mqtt_ack *ack, struct mqtt_dialect dialect, struct bytes *out)
{
    if (ack->type < MQTT_PUBACK || ack->type > MQTT_PUBCOMP)
        return MQTT_ENCODE_INVALID;
    unsigned flags = ack->type == MQTT_PUBREL ? 2 : 0; /* [MQTT-3.6.1-1] */
    return mqtt_write_packet(out, dialect, (uint8_t)((unsigned)ack->type << 4 | flags), ack_write,
                             ack);
}
