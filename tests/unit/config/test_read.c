#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "config/load.h"
#include "config/read.h"
#include "sample.h"

static struct store_config read_ok(const char *text)
{
    struct store_config config;
    struct error error = ERROR_INIT;
    if (config_read_text(&store_section, text, &error, &config))
        fail_msg("%s: %s", error.where, error.what);
    return config;
}

static void test_every_type_is_read_into_its_field(void **state)
{
    struct store_config c = read_ok(
        "{\"path\": \"/x/y.db\", \"id\": \"a\\u00e4\", \"readers\": 64,\n"
        " \"offset\": -9007199254740993, \"verify\": false, \"tags\": [\"a\", \"b\"],\n"
        " \"admin\": \"[::1]:80\", // comments are fine\n"
        " \"base\": {\"max_bytes\": 2097152, \"max_age\": 1500, \"when_full\": \"drop_old\"},\n"
        " \"streams\": {\"raw\": {\"max_bytes\": \"1GiB\"}, \"events\": {}},\n"
        " \"replicas\": [{\"name\": \"e\", \"to\": \"unix:/s\"}, {\"name\": \"w\", \"to\": "
        "\"h:1\"}]}");
    (void)state;
    assert_string_equal(c.path, "/x/y.db");
    assert_string_equal(c.id, "a\xc3\xa4");
    assert_int_equal(c.readers, 64);
    assert_true(c.offset == INT64_C(-9007199254740993)); /* a double could not hold it */
    assert_false(c.verify);
    assert_int_equal(c.tags.count, 2);
    assert_string_equal(c.tags.items[1], "b");
    assert_string_equal(c.admin.host, "::1");
    assert_int_equal(c.base.max_bytes, 2 << 20);
    assert_int_equal(c.base.max_age_us, 1500000);
    assert_int_equal(c.base.when_full, STORE_WHEN_FULL_DROP_OLD);
    assert_int_equal(c.streams.count, 2);
    assert_string_equal(c.streams.items[0].name, "raw");
    assert_int_equal(c.streams.items[0].max_bytes, 1 << 30);
    assert_true(c.streams.items[1].max_age_us == INT64_C(604800000000)); /* given: the key's own */
    assert_int_equal(c.replicas.count, 2);
    assert_string_equal(c.replicas.items[0].to.path, "/s");
    assert_int_equal(c.replicas.items[1].to.port, 1);
    config_section_deinit(&store_section, &c);
}

static void test_the_default_entry_of_a_map_stays_beside_given_ones(void **state)
{
    struct store_config c = read_ok("{\"streams\": {\"raw\": {}}}");
    (void)state;
    assert_int_equal(c.streams.count, 2);
    assert_string_equal(c.streams.items[0].name, "events");
    assert_true(c.streams.items[0].max_age_us == INT64_C(259200000000));
    assert_string_equal(c.streams.items[1].name, "raw");
    config_section_deinit(&store_section, &c);
}

static void test_one_string_is_a_list_of_one_and_null_is_not_set(void **state)
{
    struct store_config c = read_ok("{\"tags\": \"x\", \"id\": null, \"admin\": null}");
    (void)state;
    assert_int_equal(c.tags.count, 1);
    assert_string_equal(c.tags.items[0], "x");
    assert_null(c.id);
    config_section_deinit(&store_section, &c);
}

struct refusal {
    const char *text, *where, *what, *mend;
};

