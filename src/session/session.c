#include "session/session.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/result.h"
#include "event/event.h"
#include "mqtt/disconnect.h"
#include "mqtt/subscribe.h"
#include "mqtt/topic.h"
#include "mqtt/writer.h"
#include "session/internal.h"
#include "session/registry.h"
#include "session/will.h"

void session_init(struct session *session, const struct session_limits *limits,
                  struct session_registry *registry, uint64_t connection)
{
    *session = (struct session){
        .state = SESSION_NEW,
        .limits = *limits,
        .registry = registry,
        .connection = connection,
        .out = {.level = MQTT_3_1_1, .sender = MQTT_FROM_SERVER},
    };
}

void session_deinit(struct session *session)
{
    assert(!session->registered);
    free(take_ptr(session->client_id));
    free(take_ptr(session->username));
    free(take_ptr(session->refusals));
    alias_table_deinit(&session->aliases);
    session->will = will_free(session->will);
}

static void set_state(struct session *session, enum session_state state)
{
    static const bool legal[][SESSION_ENDED + 1] = {
        [SESSION_NEW] = {[SESSION_OPEN] = true, [SESSION_ENDED] = true},
        [SESSION_OPEN] = {[SESSION_ENDED] = true},
        [SESSION_ENDED] = {[SESSION_ENDED] = true},
    };
    assert(legal[session->state][state]);
    (void)legal;
    session->state = state;
}

static int write_disconnect(const struct session *session, enum mqtt_reason reason,
                            const char *detail, struct bytes *out)
{
    struct mqtt_disconnect packet = {.reason = (uint8_t)reason};
    if (detail)
        mqtt_property_set_slice(&packet.properties, MQTT_REASON_STRING, slice_string(detail));
    int r = mqtt_disconnect_encode(&packet, session->out, out);
    if (r == MQTT_ENCODE_TOO_LARGE && detail) /* [MQTT-3.14.2-3] */
        return write_disconnect(session, reason, NULL, out);
    if (r == MQTT_ENCODE_TOO_LARGE || r == MQTT_ENCODE_FULL)
        return 0; /* the close has to speak for itself */
    return result_fold(r);
}

int session_goodbye(struct session *session, enum mqtt_reason reason, const char *detail,
                    struct bytes *out)
{
    bool say = session->state == SESSION_OPEN && session->out.level == MQTT_5_0;
    set_state(session, SESSION_ENDED);
    return say ? write_disconnect(session, reason, detail, out) : 0;
}

int session_fault(struct session *session, struct session_turn *turn, enum mqtt_reason reason,
                  const char *detail)
{
    turn->reason = reason;
    turn->detail = detail;
    int r = session_goodbye(session, reason, detail, turn->out);
    return r ? result_trace(r) : SESSION_FAULT;
}

