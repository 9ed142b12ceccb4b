#ifndef SLUICE_TESTS_SUPPORT_FAKE_CLOCK_H
#define SLUICE_TESTS_SUPPORT_FAKE_CLOCK_H
/* Clocks that stand still until a test moves them; any thread may read and move them. */
#include <stdatomic.h>

#include "base/clock.h"

struct fake_clock {
    _Atomic int64_t monotonic_us;
    _Atomic int64_t base_us; /* what the wall clock is ahead of the monotonic one */
    atomic_bool synced;
};

/* Shows fake, which the caller owns and keeps as long as the clock is used. */
struct clock fake_clock(struct fake_clock *fake);

#endif
