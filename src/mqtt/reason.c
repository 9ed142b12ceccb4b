#include "mqtt/reason.h"

#include <assert.h>
#include <stddef.h>

#include "mqtt/frame.h"

#define CLIENT(type) (UINT32_C(1) << (type))
#define SERVER(type) (UINT32_C(1) << ((type) + 16))
#define BOTH(type) (CLIENT(type) | SERVER(type))

#define CONNACK SERVER(MQTT_CONNACK)
#define PUBACK_PUBREC (BOTH(MQTT_PUBACK) | BOTH(MQTT_PUBREC))
#define PUBREL_PUBCOMP (BOTH(MQTT_PUBREL) | BOTH(MQTT_PUBCOMP))
#define SUBACK SERVER(MQTT_SUBACK)
#define UNSUBACK SERVER(MQTT_UNSUBACK)
#define DISCONNECT BOTH(MQTT_DISCONNECT)
#define DISCONNECT_SERVER SERVER(MQTT_DISCONNECT)

/* Table 2-6 of the standard, with the "sent by" columns of tables 3-10 and 3-11 and the 3.1.1
 * return code that says the same (0: none). "No matching subscribers" is accepted from clients as
 * well: they have no use for it, but it does no harm. */
static const struct {
    const char *name;
    uint32_t packets;
    uint8_t v3;
} reasons[] = {
    [MQTT_SUCCESS] = {"Success",
                      CONNACK | PUBACK_PUBREC | PUBREL_PUBCOMP | SUBACK | UNSUBACK | DISCONNECT |
                          SERVER(MQTT_AUTH),
                      0},
    [MQTT_GRANTED_QOS_1] = {"Granted QoS 1", SUBACK, 0},
    [MQTT_GRANTED_QOS_2] = {"Granted QoS 2", SUBACK, 0},
    [MQTT_DISCONNECT_WITH_WILL] = {"Disconnect with Will Message", CLIENT(MQTT_DISCONNECT), 0},
    [MQTT_NO_MATCHING_SUBSCRIBERS] = {"No matching subscribers", PUBACK_PUBREC, 0},
    [MQTT_NO_SUBSCRIPTION_EXISTED] = {"No subscription existed", UNSUBACK, 0},
    [MQTT_CONTINUE_AUTHENTICATION] = {"Continue authentication", BOTH(MQTT_AUTH), 0},
    [MQTT_REAUTHENTICATE] = {"Re-authenticate", CLIENT(MQTT_AUTH), 0},
    [MQTT_UNSPECIFIED_ERROR] = {"Unspecified error",
                                CONNACK | PUBACK_PUBREC | SUBACK | UNSUBACK | DISCONNECT,
                                MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_MALFORMED_PACKET] = {"Malformed Packet", CONNACK | DISCONNECT, 0},
    [MQTT_PROTOCOL_ERROR] = {"Protocol Error", CONNACK | DISCONNECT, 0},
    [MQTT_IMPLEMENTATION_SPECIFIC_ERROR] = {"Implementation specific error",
                                            CONNACK | PUBACK_PUBREC | SUBACK | UNSUBACK |
                                                DISCONNECT,
                                            MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_UNSUPPORTED_PROTOCOL_VERSION] = {"Unsupported Protocol Version", CONNACK,
                                           MQTT_V3_UNACCEPTABLE_PROTOCOL_VERSION},
    [MQTT_CLIENT_IDENTIFIER_NOT_VALID] = {"Client Identifier not valid", CONNACK,
                                          MQTT_V3_IDENTIFIER_REJECTED},
    [MQTT_BAD_USER_NAME_OR_PASSWORD] = {"Bad User Name or Password", CONNACK,
                                        MQTT_V3_BAD_USER_NAME_OR_PASSWORD},
    [MQTT_NOT_AUTHORIZED] = {"Not authorized",
                             CONNACK | PUBACK_PUBREC | SUBACK | UNSUBACK | DISCONNECT_SERVER,
                             MQTT_V3_NOT_AUTHORIZED},
    [MQTT_SERVER_UNAVAILABLE] = {"Server unavailable", CONNACK, MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_SERVER_BUSY] = {"Server busy", CONNACK | DISCONNECT_SERVER, MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_BANNED] = {"Banned", CONNACK, MQTT_V3_NOT_AUTHORIZED},
    [MQTT_SERVER_SHUTTING_DOWN] = {"Server shutting down", DISCONNECT_SERVER,
                                   MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_BAD_AUTHENTICATION_METHOD] = {"Bad authentication method", CONNACK | DISCONNECT_SERVER,
                                        MQTT_V3_NOT_AUTHORIZED},
    [MQTT_KEEP_ALIVE_TIMEOUT] = {"Keep Alive timeout", DISCONNECT_SERVER, 0},
    [MQTT_SESSION_TAKEN_OVER] = {"Session taken over", DISCONNECT_SERVER, 0},
    [MQTT_TOPIC_FILTER_INVALID] = {"Topic Filter invalid", SUBACK | UNSUBACK | DISCONNECT_SERVER,
                                   0},
    [MQTT_TOPIC_NAME_INVALID] = {"Topic Name invalid", CONNACK | PUBACK_PUBREC | DISCONNECT, 0},
    [MQTT_PACKET_IDENTIFIER_IN_USE] = {"Packet Identifier in use",
                                       PUBACK_PUBREC | SUBACK | UNSUBACK, 0},
    [MQTT_PACKET_IDENTIFIER_NOT_FOUND] = {"Packet Identifier not found", PUBREL_PUBCOMP, 0},
    [MQTT_RECEIVE_MAXIMUM_EXCEEDED] = {"Receive Maximum exceeded", DISCONNECT, 0},
    [MQTT_TOPIC_ALIAS_INVALID] = {"Topic Alias invalid", DISCONNECT, 0},
    [MQTT_PACKET_TOO_LARGE] = {"Packet too large", CONNACK | DISCONNECT, 0},
    [MQTT_MESSAGE_RATE_TOO_HIGH] = {"Message rate too high", DISCONNECT, 0},
    [MQTT_QUOTA_EXCEEDED] = {"Quota exceeded", CONNACK | PUBACK_PUBREC | SUBACK | DISCONNECT,
                             MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_ADMINISTRATIVE_ACTION] = {"Administrative action", DISCONNECT, 0},
    [MQTT_PAYLOAD_FORMAT_INVALID] = {"Payload format invalid", CONNACK | PUBACK_PUBREC | DISCONNECT,
                                     0},
    [MQTT_RETAIN_NOT_SUPPORTED] = {"Retain not supported", CONNACK | DISCONNECT_SERVER, 0},
    [MQTT_QOS_NOT_SUPPORTED] = {"QoS not supported", CONNACK | DISCONNECT_SERVER, 0},
    [MQTT_USE_ANOTHER_SERVER] = {"Use another server", CONNACK | DISCONNECT_SERVER,
                                 MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_SERVER_MOVED] = {"Server moved", CONNACK | DISCONNECT_SERVER, MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Shared Subscriptions not supported",
                                                 SUBACK | DISCONNECT_SERVER, 0},
    [MQTT_CONNECTION_RATE_EXCEEDED] = {"Connection rate exceeded", CONNACK | DISCONNECT_SERVER,
                                       MQTT_V3_SERVER_UNAVAILABLE},
    [MQTT_MAXIMUM_CONNECT_TIME] = {"Maximum connect time", DISCONNECT_SERVER, 0},
    [MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED] = {"Subscription Identifiers not supported",
                                                     SUBACK | DISCONNECT_SERVER, 0},
    [MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED] = {"Wildcard Subscriptions not supported",
                                                   SUBACK | DISCONNECT_SERVER, 0},
};

