#include "mqtt/property.h"

#include <assert.h>

#include "mqtt/frame.h"
#include "mqtt/reader.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"

#define CLIENT(type) (UINT32_C(1) << (type))
#define SERVER(type) (UINT32_C(1) << ((type) + 16))
#define BOTH(type) (CLIENT(type) | SERVER(type))

#define CONNECT CLIENT(MQTT_CONNECT)
#define CONNACK SERVER(MQTT_CONNACK)
#define MESSAGE (BOTH(MQTT_PUBLISH) | MQTT_PACKET_WILL)
#define ANSWERS                                                                                    \
    (CONNACK | BOTH(MQTT_PUBACK) | BOTH(MQTT_PUBREC) | BOTH(MQTT_PUBREL) | BOTH(MQTT_PUBCOMP) |    \
     SERVER(MQTT_SUBACK) | SERVER(MQTT_UNSUBACK) | BOTH(MQTT_DISCONNECT) | BOTH(MQTT_AUTH))
#define ALL (ANSWERS | CONNECT | MESSAGE | CLIENT(MQTT_SUBSCRIBE) | CLIENT(MQTT_UNSUBSCRIBE))

#define ROW(text, kind, where, field, low, high)                                                   \
    {                                                                                              \
        .name = (text), .misplaced = text " does not belong into this packet",                     \
        .repeated = text " stands there twice", .out_of_range = text " is out of range",           \
        .packets = (where), .min = (low), .max = (high),                                           \
        .offset = offsetof(struct mqtt_properties, field), .type = (kind),                         \
        .range_fault = MQTT_PROTOCOL_ERROR                                                         \
    }
#define FLAG(text, where, field) ROW(text, MQTT_PROPERTY_BYTE, where, field, 0, 1)
#define U16(text, where, field, low) ROW(text, MQTT_PROPERTY_U16, where, field, low, UINT16_MAX)
#define U32(text, where, field, low) ROW(text, MQTT_PROPERTY_U32, where, field, low, UINT32_MAX)
#define STRING(text, where, field) ROW(text, MQTT_PROPERTY_STRING, where, field, 0, 0)
#define BINARY(text, where, field) ROW(text, MQTT_PROPERTY_BINARY, where, field, 0, 0)

