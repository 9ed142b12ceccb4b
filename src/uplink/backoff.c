#include "uplink/backoff.h"

#include <assert.h>

void backoff_init(struct backoff *b, int64_t min_us, uint64_t seed)
{
    assert(min_us > 0);
    *b = (struct backoff){.min_us = min_us, .previous_us = min_us, .random = seed | 1};
}

/* xorshift64*: spreading retries needs no better one */
static uint64_t draw(struct backoff *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return b->random * UINT64_C(2685821657736338717);
}

void backoff_up(struct backoff *b, int64_t now_us)
{
    b->up = true;
    b->up_us = now_us;
}

int64_t backoff_down(struct backoff *b, int64_t now_us)
{
    bool lasted = b->up && now_us - b->up_us >= BACKOFF_LASTED_US;
    b->up = false;
    if (lasted || !b->in_outage) {
        b->in_outage = true;
        b->outage_us = now_us;
        b->previous_us = b->min_us;
    }
    int64_t cap =
        now_us - b->outage_us < BACKOFF_SHORT_US ? BACKOFF_SHORT_CAP_US : BACKOFF_LONG_CAP_US;
    if (cap < b->min_us)
        cap = b->min_us;
    int64_t top = b->previous_us < cap / 3 ? b->previous_us * 3 : cap;
    int64_t pause = b->min_us;
    if (top > b->min_us)
        pause += (int64_t)(draw(b) % (uint64_t)(top - b->min_us + 1));
    b->previous_us = pause;
    return pause;
}
