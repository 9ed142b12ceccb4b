#include "pipeline/pipeline.h"

#include <poll.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "config/read.h"
#include "event/event.h"
#include "event/ingest.h"
#include "hold_vfs.h"
#include "pipeline/alarms.h"
#include "route/route.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

enum { DEADLINE_MS = 20000, SILENCE_MS = 200 };

/* A pipeline on a store in a temporary directory, and a queue for its receipts. */
struct fixture {
    char dir[64];
    struct store_config config;
    struct store *store;
    struct route *route;
    struct pipeline *pipeline;
    struct queue replies;
    struct ingest_batch *receipts[256];
    unsigned receipt_count, taken;
};

static struct fixture f;
static const struct alarms_config no_alarms;

static void start(const char *config)
{
    memset(&f, 0, sizeof f);
    strcpy(f.dir, "/tmp/sluice-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    struct error error = ERROR_INIT;
    if (config_read_text(&store_section, config, &error, &f.config))
        fail_msg("%s: %s", error.where, error.what);
    const struct store_options options = {
        .data_dir = f.dir, .config = &f.config, .clock = &clock_system};
    assert_int_equal(store_new(&options, &f.store), 0);
    if (store_open(f.store, &error))
        fail_msg("%s: %s", error.where, error.what);
    assert_int_equal(route_new(&f.route), 0);
    const struct pipeline_options pipeline_options = {
        .store = f.store,
        .route = f.route,
        .clock = &clock_system,
        .limits = {.max_events = 10000, .max_bytes = 4 << 20},
        .alarms = &no_alarms};
    assert_int_equal(pipeline_new(&pipeline_options, &f.pipeline), 0);
    assert_int_equal(queue_init(&f.replies, SIZE_MAX), 0);
    assert_int_equal(pipeline_start(f.pipeline), 0);
}

static void stop(void)
{
    assert_int_equal(pipeline_request_stop(f.pipeline), 0);
    pipeline_join(f.pipeline);
    pipeline_free(f.pipeline);
    store_free(f.store);
    route_free(f.route);
    for (unsigned i = 0; i < f.receipt_count; i++)
        ingest_batch_free(f.receipts[i]);
    queue_deinit(&f.replies);
    config_section_deinit(&store_section, &f.config);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f.dir);
    assert_int_equal(system(command), 0);
}

/* Pushes one batch of count events with payloads of bytes bytes that do not compress. */
static void publish(unsigned count, size_t bytes, uint8_t qos)
{
    struct ingest_batch *batch = NULL;
    assert_int_equal(ingest_batch_new(&f.replies, &batch), 0);
    batch->received = clock_now(&clock_system);
    uint8_t *payload = malloc(bytes + 1);
    for (unsigned i = 0; i < count; i++) {
        for (size_t k = 0; k < bytes; k++)
            payload[k] = (uint8_t)(random() >> 7);
        const struct event event = {
            .topic = SLICE_LITERAL("a/b"), .payload = slice_make(payload, bytes), .qos = qos};
        assert_int_equal(ingest_batch_add(batch, &event, 1, (uint16_t)(i + 1), 5), 0);
    }
    free(payload);
    struct queue_item *item = &batch->item;
    assert_int_equal(queue_push(pipeline_queue(f.pipeline), &item), 0);
}

/* Takes receipts that have come, waiting for one at most timeout_ms. */
static void take_receipts(int timeout_ms)
{
    queue_wait(&f.replies, timeout_ms);
    for (struct queue_item *item = queue_take_all(&f.replies), *next; item; item = next) {
        next = item->next;
        assert_true(f.receipt_count < 256);
        f.receipts[f.receipt_count++] = (struct ingest_batch *)item;
    }
}

/* How many events with this outcome have been answered. */
static unsigned answered(enum ingest_outcome outcome)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f.receipt_count; i++) {
        size_t at = 0;
        for (struct ingest_record *r; (r = ingest_batch_next(f.receipts[i], &at));)
            count += r->outcome == outcome;
    }
    return count;
}

static unsigned all_answered(void)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f.receipt_count; i++)
        count += f.receipts[i]->count;
    return count;
}

static void wait_for(unsigned count)
{
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (all_answered() < count && clock_monotonic_us(&clock_system) < until)
        take_receipts(50);
    assert_int_equal(all_answered(), count);
}

static void test_events_are_answered_as_stored(void **state)
{
    (void)state;
    start("{}");
    publish(3, 10, 1);
    publish(2, 0, 0);
    wait_for(5);
    assert_int_equal(answered(INGEST_STORED), 5);
    stop();
}