static int receive_ping(struct session *session, const struct mqtt_frame *frame,
                        struct session_turn *turn)
{
    const char *detail = NULL;
    int r = mqtt_ping_decode(frame, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    uint8_t answer[MQTT_PING_BYTES];
    mqtt_ping_encode(MQTT_PINGRESP, answer);
    return result_fold(bytes_append(turn->out, answer, sizeof answer));
}

static int receive_disconnect(struct session *session, const struct mqtt_frame *frame,
                              struct session_turn *turn)
{
    struct mqtt_disconnect packet;
    const char *detail = NULL;
    int r = mqtt_disconnect_decode(frame, session_dialect_in(session), &packet, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    if (mqtt_property_integer(&packet.properties, MQTT_SESSION_EXPIRY, 0) &&
        !session->session_expiry)
        return session_fault(session, turn, MQTT_PROTOCOL_ERROR,
                             "Session Expiry Interval after one of 0 in CONNECT");
    if (packet.reason == MQTT_SUCCESS) /* any other reason leaves the will in force */
        session->will = will_free(session->will);
    set_state(session, SESSION_ENDED);
    return SESSION_DISCONNECTED;
}

/* Which code says best why a subscription is not granted. */
static uint8_t subscription_code(const struct mqtt_subscribe *packet, struct slice filter)
{
    struct mqtt_topic_filter parsed;
    if (mqtt_has(&packet->properties, MQTT_SUBSCRIPTION_ID))
        return MQTT_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
    if (!mqtt_topic_filter_parse(filter, &parsed))
        return MQTT_TOPIC_FILTER_INVALID;
    if (parsed.group.len)
        return MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
    return parsed.wildcard ? MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
                           : MQTT_IMPLEMENTATION_SPECIFIC_ERROR;
}

static int write_suback(struct session *session, enum mqtt_type type, uint16_t packet_id,
                        struct session_turn *turn)
{
    struct mqtt_suback packet = {
        .type = type, .packet_id = packet_id, .codes = bytes_slice(turn->scratch)};
    int r = mqtt_suback_encode(&packet, session->out, turn->out);
    if (r == MQTT_ENCODE_TOO_LARGE)
        return session_fault(session, turn, MQTT_QUOTA_EXCEEDED,
                             "the answer is larger than the client takes");
    return result_fold(r);
}

enum { CODES_KEEP_BYTES = 16 * 1024 };

static int receive_subscribe(struct session *session, const struct mqtt_frame *frame,
                             struct session_turn *turn)
{
    struct mqtt_subscribe packet;
    struct mqtt_subscription subscription;
    const char *detail = NULL;
    int r = mqtt_subscribe_decode(frame, session_dialect_in(session), &packet, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    log_info("session", "subscription refused: not offered yet", "client=%s filters=%u",
             LOG_QUOTE(session_client(session)), packet.count);
    bytes_reset(turn->scratch, CODES_KEEP_BYTES);
    for (struct slice rest = packet.filters; !r && mqtt_subscription_next(&rest, &subscription);)
        r = bytes_append_u8(turn->scratch, subscription_code(&packet, subscription.filter));
    if (r == BYTES_FULL)
        return session_fault(session, turn, MQTT_QUOTA_EXCEEDED, "too many topic filters");
    return r ? result_trace(r) : write_suback(session, MQTT_SUBACK, packet.packet_id, turn);
}

static int receive_unsubscribe(struct session *session, const struct mqtt_frame *frame,
                               struct session_turn *turn)
{
    struct mqtt_unsubscribe packet;
    struct slice filter;
    const char *detail = NULL;
    int r = mqtt_unsubscribe_decode(frame, session_dialect_in(session), &packet, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    bytes_reset(turn->scratch, CODES_KEEP_BYTES);
    for (struct slice rest = packet.filters; !r && mqtt_filter_next(&rest, &filter);)
        r = bytes_append_u8(turn->scratch, MQTT_NO_SUBSCRIPTION_EXISTED);
    if (r == BYTES_FULL)
        return session_fault(session, turn, MQTT_QUOTA_EXCEEDED, "too many topic filters");
    return r ? result_trace(r) : write_suback(session, MQTT_UNSUBACK, packet.packet_id, turn);
}

static int receive_misplaced(struct session *session, const struct mqtt_frame *frame,
                             struct session_turn *turn)
{
    static const char second_connect[] = "second CONNECT [MQTT-3.1.0-2]";
    static const char misplaced[] = "packet that a client does not send here";
    bool connect = mqtt_frame_type(frame) == MQTT_CONNECT;
    return session_fault(session, turn, MQTT_PROTOCOL_ERROR, connect ? second_connect : misplaced);
}

typedef int receive_function(struct session *, const struct mqtt_frame *, struct session_turn *);

/* What an open session does with each type. PUBACK, PUBREC and PUBCOMP answer packets that we do
 * not send; AUTH belongs to a method that was not agreed on. */
static receive_function *const receive_table[16] = {
    receive_misplaced,       /* 0, which no frame has */
    receive_misplaced,       /* CONNECT */
    receive_misplaced,       /* CONNACK */
    session_receive_publish, /* PUBLISH */
    receive_misplaced,       /* PUBACK */
    receive_misplaced,       /* PUBREC */
    session_receive_pubrel,  /* PUBREL */
    receive_misplaced,       /* PUBCOMP */
    receive_subscribe,       /* SUBSCRIBE */
    receive_misplaced,       /* SUBACK */
    receive_unsubscribe,     /* UNSUBSCRIBE */
    receive_misplaced,       /* UNSUBACK */
    receive_ping,            /* PINGREQ */
    receive_misplaced,       /* PINGRESP */
    receive_disconnect,      /* DISCONNECT */
    receive_misplaced,       /* AUTH */
};

int session_receive(struct session *session, const struct mqtt_frame *frame,
                    struct session_turn *turn)
{
    assert(session->state != SESSION_ENDED);
    if (session->state == SESSION_OPEN)
        return receive_table[mqtt_frame_type(frame)](session, frame, turn);
    if (mqtt_frame_type(frame) != MQTT_CONNECT)
        return session_fault(session, turn, MQTT_PROTOCOL_ERROR,
                             "the first packet is not CONNECT [MQTT-3.1.0-1]");
    int r = session_receive_connect(session, frame, turn);
    if (r >= 0)
        set_state(session, r ? SESSION_ENDED : SESSION_OPEN);
    return r;
}

int session_end(struct session *session, struct session_turn *turn)
{
    set_state(session, SESSION_ENDED);
    session_registry_release(session->registry, session);
    if (!session->will)
        return 0;
    struct event event;
    will_event(session->will, &event);
    event.client = session_client(session);
    event.username = slice_make(session->username, session->username_len);
    int r = -ENOMEM;
    if (turn->batch)
        r = ingest_batch_add(turn->batch, &event, 0, 0, (uint8_t)session->out.level);
    session->will = will_free(session->will);
    if (r) {
        turn->refused++;
        return result_fold(r);
    }
    turn->received_qos0++; /* of whatever QoS: nobody waits for an answer */
    return 0;
}

uint32_t session_packet_max(const struct session *session)
{
    if (session->state == SESSION_NEW &&
        session->limits.max_packet_bytes > SESSION_CONNECT_MAX_BYTES)
        return SESSION_CONNECT_MAX_BYTES;
    return session->limits.max_packet_bytes;
}

int64_t session_silence_max_us(const struct session *session)
{
    return session->keep_alive_s * INT64_C(1500000);
}
