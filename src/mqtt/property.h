#ifndef SLUICE_MQTT_PROPERTY_H
#define SLUICE_MQTT_PROPERTY_H
/*
 * Properties of MQTT 5.0 packets (section 2.2.2). One static table says for each its name, type,
 * range, and in which packets it may stand and repeat; decoder, encoder and checks walk it.
 *
 * struct mqtt_properties serves both directions. `present` has a bit for each property that is
 * there and rules everything: a value field means something only if its bit is set, and encoding
 * writes what has its bit set. The two that may repeat stay in wire form in `raw` and are walked
 * lazily: user properties, and the subscription identifiers of a PUBLISH.
 *
 * Borrows everything, owns nothing, any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum mqtt_property { /* identifiers on the wire; all below 128, so each is one byte */
                     MQTT_PAYLOAD_FORMAT = 1,
                     MQTT_MESSAGE_EXPIRY = 2,
                     MQTT_CONTENT_TYPE = 3,
                     MQTT_RESPONSE_TOPIC = 8,
                     MQTT_CORRELATION_DATA = 9,
                     MQTT_SUBSCRIPTION_ID = 11,
                     MQTT_SESSION_EXPIRY = 17,
                     MQTT_ASSIGNED_CLIENT_ID = 18,
                     MQTT_SERVER_KEEP_ALIVE = 19,
                     MQTT_AUTHENTICATION_METHOD = 21,
                     MQTT_AUTHENTICATION_DATA = 22,
                     MQTT_REQUEST_PROBLEM_INFORMATION = 23,
                     MQTT_WILL_DELAY = 24,
                     MQTT_REQUEST_RESPONSE_INFORMATION = 25,
                     MQTT_RESPONSE_INFORMATION = 26,
                     MQTT_SERVER_REFERENCE = 28,
                     MQTT_REASON_STRING = 31,
                     MQTT_RECEIVE_MAXIMUM = 33,
                     MQTT_TOPIC_ALIAS_MAXIMUM = 34,
                     MQTT_TOPIC_ALIAS = 35,
                     MQTT_MAXIMUM_QOS = 36,
                     MQTT_RETAIN_AVAILABLE = 37,
                     MQTT_USER_PROPERTY = 38,
                     MQTT_MAXIMUM_PACKET_SIZE = 39,
                     MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE = 40,
                     MQTT_SUBSCRIPTION_ID_AVAILABLE = 41,
                     MQTT_SHARED_SUBSCRIPTION_AVAILABLE = 42
};

#define MQTT_PROPERTY_COUNT 43 /* one more than the highest identifier */

enum mqtt_property_type {
    MQTT_PROPERTY_BYTE,
    MQTT_PROPERTY_U16,
    MQTT_PROPERTY_U32,
    MQTT_PROPERTY_VARINT,
    MQTT_PROPERTY_STRING,
    MQTT_PROPERTY_BINARY,
    MQTT_PROPERTY_PAIR
};

struct mqtt_property_row {
    const char *name;      /* NULL: no property has this identifier */
    const char *misplaced; /* detail texts of its failures */
    const char *repeated;
    const char *out_of_range;
    uint32_t packets;  /* mqtt_packet_bit()s and MQTT_PACKET_WILL: where it may stand */
    uint32_t repeats;  /* likewise: where it may stand more than once */
    uint32_t min, max; /* of integers, inclusive */
    uint16_t offset;   /* of its field in struct mqtt_properties; no meaning for user properties */
    uint8_t type;      /* enum mqtt_property_type */
    uint8_t range_fault; /* enum mqtt_reason of a value outside min..max */
};

extern const struct mqtt_property_row mqtt_property_table[MQTT_PROPERTY_COUNT];

#define MQTT_PRESENT(id) (UINT64_C(1) << (unsigned)(id))

struct mqtt_properties {
    uint64_t present; /* MQTT_PRESENT(id) of each property that is there */

    /* Wire form without the length. Decoding: all properties of the packet, validated. Encoding:
     * where user properties and, in a PUBLISH, subscription identifiers are taken from (if their
     * bits are set); other properties in it are passed over, since their fields count. */
    struct slice raw;

    /* Encoding a PUBLISH only: these identifiers instead of those in raw. Decoding sets NULL, 0. */
    const uint32_t *subscription_ids;
    uint32_t subscription_id_count;