static void test_no_receipt_comes_while_the_sync_is_held(void **state)
{
    (void)state;
    start("{}");
    hold_vfs_hold();
    publish(3, 10, 1);
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (!hold_vfs_waiting() && clock_monotonic_us(&clock_system) < until)
        poll(NULL, 0, 1);
    assert_int_equal(hold_vfs_waiting(), 1);
    publish(4, 10, 1); /* gathers meanwhile */
    take_receipts(SILENCE_MS);
    assert_int_equal(all_answered(), 0);
    hold_vfs_release();
    wait_for(7);
    assert_int_equal(answered(INGEST_STORED), 7);
    stop();
}

static void test_a_failed_commit_is_tried_again_and_answered_then(void **state)
{
    (void)state;
    start("{}");
    hold_vfs_fail(SQLITE_FULL);
    publish(3, 10, 1);
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (!metric_get(metric_process(), METRIC_STORE_DEGRADED) &&
           clock_monotonic_us(&clock_system) < until)
        poll(NULL, 0, 1);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_DEGRADED), 1);
    assert_true(pipeline_store_open(f.pipeline)); /* its identity is known all the same */
    publish(2, 10, 1);
    take_receipts(SILENCE_MS);
    assert_int_equal(all_answered(), 0);
    hold_vfs_fail(SQLITE_OK);
    wait_for(5);
    assert_int_equal(answered(INGEST_STORED), 5);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_DEGRADED), 0);
    stop();
}

static struct range_feed *attach(enum range_start start)
{
    static const char *const streams[] = {"events"};
    struct range_feed *feed = NULL;
    assert_int_equal(range_feed_new("cloud", start, streams, 1, &feed), 0);
    struct queue_item *item = NULL;
    assert_int_equal(range_attach_new(feed, INGEST_ATTACH, &item), 0);
    assert_int_equal(queue_push(pipeline_queue(f.pipeline), &item), 0);
    queue_wait(&feed->queue, DEADLINE_MS);
    item = queue_take_all(&feed->queue);
    assert_non_null(item);
    assert_int_equal(item->kind, RANGE_ATTACHED);
    item->free(item);
    return feed;
}

static void move_cursor(struct range_feed *feed, uint64_t next_offset)
{
    struct queue_item *item = NULL;
    assert_int_equal(range_cursor_move_new(feed, 0, next_offset, next_offset, &item), 0);
    assert_int_equal(queue_push(pipeline_queue(f.pipeline), &item), 0);
}

static void test_committed_events_reach_an_attached_consumer(void **state)
{
    (void)state;
    start("{}");
    struct range_feed *feed = attach(RANGE_START_OLDEST);
    assert_int_equal(feed->ranges[0].start_offset, 0);
    publish(5, 10, 1);
    wait_for(5);
    queue_wait(&feed->queue, DEADLINE_MS);
    struct queue_item *item = queue_take_all(&feed->queue);
    assert_non_null(item);
    assert_int_equal(item->kind, RANGE_SEGMENT);
    assert_int_equal(((struct range_segment *)item)->segment->count, 5);
    assert_int_equal(atomic_load(&feed->ranges[0].head_offset), 5);
    item->free(item);
    range_feed_unref(feed);
    stop();
}

static void test_a_full_stream_blocks_until_a_cursor_moves(void **state)
{
    (void)state;
    start("{\"streams\": {\"events\": {\"max_bytes\": \"128KiB\", \"when_full\": \"block\"}}}");
    struct range_feed *feed = attach(RANGE_START_OLDEST);
    for (int i = 0; i < 20; i++) {
        publish(20, 1000, 1); /* 400 kB in all */
        take_receipts(100);
    }
    take_receipts(SILENCE_MS);
    unsigned before = all_answered();
    assert_true(before > 0 && before < 400);
    assert_int_equal(answered(INGEST_STORED), before);
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (all_answered() < 400 && clock_monotonic_us(&clock_system) < until) {
        move_cursor(feed, atomic_load(&feed->ranges[0].head_offset));
        take_receipts(20);
    }
    assert_int_equal(answered(INGEST_STORED), 400);
    range_feed_unref(feed);
    stop();
}

