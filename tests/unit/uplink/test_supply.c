#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "store/range.h"
#include "store/store.h"
#include "store/store_config.h"
#include "uplink/supply.h"

struct fixture {
    char dir[256];
    struct store_config config;
    struct store *store;
    struct store_reader *reader;
    struct range_feed *feed; /* a consumer: the store keeps batches in memory only for one */
    uint32_t stream;
    uint64_t head;
    struct supply supply;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->dir, sizeof(f->dir), "%s/sluice-supply-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(config_section_init(&store_section, &f->config), 0);
    struct store_options options = {
        .data_dir = f->dir, .gateway_id = "gw1", .config = &f->config, .clock = &clock_system};
    struct error error = ERROR_INIT;
    assert_int_equal(store_new(&options, &f->store), 0);
    if (store_open(f->store, &error))
        fail_msg("%s: %s", error.where, error.what);
    assert_int_equal(store_stream(f->store, "events", &f->stream), 0);
    const char *streams[] = {"events"};
    assert_int_equal(range_feed_new("up", RANGE_START_OLDEST, streams, 1, &f->feed), 0);
    assert_int_equal(store_attach(f->store, f->feed), 0);
    if (store_reader_open(store_path(f->store), &error, &f->reader))
        fail_msg("%s: %s", error.where, error.what);
    supply_init(&f->supply, f->stream);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    supply_deinit(&f->supply);
    store_reader_close(f->reader);
    store_detach(f->store, f->feed);
    range_feed_unref(f->feed);
    store_free(f->store);
    config_section_deinit(&store_section, &f->config);
    DIR *dir = opendir(f->dir);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        char file[512];
        snprintf(file, sizeof(file), "%s/%s", f->dir, entry->d_name);
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            unlink(file);
    }
    closedir(dir);
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Commits n events whose payload is their offset; returns their batch. */
static struct segment *commit(struct fixture *f, unsigned n)
{
    while (n--) {
        char payload[32];
        snprintf(payload, sizeof(payload), "%llu", (unsigned long long)f->head++);
        struct event event = {.topic = SLICE_LITERAL("t"),
                              .device = SLICE_LITERAL("d"),
                              .type = SLICE_LITERAL("x"),
                              .payload = slice_string(payload),
                              .time_us = EVENT_NO_TIME};
        uint64_t offset;
        assert_int_equal(store_append(f->store, f->stream, &event, &offset), 0);
    }
    assert_int_equal(store_commit(f->store), 0);
    struct segment *segment = store_committed_next(f->store);
    assert_non_null(segment);
    return segment;
}

static void assert_gets(struct fixture *f, uint64_t offset)
{
    const struct event *event = NULL;
    uint64_t skip_to = 0;
    assert_int_equal(supply_get(&f->supply, f->reader, offset, f->head, &event, &skip_to), 0);
    char payload[32];
    snprintf(payload, sizeof(payload), "%llu", (unsigned long long)offset);
    assert_true(slice_equal_string(event->payload, payload));
}

static void test_each_event_comes_with_the_epoch_it_was_stored_in(void **state)
{
    struct fixture *f = *state;
    char epochs[2][STORE_EPOCH_BYTES];
    struct segment *live[2];
    for (unsigned i = 0; i < 2; i++) {
        if (i)
            assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
        live[i] = commit(f, 3);
        snprintf(epochs[i], sizeof(epochs[i]), "%s", store_epoch(f->store));
    }
    assert_string_not_equal(epochs[0], epochs[1]);
    for (unsigned from_store = 0; from_store < 2; from_store++) {
        for (uint64_t offset = 0; offset < 6; offset++) {
            if (!from_store && offset % 3 == 0)
                supply_push(&f->supply, live[offset / 3], offset);
            assert_gets(f, offset);
            assert_string_equal(supply_epoch(&f->supply), epochs[offset / 3]);
        }
        assert_int_equal(f->supply.reads, from_store ? 2 : 0);
        supply_clear(&f->supply);
    }
}

static void test_live_batches_are_served_without_reading(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 10; i++)
        supply_push(&f->supply, commit(f, 7), 0);
    for (uint64_t offset = 0; offset < 70; offset++) {
        assert_gets(f, offset);
        assert_gets(f, offset); /* asked again, the same is given */
    }
    assert_int_equal(f->supply.reads, 0);
}

