#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "hold_vfs.h"

enum { DEADLINE_MS = 10000 };

static void test_nothing_is_visible_before_the_commit(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    assert_int_equal(fixture_append(f, stream, 1, 100), 0);
    assert_int_equal(fixture_append(f, stream, 2, 100), 1);
    assert_int_equal(store_open_events(f->store), 2);
    assert_true(store_open_bytes(f->store) > 200);
    fixture_expect(f, stream, 0, 1, 0);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(store_open_events(f->store), 0);
    assert_int_equal(store_open_bytes(f->store), 0);
    fixture_expect(f, stream, 0, 1, 2);
}

static void test_a_commit_of_nothing_does_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    unsigned long syncs = hold_vfs_syncs();
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(hold_vfs_syncs(), syncs);
}

static void fails_then_succeeds(struct fixture *f, int code, int result)
{
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events"), other = fixture_stream(f, "other");
    fixture_fill(f, stream, 0, 3, 100);
    uint64_t failures = metric_get(metric_process(), METRIC_COMMIT_FAILURES);
    hold_vfs_fail(code);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fixture_append(f, stream, 3 + i, 100), 3 + i);
        assert_int_equal(fixture_append(f, other, i, 3000), i);
        assert_int_equal(store_commit(f->store), result);
        assert_int_equal(store_open_events(f->store), 2 * (i + 1));
        assert_null(store_committed_next(f->store));
    }
    assert_int_equal(metric_get(metric_process(), METRIC_COMMIT_FAILURES), failures + 3);
    hold_vfs_fail(SQLITE_OK);
    fixture_expect(f, stream, 0, 0, 3);
    assert_int_equal(store_commit(f->store), 0);
    fixture_expect(f, stream, 0, 0, 6);
    fixture_expect(f, other, 0, 0, 3);
    /* And so it is on disk: a crash right after finds the same. */
    fixture_crash(f, "crashed");
    fixture_open(f);
    fixture_expect(f, stream, 0, 0, 6);
    fixture_expect(f, other, 0, 0, 3);
    assert_int_equal(fixture_append(f, stream, 6, 10), 6);
}

static void test_a_full_disk_loses_nothing(void **state)
{
    fails_then_succeeds(*state, SQLITE_FULL, -ENOSPC);
}

static void test_a_failing_sync_loses_nothing(void **state)
{
    fails_then_succeeds(*state, SQLITE_IOERR_FSYNC, -EIO);
}

struct committer {
    struct fixture *f;
    atomic_bool done;
};

static void *commit_thread(void *data)
{
    struct committer *c = data;
    assert_int_equal(store_commit(c->f->store), 0);
    atomic_store(&c->done, true);
    return NULL;
}

static void test_a_commit_returns_only_after_its_sync(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_append(f, stream, 0, 100);
    struct committer c = {.f = f};
    unsigned long syncs = hold_vfs_syncs();
    hold_vfs_hold();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, commit_thread, &c), 0);
    assert_true(hold_vfs_wait(1, DEADLINE_MS));
    assert_int_equal(hold_vfs_waiting(), 1);
    assert_false(atomic_load(&c.done));
    assert_int_equal(hold_vfs_syncs(), syncs);
    hold_vfs_release();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(atomic_load(&c.done));
    assert_true(hold_vfs_syncs() > syncs);
    fixture_expect(f, stream, 0, 0, 1);
}

static void test_one_commit_is_one_sync_and_one_row_per_stream(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t a = fixture_stream(f, "events"), b = fixture_stream(f, "b");
    fixture_fill(f, a, 0, 1, 100); /* the first one also syncs the new log's header */
    unsigned long syncs = hold_vfs_syncs();
    for (unsigned i = 0; i < 500; i++) {
        fixture_append(f, a, 1 + i, 200);
        fixture_append(f, b, i, 200);
    }
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    assert_int_equal(fixture_sql(store_path(f->store), "SELECT count(*) FROM batch"), 3);
    fixture_expect(f, a, 0, 0, 501);
    fixture_expect(f, b, 0, 0, 500);
}

static void test_a_large_batch_is_cut_into_rows(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 30; i++)
        fixture_append(f, stream, i, i == 20 ? 3 << 20 : 100 << 10);
    assert_int_equal(store_commit(f->store), 0);
    int64_t rows = fixture_sql(store_path(f->store), "SELECT count(*) FROM batch");
    assert_in_range(rows, 4, 6);
    assert_int_equal(fixture_sql(store_path(f->store),
                                 "SELECT count(*) FROM batch WHERE n > 1 AND raw_bytes > 1048576"),
                     0);
    fixture_expect(f, stream, 0, 0, 30);
    fixture_expect(f, stream, 20, 20, 10);
}

