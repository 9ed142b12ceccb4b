#ifndef SLUICE_UPLINK_ENVELOPE_H
#define SLUICE_UPLINK_ENVELOPE_H
/*
 * One event as the message that goes upstream, in a form that knows no client library.
 *
 *   raw         topic, payload and (5.0) content type, payload format, response topic, correlation
 *               data and user properties as the device sent them
 *   binary      payload as it came, CloudEvents attributes as user properties (CloudEvents MQTT
 *               protocol binding 3.1); on a 3.1.1 upstream, which has none, it goes out structured
 *   structured  the payload is the CloudEvents JSON event format (binding 3.2)
 *
 * A struct envelope is made once and encoded into again and again; slices point into it, into the
 * event and into the rules, and are valid until the next encode. One thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "event/cloudevents.h"
#include "uplink/topic_template.h"
#include "uplink/upstream_config.h"

struct event;

enum {
    ENVELOPE_USER_MAX = (1 << 20) / 5 + CLOUDEVENT_ATTRIBUTES_MAX, /* user properties */
    ENVELOPE_PAYLOAD_MAX_BYTES = 268435455,                        /* of an MQTT packet */
    /* a topic template at its longest, and changed names: "mqtt" before names of 2 bytes or more */
    ENVELOPE_TEXT_MAX_BYTES = TOPIC_TEMPLATE_PARTS_MAX * TOPIC_MAX_BYTES + 3 * (1 << 20),
    ENVELOPE_KEEP_BYTES = 256 * 1024 /* memory kept from one encode to the next */
};

/* What an upstream does with every event. Borrowed strings. */
struct envelope_rules {
    enum upstream_envelope envelope;
    bool mqtt5;
    const struct topic_template *topic;
    const char *gateway;
    const char *source; /* id_source() */
    const char *stream;
};

struct envelope_user {
    struct slice name, value;
};

struct envelope {
    struct slice topic; /* followed by a NUL */
    struct slice payload;
    bool retain;
    bool payload_utf8;             /* Payload Format Indicator; this and below: 5.0 only */
    struct slice content_type;     /* empty: none */
    struct slice response_topic;   /* empty: none */
    struct slice correlation_data; /* empty: none */
    struct envelope_user *user;    /* in this order */
    size_t user_count, user_cap;
    struct bytes text, body, names; /* private: what the slices above point to */
    struct cloudevent event;        /* private */
};

#define ENVELOPE_INIT                                                                              \
    {                                                                                              \
        .text = BYTES_INIT(ENVELOPE_TEXT_MAX_BYTES),                                               \
        .body = BYTES_INIT(ENVELOPE_PAYLOAD_MAX_BYTES),                                            \
        .names = BYTES_INIT(CLOUDEVENT_NAME_MAX_BYTES)                                             \
    }

void envelope_deinit(struct envelope *e);

/* Outcomes: the event cannot go to this upstream, ever. */
enum envelope_outcome {
    ENVELOPE_TOPIC_INVALID = 1, /* the topic may not be published (wildcards, length, encoding) */
    ENVELOPE_TOO_LARGE = 2      /* larger than an MQTT packet can be */
};
/* 0, an outcome, -ENOMEM, -EBADMSG (attributes damaged). */
int envelope_encode(struct envelope *e, const struct envelope_rules *rules,
                    const struct event *event, uint64_t offset);

/* Bytes of the PUBLISH packet, QoS 1: fixed header, topic, packet id, properties, payload; what the
 * server's Maximum Packet Size is held against [MQTT-3.2.2-15]. */
uint64_t envelope_packet_bytes(const struct envelope *e, bool mqtt5);

#endif