/* Table 2-4 of the standard, with the ranges from the sections of the packets. */
const struct mqtt_property_row mqtt_property_table[MQTT_PROPERTY_COUNT] = {
    [MQTT_PAYLOAD_FORMAT] = FLAG("Payload Format Indicator", MESSAGE, payload_format),
    [MQTT_MESSAGE_EXPIRY] = U32("Message Expiry Interval", MESSAGE, message_expiry_s, 0),
    [MQTT_CONTENT_TYPE] = STRING("Content Type", MESSAGE, content_type),
    [MQTT_RESPONSE_TOPIC] = STRING("Response Topic", MESSAGE, response_topic),
    [MQTT_CORRELATION_DATA] = BINARY("Correlation Data", MESSAGE, correlation_data),
    [MQTT_SUBSCRIPTION_ID] = {.name = "Subscription Identifier",
                              .misplaced = "Subscription Identifier does not belong into this "
                                           "packet [MQTT-3.3.4-6]",
                              .repeated = "Subscription Identifier stands there twice",
                              .out_of_range = "Subscription Identifier is 0",
                              .packets = SERVER(MQTT_PUBLISH) | CLIENT(MQTT_SUBSCRIBE),
                              .repeats = SERVER(MQTT_PUBLISH),
                              .min = 1,
                              .max = MQTT_REMAINING_MAX_BYTES,
                              .offset = offsetof(struct mqtt_properties, subscription_id),
                              .type = MQTT_PROPERTY_VARINT,
                              .range_fault = MQTT_PROTOCOL_ERROR},
    [MQTT_SESSION_EXPIRY] = U32("Session Expiry Interval",
                                CONNECT | CONNACK | CLIENT(MQTT_DISCONNECT), session_expiry_s, 0),
    [MQTT_ASSIGNED_CLIENT_ID] = STRING("Assigned Client Identifier", CONNACK, assigned_client_id),
    [MQTT_SERVER_KEEP_ALIVE] = U16("Server Keep Alive", CONNACK, server_keep_alive_s, 0),
    [MQTT_AUTHENTICATION_METHOD] =
        STRING("Authentication Method", CONNECT | CONNACK | BOTH(MQTT_AUTH), authentication_method),
    [MQTT_AUTHENTICATION_DATA] =
        BINARY("Authentication Data", CONNECT | CONNACK | BOTH(MQTT_AUTH), authentication_data),
    [MQTT_REQUEST_PROBLEM_INFORMATION] =
        FLAG("Request Problem Information", CONNECT, request_problem_information),
    [MQTT_WILL_DELAY] = U32("Will Delay Interval", MQTT_PACKET_WILL, will_delay_s, 0),
    [MQTT_REQUEST_RESPONSE_INFORMATION] =
        FLAG("Request Response Information", CONNECT, request_response_information),
    [MQTT_RESPONSE_INFORMATION] = STRING("Response Information", CONNACK, response_information),
    [MQTT_SERVER_REFERENCE] =
        STRING("Server Reference", CONNACK | SERVER(MQTT_DISCONNECT), server_reference),
    [MQTT_REASON_STRING] = STRING("Reason String", ANSWERS, reason_string),
    [MQTT_RECEIVE_MAXIMUM] = U16("Receive Maximum", CONNECT | CONNACK, receive_maximum, 1),
    [MQTT_TOPIC_ALIAS_MAXIMUM] =
        U16("Topic Alias Maximum", CONNECT | CONNACK, topic_alias_maximum, 0),
    [MQTT_TOPIC_ALIAS] = {.name = "Topic Alias",
                          .misplaced = "Topic Alias does not belong into this packet",
                          .repeated = "Topic Alias stands there twice",
                          .out_of_range = "Topic Alias is 0 [MQTT-3.3.2-8]",
                          .packets = BOTH(MQTT_PUBLISH),
                          .min = 1,
                          .max = UINT16_MAX,
                          .offset = offsetof(struct mqtt_properties, topic_alias),
                          .type = MQTT_PROPERTY_U16,
                          .range_fault = MQTT_TOPIC_ALIAS_INVALID},
    [MQTT_MAXIMUM_QOS] = FLAG("Maximum QoS", CONNACK, maximum_qos),
    [MQTT_RETAIN_AVAILABLE] = FLAG("Retain Available", CONNACK, retain_available),
    [MQTT_USER_PROPERTY] = {.name = "User Property",
                            .misplaced = "User Property does not belong into this packet",
                            .packets = ALL,
                            .repeats = ALL,
                            .type = MQTT_PROPERTY_PAIR},
    [MQTT_MAXIMUM_PACKET_SIZE] =
        U32("Maximum Packet Size", CONNECT | CONNACK, maximum_packet_size, 1),
    [MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE] =
        FLAG("Wildcard Subscription Available", CONNACK, wildcard_subscription_available),
    [MQTT_SUBSCRIPTION_ID_AVAILABLE] =
        FLAG("Subscription Identifiers Available", CONNACK, subscription_id_available),
    [MQTT_SHARED_SUBSCRIPTION_AVAILABLE] =
        FLAG("Shared Subscription Available", CONNACK, shared_subscription_available),
};

/* One property taken from the wire, its value not yet judged. */
struct property {
    const struct mqtt_property_row *row;
    uint32_t id;
    uint32_t integer;
    struct slice name;  /* of a pair */
    struct slice value; /* of strings, binary data and pairs */
};

static const struct mqtt_property_row *row_find(uint32_t id)
{
    return id < MQTT_PROPERTY_COUNT && mqtt_property_table[id].name ? &mqtt_property_table[id]
                                                                    : NULL;
}

static bool is_integer(const struct mqtt_property_row *row)
{
    return row->type <= MQTT_PROPERTY_VARINT;
}

static uint32_t *integer_field(struct mqtt_properties *p, const struct mqtt_property_row *row)
{
    return (uint32_t *)(void *)((char *)p + row->offset);
}

static struct slice *slice_field(struct mqtt_properties *p, const struct mqtt_property_row *row)
{
    return (struct slice *)(void *)((char *)p + row->offset);
}

static void property_read(struct mqtt_reader *r, struct property *ret)
{
    *ret = (struct property){.id = mqtt_read_varint(r)};
    ret->row = row_find(ret->id);
    if (!ret->row) {
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET, "unknown property");
        return;
    }
    switch ((enum mqtt_property_type)ret->row->type) {
    case MQTT_PROPERTY_BYTE:
        ret->integer = mqtt_read_u8(r);
        break;
    case MQTT_PROPERTY_U16:
        ret->integer = mqtt_read_u16(r);
        break;
    case MQTT_PROPERTY_U32:
        ret->integer = mqtt_read_u32(r);
        break;
    case MQTT_PROPERTY_VARINT:
        ret->integer = mqtt_read_varint(r);
        break;
    case MQTT_PROPERTY_PAIR:
        ret->name = mqtt_read_binary(r);
        ret->value = mqtt_read_binary(r);
        break;
    case MQTT_PROPERTY_STRING:
    case MQTT_PROPERTY_BINARY:
        ret->value = mqtt_read_binary(r);
        break;
    }
}

