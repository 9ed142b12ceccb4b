#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "config/diff.h"
#include "config/read.h"

static void test_the_defaults_are_those_of_the_design(void **state)
{
    struct fixture *f = *state;
    const struct store_config *c = &f->config;
    assert_int_equal(c->commit.durability, STORE_DURABILITY_POWER);
    assert_true(c->commit.max_delay_us == 0);
    assert_true(c->commit.max_events == 10000);
    assert_true(c->commit.max_bytes == 4 << 20);
    assert_int_equal(c->streams.count, 4);
    const struct store_stream_config *named = store_config_stream(c, "events");
    const struct store_stream_config *unnamed = store_config_stream(c, "whatever");
    assert_string_equal(named->name, "events");
    assert_ptr_not_equal(named, unnamed);
    for (unsigned i = 0; i < 2; i++) {
        const struct store_stream_config *s = i ? unnamed : named;
        assert_true(s->max_bytes == 512 << 20);
        assert_true(s->max_age_us == INT64_C(7) * 86400 * 1000000);
        assert_int_equal(s->when_full, STORE_WHEN_FULL_BLOCK);
    }
}

static void test_events_stays_beside_the_streams_given(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"alerts\": {\"max_bytes\": \"1MiB\", \"max_age\": 0,"
                         " \"when_full\": \"reject\"}}}");
    assert_int_equal(f->config.streams.count, 5);
    assert_true(store_config_stream(&f->config, "$gateway")->max_bytes == 16 << 20);
    assert_true(store_config_stream(&f->config, "events")->max_bytes == 512 << 20);
    const struct store_stream_config *s = store_config_stream(&f->config, "alerts");
    assert_true(s->max_bytes == 1 << 20 && s->max_age_us == 0);
    assert_int_equal(s->when_full, STORE_WHEN_FULL_REJECT);
    fixture_open(f);
    assert_int_equal(store_when_full(f->store, fixture_stream(f, "alerts")),
                     STORE_WHEN_FULL_REJECT);
    assert_int_equal(store_when_full(f->store, fixture_stream(f, "events")), STORE_WHEN_FULL_BLOCK);
}

static void test_bad_settings_are_refused_with_their_place(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"streams\": {\"$mine\": {}}}",
                                      "{\"streams\": {\"a b\": {}}}",
                                      "{\"streams\": {\"\": {}}}",
                                      "{\"streams\": {\"a\": {\"max_bytes\": 1}}}",
                                      "{\"streams\": {\"a\": {\"when_full\": \"drop\"}}}",
                                      "{\"commit\": {\"durability\": \"none\"}}",
                                      "{\"commit\": {\"max_events\": 0}}",
                                      "{\"commit\": {\"max_delay\": \"1h\"}}"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct store_config config;
        struct error error = ERROR_INIT;
        if (config_read_text(&store_section, bad[i], &error, &config) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        if (!error.where[0] || !error.what[0])
            fail_msg("%s: %s: %s (%s)", bad[i], error.where, error.what, error.mend);
    }
}

static void note_change(void *data, const struct config_change *change)
{
    bool *reloadable = data;
    assert_string_equal(change->path, "commit.durability");
    *reloadable = change->reloadable;
}

static void test_only_durability_needs_a_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < store_commit_section.count; i++)
        assert_int_equal(store_commit_section.keys[i].reloadable,
                         strcmp(store_commit_section.keys[i].name, "durability") != 0);
    for (size_t i = 0; i < store_stream_section.count; i++)
        assert_true(store_stream_section.keys[i].reloadable);
    struct store_config before, after;
    assert_int_equal(config_section_init(&store_section, &before), 0);
    assert_int_equal(config_read_text(&store_section, "{\"commit\": {\"durability\": \"process\"}}",
                                      NULL, &after),
                     0);
    bool reloadable = true;
    assert_int_equal(config_diff(&store_section, &before, &after, note_change, &reloadable), 1);
    assert_false(reloadable);
    config_section_deinit(&store_section, &before);
    config_section_deinit(&store_section, &after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_defaults_are_those_of_the_design),
        TEST(test_events_stays_beside_the_streams_given),
        TEST(test_bad_settings_are_refused_with_their_place),
        TEST(test_only_durability_needs_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
