#ifndef SLUICE_LISTENER_LISTENER_H
#define SLUICE_LISTENER_LISTENER_H
/*
 * struct listener: the listening sockets of one entry of "listeners", its limits and its counters.
 * Owned by the edge, edge thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "listener/listener_config.h"
#include "session/session.h"

struct edge;
struct error;
struct loop_io;
struct loop_timer;
struct metric_set;
struct session_turn;

enum {
    LISTENER_SOCKETS_MAX = 8,   /* addresses a name may resolve to */
    LISTENER_BACKLOG = 1024,    /* connections the kernel completes ahead of us */
    LISTENER_ACCEPT_MAX = 64,   /* per round, so that others are served meanwhile */
    LISTENER_RETRY_US = 1000000 /* pause after the system ran out of something */
};

struct listener_socket {
    struct listener *listener;
    struct loop_io *io;
    int fd;
};

struct listener {
    struct edge *edge;
    char name[LISTENER_NAME_MAX_BYTES];
    unsigned index;               /* in edge->listeners, in handles */
    struct session_limits limits; /* for connections to come */
    int64_t max_connections;
    int64_t connect_timeout_us;
    size_t connections;
    struct listener_socket sockets[LISTENER_SOCKETS_MAX];
    size_t socket_count;
    struct loop_timer *retry;
    struct metric_set *metrics;
};

/* Binds, listens and accepts. 0 or -errno with the error filled. */
int listener_new(struct edge *edge, const struct listener_config *config, unsigned index,
                 struct error *error, struct listener **ret);
struct listener *listener_free(struct listener *listener); /* no connection left; NULL accepted */

/* Limits for connections to come. */
void listener_configure(struct listener *listener, const struct listener_config *config);

/* Closes the listening sockets: the kernel refuses new connections from then on. */
void listener_stop(struct listener *listener);

/* Adds the counters of a turn to the metrics and zeroes them. */
void listener_count(struct listener *listener, struct session_turn *turn);

#endif
