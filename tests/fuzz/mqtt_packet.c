#include "mqtt_packet.h"

#include <stdlib.h>

int mqtt_packet_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                       struct mqtt_packet *ret, const char **ret_detail)
{
    ret->type = mqtt_frame_type(frame);
    switch (ret->type) {
    case MQTT_CONNECT:
        return mqtt_connect_decode(frame, &ret->connect, ret_detail);
    case MQTT_CONNACK:
        return mqtt_connack_decode(frame, dialect, &ret->connack, ret_detail);
    case MQTT_PUBLISH:
        return mqtt_publish_decode(frame, dialect, &ret->publish, ret_detail);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mqtt_ack_decode(frame, dialect, &ret->ack, ret_detail);
    case MQTT_SUBSCRIBE:
        return mqtt_subscribe_decode(frame, dialect, &ret->subscribe, ret_detail);
    case MQTT_UNSUBSCRIBE:
        return mqtt_unsubscribe_decode(frame, dialect, &ret->unsubscribe, ret_detail);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return mqtt_suback_decode(frame, dialect, &ret->suback, ret_detail);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return mqtt_ping_decode(frame, ret_detail);
    case MQTT_DISCONNECT:
        return mqtt_disconnect_decode(frame, dialect, &ret->disconnect, ret_detail);
    case MQTT_AUTH:
        return mqtt_auth_decode(frame, dialect, &ret->auth, ret_detail);
    }
    abort(); /* mqtt_frame_next() lets no other type through */
}

static int ping_encode(enum mqtt_type type, struct bytes *out)
{
    uint8_t ping[MQTT_PING_BYTES];
    mqtt_ping_encode(type, ping);
    return bytes_append(out, ping, sizeof ping);
}

int mqtt_packet_encode(const struct mqtt_packet *packet, struct mqtt_dialect dialect,
                       struct bytes *out)
{
    switch (packet->type) {
    case MQTT_CONNECT:
        return mqtt_connect_encode(&packet->connect, dialect.max_packet_bytes, out);
    case MQTT_CONNACK:
        return mqtt_connack_encode(&packet->connack, dialect, out);
    case MQTT_PUBLISH:
        return mqtt_publish_encode(&packet->publish, dialect, out);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mqtt_ack_encode(&packet->ack, dialect, out);
    case MQTT_SUBSCRIBE:
        return mqtt_subscribe_encode(&packet->subscribe, dialect, out);
    case MQTT_UNSUBSCRIBE:
        return mqtt_unsubscribe_encode(&packet->unsubscribe, dialect, out);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return mqtt_suback_encode(&packet->suback, dialect, out);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return ping_encode(packet->type, out);
    case MQTT_DISCONNECT:
        return mqtt_disconnect_encode(&packet->disconnect, dialect, out);
    case MQTT_AUTH:
        return mqtt_auth_encode(&packet->auth, dialect, out);
    }
    abort();
}

static bool repeated_equal(const struct mqtt_properties *a, const struct mqtt_properties *b)
{
    struct slice left = a->raw, right = b->raw;
    struct mqtt_user_property u = {.name = SLICE_EMPTY}, v = {.name = SLICE_EMPTY};
    bool more;
    do {
        more = mqtt_user_property_next(&left, &u);
        if (more != mqtt_user_property_next(&right, &v))
            return false;
        if (more && (!slice_equal(u.name, v.name) || !slice_equal(u.value, v.value)))
            return false;
    } while (more);
    left = a->raw;
    right = b->raw;
    uint32_t i = 0, j = 0;
    do {
        more = mqtt_subscription_id_next(&left, &i);
        if (more != mqtt_subscription_id_next(&right, &j) || i != j)
            return false;
    } while (more);
    return true;
}

static bool properties_equal(const struct mqtt_properties *a, const struct mqtt_properties *b)
{
    if (a->present != b->present || !repeated_equal(a, b))
        return false;
    for (unsigned id = 0; id < MQTT_PROPERTY_COUNT; id++) {
        const struct mqtt_property_row *row = &mqtt_property_table[id];
        if (!row->name || row->type == MQTT_PROPERTY_PAIR)
            continue;
        enum mqtt_property property = (enum mqtt_property)id;
        if (row->type <= MQTT_PROPERTY_VARINT) {
            if (mqtt_property_integer(a, property, 0) != mqtt_property_integer(b, property, 0))
                return false;
        } else if (!slice_equal(mqtt_property_slice(a, property),
                                mqtt_property_slice(b, property))) {
            return false;
        }
    }
    return true;
}

static bool connect_equal(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
    return a->level == b->level && a->clean_start == b->clean_start &&
           a->keep_alive_s == b->keep_alive_s && slice_equal(a->client_id, b->client_id) &&
           a->has_will == b->has_will && a->has_user_name == b->has_user_name &&
           a->has_password == b->has_password && slice_equal(a->user_name, b->user_name) &&
           slice_equal(a->password, b->password) && a->will.qos == b->will.qos &&
           a->will.retain == b->will.retain && slice_equal(a->will.topic, b->will.topic) &&
           slice_equal(a->will.payload, b->will.payload) &&
           properties_equal(&a->will.properties, &b->will.properties) &&
           properties_equal(&a->properties, &b->properties);
}

static bool publish_equal(const struct mqtt_publish *a, const struct mqtt_publish *b)
{
    return slice_equal(a->topic, b->topic) && slice_equal(a->payload, b->payload) &&
           a->packet_id == b->packet_id && a->qos == b->qos && a->retain == b->retain &&
           a->dup == b->dup && properties_equal(&a->properties, &b->properties);
}

bool mqtt_packet_equal(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case MQTT_CONNECT:
        return connect_equal(&a->connect, &b->connect);
    case MQTT_CONNACK:
        return a->connack.session_present == b->connack.session_present &&
               a->connack.reason == b->connack.reason &&
               properties_equal(&a->connack.properties, &b->connack.properties);
    case MQTT_PUBLISH:
        return publish_equal(&a->publish, &b->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return a->ack.packet_id == b->ack.packet_id && a->ack.reason == b->ack.reason &&
               properties_equal(&a->ack.properties, &b->ack.properties);
    case MQTT_SUBSCRIBE:
        return a->subscribe.packet_id == b->subscribe.packet_id &&
               a->subscribe.count == b->subscribe.count &&
               slice_equal(a->subscribe.filters, b->subscribe.filters) &&
               properties_equal(&a->subscribe.properties, &b->subscribe.properties);
    case MQTT_UNSUBSCRIBE:
        return a->unsubscribe.packet_id == b->unsubscribe.packet_id &&
               a->unsubscribe.count == b->unsubscribe.count &&
               slice_equal(a->unsubscribe.filters, b->unsubscribe.filters) &&
               properties_equal(&a->unsubscribe.properties, &b->unsubscribe.properties);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return a->suback.packet_id == b->suback.packet_id &&
               slice_equal(a->suback.codes, b->suback.codes) &&
               properties_equal(&a->suback.properties, &b->suback.properties);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
        return true;
    case MQTT_DISCONNECT:
        return a->disconnect.reason == b->disconnect.reason &&
               properties_equal(&a->disconnect.properties, &b->disconnect.properties);
    case MQTT_AUTH:
        return a->auth.reason == b->auth.reason &&
               properties_equal(&a->auth.properties, &b->auth.properties);
    }
    abort();
}
