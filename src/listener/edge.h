#ifndef SLUICE_LISTENER_EDGE_H
#define SLUICE_LISTENER_EDGE_H
/*
 * struct edge: everything the edge thread has of the device side. Listeners, the table of
 * connections, the registry of sessions, the batch being filled, the receipts coming back. The
 * gateway makes one, on the loop it runs, and calls it on the thread of that loop only.
 *
 * One round of the loop: sockets that are readable are read once each and everything in them is
 * decoded into the open batch; at the end of the round the batch goes to the pipeline as one item
 * and every connection that has something to say is written once. Receipts that came back make
 * acknowledgements, in the order of the batches. No other code path acknowledges anything.
 *
 * Bytes given to the pipeline and not yet returned are in flight. At in_flight_max_bytes the edge
 * stops reading sockets as they become readable, below half of it reading resumes.
 */
#include <stddef.h>
#include <stdint.h>

struct clock;
struct edge;
struct error;
struct listener_config;
struct loop;
struct queue;

struct edge_options {
    struct loop *loop;          /* outlives the edge */
    struct queue *pipeline;     /* takes INGEST_BATCH items; outlives the edge */
    const struct clock *clock;  /* outlives the edge */
    size_t in_flight_max_bytes; /* high mark; one packet may exceed it. 0: the default */
};

enum { EDGE_IN_FLIGHT_DEFAULT_BYTES = 64 << 20 };

/* 0 or -errno. */
int edge_new(const struct edge_options *options, struct edge **ret);

/* Opens a listener (one per address the name resolves to) and begins to accept. 0, or -errno with
 * the error filled: it names the listener, the address and what to do (port in use, privileged
 * port, unknown host). The configuration is copied. At most LISTENERS_MAX listeners. */
int edge_listen(struct edge *edge, const struct listener_config *config, struct error *error);

/* The port a listener is bound to (with "bind" port 0 the one the system chose), 0 if unknown. */
uint16_t edge_port(const struct edge *edge, const char *listener);

/* New limits for existing listeners, found by name, after a reload; connections that exist keep
 * theirs. Names that are not listening are passed over. */
void edge_reconfigure(struct edge *edge, const struct listener_config *configs, size_t count);

/* First step of the shutdown: no connection is accepted and no socket read any more, what was
 * received goes to the pipeline. Receipts are still answered while the loop runs. */
void edge_stop_reading(struct edge *edge);

/* Bytes received and not yet answered: 0 means that every event has its receipt. */
size_t edge_in_flight(const struct edge *edge);

/* Last step while the pipeline still takes: says goodbye to every client (5.0: DISCONNECT 0x8B),
 * closes, and gives the wills of the clients to the pipeline as a last batch. Does not wait: what a
 * socket does not take at once is lost with it. */
void edge_shutdown(struct edge *edge);

/* The pipeline thread must have ended (receipts would have nowhere to go). NULL accepted. */
struct edge *edge_free(struct edge *edge);

#endif
