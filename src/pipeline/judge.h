#ifndef SLUICE_PIPELINE_JUDGE_H
#define SLUICE_PIPELINE_JUDGE_H
/*
 * What becomes of a received event: admission, routing, and its place in the store's open batch
 * (house: steps 7 to 9). Keeps the place where it stopped when a stream had no room, also between
 * two outputs of one event. Belongs to the pipeline's thread; pipeline room only.
 */
#include <stddef.h>
#include <stdint.h>

#include "route/route.h"

struct clock;
struct ingest_batch;
struct losses;
struct store;

struct judge {
    struct store *store;
    struct route *route;
    struct losses *losses;
    const struct clock *clock;
    size_t position; /* into the batch under judgement */
    unsigned output; /* of the event at position: outputs before it are appended */
    uint32_t streams[ROUTE_STREAMS_MAX]; /* route's index -> store's number, once open */
};

void judge_init(struct judge *judge, struct store *store, struct route *route,
                struct losses *losses, const struct clock *clock);

/* Finds the store's numbers for the streams that the route names; the store is open. 0, -errno. */
int judge_open(struct judge *judge);

/* Appends the batch from position on and writes the outcome of each event into its record; it is to
 * be said only after the commit. 0: all of it, and position is 0 again. STORE_FULL: the event at
 * position has to wait for room. -errno (no memory): likewise stopped at position. */
int judge_batch(struct judge *judge, struct ingest_batch *batch);

#endif
