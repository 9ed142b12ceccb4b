#ifndef SLUICE_FUZZ_MQTT_PACKET_H
#define SLUICE_FUZZ_MQTT_PACKET_H
/* Any MQTT packet, for tests that take what comes: decode by type, encode, compare by meaning. */
#include <stdbool.h>

#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/disconnect.h"
#include "mqtt/publish.h"
#include "mqtt/subscribe.h"

struct mqtt_packet {
    enum mqtt_type type;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
        struct mqtt_ack ack;
        struct mqtt_subscribe subscribe;
        struct mqtt_unsubscribe unsubscribe;
        struct mqtt_suback suback;
        struct mqtt_disconnect disconnect;
        struct mqtt_auth auth;
    };
};

/* 0 or a reason code, as the decoder of the type says. */
int mqtt_packet_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                       struct mqtt_packet *ret, const char **ret_detail);

/* As the encoder of the type. */
int mqtt_packet_encode(const struct mqtt_packet *packet, struct mqtt_dialect dialect,
                       struct bytes *out);

/* Whether both say the same, user properties in their order included. */
bool mqtt_packet_equal(const struct mqtt_packet *a, const struct mqtt_packet *b);

#endif