static void test_what_is_not_in_memory_is_read_and_live_batches_follow(void **state)
{
    struct fixture *f = *state;
    segment_unref(commit(f, 5));
    segment_unref(commit(f, 5));
    assert_true(supply_behind(&f->supply, 0, f->head));
    for (uint64_t offset = 0; offset < 8; offset++)
        assert_gets(f, offset);
    assert_false(supply_behind(&f->supply, 8, f->head)); /* the rest of it is in memory */
    supply_push(&f->supply, commit(f, 5), 8);
    for (uint64_t offset = 8; offset < 15; offset++)
        assert_gets(f, offset);
    assert_int_equal(f->supply.reads, 2);
}

static void test_behind_a_backlog_no_live_batch_is_kept(void **state)
{
    struct fixture *f = *state;
    segment_unref(commit(f, 5));
    segment_unref(commit(f, 5));
    supply_push(&f->supply, commit(f, 5), 0);
    assert_int_equal(f->supply.live_count, 0);
    assert_gets(f, 0);
    supply_push(&f->supply, commit(f, 5), 1);
    assert_int_equal(f->supply.live_count, 0);
    assert_true(supply_behind(&f->supply, 1, f->head));
    for (uint64_t offset = 1; offset < 20; offset++)
        assert_gets(f, offset);
    assert_int_equal(f->supply.reads, 4);
}

static void test_going_back_finds_the_same_events(void **state)
{
    struct fixture *f = *state;
    supply_push(&f->supply, commit(f, 10), 0);
    supply_push(&f->supply, commit(f, 10), 0);
    for (uint64_t offset = 0; offset < 20; offset++)
        assert_gets(f, offset);
    assert_gets(f, 12);
    assert_gets(f, 13);
    assert_gets(f, 3); /* its batch is given back: read */
    assert_int_equal(f->supply.reads, 1);
    assert_gets(f, 19);
}

static void test_nothing_at_the_head_is_an_outcome(void **state)
{
    struct fixture *f = *state;
    const struct event *event;
    uint64_t skip_to;
    assert_int_equal(supply_get(&f->supply, f->reader, 0, 0, &event, &skip_to), SUPPLY_NONE);
    segment_unref(commit(f, 1));
    assert_gets(f, 0);
    assert_int_equal(supply_get(&f->supply, f->reader, 1, 1, &event, &skip_to), SUPPLY_NONE);
}

static void test_memory_is_bounded_and_the_store_fills_in(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < SUPPLY_LIVE_MAX + 20; i++)
        supply_push(&f->supply, commit(f, 1), 0);
    assert_int_equal(f->supply.live_count, SUPPLY_LIVE_MAX);
    assert_true(f->supply.live_bytes <= SUPPLY_LIVE_MAX_BYTES);
    for (uint64_t offset = 0; offset < f->head; offset++)
        assert_gets(f, offset);
    assert_true(f->supply.reads >= 1);
    assert_int_equal(f->supply.live_bytes, 0);
}

static void test_bytes_before_an_event_rise_from_zero_to_the_end(void **state)
{
    struct fixture *f = *state;
    segment_unref(commit(f, 3));
    struct segment *last = commit(f, 3);
    uint64_t before = 0;
    for (uint64_t offset = 0; offset < 6; offset++) {
        assert_gets(f, offset);
        assert_true(offset == 0 ? f->supply.event_bytes == 0 : f->supply.event_bytes > before);
        before = f->supply.event_bytes;
    }
    assert_true(before < last->end_bytes);
    segment_unref(last);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_event_comes_with_the_epoch_it_was_stored_in),
        TEST(test_live_batches_are_served_without_reading),
        TEST(test_what_is_not_in_memory_is_read_and_live_batches_follow),
        TEST(test_behind_a_backlog_no_live_batch_is_kept),
        TEST(test_going_back_finds_the_same_events),
        TEST(test_nothing_at_the_head_is_an_outcome),
        TEST(test_memory_is_bounded_and_the_store_fills_in),
        TEST(test_bytes_before_an_event_rise_from_zero_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
