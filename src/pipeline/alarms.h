#ifndef SLUICE_PIPELINE_ALARMS_H
#define SLUICE_PIPELINE_ALARMS_H
/*
 * Alarms: what needs a person, told once when it begins and once when it is over, as notices of
 * kind "alarm" in stream "$gateway". They watch the gauges that status shows, every few seconds:
 *
 *   subject    raised when
 *   store      nothing was stored for a while: no stream takes events, or the disk fails
 *   disk       disk.max_bytes, or the file system, is filled beyond alarms.disk_fill_percent
 *   lag        the oldest event not yet sent to an upstream has waited longer than alarms.lag
 *
 * Lag is measured by the monotonic clock, from what the gauges said at earlier looks: the times of
 * events are no measure, since the wall clock may be set by decades while they wait. So what waited
 * before a start counts from the start on.
 *
 * An alarm is over only when the cause has gone by a margin, so that it does not flutter. Belongs
 * to the pipeline's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "config/key.h"

struct metric_set;
struct store;

enum { ALARMS_RANGES_MAX = 256 };

struct alarms_config {
    int64_t disk_fill_percent; /* 0: never */
    int64_t lag_us;            /* 0: never */
};

extern const struct config_section alarms_section; /* struct alarms_config */

/* An upstream and a stream. */
struct alarms_range {
    const struct metric_set *set;
    uint64_t mark_offset; /* the end of the stream at mark_us */
    int64_t mark_us;      /* monotonic; 0: none yet */
    int64_t passed_us;    /* how old the mark before was when it was passed */
    bool raised;
};

struct alarms {
    const struct alarms_config *config; /* borrowed */
    struct store *store;
    int64_t due_us;    /* monotonic time of the next look */
    int64_t failed_us; /* since when nothing could be stored; 0: it can */
    bool store_raised, disk_raised;
    unsigned range_count;
    struct alarms_range ranges[ALARMS_RANGES_MAX];
};

void alarms_init(struct alarms *alarms, const struct alarms_config *config, struct store *store);

/* Looks, if it is time. taking: the store takes events. The store must be open. */
void alarms_look(struct alarms *alarms, int64_t now_us, bool taking);

#endif
