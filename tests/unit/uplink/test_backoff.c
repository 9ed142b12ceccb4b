#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "uplink/backoff.h"

#define MS INT64_C(1000)
#define S INT64_C(1000000)

static void test_pauses_stay_between_minimum_and_a_second_in_the_first_minute(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100 * MS, 1);
    int64_t now = 5 * S, longest = 0;
    while (now < 65 * S) {
        int64_t pause = backoff_down(&b, now);
        assert_in_range(pause, 100 * MS, BACKOFF_SHORT_CAP_US);
        longest = pause > longest ? pause : longest;
        now += pause;
    }
    assert_true(longest > BACKOFF_SHORT_CAP_US / 2); /* it does grow */
}

static void test_a_long_outage_backs_off_up_to_half_a_minute(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100 * MS, 2);
    backoff_down(&b, 0);
    int64_t longest = 0, sum = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t pause = backoff_down(&b, 61 * S + i * S);
        assert_in_range(pause, 100 * MS, BACKOFF_LONG_CAP_US);
        longest = pause > longest ? pause : longest;
        sum += pause;
    }
    assert_true(longest > 25 * S);
    assert_true(sum / 1000 > 5 * S);
}

static void test_a_short_lived_connection_does_not_end_the_outage(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100 * MS, 3);
    backoff_down(&b, 0);
    int64_t now = 100 * S, sum = 0;
    for (int i = 0; i < 100; i++) {
        backoff_up(&b, now);
        int64_t pause = backoff_down(&b, now + 1);
        assert_true(pause >= 100 * MS);
        sum += pause;
        now += pause;
    }
    assert_true(sum / 100 > 3 * S); /* long pauses, as if it had been refused */
}

static void test_a_connection_that_lasted_ends_the_outage(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100 * MS, 4);
    backoff_down(&b, 0);
    for (int i = 0; i < 50; i++)
        backoff_down(&b, 100 * S + i);
    backoff_up(&b, 200 * S);
    int64_t pause = backoff_down(&b, 200 * S + BACKOFF_LASTED_US);
    assert_in_range(pause, 100 * MS, 300 * MS);
}

static void test_the_configured_minimum_stands_above_the_caps(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 45 * S, 5);
    for (int i = 0; i < 10; i++)
        assert_int_equal(backoff_down(&b, i * 50 * S), 45 * S);
}

static void test_two_gateways_do_not_retry_in_step(void **state)
{
    (void)state;
    struct backoff a, b;
    backoff_init(&a, 100 * MS, 6);
    backoff_init(&b, 100 * MS, 8);
    int same = 0;
    for (int i = 0; i < 100; i++)
        same += backoff_down(&a, 0) == backoff_down(&b, 0);
    assert_true(same < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_stay_between_minimum_and_a_second_in_the_first_minute),
        cmocka_unit_test(test_a_long_outage_backs_off_up_to_half_a_minute),
        cmocka_unit_test(test_a_short_lived_connection_does_not_end_the_outage),
        cmocka_unit_test(test_a_connection_that_lasted_ends_the_outage),
        cmocka_unit_test(test_the_configured_minimum_stands_above_the_caps),
        cmocka_unit_test(test_two_gateways_do_not_retry_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