/* Nothing but maintenance can make that room, and nothing but the append knows of it. */
static void test_what_was_sent_makes_room_for_a_large_event_at_once(void **state)
{
    (void)state;
    start("{\"commit\": {\"max_bytes\": \"512KiB\"}, \"disk\": {\"wal_max_bytes\": \"1MiB\","
          " \"max_bytes\": \"2600KiB\"}}");
    unsigned count = 0;
    while (metric_get(metric_process(), METRIC_STORE_USED_BYTES) < 1250 * 1024) {
        assert_true(count < 100);
        publish(1, 20000, 1);
        wait_for(++count);
    }
    take_receipts(SILENCE_MS); /* maintenance is done */
    int64_t begin_us = clock_monotonic_us(&clock_system);
    publish(1, 400000, 1);
    wait_for(++count);
    assert_int_equal(answered(INGEST_STORED), count);
    assert_true(clock_monotonic_us(&clock_system) - begin_us < 4000000);
    stop();
}

static void test_a_full_stream_drops_qos_0_and_counts_it(void **state)
{
    (void)state;
    start("{\"streams\": {\"events\": {\"max_bytes\": \"128KiB\", \"when_full\": \"block\"}}}");
    struct range_feed *feed = attach(RANGE_START_OLDEST);
    uint64_t dropped = metric_get(metric_process(), METRIC_EVENTS_DROPPED_QOS0_FULL);
    for (int i = 0; i < 20; i++)
        publish(20, 1000, 0);
    wait_for(400);
    assert_true(answered(INGEST_TAKEN) > 0);
    assert_int_equal(answered(INGEST_TAKEN) + answered(INGEST_STORED), 400);
    assert_int_equal(metric_get(metric_process(), METRIC_EVENTS_DROPPED_QOS0_FULL) - dropped,
                     answered(INGEST_TAKEN));
    range_feed_unref(feed);
    stop();
}

static void test_a_full_stream_that_rejects_says_so(void **state)
{
    (void)state;
    start("{\"streams\": {\"events\": {\"max_bytes\": \"128KiB\", \"when_full\": \"reject\"}}}");
    struct range_feed *feed = attach(RANGE_START_OLDEST);
    for (int i = 0; i < 20; i++)
        publish(20, 1000, 1);
    wait_for(400);
    assert_true(answered(INGEST_FULL) > 0);
    assert_true(answered(INGEST_STORED) > 0);
    assert_int_equal(answered(INGEST_FULL) + answered(INGEST_STORED), 400);
    range_feed_unref(feed);
    stop();
}

static void test_stopping_commits_and_answers_what_was_given(void **state)
{
    (void)state;
    start("{}");
    for (int i = 0; i < 100; i++)
        publish(10, 50, 1);
    assert_int_equal(pipeline_request_stop(f.pipeline), 0);
    pipeline_join(f.pipeline);
    take_receipts(0);
    assert_int_equal(answered(INGEST_STORED), 1000);
    stop();
}

static void test_an_overdrawn_write_budget_makes_events_wait_for_one_commit(void **state)
{
    (void)state;
    start("{\"commit\": {\"write_budget\": \"1KiB\", \"budget_max_delay\": \"2s\"}}");
    uint64_t commits = metric_get(metric_process(), METRIC_COMMITS);
    int64_t begin_us = clock_monotonic_us(&clock_system);
    publish(1, 10, 1);
    take_receipts(SILENCE_MS);
    publish(1, 10, 1);
    wait_for(2);
    assert_true(clock_monotonic_us(&clock_system) - begin_us >= 2000000);
    assert_int_equal(metric_get(metric_process(), METRIC_COMMITS) - commits, 1);
    publish(1, 10, 1); /* the end does not wait */
    begin_us = clock_monotonic_us(&clock_system);
    assert_int_equal(pipeline_request_stop(f.pipeline), 0);
    wait_for(3);
    assert_true(clock_monotonic_us(&clock_system) - begin_us < 1500000);
    stop();
}

int main(void)
{
    hold_vfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_are_answered_as_stored),
        cmocka_unit_test(test_no_receipt_comes_while_the_sync_is_held),
        cmocka_unit_test(test_a_failed_commit_is_tried_again_and_answered_then),
        cmocka_unit_test(test_committed_events_reach_an_attached_consumer),
        cmocka_unit_test(test_a_full_stream_blocks_until_a_cursor_moves),
        cmocka_unit_test(test_what_was_sent_makes_room_for_a_large_event_at_once),
        cmocka_unit_test(test_a_full_stream_drops_qos_0_and_counts_it),
        cmocka_unit_test(test_a_full_stream_that_rejects_says_so),
        cmocka_unit_test(test_an_overdrawn_write_budget_makes_events_wait_for_one_commit),
        cmocka_unit_test(test_stopping_commits_and_answers_what_was_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
