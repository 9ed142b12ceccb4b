#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/id.h"

static void test_id_is_stream_and_offset(void **state)
{
    (void)state;
    char id[ID_TEXT_MAX_BYTES];
    assert_int_equal(id_format("events", 0, id), 8);
    assert_string_equal(id, "events/0");
    id_format("$dlq", UINT64_MAX, id);
    assert_string_equal(id, "$dlq/18446744073709551615");
}

static void test_longest_id_fits(void **state)
{
    (void)state;
    char stream[ID_STREAM_MAX_BYTES + 1], id[ID_TEXT_MAX_BYTES];
    memset(stream, 's', sizeof(stream) - 1);
    stream[sizeof(stream) - 1] = '\0';
    assert_int_equal(id_format(stream, UINT64_MAX, id), ID_TEXT_MAX_BYTES - 1);
    assert_int_equal(strlen(id), ID_TEXT_MAX_BYTES - 1);
}

static void test_what_is_formatted_parses_back(void **state)
{
    (void)state;
    const uint64_t offsets[] = {0, 9, 10, 4711, UINT64_MAX};
    for (unsigned i = 0; i < 5; i++) {
        char id[ID_TEXT_MAX_BYTES];
        size_t len = id_format("a/b/7", offsets[i], id);
        struct slice stream;
        uint64_t offset = 1;
        assert_int_equal(id_parse(slice_make(id, len), &stream, &offset), 0);
        assert_true(slice_equal_string(stream, "a/b/7"));
        assert_true(offset == offsets[i]);
    }
}

static void test_texts_that_are_no_id_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "/",         "events",   "events/",
        "/7",        "events/07", "events/x", "events/18446744073709551616",
        "events/7x", "7"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct slice stream;
        uint64_t offset;
        assert_int_equal(id_parse(slice_string(bad[i]), &stream, &offset), -EINVAL);
    }
}

static void test_order_of_sequences_is_order_of_offsets(void **state)
{
    (void)state;
    const uint64_t offsets[] = {0, 9, 10, 99, 1000000, UINT64_MAX};
    char before[ID_SEQUENCE_BYTES] = "", text[ID_SEQUENCE_BYTES];
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(id_sequence(offsets[i], text), 20);
        assert_true(strcmp(before, text) < 0);
        strcpy(before, text);
    }
    assert_string_equal(text, "18446744073709551615");
    id_sequence(42, text);
    assert_string_equal(text, "00000000000000000042");
}

static void test_source_is_a_uri_reference(void **state)
{
    (void)state;
    char source[ID_SOURCE_MAX_BYTES];
    id_source("plant7-gw1", "00ff00ff00ff00ff", source);
    assert_string_equal(source, "/gateways/plant7-gw1/00ff00ff00ff00ff");
    size_t len = id_source("a b/\xc3\xa9?", "1", source);
    assert_string_equal(source, "/gateways/a%20b%2F%C3%A9%3F/1");
    assert_int_equal(len, strlen(source));
}

static void test_longest_source_fits(void **state)
{
    (void)state;
    char gateway[128], source[ID_SOURCE_MAX_BYTES];
    memset(gateway, ' ', 127);
    gateway[127] = '\0';
    assert_int_equal(id_source(gateway, "0123456789abcdef", source), ID_SOURCE_MAX_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_is_stream_and_offset),
        cmocka_unit_test(test_longest_id_fits),
        cmocka_unit_test(test_what_is_formatted_parses_back),
        cmocka_unit_test(test_texts_that_are_no_id_are_refused),
        cmocka_unit_test(test_order_of_sequences_is_order_of_offsets),
        cmocka_unit_test(test_source_is_a_uri_reference),
        cmocka_unit_test(test_longest_source_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
