#include "fixture.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/metrics.h"
#include "hold_vfs.h"

enum { STEPS_MAX = 10000 };

static const char small[] =
    "{\"streams\": {\"events\": {\"max_bytes\": \"256KiB\", \"max_age\": 0}}}";

/* Maintains until there is nothing more to do. */
static void maintain(struct fixture *f)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_in_range(i, 0, STEPS_MAX);
        assert_int_equal(store_maintain(f->store, &more), 0);
    }
}

static struct store_stream_info info(struct fixture *f, const char *name)
{
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, name, &info), 0);
    store_reader_close(reader);
    return info;
}

static struct range_feed *attach(struct fixture *f)
{
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("up", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static void detach(struct fixture *f, struct range_feed *feed)
{
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_without_a_consumer_the_oldest_go(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 100; i++) {
        fixture_fill(f, stream, 5 * i, 5, 2000);
        maintain(f);
        assert_true(info(f, "events").stored_bytes <= 256 * 1024);
    }
    struct store_stream_info i = info(f, "events");
    assert_int_equal(i.next_offset, 500);
    assert_in_range(i.first_offset, 360, 400);
    assert_true(i.stored_bytes > 240 * 1024);
    fixture_expect(f, stream, i.first_offset, (unsigned)i.first_offset,
                   500 - (unsigned)i.first_offset);
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    assert_int_equal(metric_get(set, METRIC_STREAM_FIRST_OFFSET), i.first_offset);
    assert_int_equal(metric_get(set, METRIC_STREAM_BYTES), i.stored_bytes);
}

static void test_what_is_not_sent_stays_and_the_stream_becomes_full(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    unsigned n = 0;
    uint64_t offset;
    int r;
    while (!(r = fixture_try_append(f, stream, n, 2000, &offset))) {
        assert_int_equal(offset, n);
        n++;
        if (n % 10 == 0) {
            assert_int_equal(store_commit(f->store), 0);
            maintain(f);
        }
        assert_in_range(n, 0, 1000);
    }
    assert_int_equal(r, STORE_FULL);
    assert_in_range(n, 115, 131);
    assert_int_equal(metric_get(set, METRIC_STREAM_FULL), 1);
    assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    fixture_expect(f, stream, 0, 0, n);
    assert_int_equal(fixture_try_append(f, stream, n, 2000, &offset), STORE_FULL);
    /* Once something was acknowledged there is room, before any eviction. */
    store_move_cursor(f->store, feed, 0, 50);
    assert_int_equal(fixture_try_append(f, stream, n, 2000, &offset), 0);
    assert_int_equal(offset, n);
    assert_int_equal(metric_get(set, METRIC_STREAM_FULL), 0);
    assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    struct store_stream_info i = info(f, "events");
    assert_in_range(i.first_offset, 1, 50);
    fixture_expect(f, stream, 50, 50, n + 1 - 50);
    detach(f, feed);
}

static void test_acknowledged_events_go_only_after_the_cursor_is_on_disk(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    for (unsigned i = 0; i < 12; i++)
        fixture_fill(f, stream, 10 * i, 10, 2000);
    store_move_cursor(f->store, feed, 0, 100);
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\", \"max_age\": 0}}}");
    maintain(f);
    assert_int_equal(info(f, "events").first_offset, 0);
    assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    assert_int_equal(info(f, "events").first_offset, 90); /* one batch fewer than sent would do */
    detach(f, feed);
}

static void test_the_cursor_of_an_absent_consumer_holds_events(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    detach(f, attach(f));
    uint64_t offset;
    unsigned n = 0;
    for (; !fixture_try_append(f, stream, n, 2000, &offset); n++)
        assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    fixture_close(f);
    fixture_open(f);
    maintain(f);
    fixture_expect(f, stream, 0, 0, n);
    assert_int_equal(fixture_try_append(f, stream, n, 2000, &offset), STORE_FULL);
}

static void test_an_event_that_can_never_fit_is_too_large(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint64_t offset = 12345;
    assert_int_equal(fixture_try_append(f, fixture_stream(f, "events"), 0, 256 * 1024, &offset),
                     STORE_TOO_LARGE);
    assert_int_equal(offset, 12345);
    assert_int_equal(store_open_events(f->store), 0);
    assert_int_equal(store_when_full(f->store, fixture_stream(f, "events")), STORE_WHEN_FULL_BLOCK);
}

static void test_offsets_go_on_after_everything_was_evicted(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_age\": \"2h\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 50, 200);
    uint64_t bytes = info(f, "events").end_bytes;
    f->now_us += INT64_C(120) * 1000000;
    maintain(f); /* a mark */
    f->now_us += INT64_C(2) * 3600 * 1000000;
    maintain(f);
    struct store_stream_info i = info(f, "events");
    assert_int_equal(i.first_offset, 50);
    assert_int_equal(i.next_offset, 50);
    assert_int_equal(i.stored_bytes, 0);
    assert_int_equal(i.end_bytes, bytes);
    fixture_crash(f, "crashed");
    fixture_open(f);
    assert_int_equal(fixture_append(f, stream, 50, 200), 50);
    assert_int_equal(store_commit(f->store), 0);
    fixture_expect(f, stream, 50, 50, 1);
    assert_true(info(f, "events").end_bytes > bytes);
}

static void test_age_is_running_time_over_several_runs(void **state)
{
    struct fixture *f = *state;
    const int64_t hour_us = INT64_C(3600) * 1000000;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_age\": \"3h\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 200);
    f->now_us += hour_us;
    maintain(f);
    fixture_fill(f, stream, 10, 10, 200);
    f->now_us += hour_us;
    maintain(f);
    fixture_close(f);
    f->now_us = 5000000; /* the machine was started again: boot time begins anew */
    fixture_open(f);
    f->now_us += hour_us / 2;
    maintain(f);
    assert_int_equal(info(f, "events").first_offset, 0);
    f->now_us += 2 * hour_us;
    maintain(f); /* 4.5 h have run; marks stand at 1 h and 2 h */
    assert_int_equal(info(f, "events").first_offset, 10);
    f->now_us += hour_us;
    maintain(f);
    assert_int_equal(info(f, "events").first_offset, 20);
}

static void test_marks_stay_few_while_nothing_may_go(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_age\": \"1h\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    for (unsigned i = 0; i < 200; i++) {
        fixture_fill(f, stream, i, 1, 20);
        f->now_us += INT64_C(120) * 1000000;
        maintain(f);
    }
    fixture_expect(f, stream, 0, 0, 200);
    assert_in_range(fixture_sql(store_path(f->store), "SELECT count(*) FROM mark"), 25, 40);
    /* Once they are acknowledged all goes that is older than an hour. */
    store_move_cursor(f->store, feed, 0, 200);
    assert_int_equal(store_commit(f->store), 0);
    f->now_us += INT64_C(10) * 1000000;
    maintain(f);
    assert_in_range(info(f, "events").first_offset, 165, 172);
    detach(f, feed);
}

