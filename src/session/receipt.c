/*
 * Acknowledgements. The pipeline answers in the order in which it was given records, so its answers
 * need no sorting. A PUBLISH that never got there is noted with the number of PUBLISHes sent before
 * it (position) and is answered as soon as all those are.
 */
#include "session/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/result.h"
#include "mqtt/ack.h"

static int write_failure(struct session *session, uint16_t packet_id, enum mqtt_reason reason,
                         struct session_turn *turn)
{
    struct mqtt_ack ack = {.type = MQTT_PUBACK, .packet_id = packet_id, .reason = (uint8_t)reason};
    int r = mqtt_ack_encode(&ack, session->out, turn->out);
    if (r)
        return result_fold(r);
    turn->refused++;
    return 0;
}

static int write_due_refusals(struct session *session, struct session_turn *turn)
{
    while (session->refusal_count) {
        const struct session_refusal *refusal = &session->refusals[session->refusal_first];
        if (refusal->position > session->answered)
            break;
        int r = write_failure(session, refusal->packet_id, (enum mqtt_reason)refusal->reason, turn);
        if (r)
            return result_trace(r);
        session->refusal_first =
            (uint16_t)((session->refusal_first + 1u) % session->limits.receive_maximum);
        session->refusal_count--;
    }
    return 0;
}

int session_refuse_publish(struct session *session, uint16_t packet_id, enum mqtt_reason reason,
                           const char *detail, struct session_turn *turn)
{
    uint16_t room = session->limits.receive_maximum;
    if (session->out.level != MQTT_5_0) {
        turn->refused++;
        return session_fault(session, turn, reason, detail);
    }
    assert(session->refusal_count < room); /* check_flow() in publish.c */
    if (!session->refusals)
        session->refusals = calloc(room, sizeof *session->refusals);
    if (!session->refusals)
        return result_origin(-ENOMEM);
    unsigned at = ((unsigned)session->refusal_first + session->refusal_count) % room;
    session->refusals[at] = (struct session_refusal){
        .position = session->sent, .packet_id = packet_id, .reason = (uint8_t)reason};
    session->refusal_count++;
    return write_due_refusals(session, turn);
}

struct answer {
    enum mqtt_reason reason;
    bool acknowledge; /* with that reason; else the connection ends */
};

static struct answer answer_of(enum ingest_outcome outcome)
{
    switch (outcome) {
    case INGEST_STORED:
    case INGEST_TAKEN:
        return (struct answer){MQTT_SUCCESS, true};
    case INGEST_FULL:
    case INGEST_TOO_LARGE:
        return (struct answer){MQTT_QUOTA_EXCEEDED, true};
    case INGEST_REFUSED:
        return (struct answer){MQTT_PAYLOAD_FORMAT_INVALID, true};
    case INGEST_PENDING:
        break;
    }
    return (struct answer){MQTT_UNSPECIFIED_ERROR, false};
}

int session_receive_receipt(struct session *session, const struct ingest_record *record,
                            struct session_turn *turn)
{
    if (record->packet_id == 0 || session->state != SESSION_OPEN)
        return 0;
    assert(session->answered < session->sent);
    struct answer answer = answer_of((enum ingest_outcome)record->outcome);
    if (answer.reason == MQTT_SUCCESS) {
        uint8_t packet[MQTT_PUBACK_BYTES];
        mqtt_puback_encode(record->packet_id, packet);
        int r = bytes_append(turn->out, packet, sizeof packet);
        if (r)
            return result_fold(r);
        turn->acknowledged++;
    } else if (!answer.acknowledge || session->out.level != MQTT_5_0) {
        turn->refused += answer.acknowledge;
        return session_fault(session, turn, answer.reason,
                             answer.acknowledge ? "the store did not take a PUBLISH"
                                                : "a PUBLISH came back undecided");
    } else {
        int r = write_failure(session, record->packet_id, answer.reason, turn);
        if (r)
            return result_trace(r);
    }
    session->answered++;
    return session->refusal_count ? write_due_refusals(session, turn) : 0;
}