    uint32_t payload_format;                  /* 0 bytes, 1 UTF-8 */
    uint32_t message_expiry_s;                /* seconds */
    uint32_t subscription_id;                 /* 1..268435455; of a PUBLISH: the last one */
    uint32_t session_expiry_s;                /* seconds; 0xffffffff never */
    uint32_t server_keep_alive_s;             /* seconds */
    uint32_t request_problem_information;     /* 0, 1 */
    uint32_t will_delay_s;                    /* seconds */
    uint32_t request_response_information;    /* 0, 1 */
    uint32_t receive_maximum;                 /* packets, 1..65535 */
    uint32_t topic_alias_maximum;             /* 0..65535 */
    uint32_t topic_alias;                     /* 1..65535 */
    uint32_t maximum_qos;                     /* 0, 1 */
    uint32_t retain_available;                /* 0, 1 */
    uint32_t maximum_packet_size;             /* bytes, not 0 */
    uint32_t wildcard_subscription_available; /* 0, 1 */
    uint32_t subscription_id_available;       /* 0, 1 */
    uint32_t shared_subscription_available;   /* 0, 1 */

    struct slice content_type;
    struct slice response_topic; /* a valid topic name */
    struct slice correlation_data;
    struct slice assigned_client_id;
    struct slice authentication_method;
    struct slice authentication_data;
    struct slice response_information;
    struct slice server_reference;
    struct slice reason_string;
};

static inline bool mqtt_has(const struct mqtt_properties *p, enum mqtt_property id)
{
    return p->present & MQTT_PRESENT(id);
}

/* Leaves no property. Fields whose bit is not set are not written: nobody may read them. */
static inline void mqtt_properties_clear(struct mqtt_properties *p)
{
    p->present = 0;
    p->raw = SLICE_EMPTY;
    p->subscription_ids = NULL;
    p->subscription_id_count = 0;
}

/* The integer property id, or fallback (the protocol's default) if it is not there. */
uint32_t mqtt_property_integer(const struct mqtt_properties *p, enum mqtt_property id,
                               uint32_t fallback);

/* The string or binary property id, or the empty slice if it is not there. */
struct slice mqtt_property_slice(const struct mqtt_properties *p, enum mqtt_property id);

/* Sets a property for encoding. The id must be of that type (asserted); the slice is borrowed. */
void mqtt_property_set_integer(struct mqtt_properties *p, enum mqtt_property id, uint32_t value);
void mqtt_property_set_slice(struct mqtt_properties *p, enum mqtt_property id, struct slice value);

struct mqtt_user_property {
    struct slice name;
    struct slice value;
};

/* Walks the user properties in their order [MQTT-3.3.2-18]: *rest begins as p->raw and is consumed.
 * True and the next one, or false at the end. Linear over the whole walk. */
bool mqtt_user_property_next(struct slice *rest, struct mqtt_user_property *ret);

/* Likewise the subscription identifiers of a received PUBLISH. */
bool mqtt_subscription_id_next(struct slice *rest, uint32_t *ret);

/* Appends a user property in wire form to raw, for encoding (p->raw, MQTT_PRESENT(
 * MQTT_USER_PROPERTY)). 0, MQTT_ENCODE_INVALID (not a string [MQTT-1.5.7-1] or too long),
 * MQTT_ENCODE_FULL, -ENOMEM; nothing is appended unless 0. */
int mqtt_user_property_append(struct bytes *raw, struct slice name, struct slice value);

struct mqtt_reader;
struct mqtt_writer;

/* For the packet decoders of this room: length and properties at the reader, all checks: known,
 * allowed in packet, not repeated, in range, strings well-formed. Failures stay in the reader; then
 * *ret is untouched. */
void mqtt_read_properties(struct mqtt_reader *r, uint32_t packet, struct mqtt_properties *ret);

/* For the packet encoders: length and properties. A property that may not stand in packet, or a
 * value that may not be, makes the writer invalid. */
void mqtt_write_properties(struct mqtt_writer *w, const struct mqtt_properties *p, uint32_t packet);

/* Whether encoding writes anything but a zero length. */
static inline bool mqtt_properties_empty(const struct mqtt_properties *p)
{
    return p->present == 0;
}

#endif
