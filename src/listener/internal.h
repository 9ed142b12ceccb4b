#ifndef SLUICE_LISTENER_INTERNAL_H
#define SLUICE_LISTENER_INTERNAL_H
/*
 * struct edge, as the files of this room share it; not for others. edge.c owns it, conn.c and
 * listener.c work in it. Edge thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/queue.h"
#include "listener/edge.h"
#include "listener/intake.h"
#include "listener/listener_config.h"
#include "listener/table.h"
#include "session/registry.h"

struct conn;
struct listener;
struct loop;
struct loop_deferred;
struct loop_io;
struct loop_timer;

enum {
    EDGE_RECEIVE_BYTES = 64 * 1024, /* read from a socket at once */
    EDGE_JOIN_MAX_BYTES = 16 * 1024 /* unfinished packets up to this size are put before it */
};

/* Lists a connection can be in, each at most once. */
enum conn_list_kind { CONN_LIST_DIRTY, CONN_LIST_PAUSED, CONN_LIST_COUNT };

struct conn_list {
    struct conn *first, **last;
};

struct edge {
    struct loop *loop;
    const struct clock *clock;
    struct loop_deferred *round_end;
    struct loop_timer *sweep; /* once a second: keep-alive and other deadlines */
    struct loop_timer *retry; /* the pipeline's queue did not take the open batch */
    struct queue receipts;
    struct loop_io *receipts_io;

    struct intake intake;
    struct conn_table table;
    struct session_registry registry;
    struct listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    struct conn_list lists[CONN_LIST_COUNT]; /* dirty: has something to send; paused: not read */

    struct bytes scratch;     /* for sessions */
    uint8_t *receive;         /* EDGE_JOIN_MAX_BYTES + EDGE_RECEIVE_BYTES */
    size_t partial_bytes;     /* memory of unfinished packets of all connections */
    size_t partial_max_bytes; /* beyond it the connection that wants more is closed, or, if that is
                                 little, the one that has most */
    bool stopped;             /* edge_stop_reading() was called */
};

/* What is due now by the clock: keep-alive, CONNECT that does not come, lingering sockets. */
void edge_sweep(struct edge *edge);

/* Gives the open batch to the pipeline; if its queue is full, again a little later. */
void edge_push(struct edge *edge);

/* The same as soon as there is enough in the batch, else at the end of the round. Not while packets
 * are decoded into the batch. */
void edge_push_due(struct edge *edge);

/* At the end of this round of the loop the open batch is pushed and dirty connections written. */
void edge_request_round_end(struct edge *edge);

#endif