static void test_the_log_does_not_grow_and_freed_space_goes_back(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"16MiB\", \"max_age\": 0}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    uint64_t checkpoints = metric_get(metric_process(), METRIC_CHECKPOINTS);
    char wal[160];
    snprintf(wal, sizeof(wal), "%s-wal", store_path(f->store));
    struct stat st;
    for (unsigned i = 0; i < 40; i++) {
        bool more;
        fixture_fill(f, stream, i, 1, 500 * 1024);
        assert_int_equal(store_maintain(f->store, &more), 0);
        assert_int_equal(stat(wal, &st), 0);
        assert_in_range(st.st_size, 0, 6 << 20);
    }
    assert_in_range(metric_get(metric_process(), METRIC_CHECKPOINTS) - checkpoints, 3, 8);
    maintain(f);
    int64_t pages = fixture_sql(store_path(f->store), "PRAGMA page_count");
    assert_in_range(pages, 15000, 24000);
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"1MiB\", \"max_age\": 0}}}");
    maintain(f);
    assert_in_range(fixture_sql(store_path(f->store), "PRAGMA page_count"), 500, 2500);
    fixture_expect(f, stream, 39, 39, 1);
    assert_int_equal(fixture_sql(store_path(f->store), "SELECT count(*) FROM pragma_integrity_check"
                                                       " WHERE integrity_check <> 'ok'"),
                     0);
}

static void test_an_eviction_is_not_synced_but_the_next_commit_is(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 14; i++)
        fixture_fill(f, stream, 10 * i, 10, 2000);
    unsigned long syncs = hold_vfs_syncs();
    maintain(f);
    assert_true(info(f, "events").first_offset > 0);
    assert_int_equal(hold_vfs_syncs(), syncs);
    fixture_fill(f, stream, 140, 10, 100);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_consumer_the_oldest_go),
        TEST(test_what_is_not_sent_stays_and_the_stream_becomes_full),
        TEST(test_acknowledged_events_go_only_after_the_cursor_is_on_disk),
        TEST(test_the_cursor_of_an_absent_consumer_holds_events),
        TEST(test_an_event_that_can_never_fit_is_too_large),
        TEST(test_offsets_go_on_after_everything_was_evicted),
        TEST(test_age_is_running_time_over_several_runs),
        TEST(test_marks_stay_few_while_nothing_may_go),
        TEST(test_the_log_does_not_grow_and_freed_space_goes_back),
        TEST(test_an_eviction_is_not_synced_but_the_next_commit_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
