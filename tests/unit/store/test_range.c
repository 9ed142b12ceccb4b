#include "fixture.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "event/ingest.h"
#include "hold_vfs.h"

static struct range_feed *new_feed(const char *consumer, enum range_start start)
{
    const char *names[] = {"other", "events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new(consumer, start, names, 2, &feed), 0);
    return feed;
}

static struct range_feed *attach(struct fixture *f, const char *consumer, enum range_start start)
{
    struct range_feed *feed = new_feed(consumer, start);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static int64_t persisted(struct fixture *f, const char *consumer)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "SELECT range.next_offset FROM range JOIN stream ON stream.id = range.stream"
             " WHERE consumer = '%s' AND name = 'events'",
             consumer);
    return fixture_sql(store_path(f->store), sql);
}

static void test_attaching_tells_the_consumer_where_it_stands(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 100);
    struct range_feed *feed = attach(f, "up", RANGE_START_OLDEST);
    assert_string_equal(feed->gateway_id, store_gateway_id(f->store));
    assert_string_equal(feed->database_path, store_path(f->store));
    assert_int_equal(feed->ranges[1].stream, stream);
    assert_int_equal(feed->ranges[1].start_offset, 0);
    assert_int_equal(atomic_load(&feed->ranges[1].head_offset), 10);
    assert_true(atomic_load(&feed->ranges[1].head_bytes) > 1000);
    assert_int_equal(atomic_load(&feed->ranges[0].head_offset), 0);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_new_consumer_begins_at_the_oldest_only_in_the_first_run(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 10, 100);
    struct range_feed *first = attach(f, "first", RANGE_START_DEFAULT);
    assert_int_equal(first->ranges[1].start_offset, 0);
    range_feed_unref(first);
    fixture_close(f);
    fixture_open(f);
    struct range_feed *second = attach(f, "second", RANGE_START_DEFAULT);
    struct range_feed *oldest = attach(f, "oldest", RANGE_START_OLDEST);
    struct range_feed *newest = attach(f, "newest", RANGE_START_NEWEST);
    first = attach(f, "first", RANGE_START_DEFAULT);
    assert_int_equal(second->ranges[1].start_offset, 10);
    assert_int_equal(oldest->ranges[1].start_offset, 0);
    assert_int_equal(newest->ranges[1].start_offset, 10);
    assert_int_equal(first->ranges[1].start_offset, 0);
    struct range_feed *feeds[] = {first, second, oldest, newest};
    for (unsigned i = 0; i < 4; i++) {
        store_detach(f->store, feeds[i]);
        range_feed_unref(feeds[i]);
    }
}

static void test_two_consumers_of_one_name_are_refused(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct range_feed *one = attach(f, "up", RANGE_START_DEFAULT);
    struct range_feed *two = new_feed("up", RANGE_START_DEFAULT);
    assert_int_equal(store_attach(f->store, two), -EBUSY);
    store_detach(f->store, one);
    assert_int_equal(store_attach(f->store, two), 0);
    store_detach(f->store, two);
    range_feed_unref(one);
    range_feed_unref(two);
}

static void test_a_cursor_rides_along_with_the_next_commit(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 10, 100);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    unsigned long syncs = hold_vfs_syncs();
    store_move_cursor(f->store, feed, 1, 7);
    store_move_cursor(f->store, feed, 1, 5); /* backwards: ignored */
    assert_int_equal(hold_vfs_syncs(), syncs);
    assert_int_equal(persisted(f, "up"), 0);
    assert_true(store_cursors_due_us(f->store) == f->now_us + 10000000);
    fixture_fill(f, stream, 10, 1, 100);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    assert_int_equal(persisted(f, "up"), 7);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    fixture_crash(f, "crashed");
    range_feed_unref(feed);
    fixture_open(f);
    feed = attach(f, "up", RANGE_START_OLDEST);
    assert_int_equal(feed->ranges[1].start_offset, 7);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_cursors_ride_along_once_an_interval(void **state)
{
    struct fixture *f = *state;
    f->cursor_interval_us = 1000000;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 2000, 10);
    store_move_cursor(f->store, feed, 1, 5);
    fixture_fill(f, stream, 2000, 1, 10);
    assert_int_equal(persisted(f, "up"), 0);
    f->now_us += 999999;
    store_move_cursor(f->store, feed, 1, 7); /* the first one counts */
    fixture_fill(f, stream, 2001, 1, 10);
    assert_int_equal(persisted(f, "up"), 0);
    f->now_us += 1;
    fixture_fill(f, stream, 2002, 1, 10);
    assert_int_equal(persisted(f, "up"), 7);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    store_move_cursor(f->store, feed, 1, 1006);
    fixture_fill(f, stream, 2003, 1, 10);
    assert_int_equal(persisted(f, "up"), 7);
    store_move_cursor(f->store, feed, 1, 1007); /* a thousand */
    fixture_fill(f, stream, 2004, 1, 10);
    assert_int_equal(persisted(f, "up"), 1007);
    store_move_cursor(f->store, feed, 1, 1008);
    assert_int_equal(store_commit(f->store), 0); /* without events at once */
    assert_int_equal(persisted(f, "up"), 1008);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

