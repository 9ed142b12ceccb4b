#ifndef SLUICE_PIPELINE_GROUP_H
#define SLUICE_PIPELINE_GROUP_H
/*
 * Group commit: when to commit. Pure; the pipeline asks after every batch it has appended.
 *
 * Without a delay the rule is "when nothing waits": while one sync runs the next group gathers, so
 * groups grow with the load and nobody waits for a timer. A delay trades latency for flash wear.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group_limits {
    int64_t max_delay_us; /* from the first event of a group; 0: commit as soon as nothing waits */
    size_t max_events;
    size_t max_bytes; /* record bytes before compression */
};

struct group {
    size_t events, bytes; /* of the open group */
    int64_t first_us;     /* monotonic time of its first event; meaningless while events is 0 */
};

/* Whether the group must be committed now. nothing_waits: no received event waits to be appended.
 */
bool group_due(const struct group *group, const struct group_limits *limits, int64_t now_us,
               bool nothing_waits);

/* The monotonic time at which group_due() turns true by itself; INT64_MAX: never. */
int64_t group_due_us(const struct group *group, const struct group_limits *limits);

#endif
