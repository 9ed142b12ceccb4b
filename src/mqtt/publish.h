#ifndef SLUICE_MQTT_PUBLISH_H
#define SLUICE_MQTT_PUBLISH_H
/*
 * PUBLISH [MQTT-3.3], the packet that counts: decoding is one pass over the topic, no copy, and
 * touches the properties only if there are any. The view borrows from the buffer of its frame.
 * Pure, any thread.
 *
 * The payload is not looked at, not even if Payload Format Indicator calls it UTF-8: whether that
 * is held against the sender (0x99) is a matter of admission.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/property.h"

struct mqtt_publish {
    struct slice topic; /* a valid topic name; empty only with a topic alias [MQTT-3.3.2.3.4] */
    struct slice payload;
    uint16_t packet_id; /* 0 with QoS 0, else not 0 */
    uint8_t qos;        /* 0..2 */
    bool retain;
    bool dup;                          /* false with QoS 0 */
    struct mqtt_properties properties; /* none under 3.1.1 */
};

/* 0 or a reason code with *ret_detail (may be NULL) set to a static text:
 *   MQTT_TOPIC_NAME_INVALID   wildcards, or empty under 3.1.1 [MQTT-3.3.2-2], [MQTT-4.7.3-1]
 *   MQTT_TOPIC_ALIAS_INVALID  alias 0 [MQTT-3.3.2-8]; above the maximum is the session's to say
 *   MQTT_PROTOCOL_ERROR       packet id 0, no topic and no alias, a property twice, ...
 *   MQTT_MALFORMED_PACKET     everything else, e.g. a subscription identifier from a client
 *                             [MQTT-3.3.4-6] */
int mqtt_publish_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                        struct mqtt_publish *ret, const char **ret_detail);

/* Appends a PUBLISH; under 3.1.1 its properties are left out. 0, an enum mqtt_encode_outcome
 * (writer.h; TOO_LARGE is how a message that a client does not want is found out [MQTT-3.1.2-24]),
 * -ENOMEM. */
int mqtt_publish_encode(const struct mqtt_publish *publish, struct mqtt_dialect dialect,
                        struct bytes *out);

#endif
