#ifndef SLUICE_MQTT_CONNECT_H
#define SLUICE_MQTT_CONNECT_H
/*
 * CONNECT and CONNACK [MQTT-3.1], [MQTT-3.2]. Views borrow from the buffer of their frame. Pure,
 * any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/property.h"

struct mqtt_will {
    struct slice topic; /* a valid topic name */
    struct slice payload;
    uint8_t qos; /* 0..2 */
    bool retain;
    struct mqtt_properties properties; /* none under 3.1.1 */
};

struct mqtt_connect {
    enum mqtt_level level;
    bool clean_start;       /* 3.1.1: clean session */
    uint16_t keep_alive_s;  /* seconds; 0: none */
    struct slice client_id; /* may be empty; under 3.1.1 only with clean_start [MQTT-3.1.3-7] */
    bool has_will;
    bool has_user_name;
    bool has_password;     /* under 3.1.1 only with a user name [MQTT-3.1.2-22] */
    struct mqtt_will will; /* only if has_will */
    struct slice user_name;
    struct slice password;
    struct mqtt_properties properties; /* none under 3.1.1 */
};

/* Decodes a CONNECT, protocol name and level first. 0 or a reason code:
 *   MQTT_UNSUPPORTED_PROTOCOL_VERSION  not MQTT 3.1.1 or 5.0 [MQTT-3.1.2-1..2]
 *   MQTT_CLIENT_IDENTIFIER_NOT_VALID   3.1.1: empty, but the session is to be kept [MQTT-3.1.3-8]
 *   MQTT_TOPIC_NAME_INVALID            will topic empty or with wildcards
 *   MQTT_MALFORMED_PACKET, MQTT_PROTOCOL_ERROR
 * with *ret_detail (may be NULL) set to a static text. How to answer says mqtt_connect_answer(). */
int mqtt_connect_decode(const struct mqtt_frame *frame, struct mqtt_connect *ret,
                        const char **ret_detail);

/* How a CONNECT that was refused with reason is to be answered before closing. True and the level
 * in whose form the CONNACK is to be written (mqtt_connack_encode maps the reason), or false: close
 * without a word. MQTT 3.1 ("MQIsdp" 3) and unknown levels below 4 get a 3.1.1 CONNACK with return
 * code 1, levels above 5 a 5.0 CONNACK with 0x84, other protocol names nothing. */
bool mqtt_connect_answer(const struct mqtt_frame *frame, uint8_t reason, enum mqtt_level *ret);

/* Appends a CONNECT of connect->level. max_packet_bytes: 0 or the bound of the whole packet. 0, an
 * enum mqtt_encode_outcome (writer.h), -ENOMEM. */
int mqtt_connect_encode(const struct mqtt_connect *connect, uint32_t max_packet_bytes,
                        struct bytes *out);

struct mqtt_connack {
    bool session_present;
    uint8_t reason;                    /* enum mqtt_reason, under 3.1.1 too (the codec maps it) */
    struct mqtt_properties properties; /* none under 3.1.1 */
};

/* 0 or MQTT_MALFORMED_PACKET / MQTT_PROTOCOL_ERROR [MQTT-3.2.2-1], [MQTT-3.2.2-6..8]. */
int mqtt_connack_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                        struct mqtt_connack *ret, const char **ret_detail);

/* Appends a CONNACK. MQTT_ENCODE_INVALID also where 3.1.1 has no return code for the reason: then
 * the connection is closed without one [MQTT-3.2.2-6]. */
int mqtt_connack_encode(const struct mqtt_connack *connack, struct mqtt_dialect dialect,
                        struct bytes *out);

#endif
