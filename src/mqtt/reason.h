#ifndef SLUICE_MQTT_REASON_H
#define SLUICE_MQTT_REASON_H
/*
 * Reason codes of MQTT 5.0 (section 2.4), the one vocabulary for verdicts of the decoders and for
 * what is said to the peer, and how they are told to a 3.1.1 peer. Static tables, any thread.
 *
 * Decoders return 0 or one of these as their named outcome; what is returned is always fit for a
 * DISCONNECT (for CONNECT: for a CONNACK) of a 5.0 server.
 */
#include <stdbool.h>
#include <stdint.h>

enum mqtt_reason {
    MQTT_SUCCESS = 0x00, /* also normal disconnection and granted QoS 0 */
    MQTT_GRANTED_QOS_1 = 0x01,
    MQTT_GRANTED_QOS_2 = 0x02,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
    MQTT_NO_SUBSCRIPTION_EXISTED = 0x11,
    MQTT_CONTINUE_AUTHENTICATION = 0x18,
    MQTT_REAUTHENTICATE = 0x19,
    MQTT_UNSPECIFIED_ERROR = 0x80,
    MQTT_MALFORMED_PACKET = 0x81,
    MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_SPECIFIC_ERROR = 0x83,
    MQTT_UNSUPPORTED_PROTOCOL_VERSION = 0x84,
    MQTT_CLIENT_IDENTIFIER_NOT_VALID = 0x85,
    MQTT_BAD_USER_NAME_OR_PASSWORD = 0x86,
    MQTT_NOT_AUTHORIZED = 0x87,
    MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89,
    MQTT_BANNED = 0x8a,
    MQTT_SERVER_SHUTTING_DOWN = 0x8b,
    MQTT_BAD_AUTHENTICATION_METHOD = 0x8c,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
    MQTT_SESSION_TAKEN_OVER = 0x8e,
    MQTT_TOPIC_FILTER_INVALID = 0x8f,
    MQTT_TOPIC_NAME_INVALID = 0x90,
    MQTT_PACKET_IDENTIFIER_IN_USE = 0x91,
    MQTT_PACKET_IDENTIFIER_NOT_FOUND = 0x92,
    MQTT_RECEIVE_MAXIMUM_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94,
    MQTT_PACKET_TOO_LARGE = 0x95,
    MQTT_MESSAGE_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97,
    MQTT_ADMINISTRATIVE_ACTION = 0x98,
    MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9a,
    MQTT_QOS_NOT_SUPPORTED = 0x9b,
    MQTT_USE_ANOTHER_SERVER = 0x9c,
    MQTT_SERVER_MOVED = 0x9d,
    MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9e,
    MQTT_CONNECTION_RATE_EXCEEDED = 0x9f,
    MQTT_MAXIMUM_CONNECT_TIME = 0xa0,
    MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xa1,
    MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xa2
};

/* Return codes of a 3.1.1 CONNACK [MQTT-3.2.2.3]. */
enum mqtt_connack_v3 {
    MQTT_V3_ACCEPTED = 0,
    MQTT_V3_UNACCEPTABLE_PROTOCOL_VERSION = 1,
    MQTT_V3_IDENTIFIER_REJECTED = 2,
    MQTT_V3_SERVER_UNAVAILABLE = 3,
    MQTT_V3_BAD_USER_NAME_OR_PASSWORD = 4,
    MQTT_V3_NOT_AUTHORIZED = 5
};

#define MQTT_V3_CODE_COUNT 6

/* "Malformed Packet"; "Unknown" for a value that is no reason code. Static. */
const char *mqtt_reason_name(uint8_t code);

/* Whether code may stand in a packet of that kind: packet is mqtt_packet_bit(type, sender)
 * [MQTT-3.2.2-8], [MQTT-3.4.2-1] and their like. */
bool mqtt_reason_allowed(uint8_t code, uint32_t packet);

/* The 3.1.1 CONNACK return code that says the same, MQTT_V3_ACCEPTED only for MQTT_SUCCESS; -1 if
 * there is none: then the connection is closed without a CONNACK [MQTT-3.1.4-1], [MQTT-3.2.2-6]. */
int mqtt_reason_to_v3(uint8_t code);

/* The reason code that a 3.1.1 return code (below MQTT_V3_CODE_COUNT) stands for. */
enum mqtt_reason mqtt_reason_from_v3(uint8_t code);

#endif
