#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "store/forget.h"

static void make(struct fixture *f)
{
    fixture_open(f);
    static const char *const streams[] = {"events", "other"};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t stream = fixture_stream(f, streams[i]);
        fixture_fill(f, stream, 0, 100, 20);
        struct store_range_spec spec = {
            .consumer = "gone", .stream = stream, .end_offset = STORE_RANGE_OPEN};
        int64_t id;
        assert_int_equal(store_range_add(f->store, &spec, &id), 0);
        assert_int_equal(store_range_split(f->store, "gone", stream, 50, &id), 0);
        spec.consumer = "here";
        spec.next_offset = 80;
        assert_int_equal(store_range_add(f->store, &spec, &id), 0);
    }
}

static int64_t ranges(const char *path, const char *where)
{
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"range\" WHERE %s", where);
    return fixture_sql(path, sql);
}

static void test_the_ranges_of_a_consumer_go_and_no_others(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    char path[160], epoch[STORE_EPOCH_BYTES];
    unsigned count = 77;
    make(f);
    snprintf(path, sizeof(path), "%s", store_path(f->store));
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    fixture_close(f);
    assert_int_equal(store_forget(path, "nobody", NULL, &error, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_forget(path, "gone", "other", &error, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(ranges(path, "consumer = 'gone'"), 2);
    assert_int_equal(store_forget(path, "gone", NULL, &error, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(ranges(path, "consumer = 'gone'"), 0);
    assert_int_equal(ranges(path, "consumer = 'here'"), 2);
    fixture_open(f);
    assert_string_equal(store_epoch(f->store), epoch);
    fixture_expect(f, fixture_stream(f, "events"), 0, 0, 100);
}

static void test_a_store_that_was_killed_keeps_what_its_log_holds(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    char path[160];
    unsigned count = 0;
    make(f);
    fixture_crash(f, "crashed");
    snprintf(path, sizeof(path), "%s/sluice.db", f->data_dir);
    assert_int_equal(store_forget(path, "gone", NULL, &error, &count), 0);
    assert_int_equal(count, 4);
    fixture_open(f);
    fixture_expect(f, fixture_stream(f, "events"), 0, 0, 100);
    assert_int_equal(ranges(path, "1"), 2);
}

static void test_what_is_no_store_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    char path[160];
    unsigned count = 77;
    snprintf(path, sizeof(path), "%s/none.db", f->base);
    assert_int_not_equal(store_forget(path, "gone", NULL, &error, &count), 0);
    assert_true(error.what[0] != '\0');
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 1000; i++)
        fputs("no database ", file);
    fclose(file);
    assert_int_equal(store_forget(path, "gone", NULL, &error, &count), STORE_FOREIGN);
    assert_int_equal(count, 77);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_ranges_of_a_consumer_go_and_no_others),
        TEST(test_a_store_that_was_killed_keeps_what_its_log_holds),
        TEST(test_what_is_no_store_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