#define REASON_COUNT (sizeof reasons / sizeof reasons[0])

const char *mqtt_reason_name(uint8_t code)
{
    return code < REASON_COUNT && reasons[code].name ? reasons[code].name : "Unknown";
}

bool mqtt_reason_allowed(uint8_t code, uint32_t packet)
{
    return code < REASON_COUNT && (reasons[code].packets & packet);
}

int mqtt_reason_to_v3(uint8_t code)
{
    if (code == MQTT_SUCCESS)
        return MQTT_V3_ACCEPTED;
    return code < REASON_COUNT && reasons[code].v3 ? reasons[code].v3 : -1;
}

enum mqtt_reason mqtt_reason_from_v3(uint8_t code)
{
    static const uint8_t from[MQTT_V3_CODE_COUNT] = {
        [MQTT_V3_ACCEPTED] = MQTT_SUCCESS,
        [MQTT_V3_UNACCEPTABLE_PROTOCOL_VERSION] = MQTT_UNSUPPORTED_PROTOCOL_VERSION,
        [MQTT_V3_IDENTIFIER_REJECTED] = MQTT_CLIENT_IDENTIFIER_NOT_VALID,
        [MQTT_V3_SERVER_UNAVAILABLE] = MQTT_SERVER_UNAVAILABLE,
        [MQTT_V3_BAD_USER_NAME_OR_PASSWORD] = MQTT_BAD_USER_NAME_OR_PASSWORD,
        [MQTT_V3_NOT_AUTHORIZED] = MQTT_NOT_AUTHORIZED,
    };
    assert(code < MQTT_V3_CODE_COUNT);
    return (enum mqtt_reason)from[code];
}
