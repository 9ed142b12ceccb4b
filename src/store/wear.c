#include "store/wear.h"

#include <assert.h>
#include <stddef.h>

#define BUCKET_US (INT64_C(900) * 1000000)
#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US (24 * HOUR_US)
#define KNOWN_US (INT64_C(60) * 1000000) /* less time says nothing about a rate */

enum { MILLION = 1000000 };

static void add(struct wear_counts *sum, const struct wear_counts *counts)
{
    sum->written_bytes += counts->written_bytes;
    sum->flash_bytes += counts->flash_bytes;
    sum->syncs += counts->syncs;
    sum->appended_bytes += counts->appended_bytes;
}

static uint64_t since(uint64_t now, uint64_t last)
{
    return now > last ? now - last : 0;
}

void wear_init(struct wear *wear, const struct wear_counts *total, const struct wear_counts *now,
               int64_t run_us)
{
    assert(run_us >= 0);
    *wear = (struct wear){.total = *total, .last = *now, .begun_us = run_us, .now_us = run_us};
}

void wear_update(struct wear *wear, const struct wear_counts *now, int64_t run_us)
{
    const struct wear_counts more = {
        .written_bytes = since(now->written_bytes, wear->last.written_bytes),
        .flash_bytes = since(now->flash_bytes, wear->last.flash_bytes),
        .syncs = since(now->syncs, wear->last.syncs),
        .appended_bytes = since(now->appended_bytes, wear->last.appended_bytes)};
    int64_t before = wear->now_us / BUCKET_US, bucket = run_us / BUCKET_US;
    if (bucket - before > WEAR_BUCKETS)
        before = bucket - WEAR_BUCKETS;
    while (before < bucket)
        wear->buckets[++before % WEAR_BUCKETS] = (struct wear_counts){.syncs = 0};
    add(&wear->total, &more);
    add(&wear->buckets[bucket % WEAR_BUCKETS], &more);
    wear->last = *now;
    wear->now_us = run_us;
}

/* What was counted in the bucket of now and so many before it; *ret_us: how long that took. */
static struct wear_counts window(const struct wear *wear, int64_t before, int64_t *ret_us)
{
    struct wear_counts sum = {.syncs = 0};
    int64_t bucket = wear->now_us / BUCKET_US, first = bucket - before;
    if (first < wear->begun_us / BUCKET_US)
        first = wear->begun_us / BUCKET_US;
    for (int64_t i = first; i <= bucket; i++)
        add(&sum, &wear->buckets[i % WEAR_BUCKETS]);
    int64_t from_us = first * BUCKET_US;
    *ret_us = wear->now_us - (from_us > wear->begun_us ? from_us : wear->begun_us);
    return sum;
}

static uint64_t rate(uint64_t count, int64_t took_us, int64_t per_us)
{
    return took_us < KNOWN_US ? 0 : (uint64_t)((double)count * (double)per_us / (double)took_us);
}

static uint64_t life(uint64_t used, uint64_t endurance, uint64_t per_day)
{
    if (!endurance || !per_day)
        return 0;
    if (used >= endurance)
        return 1;
    double seconds = (double)(endurance - used) / (double)per_day * (double)(DAY_US / MILLION);
    if (seconds >= (double)INT64_MAX)
        return INT64_MAX;
    return seconds < 1 ? 1 : (uint64_t)seconds;
}

void wear_rates(const struct wear *wear, int64_t endurance_bytes, struct wear_rates *ret)
{
    int64_t hour_us, day_us;
    struct wear_counts hour = window(wear, HOUR_US / BUCKET_US, &hour_us);
    struct wear_counts day = window(wear, WEAR_BUCKETS - 1, &day_us);
    *ret = (struct wear_rates){
        .written_bytes_hour = rate(hour.written_bytes, hour_us, HOUR_US),
        .written_bytes_day = rate(day.written_bytes, day_us, DAY_US),
        .flash_bytes_hour = rate(hour.flash_bytes, hour_us, HOUR_US),
        .flash_bytes_day = rate(day.flash_bytes, day_us, DAY_US),
        .syncs_hour = rate(hour.syncs, hour_us, HOUR_US),
    };
    if (day.appended_bytes)
        ret->amplification =
            (uint64_t)((double)day.flash_bytes / (double)day.appended_bytes * MILLION);
    ret->life_seconds =
        life(wear->total.flash_bytes, (uint64_t)endurance_bytes, ret->flash_bytes_day);
}