static void test_what_compresses_is_compressed_and_what_does_not_is_not(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 1, 5000); /* noise */
    static char text[5000];
    memset(text, 'a', sizeof(text));
    const struct event event = {.topic = SLICE_LITERAL("t"),
                                .device = SLICE_LITERAL("d"),
                                .type = SLICE_LITERAL("x"),
                                .payload = {(const uint8_t *)text, sizeof(text)},
                                .time_us = EVENT_NO_TIME};
    uint64_t offset;
    assert_int_equal(store_append(f->store, stream, &event, &offset), 0);
    assert_int_equal(store_commit(f->store), 0);
    const char *path = store_path(f->store);
    assert_int_equal(fixture_sql(path, "SELECT codec + 10 FROM batch ORDER BY key"), 10);
    int64_t codec = fixture_sql(path, "SELECT codec + 10 FROM batch ORDER BY key DESC") - 10;
    int64_t stored = fixture_sql(path, "SELECT length(data) FROM batch ORDER BY key DESC");
    if (codec)
        assert_in_range(stored, 1, 500);
    else
        assert_true(stored > 5000); /* a build without zstd */
}

static void test_a_killed_process_keeps_what_was_committed_and_offsets_go_on(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    char epoch[32];
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    for (unsigned i = 0; i < 20; i++)
        fixture_fill(f, stream, 5 * i, 5, 300);
    fixture_append(f, stream, 1000, 10); /* never committed */
    fixture_crash(f, "killed");
    fixture_open(f);
    assert_int_equal(fixture_stream(f, "events"), stream);
    fixture_expect(f, stream, 0, 0, 100);
    assert_string_equal(store_epoch(f->store), epoch);
    assert_int_equal(fixture_append(f, stream, 100, 10), 100);
    assert_int_equal(store_commit(f->store), 0);
    fixture_expect(f, stream, 0, 0, 101);
}

static void test_segments_are_made_only_for_those_who_take_them(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 100);
    assert_null(store_committed_next(f->store));
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("up", RANGE_START_NEWEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    fixture_fill(f, stream, 10, 10, 100);
    struct segment *segment = store_committed_next(f->store);
    assert_non_null(segment);
    assert_null(store_committed_next(f->store));
    assert_int_equal(segment->base_offset, 10);
    assert_int_equal(segment_end_offset(segment), 20);
    struct segment_iterator it;
    segment_iterator_init(&it, segment, 15);
    assert_true(segment_iterator_bytes(&it) > feed->ranges[0].head_bytes);
    struct event event;
    uint64_t offset;
    for (unsigned i = 15; i < 20; i++) {
        assert_int_equal(segment_next(&it, &event, &offset), 0);
        assert_int_equal(offset, i);
        assert_int_equal(fixture_number(&event), i);
    }
    assert_int_equal(segment_next(&it, &event, &offset), SEGMENT_END);
    assert_int_equal(segment_iterator_bytes(&it), segment->end_bytes);
    segment_unref(segment);
    /* Not taken: the next commit drops it. */
    fixture_fill(f, stream, 20, 1, 100);
    fixture_fill(f, stream, 21, 1, 100);
    segment = store_committed_next(f->store);
    assert_int_equal(segment->base_offset, 21);
    segment_unref(segment);
    store_detach(f->store, feed);
    fixture_fill(f, stream, 22, 1, 100);
    assert_null(store_committed_next(f->store));
    range_feed_unref(feed);
}

static void test_commits_are_counted(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "counted");
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "counted", NULL);
    uint64_t commits = metric_get(metric_process(), METRIC_COMMITS);
    fixture_fill(f, stream, 0, 7, 100);
    assert_int_equal(metric_get(metric_process(), METRIC_COMMITS), commits + 1);
    assert_int_equal(metric_get(set, METRIC_STREAM_APPENDED_EVENTS), 7);
    assert_in_range(metric_get(set, METRIC_STREAM_APPENDED_BYTES), 700, 1500);
    assert_int_equal(metric_get(set, METRIC_STREAM_NEXT_OFFSET), 7);
    assert_in_range(metric_get(set, METRIC_STREAM_BYTES), 700, 1500);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_visible_before_the_commit),
        TEST(test_a_commit_of_nothing_does_nothing),
        TEST(test_a_full_disk_loses_nothing),
        TEST(test_a_failing_sync_loses_nothing),
        TEST(test_a_commit_returns_only_after_its_sync),
        TEST(test_one_commit_is_one_sync_and_one_row_per_stream),
        TEST(test_a_large_batch_is_cut_into_rows),
        TEST(test_what_compresses_is_compressed_and_what_does_not_is_not),
        TEST(test_a_killed_process_keeps_what_was_committed_and_offsets_go_on),
        TEST(test_segments_are_made_only_for_those_who_take_them),
        TEST(test_commits_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
