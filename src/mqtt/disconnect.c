#include "mqtt/disconnect.h"

#include <assert.h>

#include "mqtt/reader.h"
#include "mqtt/reason.h"
#include "mqtt/writer.h"

static const char misplaced[] = "packet that this side does not send at this protocol level";

int mqtt_disconnect_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                           struct mqtt_disconnect *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_DISCONNECT);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_disconnect d = {.reason = MQTT_SUCCESS};
    if (!mqtt_type_expected(MQTT_DISCONNECT, dialect))
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, misplaced);
    if (dialect.level == MQTT_5_0 && r.at != r.end) { /* both may be left out [MQTT-3.14.2.1] */
        uint32_t packet = mqtt_packet_bit(MQTT_DISCONNECT, dialect.sender);
        d.reason = mqtt_read_u8(&r);
        if (!mqtt_reason_allowed(d.reason, packet))
            mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR,
                             "no reason code of this DISCONNECT [MQTT-3.14.2-1]");
        if (r.at != r.end)
            mqtt_read_properties(&r, packet, &d.properties);
    }
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = d;
    return verdict;
}

static void disconnect_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_disconnect *d = packet;
    uint32_t bit = mqtt_packet_bit(MQTT_DISCONNECT, dialect.sender);
    mqtt_write_require(w, mqtt_type_expected(MQTT_DISCONNECT, dialect));
    mqtt_write_require(w, mqtt_reason_allowed(d->reason, bit));
    if (dialect.level != MQTT_5_0) {
        mqtt_write_require(w, d->reason == MQTT_SUCCESS);
        return;
    }
    if (d->reason == MQTT_SUCCESS && mqtt_properties_empty(&d->properties))
        return;
    mqtt_write_u8(w, d->reason);
    if (!mqtt_properties_empty(&d->properties))
        mqtt_write_properties(w, &d->properties, bit);
}

int mqtt_disconnect_encode(const struct mqtt_disconnect *disconnect, struct mqtt_dialect dialect,
                           struct bytes *out)
{
    return mqtt_write_packet(out, dialect, MQTT_DISCONNECT << 4, disconnect_write, disconnect);
}

/* Only the success of a server may come without a method, in the form without a body. */
static bool method_complete(const struct mqtt_auth *a)
{
    return mqtt_has(&a->properties, MQTT_AUTHENTICATION_METHOD) ||
           (a->reason == MQTT_SUCCESS && mqtt_properties_empty(&a->properties));
}

int mqtt_auth_decode(const struct mqtt_frame *frame, struct mqtt_dialect dialect,
                     struct mqtt_auth *ret, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_AUTH);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    struct mqtt_auth a = {.reason = MQTT_SUCCESS};
    uint32_t packet = mqtt_packet_bit(MQTT_AUTH, dialect.sender);
    bool bare = r.at == r.end; /* [MQTT-3.15.2.1] */
    if (!mqtt_type_expected(MQTT_AUTH, dialect))
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, misplaced);
    if (!bare) {
        a.reason = mqtt_read_u8(&r);
        mqtt_read_properties(&r, packet, &a.properties);
    }
    if (!mqtt_reason_allowed(a.reason, packet))
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "no reason code of this AUTH [MQTT-3.15.2-1]");
    if (!bare && !mqtt_has(&a.properties, MQTT_AUTHENTICATION_METHOD))
        mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "AUTH without an Authentication Method");
    int verdict = mqtt_reader_finish(&r, ret_detail);
    if (!verdict)
        *ret = a;
    return verdict;
}

static void auth_write(struct mqtt_writer *w, const void *packet, struct mqtt_dialect dialect)
{
    const struct mqtt_auth *a = packet;
    uint32_t bit = mqtt_packet_bit(MQTT_AUTH, dialect.sender);
    mqtt_write_require(w, mqtt_type_expected(MQTT_AUTH, dialect));
    mqtt_write_require(w, mqtt_reason_allowed(a->reason, bit) && method_complete(a));
    if (a->reason == MQTT_SUCCESS && mqtt_properties_empty(&a->properties))
        return;
    mqtt_write_u8(w, a->reason);
    mqtt_write_properties(w, &a->properties, bit);
}

int mqtt_auth_encode(const struct mqtt_auth *auth, struct mqtt_dialect dialect, struct bytes *out)
{
    return mqtt_write_packet(out, dialect, MQTT_AUTH << 4, auth_write, auth);
}

int mqtt_ping_decode(const struct mqtt_frame *frame, const char **ret_detail)
{
    assert(mqtt_frame_type(frame) == MQTT_PINGREQ || mqtt_frame_type(frame) == MQTT_PINGRESP);
    struct mqtt_reader r = mqtt_reader_make(frame->body);
    return mqtt_reader_finish(&r, ret_detail);
}
