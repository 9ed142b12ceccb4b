#include "admit/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "event/event.h"

static void expect(const char *topic, const char *device, const char *type)
{
    struct event event = {.topic = slice_string(topic)};
    assert_int_equal(admit_event(&event), ADMIT_ACCEPT);
    assert_true(slice_equal_string(event.device, device));
    assert_true(slice_equal_string(event.type, type));
}

static void test_the_topic_says_device_and_type(void **state)
{
    (void)state;
    expect("tele/boiler/SENSOR", "tele/boiler", "SENSOR");
    expect("site/17/telemetry", "site/17", "telemetry");
    expect("boiler", "boiler", "boiler");
    expect("boiler/", "boiler", "message");
    expect("/boiler", "/boiler", "boiler");
    expect("/", "/", "message");
    expect("a//b", "a/", "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_topic_says_device_and_type)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
