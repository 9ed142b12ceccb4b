#include "fake_clock.h"

static int64_t fake_monotonic_us(void *data)
{
    return atomic_load(&((struct fake_clock *)data)->monotonic_us);
}

static int64_t fake_wall_us(void *data)
{
    struct fake_clock *fake = data;
    return atomic_load(&fake->monotonic_us) + atomic_load(&fake->base_us);
}

static bool fake_synced(void *data)
{
    return atomic_load(&((struct fake_clock *)data)->synced);
}

struct clock fake_clock(struct fake_clock *fake)
{
    return (struct clock){.monotonic_us = fake_monotonic_us,
                          .wall_us = fake_wall_us,
                          .synced = fake_synced,
                          .data = fake};
}
