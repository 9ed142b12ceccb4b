#ifndef SLUICE_MQTT_SUBSCRIBE_H
#define SLUICE_MQTT_SUBSCRIBE_H
/*
 * SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK [MQTT-3.8] to [MQTT-3.11]. The lists stay in wire form:
 * validated once by the decoder, walked by the _next functions; for encoding they are built by the
 * _append functions and validated again. Views borrow from the buffer of their frame. Pure, any
 * thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mqtt/frame.h"
#include "mqtt/property.h"

struct mqtt_subscription {
    struct slice filter;      /* a valid topic filter, $share/ included (topic.h) */
    uint8_t qos;              /* 0..2 */
    uint8_t retain_handling;  /* 0..2; 0 under 3.1.1 */
    bool no_local;            /* false under 3.1.1 and for shared subscriptions */
    bool retain_as_published; /* false under 3.1.1 */
};

struct mqtt_subscribe {
    uint16_t packet_id;   /* not 0 */
    uint32_t count;       /* of filters, at least 1; encoding takes it from the list */
    struct slice filters; /* wire form */
    struct mqtt_properties properties;
};

/* 0 or a reason code with *ret_detail (may be NULL) set to a static text:
 *   MQTT_TOPIC_FILTER_INVALID  a filter against [MQTT-4.7.1-1..2], [MQTT-4.7.3-1],
 * [MQTT-4.8.2-1..2] MQTT_PROTOCOL_ERROR        no filter [MQTT-3.8.3-2], QoS 3, retain handling 3,
 * No Local on a shared subscription [MQTT-3.8.3-4], packet id 0 MQTT_MALFORMED_PACKET      reserved
 * bits [MQTT-3.8.3-5], bad strings, bytes left over */
int mqtt_subscribe_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                          struct mqtt_subscribe *ret, const char **ret_detail);

/* Walks the subscriptions: *rest begins as filters and is consumed. False at the end. */
bool mqtt_subscription_next(struct slice *rest, struct mqtt_subscription *ret);

/* Appends a subscription to a list in wire form (the options of 5.0 are written as they are; under
 * 3.1.1 they must be 0). 0, an enum mqtt_encode_outcome, -ENOMEM. */
int mqtt_subscription_append(struct bytes *list, const struct mqtt_subscription *subscription);

/* Appends the packet. 0, an enum mqtt_encode_outcome (writer.h), -ENOMEM. */
int mqtt_subscribe_encode(const struct mqtt_subscribe *subscribe, struct mqtt_dialect dialect,
                          struct bytes *out);

struct mqtt_unsubscribe {
    uint16_t packet_id;   /* not 0 */
    uint32_t count;       /* of filters, at least 1; encoding takes it from the list */
    struct slice filters; /* wire form */
    struct mqtt_properties properties;
};

/* Outcomes as for SUBSCRIBE [MQTT-3.10.3-1..2]. */
int mqtt_unsubscribe_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                            struct mqtt_unsubscribe *ret, const char **ret_detail);

/* Walks the filters: *rest begins as filters and is consumed. False at the end. */
bool mqtt_filter_next(struct slice *rest, struct slice *ret_filter);

/* Appends a filter to a list in wire form. 0, an enum mqtt_encode_outcome, -ENOMEM. */
int mqtt_filter_append(struct bytes *list, struct slice filter);

/* Appends the packet. 0, an enum mqtt_encode_outcome (writer.h), -ENOMEM. */
int mqtt_unsubscribe_encode(const struct mqtt_unsubscribe *unsubscribe, struct mqtt_dialect dialect,
                            struct bytes *out);

/* SUBACK and UNSUBACK. One code per filter in the order of the request [MQTT-3.9.3-1]; an UNSUBACK
 * of 3.1.1 has none. */
struct mqtt_suback {
    enum mqtt_type type; /* MQTT_SUBACK, MQTT_UNSUBACK */
    uint16_t packet_id;  /* not 0 */
    struct slice codes;  /* enum mqtt_reason, a byte each */
    struct mqtt_properties properties;
};

/* 0 or MQTT_MALFORMED_PACKET / MQTT_PROTOCOL_ERROR [MQTT-3.9.3-2], [MQTT-3.11.3-2]. */
int mqtt_suback_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                       struct mqtt_suback *ret, const char **ret_detail);

/* Under 3.1.1 every failure is written as 0x80, and the codes of an UNSUBACK are left out. */
int mqtt_suback_encode(const struct mqtt_suback *suback, struct mqtt_dialect dialect,
                       struct bytes *out);

#endif