/* What is wrong with a value: 0 or a reason code and its text. */
static enum mqtt_reason value_judge(const struct property *v, const char **ret_detail)
{
    const struct mqtt_property_row *row = v->row;
    if (is_integer(row)) {
        *ret_detail = row->out_of_range;
        return v->integer < row->min || v->integer > row->max ? (enum mqtt_reason)row->range_fault
                                                              : MQTT_SUCCESS;
    }
    bool pair = row->type == MQTT_PROPERTY_PAIR;
    if ((pair && !mqtt_string_valid(v->name)) ||
        (row->type != MQTT_PROPERTY_BINARY && !mqtt_string_valid(v->value))) {
        *ret_detail = "string in a property is not UTF-8 or contains U+0000 [MQTT-1.5.4-1]";
        return MQTT_MALFORMED_PACKET;
    }
    if (v->id == MQTT_RESPONSE_TOPIC && !mqtt_topic_name_valid(v->value)) {
        *ret_detail = "Response Topic is empty or has wildcards [MQTT-3.3.2-14]";
        return MQTT_PROTOCOL_ERROR;
    }
    return MQTT_SUCCESS;
}

static void property_take(struct mqtt_reader *r, uint32_t packet, struct mqtt_properties *p)
{
    struct property v;
    property_read(r, &v);
    if (mqtt_reader_failed(r))
        return;
    const char *detail;
    enum mqtt_reason reason = value_judge(&v, &detail);
    if (!(v.row->packets & packet))
        mqtt_reader_fail(r, MQTT_MALFORMED_PACKET, v.row->misplaced);
    else if ((p->present & MQTT_PRESENT(v.id)) && !(v.row->repeats & packet))
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, v.row->repeated);
    else if (reason)
        mqtt_reader_fail(r, reason, detail);
    else if (is_integer(v.row))
        *integer_field(p, v.row) = v.integer;
    else if (v.row->type != MQTT_PROPERTY_PAIR)
        *slice_field(p, v.row) = v.value;
    p->present |= MQTT_PRESENT(v.id);
}

static bool authentication_complete(const struct mqtt_properties *p)
{
    return !mqtt_has(p, MQTT_AUTHENTICATION_DATA) || mqtt_has(p, MQTT_AUTHENTICATION_METHOD);
}

void mqtt_read_properties(struct mqtt_reader *r, uint32_t packet, struct mqtt_properties *ret)
{
    uint32_t len = mqtt_read_varint(r);
    struct slice raw = mqtt_read_raw(r, len);
    if (mqtt_reader_failed(r))
        return;
    struct mqtt_properties p = {.raw = raw};
    struct mqtt_reader inner = mqtt_reader_make(raw);
    while (inner.at != inner.end)
        property_take(&inner, packet, &p);
    if (mqtt_reader_failed(&inner))
        mqtt_reader_fail(r, inner.reason, inner.detail);
    else if (!authentication_complete(&p))
        mqtt_reader_fail(r, MQTT_PROTOCOL_ERROR, "Authentication Data without a method");
    else
        *ret = p;
}

/* The next property with this identifier in a list that was validated, or that a caller built: then
 * what is not readable ends it. */
static bool property_find(struct slice *rest, enum mqtt_property id, struct property *ret)
{
    struct mqtt_reader r = mqtt_reader_make(*rest);
    while (r.at != r.end) {
        struct property v;
        property_read(&r, &v);
        if (mqtt_reader_failed(&r))
            break;
        if (v.id == (uint32_t)id) {
            *rest = slice_make(r.at, mqtt_reader_left(&r));
            *ret = v;
            return true;
        }
    }
    *rest = SLICE_EMPTY;
    return false;
}

bool mqtt_user_property_next(struct slice *rest, struct mqtt_user_property *ret)
{
    struct property v;
    if (!property_find(rest, MQTT_USER_PROPERTY, &v))
        return false;
    *ret = (struct mqtt_user_property){.name = v.name, .value = v.value};
    return true;
}

bool mqtt_subscription_id_next(struct slice *rest, uint32_t *ret)
{
    struct property v;
    if (!property_find(rest, MQTT_SUBSCRIPTION_ID, &v))
        return false;
    *ret = v.integer;
    return true;
}

uint32_t mqtt_property_integer(const struct mqtt_properties *p, enum mqtt_property id,
                               uint32_t fallback)
{
    const struct mqtt_property_row *row = row_find((uint32_t)id);
    assert(row && is_integer(row));
    return mqtt_has(p, id) ? *(const uint32_t *)(const void *)((const char *)p + row->offset)
                           : fallback;
}

