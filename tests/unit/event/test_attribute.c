#include "event/attribute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_attributes_come_back_in_order(void **state)
{
    (void)state;
    struct bytes list = BYTES_INIT(1000);
    const struct attribute in[] = {
        {ATTRIBUTE_USER, SLICE_LITERAL("a"), SLICE_LITERAL("1")},
        {ATTRIBUTE_USER, SLICE_LITERAL("a"), SLICE_LITERAL("2")}, /* names may repeat */
        {ATTRIBUTE_RESPONSE_TOPIC, SLICE_EMPTY, SLICE_LITERAL("reply/here")},
        {ATTRIBUTE_CORRELATION_DATA, SLICE_EMPTY, slice_make("\0\xff", 2)},
        {ATTRIBUTE_EXTENSION, SLICE_LITERAL("unit"), SLICE_EMPTY},
    };
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        assert_int_equal(attribute_append(&list, &in[i]), 0);
    struct slice rest = bytes_slice(&list);
    assert_true(attribute_list_valid(rest));
    for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
        struct attribute out;
        assert_int_equal(attribute_next(&rest, &out), 0);
        assert_int_equal(out.kind, in[i].kind);
        assert_true(slice_equal(out.name, in[i].name));
        assert_true(slice_equal(out.value, in[i].value));
    }
    struct attribute none;
    assert_int_equal(attribute_next(&rest, &none), ATTRIBUTE_END);
    bytes_deinit(&list);
}

static void test_a_list_cut_anywhere_is_recognised(void **state)
{
    (void)state;
    struct bytes list = BYTES_INIT(1000);
    const struct attribute a = {ATTRIBUTE_USER, SLICE_LITERAL("name"), SLICE_LITERAL("value")};
    assert_int_equal(attribute_append(&list, &a), 0);
    for (size_t n = 1; n < list.len; n++)
        assert_false(attribute_list_valid(slice_make(list.data, n)));
    list.data[0] = 99;
    assert_false(attribute_list_valid(bytes_slice(&list)));
    bytes_deinit(&list);
}

static void test_a_full_list_takes_nothing(void **state)
{
    (void)state;
    struct bytes list = BYTES_INIT(12);
    const struct attribute a = {ATTRIBUTE_USER, SLICE_LITERAL("n"), SLICE_LITERAL("v")};
    assert_int_equal(attribute_append(&list, &a), 0);
    assert_int_equal(attribute_append(&list, &a), BYTES_FULL);
    assert_int_equal(list.len, 7);
    bytes_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_come_back_in_order),
        cmocka_unit_test(test_a_list_cut_anywhere_is_recognised),
        cmocka_unit_test(test_a_full_list_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
