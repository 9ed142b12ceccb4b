/*
 * PUBLISH: from a packet to a record of the open batch. The way without properties is the hot path
 * of the gateway: decode, two comparisons, one copy.
 */
#include "session/internal.h"

#include <errno.h>

#include "base/log.h"
#include "base/result.h"
#include "event/event.h"
#include "mqtt/ack.h"
#include "mqtt/publish.h"
#include "session/message.h"

/* Not for the pipeline. QoS 0 has no answer: it is dropped, counted and said [MQTT-3.3.5-2]. */
static int refuse(struct session *session, const struct mqtt_publish *packet,
                  enum mqtt_reason reason, const char *detail, struct session_turn *turn)
{
    log_warn("session", "publish refused", "client=%s topic=%s qos=%u reason=0x%02x why=\"%s\"",
             LOG_QUOTE(session_client(session)), LOG_QUOTE(packet->topic), packet->qos,
             (unsigned)reason, detail);
    if (packet->qos)
        return session_refuse_publish(session, packet->packet_id, reason, detail, turn);
    turn->refused++;
    return 0;
}

/* Puts the topic of an alias into packet->topic. 0, SESSION_FAULT, -ENOMEM. */
static int resolve_alias(struct session *session, struct mqtt_publish *packet,
                         struct session_turn *turn)
{
    int r = alias_table_resolve(&session->aliases, packet->properties.topic_alias, &packet->topic);
    if (r < 0)
        return result_trace(r);
    switch ((enum alias_outcome)r) {
    case ALIAS_INVALID:
        return session_fault(session, turn, MQTT_TOPIC_ALIAS_INVALID,
                             "topic alias above the maximum [MQTT-3.3.2-9]");
    case ALIAS_UNKNOWN:
        return session_fault(session, turn, MQTT_PROTOCOL_ERROR, "topic alias that was never set");
    case ALIAS_FULL:
        return session_fault(session, turn, MQTT_QUOTA_EXCEEDED,
                             "topics of all aliases are too long together");
    }
    return 0;
}

/* The flow rules of an open connection. 0, SESSION_FAULT, -ENOMEM. */
static int check_flow(struct session *session, const struct mqtt_publish *packet,
                      struct session_turn *turn)
{
    if (packet->qos == 2)
        return session_fault(session, turn, MQTT_QOS_NOT_SUPPORTED,
                             "QoS 2, but the server's Maximum QoS is 1 [MQTT-3.2.2-11]");
    if (packet->qos && session->out.level == MQTT_5_0 &&
        session_unanswered(session) >= session->limits.receive_maximum)
        return session_fault(session, turn, MQTT_RECEIVE_MAXIMUM_EXCEEDED,
                             "more unacknowledged PUBLISHes than Receive Maximum [MQTT-3.3.4-7]");
    return 0;
}

static int hand_on(struct session *session, const struct mqtt_publish *packet,
                   struct session_turn *turn)
{
    struct event event = {
        .topic = packet->topic,
        .client = session_client(session),
        .username = slice_make(session->username, session->username_len),
        .payload = packet->payload,
        .qos = packet->qos,
        .retain = packet->retain,
    };
    int r = message_apply_properties(&packet->properties, turn->scratch, &event);
    if (!r)
        r = ingest_batch_add(turn->batch, &event, session->connection, packet->packet_id,
                             (uint8_t)session->out.level);
    if (r == BYTES_FULL)
        return refuse(session, packet, MQTT_QUOTA_EXCEEDED, "properties or packet too large", turn);
    if (r)
        return result_trace(r);
    if (packet->qos) {
        session->sent++;
        turn->received_qos1++;
    } else {
        turn->received_qos0++;
    }
    return 0;
}

int session_receive_publish(struct session *session, const struct mqtt_frame *frame,
                            struct session_turn *turn)
{
    struct mqtt_publish packet;
    const char *detail = NULL;
    int r = mqtt_publish_decode(frame, session_dialect_in(session), &packet, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    r = check_flow(session, &packet, turn);
    if (r)
        return r;
    if (mqtt_has(&packet.properties, MQTT_TOPIC_ALIAS)) {
        r = resolve_alias(session, &packet, turn);
        if (r)
            return r;
    }
    if (!message_topic_allowed(packet.topic))
        return refuse(session, &packet, MQTT_TOPIC_NAME_INVALID,
                      "topics of the gateway itself are not published to", turn);
    return hand_on(session, &packet, turn);
}

/* The second half of a QoS 2 delivery that we never took the first half of. */
int session_receive_pubrel(struct session *session, const struct mqtt_frame *frame,
                           struct session_turn *turn)
{
    struct mqtt_ack packet;
    const char *detail = NULL;
    int r = mqtt_ack_decode(frame, session_dialect_in(session), &packet, &detail);
    if (r)
        return session_fault(session, turn, (enum mqtt_reason)r, detail);
    struct mqtt_ack answer = {.type = MQTT_PUBCOMP, .packet_id = packet.packet_id};
    if (session->out.level == MQTT_5_0)
        answer.reason = MQTT_PACKET_IDENTIFIER_NOT_FOUND;
    return result_fold(mqtt_ack_encode(&answer, session->out, turn->out));
}
