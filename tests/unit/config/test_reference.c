#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "config/diff.h"
#include "config/read.h"
#include "config/reference.h"
#include "sample.h"

static char *print_reference(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(config_reference(&store_section, out), 0);
    fclose(out);
    return text;
}

static void test_the_reference_is_valid_and_means_the_defaults(void **state)
{
    char *text = print_reference();
    struct store_config defaults, config;
    struct error error = ERROR_INIT;
    (void)state;
    if (config_read_text(&store_section, text, &error, &config))
        fail_msg("%s: %s\n%s", error.where, error.what, text);
    assert_int_equal(config_read_text(&store_section, "{}", &error, &defaults), 0);
    assert_int_equal(config_diff(&store_section, &defaults, &config, NULL, NULL), 0);
    assert_int_equal(config.streams.count, 1);
    config_section_deinit(&store_section, &config);
    config_section_deinit(&store_section, &defaults);
    free(text);
}

static void check_named(const char *text, const struct config_section *section)
{
    char quoted[64];
    for (size_t i = 0; i < section->count; i++) {
        snprintf(quoted, sizeof quoted, "\"%s\":", section->keys[i].name);
        if (!strstr(text, quoted) || !strstr(text, section->keys[i].help))
            fail_msg("%s is missing", section->keys[i].name);
        if (section->keys[i].section)
            check_named(text, section->keys[i].section);
    }
}

static void test_every_key_is_there_with_help_range_and_names(void **state)
{
    char *text = print_reference();
    (void)state;
    check_named(text, &store_section);
    assert_non_null(strstr(text, "    // Read-only connections. Whole number, 1 to 64 connections. "
                                 "A change needs a restart.\n    \"readers\": 4,\n"));
    assert_non_null(strstr(text, "Size, 1MiB to 1PiB.\n"));
    assert_non_null(strstr(text, "One of \"block\", \"drop_old\".\n"));
    assert_non_null(strstr(text, "        \"events\": {\n"));
    assert_non_null(strstr(text, "            \"max_age\": \"3d\",\n")); /* the entry's own */
    assert_non_null(strstr(text, "    //     \"to\": \"10.0.0.2:7000\"\n    // }\n"
                                 "    \"replicas\": []\n"));
    free(text);
}

static void test_no_line_is_longer_than_a_hundred_characters(void **state)
{
    char *text = print_reference();
    (void)state;
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 100);
    free(text);
}

static void test_a_full_disk_is_reported(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(full);
    assert_true(config_reference(&store_section, full) < 0);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_reference_is_valid_and_means_the_defaults),
        cmocka_unit_test(test_every_key_is_there_with_help_range_and_names),
        cmocka_unit_test(test_no_line_is_longer_than_a_hundred_characters),
        cmocka_unit_test(test_a_full_disk_is_reported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
