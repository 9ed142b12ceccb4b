#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_without_rules_everything_goes_unchanged_to_events(void **state)
{
    (void)state;
    struct route *route = NULL;
    assert_int_equal(route_new(&route), 0);
    assert_int_equal(route_stream_count(route), 1);
    assert_string_equal(route_stream_name(route, 0), "events");
    struct route_output outputs[ROUTE_OUTPUTS_MAX];
    const struct event event = {.topic = SLICE_LITERAL("a/b"), .payload = SLICE_LITERAL("\0x")};
    assert_int_equal(route_event(route, &event, outputs), 1);
    assert_int_equal(outputs[0].stream, 0);
    assert_memory_equal(&outputs[0].event, &event, sizeof event);
    assert_null(route_free(route));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rules_everything_goes_unchanged_to_events)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
