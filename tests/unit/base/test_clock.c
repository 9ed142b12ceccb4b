#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(int64_t wall_us, const char *text)
{
    char out[CLOCK_TEXT_MAX];
    clock_format(wall_us, out);
    assert_string_equal(out, text);
}

static void test_times_are_printed_as_rfc3339_in_utc(void **state)
{
    (void)state;
    expect(0, "1970-01-01T00:00:00Z");
    expect(INT64_C(1624799024500000), "2021-06-27T13:03:44.500Z");
    expect(INT64_C(1624799024000001), "2021-06-27T13:03:44.000001Z");
    expect(-1, "1969-12-31T23:59:59.999999Z");
    expect(INT64_C(951782400000000), "2000-02-29T00:00:00Z");
}

static void test_times_outside_of_four_digit_years_are_clamped(void **state)
{
    (void)state;
    expect(INT64_MAX, "9999-12-31T23:59:59.999999Z");
    expect(INT64_MIN, "0000-01-01T00:00:00Z");
}

static int64_t fake_us(void *data)
{
    return *(int64_t *)data;
}

static bool fake_synced(void *data)
{
    return *(int64_t *)data > 100;
}

static void test_a_fake_clock_says_what_it_is_told(void **state)
{
    (void)state;
    int64_t now = 5;
    const struct clock fake = {fake_us, fake_us, fake_synced, &now};
    struct clock_stamp stamp = clock_now(&fake);
    assert_int_equal(stamp.wall_us, 5);
    assert_int_equal(stamp.quality, CLOCK_UNSYNCED);
    now = 500;
    assert_int_equal(clock_now(&fake).quality, CLOCK_SYNCED);
    assert_int_equal(clock_monotonic_us(&fake), 500);
}

static void test_the_system_clock_does_not_run_backwards(void **state)
{
    (void)state;
    int64_t before = clock_monotonic_us(&clock_system);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic_us(&clock_system);
        assert_true(now >= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_printed_as_rfc3339_in_utc),
        cmocka_unit_test(test_times_outside_of_four_digit_years_are_clamped),
        cmocka_unit_test(test_a_fake_clock_says_what_it_is_told),
        cmocka_unit_test(test_the_system_clock_does_not_run_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
