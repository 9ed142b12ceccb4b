#ifndef SLUICE_ROUTE_ROUTE_H
#define SLUICE_ROUTE_ROUTE_H
/*
 * Routing: event -> (stream, event)*. A struct route is a compiled set of rules, immutable once
 * made; the pipeline thread evaluates it. Streams are named by their index in the route's own
 * table, which the pipeline resolves once: this room does not know the store.
 *
 * Without rules every event goes unchanged to the stream "events".
 */
#include "event/event.h"

#define ROUTE_DEFAULT_STREAM "events"

enum { ROUTE_STREAMS_MAX = 64, ROUTE_OUTPUTS_MAX = 64 };

struct route;

struct route_output {
    unsigned stream; /* index for route_stream_name() */
    struct event
        event; /* slices of the input event, or of the route's memory until the next call */
};

int route_new(struct route **ret);             /* the empty rule set; -ENOMEM */
struct route *route_free(struct route *route); /* NULL accepted; returns NULL */

unsigned route_stream_count(const struct route *route);
const char *route_stream_name(const struct route *route, unsigned stream);

/* Evaluates the rules for an admitted event. Fills outputs (room for ROUTE_OUTPUTS_MAX), in the
 * order in which they are to be stored, and returns how many there are. */
unsigned route_event(struct route *route, const struct event *event, struct route_output *outputs);

#endif