/* Retention goes by what is on the disk: a stream over its limit does not wait. */
static void test_cursors_ride_along_at_once_where_a_stream_is_full(void **state)
{
    struct fixture *f = *state;
    f->cursor_interval_us = 1000000;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 20, 2000);
    fixture_fill(f, stream, 20, 10, 2000);
    store_move_cursor(f->store, feed, 1, 20);
    fixture_fill(f, stream, 30, 5, 2000);
    assert_int_equal(persisted(f, "up"), 20);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_cursor_is_committed_alone_when_it_is_due(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 10001, 4);
    uint64_t alone = metric_get(metric_process(), METRIC_CURSOR_COMMITS);
    store_move_cursor(f->store, feed, 1, 9999);
    assert_true(store_cursors_due_us(f->store) > f->now_us);
    store_move_cursor(f->store, feed, 1, 10000);
    assert_true(store_cursors_due_us(f->store) <= f->now_us);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(persisted(f, "up"), 10000);
    assert_int_equal(metric_get(metric_process(), METRIC_CURSOR_COMMITS), alone + 1);
    /* And one that is waiting is not lost by an orderly end. */
    store_move_cursor(f->store, feed, 1, 10001);
    store_detach(f->store, feed);
    range_feed_unref(feed);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(persisted(f, "up"), 10001);
}

