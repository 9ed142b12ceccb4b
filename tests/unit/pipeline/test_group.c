#include "pipeline/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct group_limits at_once = {.max_events = 10, .max_bytes = 1000};
static const struct group_limits delayed = {
    .max_delay_us = 100, .max_events = 10, .max_bytes = 1000};

static void test_an_empty_group_is_never_due(void **state)
{
    (void)state;
    const struct group empty = {.first_us = 1};
    assert_false(group_due(&empty, &at_once, INT64_MAX - 1, true));
    assert_true(group_due_us(&empty, &delayed) == INT64_MAX);
}

static void test_without_delay_a_group_is_due_when_nothing_waits(void **state)
{
    (void)state;
    const struct group group = {.events = 1, .bytes = 5, .first_us = 50};
    assert_true(group_due(&group, &at_once, 50, true));
    assert_false(group_due(&group, &at_once, 5000, false));
}

static void test_limits_make_a_group_due_whatever_waits(void **state)
{
    (void)state;
    const struct group many = {.events = 10, .bytes = 5, .first_us = 50};
    const struct group big = {.events = 1, .bytes = 1000, .first_us = 50};
    assert_true(group_due(&many, &at_once, 50, false));
    assert_true(group_due(&big, &delayed, 50, false));
}

static void test_with_delay_a_group_waits_for_others_until_its_time(void **state)
{
    (void)state;
    const struct group group = {.events = 1, .bytes = 5, .first_us = 50};
    assert_false(group_due(&group, &delayed, 149, true));
    assert_true(group_due(&group, &delayed, 150, false));
    assert_int_equal(group_due_us(&group, &delayed), 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_group_is_never_due),
        cmocka_unit_test(test_without_delay_a_group_is_due_when_nothing_waits),
        cmocka_unit_test(test_limits_make_a_group_due_whatever_waits),
        cmocka_unit_test(test_with_delay_a_group_waits_for_others_until_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
