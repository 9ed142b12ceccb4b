#ifndef SLUICE_TESTS_CRASH_DICE_H
#define SLUICE_TESTS_CRASH_DICE_H
/* Random numbers that follow from a seed, the same on every machine (splitmix64). */
#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_next(struct dice *dice)
{
    uint64_t x = dice->state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

/* 0 to n - 1; n >= 1. */
static inline uint64_t dice_below(struct dice *dice, uint64_t n)
{
    return dice_next(dice) % n;
}

static inline bool dice_one_in(struct dice *dice, uint64_t n)
{
    return dice_below(dice, n) == 0;
}

/* A seed that follows from two others. */
static inline uint64_t dice_mix(uint64_t a, uint64_t b)
{
    struct dice dice = {a ^ b * UINT64_C(0xD6E8FEB86659FD93)};
    return dice_next(&dice);
}

#endif
