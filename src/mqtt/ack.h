#ifndef SLUICE_MQTT_ACK_H
#define SLUICE_MQTT_ACK_H
/*
 * PUBACK, PUBREC, PUBREL, PUBCOMP: one shape [MQTT-3.4] to [MQTT-3.7]. Views borrow from the buffer
 * of their frame. Pure, any thread.
 */
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/property.h"

struct mqtt_ack {
    enum mqtt_type type;               /* MQTT_PUBACK .. MQTT_PUBCOMP */
    uint16_t packet_id;                /* not 0 */
    uint8_t reason;                    /* enum mqtt_reason; always success under 3.1.1 */
    struct mqtt_properties properties; /* none under 3.1.1 */
};

/* Decodes a frame of one of the four types. 0 or MQTT_MALFORMED_PACKET / MQTT_PROTOCOL_ERROR, with
 * *ret_detail (may be NULL) set to a static text [MQTT-3.4.2-1] and its like. */
int mqtt_ack_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                    struct mqtt_ack *ret, const char **ret_detail);

/* Appends an acknowledgement in its shortest form. 0, an enum mqtt_encode_outcome (writer.h;
 * INVALID also for a failure under 3.1.1, which can only say it by closing), -ENOMEM. */
int mqtt_ack_encode(const struct mqtt_ack *ack, struct mqtt_dialect dialect, struct bytes *out);

#define MQTT_PUBACK_BYTES 4

/* The hot path: a successful PUBACK, four bytes at both levels. packet_id not 0. */
static inline void mqtt_puback_encode(uint16_t packet_id, uint8_t out[MQTT_PUBACK_BYTES])
{
    out[0] = MQTT_PUBACK << 4;
    out[1] = 2;
    out[2] = (uint8_t)(packet_id >> 8);
    out[3] = (uint8_t)packet_id;
}

#endif
