#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H
/*
 * Time. Intervals use the monotonic clock; the wall clock is only ever recorded, with its quality
 * (design: time). A struct clock is a pair of functions, so that tests bring their own.
 */
#include <stdbool.h>
#include <stdint.h>

enum clock_quality {
    CLOCK_UNSYNCED = 0, /* nobody vouches for the wall clock (no NTP/PTP/GNSS since boot) */
    CLOCK_SYNCED = 1,   /* the kernel says it is disciplined */
    CLOCK_CORRECTED = 2 /* recorded unsynced, corrected after the first synchronisation */
};

struct clock_stamp {
    int64_t wall_us;      /* microseconds since 1970-01-01 UTC */
    int64_t monotonic_us; /* microseconds since boot, suspend included */
    enum clock_quality quality;
};

struct clock {
    int64_t (*monotonic_us)(void *data);
    int64_t (*wall_us)(void *data);
    bool (*synced)(void *data);
    void *data;
};

/* CLOCK_BOOTTIME, CLOCK_REALTIME and adjtimex(2). Any thread. */
extern const struct clock clock_system;

static inline int64_t clock_monotonic_us(const struct clock *c)
{
    return c->monotonic_us(c->data);
}

/* All three at once. The quality of the system clock is asked of the kernel once a second, and at
 * once when the clock was set; between it is cached. */
struct clock_stamp clock_now(const struct clock *c);

/* RFC 3339 in UTC with microseconds, "2026-01-31T12:00:00.000000Z"; trailing zero groups of the
 * fraction are cut. out must have 32 bytes. Years 0..9999; outside it clamps. */
#define CLOCK_TEXT_MAX 32
void clock_format(int64_t wall_us, char out[CLOCK_TEXT_MAX]);

#endif
