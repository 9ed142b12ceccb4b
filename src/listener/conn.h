#ifndef SLUICE_LISTENER_CONN_H
#define SLUICE_LISTENER_CONN_H
/*
 * struct conn: one socket of a device, bytes on one side and a session on the other.
 *
 *                  read on          CONNECT accepted
 *     CONN_NEW ───────────► CONN_CONNECT ───────────► CONN_OPEN
 *                                │  refused, fault,       │  DISCONNECT, fault,
 *                                │  too late              │  takeover, keep-alive
 *                                ▼                        ▼
 *     any: socket failed    CONN_DRAIN ◄──────────────────┘   what is left to say is written,
 *          or closed by          │                            what still comes is thrown away
 *          the peer ──► CONN_CLOSED (freed)
 *
 * Nothing beyond this file sees a failure of a single client: conn_dispatch() and conn_settle()
 * turn it into a reason code, a log line, a counter and the end of the connection.
 *
 * A connection frees itself; others know it by handle (table.h) or through the lists of the edge,
 * which it leaves when it goes. Edge thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "listener/internal.h"
#include "mqtt/reason.h"
#include "session/session.h"

struct ingest_record;

enum {
    CONN_OUT_MAX_BYTES = 1 << 20,   /* a client that does not read its answers is closed */
    CONN_OUT_BURST_BYTES = 2 << 20, /* what a single packet may add to that */
    CONN_KEEP_BYTES = 2048,         /* memory an idle connection keeps, per buffer */
    CONN_DRAIN_US = 2000000,        /* how long a closing socket may linger */
    CONN_PEER_MAX_BYTES = 64        /* "[address]:port" */
};

enum conn_state { CONN_NEW, CONN_CONNECT, CONN_OPEN, CONN_DRAIN, CONN_CLOSED };

/* Why it ended; each has its counter. */
enum conn_end {
    CONN_END_CLIENT, /* DISCONNECT, or the peer closed or was lost */
    CONN_END_REFUSED,
    CONN_END_ERROR,
    CONN_END_KEEP_ALIVE,
    CONN_END_TAKEOVER,
    CONN_END_SHUTDOWN
};

struct conn_link {
    struct conn *next;
    struct conn **back; /* NULL: not in the list */
};

struct conn {
    enum conn_state state;
    struct edge *edge;
    struct listener *listener;
    struct loop_io *io;
    int fd;
    uint64_t handle;
    int64_t heard_us;    /* monotonic: when bytes came last */
    int64_t deadline_us; /* monotonic: of CONN_CONNECT and CONN_DRAIN */
    enum conn_end end;   /* from CONN_DRAIN on */
    bool wants_write;
    struct conn_link links[CONN_LIST_COUNT];
    struct bytes partial; /* the beginning of a packet that is not complete */
    struct bytes out;     /* not yet written */
    struct session session;
    char peer[CONN_PEER_MAX_BYTES]; /* for the log */
};

/* Makes a connection of an accepted, non-blocking socket, which is the connection's from then on,
 * and begins to read. 0 or -errno; then fd is closed, too. */
int conn_open(struct edge *edge, struct listener *listener, int fd, const char *peer);

/* An answer of the pipeline. turn is shared by many calls (out is set here), its counters are the
 * caller's. The connection may be gone afterwards. */
void conn_receive_receipt(struct conn *conn, const struct ingest_record *record,
                          struct session_turn *turn);

/* Writes what is to be written. The connection may be gone afterwards. */
void conn_flush(struct conn *conn);

/* Ends it for a reason the client is told (5.0). It may be gone afterwards. */
void conn_goodbye(struct conn *conn, enum mqtt_reason reason, const char *detail,
                  enum conn_end end);

/* Deadlines. It may be gone afterwards. */
void conn_check_time(struct conn *conn, int64_t now_us);

/* Reads again after a pause; the time of the pause is no silence of the client. */
void conn_resume(struct conn *conn);

/* Stops reading for good (shutdown); answers are still written. */
void conn_stop_reading(struct conn *conn);

/* Closes at once, without a word, and frees conn; before CONN_DRAIN that is a CONN_END_CLIENT. */
void conn_close(struct conn *conn);

void conn_list_init(struct conn_list *list);
void conn_list_add(struct conn_list *list, struct conn *conn, enum conn_list_kind kind);
void conn_list_remove(struct conn_list *list, struct conn *conn, enum conn_list_kind kind);

static inline bool conn_listed(const struct conn *conn, enum conn_list_kind kind)
{
    return conn->links[kind].back;
}

#endif
