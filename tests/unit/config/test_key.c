#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "sample.h"

static void test_defaults_fill_every_field(void **state)
{
    struct store_config config;
    (void)state;
    assert_int_equal(config_section_init(&store_section, &config), 0);
    assert_string_equal(config.path, "store.db");
    assert_null(config.id);
    assert_int_equal(config.readers, 4);
    assert_true(config.verify);
    assert_int_equal(config.tags.count, 1);
    assert_string_equal(config.tags.items[0], "all");
    assert_null(config.admin.host);
    assert_null(config.admin.path);
    assert_int_equal(config.base.max_bytes, 512 << 20);
    assert_true(config.base.max_age_us == INT64_C(604800000000));
    assert_int_equal(config.base.when_full, STORE_WHEN_FULL_BLOCK);
    assert_int_equal(config.streams.count, 1);
    assert_string_equal(config.streams.items[0].name, "events");
    assert_true(config.streams.items[0].max_age_us == INT64_C(259200000000));
    assert_int_equal(config.replicas.count, 0);
    assert_null(config.replicas.items);
    config_section_deinit(&store_section, &config);
}

static void test_deinit_leaves_a_struct_that_can_be_released_again(void **state)
{
    struct store_config config, zero;
    (void)state;
    memset(&zero, 0, sizeof zero);
    assert_int_equal(config_section_init(&store_section, &config), 0);
    config_section_deinit(&store_section, &config);
    config_section_deinit(&store_section, &config);
    assert_memory_equal(&config, &zero, sizeof zero);
}

static void test_each_walks_all_entries(void **state)
{
    struct stream_config items[3] = {{.max_bytes = 1}, {.max_bytes = 2}, {.max_bytes = 4}};
    CONFIG_LIST_OF(struct stream_config) streams = {.items = items, .count = 3};
    int64_t sum = 0;
    (void)state;
    CONFIG_EACH(stream, streams)
    sum += stream->max_bytes;
    assert_int_equal(sum, 7);
}

static void test_a_near_name_is_suggested_and_a_far_one_is_not(void **state)
{
    static const char *const names[] = {"max_bytes", "max_age", "when_full", "id", NULL};
    static const struct {
        const char *mistyped, *expected;
    } rows[] = {{"max_byte", "max_bytes"},
                {"mxa_bytes", "max_bytes"},
                {"maxbytes", "max_bytes"},
                {"max-age", "max_age"},
                {"MAX_AGE", "max_age"},
                {"maxAge", "max_age"},
                {"when_ful", "when_full"},
                {"whenever", NULL},
                {"di", "id"},
                {"xy", NULL},
                {"retention", NULL},
                {"", NULL}};
    char endless[300];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *found = config_suggest(rows[i].mistyped, names);
        if (!found != !rows[i].expected || (found && strcmp(found, rows[i].expected) != 0))
            fail_msg("%s: %s", rows[i].mistyped, found ? found : "nothing");
    }
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(config_suggest(endless, names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_fill_every_field),
        cmocka_unit_test(test_deinit_leaves_a_struct_that_can_be_released_again),
        cmocka_unit_test(test_each_walks_all_entries),
        cmocka_unit_test(test_a_near_name_is_suggested_and_a_far_one_is_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
