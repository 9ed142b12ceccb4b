#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/quantity.h"
#include "cli/table.h"

static char text[4096];

static const char *print(struct table *table)
{
    memset(text, 0, sizeof text);
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    table_print(table, out);
    fclose(out);
    table_deinit(table);
    return text;
}

static void test_columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct table table = TABLE_INIT;
    assert_int_equal(TABLE_ADD(&table, "NAME", ">N", "X"), 0);
    assert_int_equal(TABLE_ADD(&table, "a", "1234", "y"), 0);
    assert_int_equal(TABLE_ADD(&table, "longer", "5", ""), 0);
    assert_string_equal(print(&table), "NAME       N  X\n"
                                       "a       1234  y\n"
                                       "longer     5  \n");
}

static void test_width_counts_code_points(void **state)
{
    (void)state;
    struct table table = TABLE_INIT;
    TABLE_ADD(&table, "N", "M");
    TABLE_ADD(&table, "w\xc3\xa4rme", "x");
    TABLE_ADD(&table, "abcde", "x");
    assert_string_equal(print(&table), "N      M\nw\xc3\xa4rme  x\nabcde  x\n");
}

static void test_a_name_cannot_play_with_the_terminal(void **state)
{
    (void)state;
    struct table table = TABLE_INIT;
    TABLE_ADD(&table, "a\x1b[2J\n\x7f\xc2\x9b\xff"
                      "b");
    assert_string_equal(print(&table), "a?[2J????b\n");
}

static void test_a_cell_ends_between_code_points(void **state)
{
    (void)state;
    char cell[TABLE_CELL_MAX_BYTES * 2];
    memset(cell, 0, sizeof cell);
    strcpy(cell, "a");
    for (int i = 0; i < TABLE_CELL_MAX_BYTES / 2; i++)
        strcat(cell, "\xc3\xa4");
    struct table table = TABLE_INIT;
    TABLE_ADD(&table, cell);
    assert_int_equal(strlen(print(&table)), TABLE_CELL_MAX_BYTES);
    assert_memory_equal(text + TABLE_CELL_MAX_BYTES - 3, "\xc3\xa4\n", 3);
}

static void test_rows_beyond_the_limit_are_counted(void **state)
{
    (void)state;
    struct table table = TABLE_INIT;
    for (int i = 0; i < TABLE_ROWS_MAX + 3; i++)
        assert_int_equal(TABLE_ADD(&table, ""), 0);
    assert_int_equal(table.left_out, 3);
    table_deinit(&table);
}

static void test_bytes_are_read_by_people(void **state)
{
    (void)state;
    char out[QUANTITY_TEXT_MAX];
    assert_string_equal(quantity_bytes(0, out), "0 B");
    assert_string_equal(quantity_bytes(1023, out), "1023 B");
    assert_string_equal(quantity_bytes(1024, out), "1.0 KiB");
    assert_string_equal(quantity_bytes(1048575, out), "1.0 MiB");
    assert_string_equal(quantity_bytes(536870912, out), "512.0 MiB");
    assert_string_equal(quantity_bytes(UINT64_MAX, out), "16.0 EiB");
}

static void test_durations_have_two_units(void **state)
{
    (void)state;
    char out[QUANTITY_TEXT_MAX];
    assert_string_equal(quantity_duration(0, out), "0 s");
    assert_string_equal(quantity_duration(185, out), "3 min 05 s");
    assert_string_equal(quantity_duration(5 * 3600 + 4 * 60 + 59, out), "5 h 04 min");
    assert_string_equal(quantity_duration(12 * 86400 + 3 * 3600, out), "12 d 03 h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(test_width_counts_code_points),
        cmocka_unit_test(test_a_name_cannot_play_with_the_terminal),
        cmocka_unit_test(test_a_cell_ends_between_code_points),
        cmocka_unit_test(test_rows_beyond_the_limit_are_counted),
        cmocka_unit_test(test_bytes_are_read_by_people),
        cmocka_unit_test(test_durations_have_two_units),
    };
    return cmocka_run_group_tests_name("cli/table", tests, NULL, NULL);
}
