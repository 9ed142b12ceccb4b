#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_append_keeps_what_was_there(void **state)
{
    (void)state;
    struct bytes b = BYTES_INIT(1000);
    assert_int_equal(bytes_append(&b, "abc", 3), 0);
    assert_int_equal(bytes_append_format(&b, "%d-%s", 7, "x"), 0);
    assert_int_equal(bytes_append_u8(&b, '!'), 0);
    assert_true(slice_equal_string(bytes_slice(&b), "abc7-x!"));
    bytes_consume(&b, 3);
    assert_true(slice_equal_string(bytes_slice(&b), "7-x!"));
    bytes_deinit(&b);
    assert_null(b.data);
}

static void test_nothing_is_appended_beyond_the_maximum(void **state)
{
    (void)state;
    struct bytes b = BYTES_INIT(70);
    char filler[70] = {0};
    assert_int_equal(bytes_append(&b, filler, 69), 0);
    assert_int_equal(bytes_append(&b, filler, 2), BYTES_FULL);
    assert_int_equal(b.len, 69);
    assert_int_equal(bytes_append(&b, filler, 1), 0);
    assert_true(b.cap <= 70);
    bytes_deinit(&b);
}

static void test_a_length_that_would_overflow_is_full(void **state)
{
    (void)state;
    struct bytes b = BYTES_INIT(SIZE_MAX);
    assert_int_equal(bytes_append_u8(&b, 1), 0);
    assert_int_equal(bytes_reserve(&b, SIZE_MAX), BYTES_FULL);
    bytes_deinit(&b);
}

static void test_reset_gives_large_memory_back(void **state)
{
    (void)state;
    struct bytes b = BYTES_INIT(100000);
    assert_int_equal(bytes_reserve(&b, 5000), 0);
    bytes_reset(&b, 100000);
    assert_true(b.cap >= 5000);
    bytes_reset(&b, 100);
    assert_int_equal(b.cap, 0);
}

static void test_slices_compare_by_content(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE_EMPTY, slice_string("")));
    assert_false(slice_equal_string(SLICE_LITERAL("ab"), "abc"));
    char *copy = slice_duplicate(SLICE_LITERAL("ab"));
    assert_string_equal(copy, "ab");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_keeps_what_was_there),
        cmocka_unit_test(test_nothing_is_appended_beyond_the_maximum),
        cmocka_unit_test(test_a_length_that_would_overflow_is_full),
        cmocka_unit_test(test_reset_gives_large_memory_back),
        cmocka_unit_test(test_slices_compare_by_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
