#ifndef SLUICE_SESSION_INTERNAL_H
#define SLUICE_SESSION_INTERNAL_H
/* What the files of this room share beside session.h; not for others. Edge thread (or whoever owns
 * the session). */
#include "session/session.h"

struct mqtt_publish;

/* How the client writes. */
static inline struct mqtt_dialect session_dialect_in(const struct session *session)
{
    return (struct mqtt_dialect){.level = session->out.level, .sender = MQTT_FROM_CLIENT};
}

/* The client broke the protocol: says goodbye with the reason and notes it in turn. SESSION_FAULT
 * or -ENOMEM. */
int session_fault(struct session *session, struct session_turn *turn, enum mqtt_reason reason,
                  const char *detail);

/* connect.c: the first packet. Outcomes of session_receive(). */
int session_receive_connect(struct session *session, const struct mqtt_frame *frame,
                            struct session_turn *turn);

/* publish.c: PUBLISH and PUBREL. Outcomes of session_receive(). */
int session_receive_publish(struct session *session, const struct mqtt_frame *frame,
                            struct session_turn *turn);
int session_receive_pubrel(struct session *session, const struct mqtt_frame *frame,
                           struct session_turn *turn);

/* receipt.c: a PUBLISH with a packet id that does not go to the pipeline. 5.0 clients get a PUBACK
 * with reason when its turn comes; 3.1.1 has no such answer: SESSION_FAULT. 0, SESSION_FAULT,
 * -ENOMEM. */
int session_refuse_publish(struct session *session, uint16_t packet_id, enum mqtt_reason reason,
                           const char *detail, struct session_turn *turn);

/* PUBLISHes with a packet id that have no answer yet, refusals that wait included. */
static inline uint64_t session_unanswered(const struct session *session)
{
    return session->sent - session->answered + session->refusal_count;
}

#endif