static void test_a_failed_commit_keeps_the_moves(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 10, 100);
    store_move_cursor(f->store, feed, 1, 6);
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(store_commit(f->store), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(persisted(f, "up"), 0);
    assert_true(store_cursors_due_us(f->store) < INT64_MAX);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(persisted(f, "up"), 6);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_cursor_never_passes_the_head(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    fixture_fill(f, stream, 0, 3, 100);
    fixture_append(f, stream, 3, 100);
    store_move_cursor(f->store, feed, 1, 1000);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(persisted(f, "up"), 3);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_feed_gets_segments_as_long_as_there_is_room(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_DEFAULT);
    assert_int_equal(range_feed_notify(feed, RANGE_ATTACHED), 0);
    enum { PAYLOAD_BYTES = 64 * 1024 };
    unsigned rounds = 2 * RANGE_FEED_MAX_BYTES / PAYLOAD_BYTES;
    for (unsigned i = 0; i < rounds; i++) {
        fixture_fill(f, stream, i, 1, PAYLOAD_BYTES);
        struct segment *segment = store_committed_next(f->store);
        range_feed_publish(feed, 1, segment);
        /* Whether it was queued or not, the head moves. */
        assert_int_equal(atomic_load(&feed->ranges[1].head_offset), i + 1);
    }
    assert_int_equal(range_feed_notify(feed, RANGE_STOP), 0); /* passes a full queue */
    unsigned segments = 0, kinds[8] = {0};
    for (struct queue_item *item = queue_take_all(&feed->queue), *next; item; item = next) {
        next = item->next;
        kinds[item->kind]++;
        if (item->kind == RANGE_SEGMENT) {
            const struct range_segment *s = (const struct range_segment *)item;
            assert_int_equal(s->range, 1);
            assert_int_equal(s->segment->base_offset, segments);
            segments++;
        }
        item->free(item);
    }
    assert_in_range(segments, 2, rounds - 2);
    assert_int_equal(kinds[RANGE_ATTACHED], 1);
    assert_int_equal(kinds[RANGE_STOP], 1);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_consumer_that_is_behind_is_not_fed(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up", RANGE_START_OLDEST);
    struct range *range = &feed->ranges[1];
    fixture_fill(f, stream, 0, 3, 10);
    assert_false(range_live_set(range, false, 0));
    range_feed_publish(feed, 1, store_committed_next(f->store));
    assert_null(queue_take_all(&feed->queue));
    assert_int_equal(atomic_load(&range->head_offset), 3);
    fixture_fill(f, stream, 3, 2, 10);
    assert_null(store_committed_next(f->store)); /* nobody takes it: its memory is used again */
    assert_int_equal(atomic_load(&range->head_offset), 5);
    assert_true(range_live_set(range, true, 3));  /* two have passed it by */
    assert_false(range_live_set(range, true, 3)); /* said once */
    fixture_fill(f, stream, 5, 1, 10);
    range_feed_publish(feed, 1, store_committed_next(f->store));
    struct queue_item *item = queue_take_all(&feed->queue);
    assert_non_null(item);
    assert_int_equal(((struct range_segment *)item)->segment->base_offset, 5);
    item->free(item);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void assert_shows(const struct range *range, uint64_t next, uint64_t events, uint64_t bytes)
{
    assert_int_equal(metric_get(range->metrics, METRIC_RANGE_NEXT_OFFSET), next);
    assert_int_equal(metric_get(range->metrics, METRIC_RANGE_LAG_EVENTS), events);
    assert_int_equal(metric_get(range->metrics, METRIC_RANGE_LAG_BYTES), bytes);
}

static void test_the_lag_is_shown_whichever_end_moves(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 100);
    struct range_feed *feed = attach(f, "lagging", RANGE_START_OLDEST);
    struct range *range = &feed->ranges[1];
    assert_shows(range, 0, 10, 0); /* its bytes are not known before the consumer has looked */
    uint64_t bytes = atomic_load(&range->head_bytes);
    range_cursor_show(range, 0, 0);
    assert_shows(range, 0, 10, bytes);
    range_cursor_show(range, 4, 400);
    assert_shows(range, 4, 6, bytes - 400);
    range_live_set(range, false, 10);
    fixture_fill(f, stream, 10, 5, 100); /* nobody is woken by it */
    uint64_t more = atomic_load(&range->head_bytes);
    assert_true(more > bytes);
    assert_shows(range, 4, 11, more - 400);
    range_cursor_show(range, 15, more);
    assert_shows(range, 15, 0, 0);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_messages_hold_the_feed_until_they_are_freed(void **state)
{
    (void)state;
    struct range_feed *feed = new_feed("up", RANGE_START_DEFAULT);
    struct queue_item *attach_item, *move_item;
    assert_int_equal(range_attach_new(feed, INGEST_ATTACH, &attach_item), 0);
    assert_int_equal(range_cursor_move_new(feed, 1, 42, 7, &move_item), 0);
    assert_int_equal(atomic_load(&feed->references), 3);
    assert_int_equal(attach_item->kind, INGEST_ATTACH);
    assert_int_equal(move_item->kind, INGEST_CURSOR);
    const struct range_cursor_move *move = (const struct range_cursor_move *)move_item;
    assert_int_equal(move->next_offset, 42);
    assert_int_equal(move->acknowledged, 7);
    range_feed_unref(feed);
    attach_item->free(attach_item);
    move_item->free(move_item); /* the last one: leaks show under the address sanitizer */
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_attaching_tells_the_consumer_where_it_stands),
        TEST(test_a_new_consumer_begins_at_the_oldest_only_in_the_first_run),
        TEST(test_two_consumers_of_one_name_are_refused),
        TEST(test_a_cursor_rides_along_with_the_next_commit),
        TEST(test_cursors_ride_along_once_an_interval),
        TEST(test_cursors_ride_along_at_once_where_a_stream_is_full),
        TEST(test_a_cursor_is_committed_alone_when_it_is_due),
        TEST(test_a_failed_commit_keeps_the_moves),
        TEST(test_a_cursor_never_passes_the_head),
        TEST(test_a_feed_gets_segments_as_long_as_there_is_room),
        TEST(test_a_consumer_that_is_behind_is_not_fed),
        TEST(test_the_lag_is_shown_whichever_end_moves),
        TEST(test_messages_hold_the_feed_until_they_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
