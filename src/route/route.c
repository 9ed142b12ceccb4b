#include "route/route.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct route {
    const char *streams[ROUTE_STREAMS_MAX];
    unsigned stream_count;
};

int route_new(struct route **ret)
{
    struct route *route = calloc(1, sizeof *route);
    if (!route)
        return -ENOMEM;
    route->streams[route->stream_count++] = ROUTE_DEFAULT_STREAM;
    *ret = route;
    return 0;
}

struct route *route_free(struct route *route)
{
    free(route);
    return NULL;
}

unsigned route_stream_count(const struct route *route)
{
    return route->stream_count;
}

const char *route_stream_name(const struct route *route, unsigned stream)
{
    assert(stream < route->stream_count);
    return route->streams[stream];
}

unsigned route_event(struct route *route, const struct event *event, struct route_output *outputs)
{
    (void)route;
    outputs[0] = (struct route_output){.stream = 0, .event = *event};
    return 1;
}
