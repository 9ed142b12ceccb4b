#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "event/event.h"
#include "uplink/topic_template.h"

static void assert_expands(const char *text, const struct event *event, struct slice expected)
{
    struct topic_template t;
    struct bytes out = BYTES_INIT(1 << 20);
    assert_int_equal(topic_template_parse(text, NULL, &t), 0);
    assert_int_equal(topic_template_expand(&t, event, "events", "gw1", &out), 0);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.data, expected.len);
    bytes_deinit(&out);
}

static void test_topic_alone_is_passed_verbatim(void **state)
{
    (void)state;
    struct event e = {.topic = SLICE_LITERAL("a/+/#\0b")};
    assert_expands("${topic}", &e, e.topic);
}

static void test_every_value_finds_its_place(void **state)
{
    (void)state;
    struct event e = {.topic = SLICE_LITERAL("tele/x/STATE"),
                      .device = SLICE_LITERAL("x"),
                      .type = SLICE_LITERAL("tasmota.state")};
    assert_expands("g/${gateway}/${stream}/${type}/${device}/${topic}$", &e,
                   SLICE_LITERAL("g/gw1/events/tasmota.state/x/tele/x/STATE$"));
}

static void test_values_are_sanitised_and_never_empty(void **state)
{
    (void)state;
    struct event e = {.topic = SLICE_LITERAL("a/+/#\0b"), .device = SLICE_EMPTY};
    assert_expands("x/${device}/${topic}", &e, SLICE_LITERAL("x/_/a/_/__b"));
    assert_expands("${device}", &e, SLICE_LITERAL("_"));
}

static void test_templates_that_make_no_topic_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what;
    } bad[] = {{"", "empty"},
               {"a/${topik}", "${topik}"},
               {"a/${topic", "no \"}\""},
               {"a/+/${topic}", "wildcard"},
               {"a/#", "wildcard"},
               {"\xff", "UTF-8"},
               {"${}", "${}"}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct topic_template t;
        struct error error = ERROR_INIT;
        assert_int_equal(topic_template_parse(bad[i].text, &error, &t), -EINVAL);
        assert_non_null(strstr(error.what, bad[i].what));
        assert_true(error.mend[0] != '\0');
    }
}

static void test_the_number_of_parts_is_bounded(void **state)
{
    (void)state;
    char text[TOPIC_TEMPLATE_MAX_BYTES] = "";
    for (int i = 0; i < TOPIC_TEMPLATE_PARTS_MAX; i++)
        strcat(text, "${device}");
    struct topic_template t;
    assert_int_equal(topic_template_parse(text, NULL, &t), 0);
    strcat(text, "${device}");
    assert_int_equal(topic_template_parse(text, NULL, &t), -EINVAL);
}

static void test_topics_that_mqtt_forbids_are_not_publishable(void **state)
{
    (void)state;
    assert_true(topic_publishable(SLICE_LITERAL("a/b c/\xc3\xa9")));
    assert_true(topic_publishable(SLICE_LITERAL("/")));
    assert_false(topic_publishable(SLICE_EMPTY));
    assert_false(topic_publishable(SLICE_LITERAL("a/+")));
    assert_false(topic_publishable(SLICE_LITERAL("#")));
    assert_false(topic_publishable(SLICE_LITERAL("a\0b")));
    assert_false(topic_publishable(SLICE_LITERAL("a\xff")));
    uint8_t *big = malloc(TOPIC_MAX_BYTES + 1);
    assert_non_null(big);
    memset(big, 'x', TOPIC_MAX_BYTES + 1);
    assert_true(topic_publishable(slice_make(big, TOPIC_MAX_BYTES)));
    assert_false(topic_publishable(slice_make(big, TOPIC_MAX_BYTES + 1)));
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topic_alone_is_passed_verbatim),
        cmocka_unit_test(test_every_value_finds_its_place),
        cmocka_unit_test(test_values_are_sanitised_and_never_empty),
        cmocka_unit_test(test_templates_that_make_no_topic_are_refused_with_the_reason),
        cmocka_unit_test(test_the_number_of_parts_is_bounded),
        cmocka_unit_test(test_topics_that_mqtt_forbids_are_not_publishable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
