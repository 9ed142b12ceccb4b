#ifndef SLUICE_UPLINK_UPLINK_H
#define SLUICE_UPLINK_UPLINK_H
/*
 * struct uplink: one upstream, one thread, one connection at a time, one lane per stream. It sends
 * what the ranges of its feed hold, window by window, and posts a cursor move for what was
 * acknowledged. Made, started and stopped by the gateway; everything else is its thread's.
 *
 *   gateway: range_feed_new(), INGEST_ATTACH to the pipeline, uplink_new(), uplink_start()
 *            ... uplink_request_stop(), uplink_stopped() or its deadline, uplink_free(),
 *            INGEST_DETACH
 */
#include <stdbool.h>

#include "base/clock.h"

struct queue;
struct range_feed;
struct upstream_config;
struct uplink;

struct uplink_options {
    const struct upstream_config *config; /* outlives the uplink */
    struct range_feed *feed;              /* the uplink takes a reference of its own */
    struct queue *pipeline;               /* for INGEST_CURSOR items; outlives the uplink */
    const struct clock *clock;            /* NULL: clock_system */
};

/* Once, before the process has threads: keeps http_proxy of the environment away from Paho. */
void uplink_library_init(void);

/* 0, -ENOMEM; -EINVAL if the configuration was never checked. No thread yet. */
int uplink_new(const struct uplink_options *options, struct uplink **ret);

/* Starts the thread. 0 or -errno. */
int uplink_start(struct uplink *uplink);

/* Asks the thread to end: no new messages, acknowledgements of those in flight are awaited up to
 * config->drain_timeout, the last cursor moves are posted, the connection is closed. Any thread,
 * does not block. */
void uplink_request_stop(struct uplink *uplink);

/* Whether the thread has posted everything it will ever post. Any thread. */
bool uplink_stopped(struct uplink *uplink);

/* Requests the stop if that was not done, joins the thread, frees. NULL accepted; returns NULL. */
struct uplink *uplink_free(struct uplink *uplink);

#endif