struct slice mqtt_property_slice(const struct mqtt_properties *p, enum mqtt_property id)
{
    const struct mqtt_property_row *row = row_find((uint32_t)id);
    assert(row && !is_integer(row) && row->type != MQTT_PROPERTY_PAIR);
    return mqtt_has(p, id) ? *(const struct slice *)(const void *)((const char *)p + row->offset)
                           : SLICE_EMPTY;
}

void mqtt_property_set_integer(struct mqtt_properties *p, enum mqtt_property id, uint32_t value)
{
    const struct mqtt_property_row *row = row_find((uint32_t)id);
    assert(row && is_integer(row));
    *integer_field(p, row) = value;
    p->present |= MQTT_PRESENT(id);
}

void mqtt_property_set_slice(struct mqtt_properties *p, enum mqtt_property id, struct slice value)
{
    const struct mqtt_property_row *row = row_find((uint32_t)id);
    assert(row && !is_integer(row) && row->type != MQTT_PROPERTY_PAIR);
    *slice_field(p, row) = value;
    p->present |= MQTT_PRESENT(id);
}

static void property_write(struct mqtt_writer *w, const struct property *v)
{
    const char *detail;
    if (!w->at) /* the counting pass judges */
        mqtt_write_require(w, value_judge(v, &detail) == MQTT_SUCCESS);
    mqtt_write_u8(w, (uint8_t)v->id);
    switch ((enum mqtt_property_type)v->row->type) {
    case MQTT_PROPERTY_BYTE:
        mqtt_write_u8(w, (uint8_t)v->integer);
        break;
    case MQTT_PROPERTY_U16:
        mqtt_write_u16(w, v->integer);
        break;
    case MQTT_PROPERTY_U32:
        mqtt_write_u32(w, v->integer);
        break;
    case MQTT_PROPERTY_VARINT:
        mqtt_write_varint(w, v->integer);
        break;
    case MQTT_PROPERTY_PAIR:
        mqtt_write_binary(w, v->name);
        mqtt_write_binary(w, v->value);
        break;
    case MQTT_PROPERTY_STRING:
    case MQTT_PROPERTY_BINARY:
        mqtt_write_binary(w, v->value);
        break;
    }
}

/* A property that may repeat in this packet: all of its kind in raw, or the array of identifiers.
 */
static void repeated_write(struct mqtt_writer *w, const struct mqtt_properties *p,
                           enum mqtt_property id)
{
    struct property v = {.row = row_find((uint32_t)id), .id = (uint32_t)id};
    if (id == MQTT_SUBSCRIPTION_ID && p->subscription_id_count) {
        for (uint32_t i = 0; i < p->subscription_id_count; i++) {
            v.integer = p->subscription_ids[i];
            property_write(w, &v);
        }
        return;
    }
    struct slice rest = p->raw;
    while (property_find(&rest, id, &v))
        property_write(w, &v);
}

static void properties_emit(struct mqtt_writer *w, const struct mqtt_properties *p, uint32_t packet)
{
    for (uint64_t left = p->present; left; left &= left - 1) {
        uint32_t id = (uint32_t)__builtin_ctzll(left);
        const struct mqtt_property_row *row = row_find(id);
        if (!row || !(row->packets & packet)) {
            w->invalid = true;
            return;
        }
        if (row->repeats & packet) {
            repeated_write(w, p, (enum mqtt_property)id);
            continue;
        }
        struct property v = {.row = row, .id = id};
        if (is_integer(row))
            v.integer = mqtt_property_integer(p, (enum mqtt_property)id, 0);
        else
            v.value = mqtt_property_slice(p, (enum mqtt_property)id);
        property_write(w, &v);
    }
}

void mqtt_write_properties(struct mqtt_writer *w, const struct mqtt_properties *p, uint32_t packet)
{
    if (mqtt_properties_empty(p)) {
        mqtt_write_u8(w, 0);
        return;
    }
    struct mqtt_writer count = {.at = NULL};
    properties_emit(&count, p, packet);
    mqtt_write_require(w, !count.invalid && authentication_complete(p));
    mqtt_write_varint(w, count.len);
    properties_emit(w, p, packet);
}

int mqtt_user_property_append(struct bytes *raw, struct slice name, struct slice value)
{
    struct property v = {.row = row_find(MQTT_USER_PROPERTY),
                         .id = MQTT_USER_PROPERTY,
                         .name = name,
                         .value = value};
    struct mqtt_writer count = {.at = NULL};
    property_write(&count, &v);
    if (count.invalid)
        return MQTT_ENCODE_INVALID;
    int r = bytes_reserve(raw, count.len);
    if (r)
        return r == BYTES_FULL ? MQTT_ENCODE_FULL : r;
    struct mqtt_writer w = {.at = raw->data + raw->len};
    property_write(&w, &v);
    raw->len += w.len;
    return 0;
}
