#include "store/wear.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MINUTE_US (INT64_C(60) * 1000000)
#define HOUR_US (60 * MINUTE_US)

static const struct wear_counts nothing;

/* A minute after minute, each with the same. */
static void run(struct wear *wear, struct wear_counts *now, int64_t *run_us, unsigned minutes,
                const struct wear_counts *each)
{
    for (unsigned i = 0; i < minutes; i++) {
        *run_us += MINUTE_US;
        now->written_bytes += each->written_bytes;
        now->flash_bytes += each->flash_bytes;
        now->syncs += each->syncs;
        now->appended_bytes += each->appended_bytes;
        wear_update(wear, now, *run_us);
    }
}

static void test_rates_are_of_the_time_it_has_run(void **state)
{
    (void)state;
    struct wear wear;
    struct wear_counts now = {.written_bytes = 5000}, each = {100, 400, 2, 50};
    struct wear_rates rates;
    int64_t run_us = 7 * HOUR_US + 5 * MINUTE_US;
    wear_init(&wear, &nothing, &now, run_us);
    wear_rates(&wear, 0, &rates);
    assert_int_equal(rates.written_bytes_hour, 0);
    assert_int_equal(rates.amplification, 0);
    run(&wear, &now, &run_us, 10, &each);
    wear_rates(&wear, 0, &rates);
    assert_int_equal(rates.written_bytes_hour, 6000);
    assert_int_equal(rates.written_bytes_day, 24 * 6000);
    assert_int_equal(rates.flash_bytes_hour, 24000);
    assert_int_equal(rates.flash_bytes_day, 24 * 24000);
    assert_int_equal(rates.syncs_hour, 120);
    assert_int_equal(rates.amplification, 8000000);
    assert_int_equal(rates.life_seconds, 0);
    assert_int_equal(wear.total.written_bytes, 1000);
}

static void test_an_hour_and_a_day_later_what_was_is_forgotten(void **state)
{
    (void)state;
    struct wear wear;
    struct wear_counts now = nothing, much = {600, 600, 6, 60}, little = {60, 60, 1, 60};
    struct wear_rates rates;
    int64_t run_us = 0;
    wear_init(&wear, &nothing, &now, run_us);
    run(&wear, &now, &run_us, 30 * 60, &much);
    run(&wear, &now, &run_us, 80, &little);
    wear_rates(&wear, 0, &rates);
    assert_in_range(rates.written_bytes_hour, 3600, 3700);
    assert_in_range(rates.syncs_hour, 60, 62);
    assert_in_range(rates.written_bytes_day, 23 * 36000, 24 * 36000);
    run(&wear, &now, &run_us, 25 * 60, &little);
    wear_rates(&wear, 0, &rates);
    assert_in_range(rates.written_bytes_day, 24 * 3590, 24 * 3610);
    assert_int_equal(rates.amplification, 1000000);
    assert_int_equal(wear.total.written_bytes, 30 * 36000 + 80 * 60 + 25 * 3600);
    /* A long sleep is a time in which nothing was written. */
    run_us += 40 * HOUR_US;
    wear_update(&wear, &now, run_us);
    wear_rates(&wear, 0, &rates);
    assert_int_equal(rates.written_bytes_day, 0);
    assert_int_equal(rates.amplification, 0);
}

static void test_life_is_what_is_left_at_the_rate_of_the_day(void **state)
{
    (void)state;
    struct wear wear;
    const struct wear_counts before = {.flash_bytes = 1000000};
    struct wear_counts now = nothing, each = {.flash_bytes = 1000};
    struct wear_rates rates;
    int64_t run_us = 0;
    wear_init(&wear, &before, &now, run_us);
    run(&wear, &now, &run_us, 1000, &each); /* 2,000,000 in all, 1,000 a minute */
    wear_rates(&wear, 5000000, &rates);
    assert_in_range(rates.life_seconds, 3000 * 60 - 1, 3000 * 60 + 1);
    wear_rates(&wear, 2000000, &rates);
    assert_int_equal(rates.life_seconds, 1);
    wear_rates(&wear, INT64_C(1) << 60, &rates);
    assert_true(rates.life_seconds > UINT64_C(1) << 50 && rates.life_seconds <= INT64_MAX);
    wear_rates(&wear, 0, &rates);
    assert_int_equal(rates.life_seconds, 0);
}

static void test_counters_that_go_back_are_no_wear(void **state)
{
    (void)state;
    struct wear wear;
    const struct wear_counts high = {500, 500, 5, 500}, low = {100, 100, 1, 100};
    wear_init(&wear, &nothing, &high, 0);
    wear_update(&wear, &low, MINUTE_US);
    assert_int_equal(wear.total.written_bytes, 0);
    wear_update(&wear, &high, 2 * MINUTE_US);
    assert_int_equal(wear.total.written_bytes, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_of_the_time_it_has_run),
        cmocka_unit_test(test_an_hour_and_a_day_later_what_was_is_forgotten),
        cmocka_unit_test(test_life_is_what_is_left_at_the_rate_of_the_day),
        cmocka_unit_test(test_counters_that_go_back_are_no_wear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
