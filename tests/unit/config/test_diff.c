#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "config/diff.h"
#include "config/read.h"
#include "sample.h"

/* Changes as text: "=path", "+path", "-path", with "!" behind those that need a restart. */
struct record {
    char text[512];
    size_t count;
};

static void note(void *data, const struct config_change *change)
{
    struct record *record = data;
    size_t len = strlen(record->text);
    snprintf(record->text + len, sizeof record->text - len, "%s%c%s%s", len ? " " : "",
             "=+-"[change->kind], change -> path, change -> reloadable ? "" : "!");
    record->count++;
}

static void expect(const char *before, const char *after, const char *changes)
{
    struct store_config a, b;
    struct record record = {.text = ""};
    struct error error = ERROR_INIT;
    if (config_read_text(&store_section, before, &error, &a) ||
        config_read_text(&store_section, after, &error, &b))
        fail_msg("%s", error.what);
    size_t changes_count = config_diff(&store_section, &a, &b, note, &record);
    assert_int_equal(changes_count, record.count);
    assert_int_equal(config_diff(&store_section, &a, &b, NULL, NULL), record.count);
    assert_string_equal(record.text, changes);
    config_section_deinit(&store_section, &a);
    config_section_deinit(&store_section, &b);
}

static void test_equal_values_differ_nowhere_however_they_are_written(void **state)
{
    (void)state;
    expect("{}", "{}", "");
    expect("{\"base\": {\"max_bytes\": \"2MiB\", \"max_age\": \"1s\"}, \"tags\": \"all\"}",
           "{\"tags\": [\"all\"], \"readers\": 4,\n"
           " \"base\": {\"max_age\": 1000, \"max_bytes\": 2097152}}",
           "");
}

static void test_every_scalar_type_is_compared(void **state)
{
    (void)state;
    expect(
        "{}",
        "{\"path\": \"/p\", \"id\": \"x\", \"readers\": 5, \"verify\": false,\n"
        " \"tags\": [\"all\", \"b\"], \"admin\": \"h:1\",\n"
        " \"base\": {\"max_bytes\": \"4MiB\", \"max_age\": \"1s\", \"when_full\": \"drop_old\"}}",
        "=path! =id! =readers! =verify! =tags! =admin! =base.max_bytes =base.max_age "
        "=base.when_full");
    expect("{\"admin\": \"h:1\", \"tags\": [\"a\"]}", "{\"admin\": \"h:2\", \"tags\": [\"b\"]}",
           "=tags! =admin!");
}

static void test_maps_are_matched_by_key(void **state)
{
    (void)state;
    expect("{\"streams\": {\"a\": {}, \"b\": {}}}",
           "{\"streams\": {\"c\": {}, \"b\": {\"max_age\": \"1h\"}}}",
           "-streams.a =streams.b.max_age +streams.c");
    expect("{\"streams\": {\"a\": {}, \"b\": {}}}", "{\"streams\": {\"b\": {}, \"a\": {}}}", "");
}

static void test_lists_are_matched_by_name_and_their_order_counts(void **state)
{
    (void)state;
    expect(
        "{\"replicas\": [{\"name\": \"a\", \"to\": \"h:1\"}, {\"name\": \"b\", \"to\": \"h:2\"}]}",
        "{\"replicas\": [{\"name\": \"c\", \"to\": \"h:3\"}, {\"name\": \"b\", \"to\": \"h:9\"}]}",
        "-replicas[a]! =replicas[b].to! +replicas[c]!");
    expect(
        "{\"replicas\": [{\"name\": \"a\", \"to\": \"h:1\"}, {\"name\": \"b\", \"to\": \"h:2\"}]}",
        "{\"replicas\": [{\"name\": \"b\", \"to\": \"h:2\"}, {\"name\": \"a\", \"to\": \"h:1\"}]}",
        "=replicas!");
}

static void test_lists_without_names_are_matched_by_position(void **state)
{
    static const struct config_key item_keys[] = {
        {"n", CONFIG_FIELD(INT, struct stream_config, max_bytes), .default_text = "0"}};
    static const struct config_section item = {"item", CONFIG_KEYS(item_keys),
                                               .size = sizeof(struct stream_config)};
    struct holder {
        CONFIG_LIST_OF(struct stream_config) items;
    };
    static const struct config_key keys[] = {
        {"items", CONFIG_FIELD(LIST, struct holder, items), .section = &item, .reloadable = true}};
    static const struct config_section section = {"holder", CONFIG_KEYS(keys),
                                                  .size = sizeof(struct holder)};
    struct holder a, b;
    struct record record = {.text = ""};
    (void)state;
    assert_int_equal(config_read_text(&section, "{\"items\": [{\"n\": 1}, {\"n\": 2}]}", NULL, &a),
                     0);
    assert_int_equal(config_read_text(&section, "{\"items\": [{\"n\": 3}]}", NULL, &b), 0);
    assert_int_equal(config_diff(&section, &a, &b, note, &record), 2);
    assert_string_equal(record.text, "=items[0].n! -items[1]");
    config_section_deinit(&section, &a);
    config_section_deinit(&section, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_values_differ_nowhere_however_they_are_written),
        cmocka_unit_test(test_every_scalar_type_is_compared),
        cmocka_unit_test(test_maps_are_matched_by_key),
        cmocka_unit_test(test_lists_are_matched_by_name_and_their_order_counts),
        cmocka_unit_test(test_lists_without_names_are_matched_by_position)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
