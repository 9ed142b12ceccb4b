#ifndef SLUICE_MQTT_DISCONNECT_H
#define SLUICE_MQTT_DISCONNECT_H
/*
 * DISCONNECT and AUTH, and the two packets without a body, PINGREQ and PINGRESP [MQTT-3.12] to
 * [MQTT-3.15]. Views borrow from the buffer of their frame. Pure, any thread.
 */
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/property.h"

struct mqtt_disconnect {
    uint8_t reason;                    /* enum mqtt_reason; success under 3.1.1 */
    struct mqtt_properties properties; /* none under 3.1.1 */
};

/* 0 or MQTT_MALFORMED_PACKET / MQTT_PROTOCOL_ERROR [MQTT-3.14.2-1..2], with *ret_detail (may be
 * NULL) set to a static text. Under 3.1.1 only a client sends it. */
int mqtt_disconnect_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                           struct mqtt_disconnect *ret, const char **ret_detail);

/* Appends it in its shortest form. 0, an enum mqtt_encode_outcome (writer.h; INVALID also where
 * 3.1.1 has no such packet), -ENOMEM. */
int mqtt_disconnect_encode(const struct mqtt_disconnect *disconnect, struct mqtt_dialect dialect,
                           struct bytes *out);

struct mqtt_auth {
    uint8_t reason; /* MQTT_SUCCESS (server), MQTT_CONTINUE_AUTHENTICATION, MQTT_REAUTHENTICATE
                       (client) [MQTT-3.15.2-1] */
    struct mqtt_properties properties; /* with an authentication method, unless reason is success
                                          and there is none at all */
};

/* As above; 5.0 only: under 3.1.1 an AUTH is refused and cannot be encoded. */
int mqtt_auth_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                     struct mqtt_auth *ret, const char **ret_detail);
int mqtt_auth_encode(const struct mqtt_auth *auth, struct mqtt_dialect dialect, struct bytes *out);

/* PINGREQ, PINGRESP: 0, or MQTT_MALFORMED_PACKET if there is a body. */
int mqtt_ping_decode(const struct mqtt_frame *frame, const char **ret_detail);

#define MQTT_PING_BYTES 2

/* type is MQTT_PINGREQ or MQTT_PINGRESP. */
static inline void mqtt_ping_encode(enum mqtt_type type, uint8_t out[MQTT_PING_BYTES])
{
    out[0] = (uint8_t)(type << 4);
    out[1] = 0;
}

#endif
