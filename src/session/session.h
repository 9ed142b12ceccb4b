#ifndef SLUICE_SESSION_SESSION_H
#define SLUICE_SESSION_SESSION_H
/*
 * struct session: what MQTT 3.1.1 and 5.0 say about one client's connection. No sockets, no timers,
 * no thread: packets and receipts go in, packets and events come out. Owned by the connection (or
 * source) it lives in, on that one's thread.
 *
 *                CONNECT accepted              DISCONNECT, fault, takeover, goodbye
 *     SESSION_NEW ───────────────► SESSION_OPEN ───────────────► SESSION_ENDED
 *          └──────────────── refused, fault ─────────────────────────▲
 *
 * Promises kept here:
 *   - a PUBLISH is acknowledged by session_receive_receipt() and nowhere else, except with a
 *     failure code; acknowledgements leave in the order of the PUBLISHes [MQTT-4.6.0-2], refusals
 *     included: a refusal waits in session->refusals until what came before it is answered;
 *   - at most receive_maximum PUBLISHes of a 5.0 client are unanswered [MQTT-3.3.4-7..9];
 *   - a will is published unless the client took it back by DISCONNECT 0x00 [MQTT-3.14.4-3].
 *
 * Not offered in this version, and said so in CONNACK and by reason codes: sessions that outlive
 * the connection, QoS 2, subscriptions, enhanced authentication.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "event/ingest.h"
#include "mqtt/frame.h"
#include "mqtt/reason.h"
#include "session/alias.h"

struct session_registry;
struct will;

enum {
    SESSION_CLIENT_ID_MAX_BYTES = 256,
    SESSION_USERNAME_MAX_BYTES = 1024,
    SESSION_SCRATCH_MAX_BYTES = 1 << 20,   /* of the attributes of an event */
    SESSION_CONNECT_MAX_BYTES = 512 * 1024 /* of a CONNECT: it comes before any trust */
};

/* Limits of a listener. A session keeps its own copy: a reload concerns new connections. */
struct session_limits {
    bool anonymous;            /* false: nobody is accepted (there are no user files yet) */
    uint32_t max_packet_bytes; /* whole packets, 16..MQTT_PACKET_MAX_BYTES */
    uint16_t receive_maximum;  /* packets, 1..65535; 5.0 clients */
    uint16_t topic_alias_max;  /* 0..65535; 5.0 clients */
    uint16_t keep_alive_max_s; /* seconds, 1..65535; 65535: no bound; 5.0 clients (3.1.1 has no way
                                  of saying so) */
};

enum session_state { SESSION_NEW, SESSION_OPEN, SESSION_ENDED };

struct session_refusal {
    uint64_t position; /* how many PUBLISHes went to the pipeline before it */
    uint16_t packet_id;
    uint8_t reason;
};

struct session {
    enum session_state state;
    struct session_limits limits;
    struct session_registry *registry;
    uint64_t connection;     /* the handle that is written into records */
    struct mqtt_dialect out; /* how we write; level valid from SESSION_OPEN on */
    char *client_id;         /* owned; "" until CONNECT was read */
    char *username;          /* owned, or NULL; as the client says, unverified */
    uint16_t client_id_len, username_len;
    uint16_t keep_alive_s; /* in force; 0: none */
    bool session_expiry;   /* CONNECT had a Session Expiry Interval other than 0 */
    struct alias_table aliases;
    struct will *will; /* owned; NULL: none */

    uint64_t sent;                    /* PUBLISHes with a packet id given to the pipeline */
    uint64_t answered;                /* of these, how many came back */
    struct session_refusal *refusals; /* owned ring of receive_maximum entries; NULL until used */
    uint16_t refusal_first, refusal_count;

    struct session *registry_next; /* of session_registry */
    uint64_t registry_hash;
    bool registered;
};

/* What a call works with and reports beside its outcome; made by the caller, once for many calls.
 * The counters are added to, the caller zeroes them. */
struct session_turn {
    struct ingest_batch *batch; /* receives events; may be NULL for session_receive_receipt() */
    struct bytes *out;          /* receives packets to the client */
    struct bytes *scratch;      /* attribute lists; SESSION_SCRATCH_INIT */
    struct session *taken_over; /* set if a CONNECT took the place of this session: the caller says
                                   goodbye to it with MQTT_SESSION_TAKEN_OVER and closes it */
    enum mqtt_reason reason;    /* after SESSION_REFUSED, SESSION_FAULT: why */
    const char *detail;         /* likewise, a static text for the log */
    uint64_t received_qos0, received_qos1; /* PUBLISHes put into the batch */
    uint64_t acknowledged;                 /* successes written to out */
    uint64_t refused; /* PUBLISHes answered with a failure, or, with QoS 0, dropped; lost wills */
};

#define SESSION_SCRATCH_INIT BYTES_INIT(SESSION_SCRATCH_MAX_BYTES)

/* Positive: the connection ends as soon as out is on its way; the session is SESSION_ENDED. */
enum session_outcome {
    SESSION_DISCONNECTED = 1, /* the client said DISCONNECT */
    SESSION_REFUSED = 2,      /* CONNECT was not accepted */
    SESSION_FAULT = 3 /* the client broke the protocol, or 3.1.1 has no other answer than closing */
};

/* In place; cannot fail. registry outlives the session. */
void session_init(struct session *session, const struct session_limits *limits,
                  struct session_registry *registry, uint64_t connection);
/* session_end() must have been called if a CONNECT was ever accepted. */
void session_deinit(struct session *session);

/* One packet of the client. Events are copied into turn->batch, answers appended to turn->out. 0,
 * an enum session_outcome, -ENOMEM or another -errno. */
int session_receive(struct session *session, const struct mqtt_frame *frame,
                    struct session_turn *turn);

/* What the pipeline says about a record of this session; packets of QoS 0 are passed over.
 *   stored, taken   PUBACK 0x00
 *   full            PUBACK 0x97, 3.1.1: SESSION_FAULT
 *   refused         PUBACK 0x99, likewise
 *   too large       PUBACK 0x97, likewise (0x95 may not stand in a PUBACK, and a DISCONNECT would
 *                   make the client send the same again)
 *   pending         SESSION_FAULT: the client has to send it again
 * Nothing is written once the session has ended. 0, an enum session_outcome, -ENOMEM. */
int session_receive_receipt(struct session *session, const struct ingest_record *record,
                            struct session_turn *turn);

/* The gateway ends the connection: 5.0 clients that are connected get a DISCONNECT with reason, and
 * detail as its Reason String (NULL: none) if they take packets that large. Call session_end() when
 * the connection is closed. For bytes that are no packet, keep-alive, takeover, shutdown. 0,
 * -ENOMEM. */
int session_goodbye(struct session *session, enum mqtt_reason reason, const char *detail,
                    struct bytes *out);

/* The connection is gone: publishes the will if there is still one [MQTT-3.1.2-8] and gives the
 * client id free. 0 or -ENOMEM, also for a turn without a batch (then the will is lost). More than
 * once is allowed. */
int session_end(struct session *session, struct session_turn *turn);

/* Largest packet that may come next: before CONNECT it is SESSION_CONNECT_MAX_BYTES. Bytes. */
uint32_t session_packet_max(const struct session *session);

/* After how long a silence the client is to be given up: one and a half times the keep-alive
 * [MQTT-3.1.2-22]; 0: never. Microseconds. */
int64_t session_silence_max_us(const struct session *session);

static inline struct slice session_client(const struct session *session)
{
    return slice_make(session->client_id, session->client_id_len);
}

#endif
