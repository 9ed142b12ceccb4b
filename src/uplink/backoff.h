#ifndef SLUICE_UPLINK_BACKOFF_H
#define SLUICE_UPLINK_BACKOFF_H
/*
 * When to try again: decorrelated jitter. Each pause is drawn between the minimum and three times
 * the one before, capped at BACKOFF_SHORT_CAP_US during the first minute of an outage (a broker
 * that restarts is found again at once) and at BACKOFF_LONG_CAP_US later (a thousand gateways do
 * not hammer a site that is down). A connection that did not last does not end the outage, so one
 * that is accepted and closed at once is not retried faster than one that is refused. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_SHORT_CAP_US INT64_C(1000000)
#define BACKOFF_LONG_CAP_US INT64_C(30000000)
#define BACKOFF_SHORT_US INT64_C(60000000)  /* how long an outage is short */
#define BACKOFF_LASTED_US INT64_C(10000000) /* a connection of this age ends the outage */

struct backoff {
    int64_t min_us;
    int64_t outage_us;   /* when it began; meaningful while in_outage */
    int64_t up_us;       /* when the last connection came up; meaningful while up */
    int64_t previous_us; /* the last pause */
    bool in_outage, up;
    uint64_t random;
};

/* min_us > 0. seed: any number, different on every gateway and upstream. */
void backoff_init(struct backoff *b, int64_t min_us, uint64_t seed);

/* The connection stands. */
void backoff_up(struct backoff *b, int64_t now_us);

/* An attempt failed or the connection is gone: how long to wait, in [min_us, max(cap, min_us)]. */
int64_t backoff_down(struct backoff *b, int64_t now_us);

#endif
