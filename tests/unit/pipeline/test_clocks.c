/* The pipeline under a wall clock that nobody can rely on: what it says is recorded, and nothing
 * else depends on it. */
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

#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/read.h"
#include "event/event.h"
#include "event/ingest.h"
#include "fake_clock.h"
#include "hold_vfs.h"
#include "pipeline/alarms.h"
#include "pipeline/pipeline.h"
#include "route/route.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

enum { DEADLINE_MS = 20000, SILENCE_MS = 300, EVENTS_MAX = 1024 };
#define MINUTE_US (INT64_C(60) * 1000000)
#define YEAR_US (INT64_C(31556952) * 1000000)
#define TRUE_BASE_US (56 * YEAR_US)

static const struct alarms_config no_alarms;

struct fixture {
    char dir[64];
    struct fake_clock time;
    struct clock clock;
    struct store_config config;
    struct store *store;
    struct route *route;
    struct pipeline *pipeline;
    struct queue replies;
    struct range_feed *feed;
    unsigned published, stored; /* events: sent to the pipeline; answered as stored */
    int64_t at_us[EVENTS_MAX];  /* monotonic time of reception */
};

static void attach(struct fixture *f)
{
    static const char *const streams[] = {"events"};
    struct queue_item *item = NULL;
    assert_int_equal(range_feed_new("cloud", RANGE_START_OLDEST, streams, 1, &f->feed), 0);
    assert_int_equal(range_attach_new(f->feed, INGEST_ATTACH, &item), 0);
    assert_int_equal(queue_push(pipeline_queue(f->pipeline), &item), 0);
    queue_wait(&f->feed->queue, DEADLINE_MS);
    item = queue_take_all(&f->feed->queue);
    assert_non_null(item);
    assert_int_equal(item->kind, RANGE_ATTACHED);
    item->free(item);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error error = ERROR_INIT;
    strcpy(f->dir, "/tmp/sluice-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->clock = fake_clock(&f->time);
    f->time.monotonic_us = MINUTE_US; /* of 1970 */
    if (config_read_text(&store_section, "{\"streams\": {\"events\": {\"max_age\": \"2h\"}}}",
                         &error, &f->config))
        fail_msg("%s: %s", error.where, error.what);
    const struct store_options options = {
        .data_dir = f->dir, .config = &f->config, .clock = &f->clock, .boot_id = "boot"};
    assert_int_equal(store_new(&options, &f->store), 0);
    assert_int_equal(store_open(f->store, &error), 0);
    assert_int_equal(route_new(&f->route), 0);
    const struct pipeline_options pipeline_options = {
        .store = f->store,
        .route = f->route,
        .clock = &f->clock,
        .limits = {.max_events = 10000, .max_bytes = 4 << 20},
        .alarms = &no_alarms};
    assert_int_equal(pipeline_new(&pipeline_options, &f->pipeline), 0);
    assert_int_equal(queue_init(&f->replies, SIZE_MAX), 0);
    assert_int_equal(pipeline_start(f->pipeline), 0);
    attach(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pipeline_request_stop(f->pipeline), 0);
    pipeline_join(f->pipeline);
    pipeline_free(f->pipeline);
    store_free(f->store);
    route_free(f->route);
    range_feed_unref(f->feed);
    queue_deinit(&f->replies);
    config_section_deinit(&store_section, &f->config);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void set_clock(struct fixture *f, int64_t base_us, bool synced)
{
    f->time.base_us = base_us;
    f->time.synced = synced;
}

/* Events whose payload is their number, received now. */
static void publish(struct fixture *f, unsigned count)
{
    struct ingest_batch *batch = NULL;
    assert_int_equal(ingest_batch_new(&f->replies, &batch), 0);
    batch->received = clock_now(&f->clock);
    for (unsigned i = 0; i < count; i++) {
        f->at_us[f->published] = batch->received.monotonic_us;
        const struct event event = {.topic = SLICE_LITERAL("a/b"),
                                    .payload = slice_make(&f->published, sizeof f->published),
                                    .qos = 1};
        assert_int_equal(ingest_batch_add(batch, &event, 1, (uint16_t)(i + 1), 5), 0);
        f->published++;
    }
    struct queue_item *item = &batch->item;
    assert_int_equal(queue_push(pipeline_queue(f->pipeline), &item), 0);
}

static void take(struct fixture *f, int timeout_ms)
{
    queue_wait(&f->replies, timeout_ms);
    for (struct queue_item *item = queue_take_all(&f->replies), *next; item; item = next) {
        size_t at = 0;
        next = item->next;
        for (struct ingest_record *r; (r = ingest_batch_next((struct ingest_batch *)item, &at));)
            f->stored += r->outcome == INGEST_STORED;
        item->free(item);
    }
}

static void wait_until_stored(struct fixture *f)
{
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (f->stored < f->published && clock_monotonic_us(&clock_system) < until)
        take(f, 50);
    assert_int_equal(f->stored, f->published);
}

static uint64_t first_offset(struct fixture *f)
{
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    assert_int_equal(info.next_offset, f->published);
    store_reader_close(reader);
    return info.first_offset;
}

/* All of it has been sent, so that only its age keeps it. */
static void acknowledge(struct fixture *f)
{
    struct queue_item *item = NULL;
    assert_int_equal(range_cursor_move_new(f->feed, 0, f->published, f->published, &item), 0);
    assert_int_equal(queue_push(pipeline_queue(f->pipeline), &item), 0);
}

/* Everything is there in the order it was received, corrected if the clock has been synced. */
static void expect_events(struct fixture *f, bool known)
{
    struct store_reader *reader;
    struct store_stream_info info;
    struct segment *segment;
    uint64_t offset, expected = 0, skip;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    while (!store_read(reader, info.stream, expected, &segment, &skip)) {
        struct segment_iterator it;
        struct event event;
        segment_iterator_init(&it, segment, expected);
        while (!segment_next(&it, &event, &offset)) {
            unsigned number;
            memcpy(&number, event.payload.data, sizeof number);
            assert_int_equal(offset, expected);
            assert_int_equal(number, expected);
            assert_int_equal(event.quality == CLOCK_UNSYNCED, !known);
            if (known)
                assert_int_equal(event.received_us, f->at_us[offset] + TRUE_BASE_US);
            expected++;
        }
        segment_unref(segment);
    }
    assert_int_equal(expected, f->published);
    store_reader_close(reader);
}

static void test_a_1970_boot_accepts_stores_and_forwards(void **state)
{
    struct fixture *f = *state;
    publish(f, 5);
    wait_until_stored(f);
    expect_events(f, false);
    struct queue_item *item = NULL;
    queue_wait(&f->feed->queue, DEADLINE_MS);
    item = queue_take_all(&f->feed->queue);
    assert_non_null(item);
    assert_int_equal(item->kind, RANGE_SEGMENT);
    assert_int_equal(((struct range_segment *)item)->segment->count, 5);
    item->free(item);
    assert_int_equal(atomic_load(&f->feed->ranges[0].head_offset), 5);
}

static void test_steps_of_ten_years_change_nothing_but_the_received_times(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        set_clock(f, (i % 2 ? 10 : -10) * (i % 3) * YEAR_US, false);
        publish(f, 5);
        publish(f, 1);
        if (i % 4 == 3)
            wait_until_stored(f);
        f->time.monotonic_us += MINUTE_US;
    }
    wait_until_stored(f);
    expect_events(f, false);
    set_clock(f, TRUE_BASE_US, true);
    publish(f, 1);
    wait_until_stored(f);
    expect_events(f, true);
    assert_int_equal(first_offset(f), 0);
    assert_int_equal(atomic_load(&f->feed->ranges[0].head_offset), f->published);
}

/* Retention takes what has been there for max_age, and not what the wall clock calls old. */
static void test_nothing_is_evicted_early_or_late_by_the_wall_clock(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 115; i++) { /* less than two hours */
        set_clock(f, (i % 2 ? 10 : -10) * YEAR_US, i % 5 == 0);
        publish(f, 1);
        wait_until_stored(f);
        f->time.monotonic_us += MINUTE_US;
        acknowledge(f);
    }
    publish(f, 1);
    wait_until_stored(f);
    publish(f, 1); /* what is to be done after the commit before it is done */
    wait_until_stored(f);
    assert_int_equal(first_offset(f), 0);
    set_clock(f, -50 * YEAR_US, false);
    uint64_t first = 0;
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    for (int i = 0; i < 60; i++) {
        f->time.monotonic_us += MINUTE_US;
        publish(f, 1);
        wait_until_stored(f);
        acknowledge(f);
    }
    while (first < 45 && clock_monotonic_us(&clock_system) < until) {
        f->time.monotonic_us += MINUTE_US / 60;
        publish(f, 1);
        wait_until_stored(f);
        first = first_offset(f);
    }
    assert_in_range(first, 45, 61);
}

/* Retries go by the monotonic clock alone. */
static void test_a_retry_does_not_come_early_when_the_clock_is_set(void **state)
{
    struct fixture *f = *state;
    hold_vfs_fail(SQLITE_FULL);
    publish(f, 1);
    int64_t until = clock_monotonic_us(&clock_system) + DEADLINE_MS * INT64_C(1000);
    while (!metric_get(metric_process(), METRIC_STORE_DEGRADED) &&
           clock_monotonic_us(&clock_system) < until)
        usleep(1000);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_DEGRADED), 1);
    hold_vfs_fail(SQLITE_OK);
    set_clock(f, 10 * YEAR_US, false);
    publish(f, 1);
    take(f, SILENCE_MS);
    assert_int_equal(f->stored, 0);
    f->time.monotonic_us += MINUTE_US;
    set_clock(f, -10 * YEAR_US, false); /* and not late either */
    wait_until_stored(f);
    expect_events(f, false);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_1970_boot_accepts_stores_and_forwards),
        TEST(test_steps_of_ten_years_change_nothing_but_the_received_times),
        TEST(test_nothing_is_evicted_early_or_late_by_the_wall_clock),
        TEST(test_a_retry_does_not_come_early_when_the_clock_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