static const struct refusal refusals[] = {
    {"{\n \"streams\": {\"events\": {\n  \"max_byte\": 1}}}", "text:3:3",
     "unknown key \"max_byte\" in streams.events", "did you mean \"max_bytes\"?"},
    {"{\"base\": {\"colour\": 1}}", "text:1:11", "unknown key \"colour\" in base",
     "the keys here are: max_bytes, max_age, when_full"},
    {"{\"reader\": 1}", "text:1:2", "unknown key \"reader\" in the configuration",
     "did you mean \"readers\"?"},
    {"{\"readers\": 99}", "text:1:13", "readers is 99, out of bounds (1 to 64 connections)",
     "allowed: 1 to 64 connections"},
    {"{\"readers\": 0}", "text:1:13", "readers is 0, out of bounds (1 to 64 connections)",
     "allowed: 1 to 64 connections"},
    {"{\"readers\": 1.5}", "text:1:13", "readers must be a whole number, not 1.5", ""},
    {"{\"readers\": \"4\"}", "text:1:13", "readers must be a whole number, not a string", ""},
    {"{\"offset\": 9223372036854775808}", "text:1:12",
     "offset is 9223372036854775808, out of bounds", ""},
    {"{\"base\": {\"max_bytes\": \"1KiB\"}}", "text:1:24",
     "base.max_bytes is \"1KiB\", out of bounds (1MiB to 1PiB)", "allowed: 1MiB to 1PiB"},
    {"{\"base\": {\"max_bytes\": \"5 apples\"}}", "text:1:24",
     "base.max_bytes must be a size such as \"512MiB\" or \"1MB\", or a number of bytes, not "
     "\"5 apples\"",
     ""},
    {"{\"base\": {\"max_age\": true}}", "text:1:22",
     "base.max_age must be a duration such as \"100ms\", \"1h30m\" or \"7d\", or a number of "
     "milliseconds, not true or false",
     ""},
    {"{\"base\": {\"when_full\": \"blok\"}}", "text:1:24",
     "base.when_full must be one of \"block\", \"drop_old\", not \"blok\"",
     "did you mean \"block\"?"},
    {"{\"verify\": 1}", "text:1:12", "verify must be true or false, not a number", ""},
    {"{\"id\": \"0123456789abcdefg\"}", "text:1:8", "id has 17 bytes, allowed are 0 to 16", ""},
    {"{\"admin\": \"nowhere\"}", "text:1:11",
     "admin must be an address such as \"127.0.0.1:1883\", \"[::1]:1883\" or "
     "\"unix:/run/x.sock\", not \"nowhere\"",
     ""},
    {"{\"path\": \"\"}", "text:1:10", "path is an empty path", ""},
    {"{\"tags\": [\"a\", 1]}", "text:1:16", "tags[1] must be a string, not a number", ""},
    {"{\"tags\": [\"a\",\"b\",\"c\",\"d\",\"e\"]}", "text:1:10",
     "tags has 5 entries, allowed are 0 to 4", ""},
    {"{\"base\": []}", "text:1:10", "base must be an object, not an array", ""},
    {"{\"streams\": []}", "text:1:13", "streams must be an object of objects, not an array", ""},
    {"{\"streams\": {\"a\": 1}}", "text:1:19", "streams.a must be an object, not a number", ""},
    {"{\"streams\": {\"\": {}}}", "text:1:18", "a name in streams must have 1 to 128 bytes, not 0",
     ""},
    {"{\"replicas\": {}}", "text:1:14", "replicas must be an array of objects, not an object", ""},
    {"{\"replicas\": [{\"name\": \"a\"}]}", "text:1:15", "replicas[0] lacks the key \"to\"",
     "Where it listens."},
    {"{\"replicas\": [{\"name\": null, \"to\": \"h:1\"}]}", "text:1:24",
     "replicas[0].name must be a string, not null", ""},
    {"{\"replicas\": [{\"name\": \"a\", \"to\": \"h:1\"},\n {\"name\": \"a\", \"to\": \"h:2\"}]}",
     "text:2:2", "replicas[1] has the name \"a\" of replicas[0] at text:1:15",
     "give each its own name"},
    {"{\"streams\": {\"a\": {\"when_full\": \"drop_old\", \"max_bytes\": \"1MiB\"}}}", "text:1:19",
     "streams.a: drop_old needs max_bytes of 2MiB", "enlarge it"},
    {"[]", "text:1:1", "the configuration must be an object, not an array", "write { … }"},
    {"{\"a\": 1,}", "text:1:8", "a comma before '}'", "remove the comma"}};

static void test_every_refusal_names_place_problem_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct error error = ERROR_INIT;
        struct store_config config;
        memset(&config, 0x55, sizeof config);
        assert_int_equal(config_read_text(&store_section, refusals[i].text, &error, &config),
                         -EINVAL);
        assert_string_equal(error.what, refusals[i].what);
        assert_string_equal(error.where, refusals[i].where);
        assert_string_equal(error.mend, refusals[i].mend);
        assert_int_equal(*(unsigned char *)&config, 0x55); /* untouched */
        assert_int_equal(config_read_text(&store_section, refusals[i].text, NULL, &config),
                         -EINVAL);
    }
}

static void test_a_substituted_string_is_read_as_number_or_bool_and_not_shown(void **state)
{
    struct error error = ERROR_INIT;
    struct store_config config;
    (void)state;
    setenv("SLUICE_TEST_NUMBER", "12", 1);
    setenv("SLUICE_TEST_BOOL", "false", 1);
    config = read_ok("{\"readers\": \"${env:SLUICE_TEST_NUMBER}\", "
                     "\"verify\": \"${env:SLUICE_TEST_BOOL}\"}");
    assert_int_equal(config.readers, 12);
    assert_false(config.verify);
    config_section_deinit(&store_section, &config);
    setenv("SLUICE_TEST_NUMBER", "hush", 1);
    assert_int_equal(config_read_text(&store_section,
                                      "{\"readers\": \"${env:SLUICE_TEST_NUMBER}\"}", &error,
                                      &config),
                     -EINVAL);
    assert_string_equal(error.what, "readers must be a whole number, not what was substituted");
}

static void test_a_relative_path_and_its_default_belong_to_the_file(void **state)
{
    struct config_document *doc = NULL;
    struct store_config config;
    (void)state;
    assert_int_equal(config_load_text(slice_string("{\"admin\": \"unix:a.sock\"}"),
                                      "/etc/sluice/sluice.json", NULL, &doc),
                     0);
    assert_int_equal(config_read(doc, &store_section, NULL, &config), 0);
    assert_string_equal(config.path, "/etc/sluice/store.db");
    assert_string_equal(config.admin.path, "/etc/sluice/a.sock");
    config_section_deinit(&store_section, &config);
    config_document_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_is_read_into_its_field),
        cmocka_unit_test(test_the_default_entry_of_a_map_stays_beside_given_ones),
        cmocka_unit_test(test_one_string_is_a_list_of_one_and_null_is_not_set),
        cmocka_unit_test(test_every_refusal_names_place_problem_and_remedy),
        cmocka_unit_test(test_a_substituted_string_is_read_as_number_or_bool_and_not_shown),
        cmocka_unit_test(test_a_relative_path_and_its_default_belong_to_the_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
