#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/timex.h>
#include <time.h>

#define US_PER_S INT64_C(1000000)
#define MOVED_US (US_PER_S / 4) /* more between two readings of the clocks: it was set */

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

static int64_t system_monotonic_us(void *data)
{
    (void)data;
    return read_us(CLOCK_BOOTTIME);
}

static int64_t system_wall_us(void *data)
{
    (void)data;
    return read_us(CLOCK_REALTIME);
}

static bool system_synced(void *data)
{
    (void)data;
    static _Atomic int64_t asked_us = -US_PER_S;
    static _Atomic int64_t asked_base_us;
    static atomic_bool answer;
    int64_t now = read_us(CLOCK_BOOTTIME), base = read_us(CLOCK_REALTIME) - now;
    /* Setting the clock also unsyncs it: until that is seen nobody vouches for the new time. */
    int64_t moved = base - atomic_load_explicit(&asked_base_us, memory_order_relaxed);
    if (now - atomic_load_explicit(&asked_us, memory_order_acquire) >= US_PER_S ||
        moved > MOVED_US || moved < -MOVED_US) {
        struct timex t = {.modes = 0};
        int state = adjtimex(&t);
        atomic_store_explicit(&answer, state >= 0 && state != TIME_ERROR, memory_order_relaxed);
        atomic_store_explicit(&asked_base_us, base, memory_order_relaxed);
        atomic_store_explicit(&asked_us, now, memory_order_release);
    }
    return atomic_load_explicit(&answer, memory_order_relaxed);
}

const struct clock clock_system = {
    .monotonic_us = system_monotonic_us,
    .wall_us = system_wall_us,
    .synced = system_synced,
};

struct clock_stamp clock_now(const struct clock *c)
{
    return (struct clock_stamp){
        .wall_us = c->wall_us(c->data),
        .monotonic_us = c->monotonic_us(c->data),
        .quality = c->synced(c->data) ? CLOCK_SYNCED : CLOCK_UNSYNCED,
    };
}

void clock_format(int64_t wall_us, char out[CLOCK_TEXT_MAX])
{
    static const int64_t least = INT64_C(-62167219200) * US_PER_S;    /* 0000-01-01 */
    static const int64_t most = INT64_C(253402300800) * US_PER_S - 1; /* 9999-12-31 */
    if (wall_us < least)
        wall_us = least;
    if (wall_us > most)
        wall_us = most;
    int64_t seconds = wall_us / US_PER_S;
    int64_t fraction = wall_us % US_PER_S;
    if (fraction < 0) {
        fraction += US_PER_S;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm parts;
    gmtime_r(&t, &parts);
    int n = snprintf(out, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d",
                     (parts.tm_year + 1900) % 10000, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
    if (fraction % 1000)
        n += snprintf(out + n, (size_t)(CLOCK_TEXT_MAX - n), ".%06d", (int)fraction);
    else if (fraction)
        n += snprintf(out + n, (size_t)(CLOCK_TEXT_MAX - n), ".%03d", (int)(fraction / 1000));
    snprintf(out + n, (size_t)(CLOCK_TEXT_MAX - n), "Z");
}
