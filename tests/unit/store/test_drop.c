#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"

static const char small[] = "{\"streams\": {\"events\": {\"max_bytes\": \"256KiB\", \"max_age\": 0,"
                            " \"when_full\": \"drop_oldest\"}}}";

enum { GAPS_MAX = 128 };

struct gap_seen {
    unsigned long long from, to, count;
    char upstream[16], reason[16], epoch[24];
};

/* All gap records in "$gateway" about stream; how many. */
static unsigned gaps(struct fixture *f, const char *stream, struct gap_seen *ret)
{
    struct store_reader *reader;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    struct store_stream_info info;
    assert_int_equal(store_read_stream(reader, "$gateway", &info), 0);
    unsigned count = 0;
    for (uint64_t offset = info.first_offset; offset < info.next_offset;) {
        struct segment *segment;
        uint64_t skip;
        assert_int_equal(store_read(reader, info.stream, offset, &segment, &skip), 0);
        struct segment_iterator it;
        struct event event;
        segment_iterator_init(&it, segment, offset);
        while (segment_next(&it, &event, &skip) == 0) {
            char text[512], name[32];
            snprintf(text, sizeof(text), "%.*s", SLICE_PRINT(event.payload));
            struct gap_seen gap;
            if (!slice_equal_string(event.type, "sluice.gap") ||
                sscanf(text,
                       "{\"stream\":\"%31[^\"]\",\"from\":%llu,\"to\":%llu,\"count\":%llu,"
                       "\"reason\":\"%15[^\"]\",\"upstream\":\"%15[^\"]\",\"epoch\":"
                       "\"%23[^\"]\"",
                       name, &gap.from, &gap.to, &gap.count, gap.reason, gap.upstream,
                       gap.epoch) != 7 ||
                strcmp(name, stream) != 0)
                continue;
            assert_in_range(count, 0, GAPS_MAX - 1);
            ret[count++] = gap;
        }
        offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    store_reader_close(reader);
    return count;
}

static struct range_feed *attach(struct fixture *f, const char *name)
{
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new(name, RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static void detach(struct fixture *f, struct range_feed *feed)
{
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static uint64_t first_offset(struct fixture *f)
{
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    store_reader_close(reader);
    return info.first_offset;
}

static void test_the_oldest_go_and_gap_records_say_exactly_which(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up");
    range_live_set(&feed->ranges[0], false, 0);
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    uint64_t dropped_before = metric_get(set, METRIC_STREAM_DROPPED_EVENTS);
    for (unsigned i = 0; i < 400; i += 4)
        fixture_fill(f, stream, i, 4, 2000);
    uint64_t first = first_offset(f);
    assert_in_range(first, 250, 300);
    fixture_expect(f, stream, first, (unsigned)first, 400 - (unsigned)first);
    struct gap_seen seen[GAPS_MAX];
    unsigned count = gaps(f, "events", seen);
    assert_in_range(count, 5, GAPS_MAX);
    uint64_t next = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(seen[i].from, next);
        assert_int_equal(seen[i].count, seen[i].to - seen[i].from);
        assert_string_equal(seen[i].upstream, "up");
        assert_string_equal(seen[i].reason, "drop_oldest");
        next = seen[i].to;
    }
    assert_int_equal(next, first);
    assert_int_equal(metric_get(set, METRIC_STREAM_DROPPED_EVENTS) - dropped_before, first);
    struct metric_set *range = metric_set_get(METRIC_GROUP_RANGE, "up", "events");
    assert_int_equal(metric_get(range, METRIC_RANGE_LAG_EVENTS), 400 - first);
    detach(f, feed);
}

static void test_what_was_acknowledged_is_no_gap(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *fast = attach(f, "fast"), *slow = attach(f, "slow");
    fixture_fill(f, stream, 0, 100, 2000);
    store_move_cursor(f->store, fast, 0, 100);
    store_move_cursor(f->store, slow, 0, 30);
    for (unsigned i = 100; i < 200; i += 10) {
        fixture_fill(f, stream, i, 10, 2000);
        store_move_cursor(f->store, fast, 0, i + 10);
    }
    struct gap_seen seen[GAPS_MAX];
    unsigned count = gaps(f, "events", seen);
    assert_true(count > 0);
    uint64_t next = 30;
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(seen[i].upstream, "slow");
        assert_int_equal(seen[i].from, next);
        next = seen[i].to;
    }
    assert_int_equal(next, first_offset(f));
    detach(f, fast);
    detach(f, slow);
}

/* A backlog loses events as a live range does, as far as it goes; what was sent between the two is
 * no loss, and a replay takes what is there. */
static void test_of_ranges_a_backlog_is_told_of_and_a_replay_is_not(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 100; i += 2)
        fixture_fill(f, stream, i, 2, 2000);
    const struct store_range_spec specs[] = {
        {"late", stream, STORE_LANE_BACKLOG, 4, 8, NULL},
        {"late", stream, STORE_LANE_LIVE, 10, STORE_RANGE_OPEN, NULL},
        {"asked", stream, STORE_LANE_REPLAY, 0, 50, NULL}};
    int64_t ids[3];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(store_range_add(f->store, &specs[i], &ids[i]), 0);
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    uint64_t dropped_before = metric_get(set, METRIC_STREAM_DROPPED_EVENTS);
    uint64_t evicted_before = metric_get(set, METRIC_STREAM_EVICTED_EVENTS);
    for (unsigned i = 100; i < 150; i += 2)
        fixture_fill(f, stream, i, 2, 2000);
    uint64_t first = first_offset(f), next = 10;
    assert_in_range(first, 20, 48);
    struct gap_seen seen[GAPS_MAX];
    unsigned count = gaps(f, "events", seen), backlogs = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(seen[i].upstream, "late");
        assert_int_equal(seen[i].count, seen[i].to - seen[i].from);
        if (seen[i].from < 8) {
            backlogs++;
            assert_int_equal(seen[i].from, 4);
            assert_int_equal(seen[i].to, 8);
        } else {
            assert_int_equal(seen[i].from, next);
            next = seen[i].to;
        }
    }
    assert_int_equal(backlogs, 1);
    assert_int_equal(next, first);
    assert_int_equal(metric_get(set, METRIC_STREAM_DROPPED_EVENTS) - dropped_before,
                     4 + first - 10);
    assert_int_equal(metric_get(set, METRIC_STREAM_EVICTED_EVENTS) - evicted_before, 6);
    /* Nothing is left of the backlog; the replay goes on with what is left. */
    assert_int_equal(store_commit(f->store), 0);
    const char *path = store_path(f->store);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM \"range\""), 2);
    assert_int_equal(fixture_sql(path, "SELECT next_offset FROM \"range\" WHERE lane = 'replay'"),
                     first);
}

static void test_nothing_is_dropped_or_told_without_a_commit(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up");
    fixture_fill(f, stream, 0, 60, 2000);
    fixture_fill(f, stream, 60, 60, 2000);
    uint64_t offset;
    for (unsigned i = 120; i < 140; i++)
        assert_int_equal(fixture_try_append(f, stream, i, 2000, &offset), 0);
    assert_int_equal(first_offset(f), 0);
    fixture_crash(f, "copy");
    range_feed_unref(feed);
    fixture_open(f);
    fixture_expect(f, stream, 0, 0, 120);
    struct gap_seen seen[GAPS_MAX];
    assert_int_equal(gaps(f, "events", seen), 0);
}

/* More than fits is open: it is committed first, and then the oldest of it may go. */
static void test_what_is_open_is_not_dropped(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up");
    uint64_t offset;
    unsigned n = 0;
    while (fixture_try_append(f, stream, n, 2000, &offset) == 0)
        n++;
    assert_in_range(n, 115, 131);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(first_offset(f), 0);
    assert_int_equal(fixture_try_append(f, stream, n, 2000, &offset), 0);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(first_offset(f), n); /* one batch: it went as a whole */
    detach(f, feed);
}

static void test_without_a_consumer_there_is_no_gap(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 400; i += 10) {
        fixture_fill(f, stream, i, 10, 2000);
        bool more = true;
        while (more)
            assert_int_equal(store_maintain(f->store, &more), 0);
    }
    struct gap_seen seen[GAPS_MAX];
    assert_int_equal(gaps(f, "events", seen), 0);
}

/* "$gateway" itself runs full of gap records: it drops its own oldest and tells that, too. */
static void test_the_stream_of_gap_records_is_bounded_too(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"$gateway\": {\"max_bytes\": \"64KiB\"}, \"events\": "
                         "{\"max_bytes\": \"64KiB\", \"when_full\": \"drop_oldest\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    const char *names[] = {"events", "$gateway"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("up", RANGE_START_OLDEST, names, 2, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    for (unsigned i = 0; i < 3000; i++)
        fixture_fill(f, stream, i, 1, 2000);
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "$gateway", &info), 0);
    store_reader_close(reader);
    assert_true(info.first_offset > 0);
    assert_true(info.stored_bytes <= 64 * 1024);
    struct gap_seen seen[GAPS_MAX];
    unsigned count = gaps(f, "$gateway", seen);
    assert_true(count > 0);
    assert_int_equal(seen[count - 1].to, info.first_offset);
    detach(f, feed);
}

static void test_gap_records_name_the_epoch_of_the_events(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f, "up");
    char epochs[2][24];
    snprintf(epochs[0], sizeof(epochs[0]), "%s", store_epoch(f->store));
    fixture_fill(f, stream, 0, 3, 2000);
    assert_int_equal(store_epoch_begin(f->store, "asked"), 0);
    fixture_fill(f, stream, 3, 1, 2000);
    snprintf(epochs[1], sizeof(epochs[1]), "%s", store_epoch(f->store));
    assert_string_not_equal(epochs[0], epochs[1]);
    for (unsigned i = 4; i < 200; i += 4)
        fixture_fill(f, stream, i, 4, 2000);
    struct gap_seen seen[GAPS_MAX];
    unsigned count = gaps(f, "events", seen);
    assert_true(count > 1);
    uint64_t next = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(seen[i].from, next);
        assert_int_equal(seen[i].count, seen[i].to - seen[i].from);
        assert_string_equal(seen[i].epoch, epochs[i > 0]);
        next = seen[i].to;
    }
    assert_int_equal(seen[0].to, 3);
    assert_int_equal(next, first_offset(f));
    detach(f, feed);
}

/* It waited for room that there cannot be, and everything behind it with it. */
static void test_what_the_whole_disk_space_cannot_hold_is_too_large(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"max_bytes\": \"512KiB\"}, \"disk\": {\"wal_max_bytes\": "
                         "\"1MiB\", \"max_bytes\": \"3MiB\", \"reserve_bytes\": \"512KiB\"}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    uint64_t offset;
    assert_int_equal(fixture_try_append(f, stream, 0, 1 << 20, &offset), 0);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(fixture_try_append(f, stream, 1, 3 << 19, &offset), STORE_TOO_LARGE);
    assert_int_equal(fixture_try_append(f, stream, 1, 2 << 20, &offset), STORE_TOO_LARGE);
}

/* Between the append that plans a drop and its commit retention may take more than the plan. */
static void test_what_retention_took_meanwhile_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"max_bytes\": \"512KiB\"}, \"disk\": {\"wal_max_bytes\": "
                         "\"1MiB\", \"max_bytes\": \"2600KiB\"}, \"streams\": {\"events\": "
                         "{\"when_full\": \"drop_oldest\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct metric_set *set = metric_set_get(METRIC_GROUP_STREAM, "events", NULL);
    uint32_t other = fixture_stream(f, "other");
    unsigned n = 0;
    bool more;
    while (metric_get(metric_process(), METRIC_STORE_USED_BYTES) < 1300 * 1024)
        fixture_fill(f, stream, n++, 1, 20000);
    uint64_t first = metric_get(set, METRIC_STREAM_FIRST_OFFSET);
    uint64_t evicted = metric_get(set, METRIC_STREAM_EVICTED_EVENTS) - first;
    fixture_append(f, stream, n++, 200000);
    uint64_t ignored; /* another stream asks for room, too */
    assert_int_equal(fixture_try_append(f, other, 0, 1300000, &ignored), STORE_FULL);
    do
        assert_int_equal(store_maintain(f->store, &more), 0);
    while (more);
    uint64_t taken = metric_get(set, METRIC_STREAM_FIRST_OFFSET);
    assert_true(taken > first);
    assert_int_equal(store_commit(f->store), 0);
    assert_true(metric_get(set, METRIC_STREAM_FIRST_OFFSET) >= taken);
    assert_int_equal(metric_get(set, METRIC_STREAM_FIRST_OFFSET), first_offset(f));
    assert_int_equal(metric_get(set, METRIC_STREAM_EVICTED_EVENTS) - evicted, first_offset(f));
}

static void test_a_reserve_of_no_given_disk_space_keeps_nobody_out(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"disk\": {\"reserve_bytes\": \"1TiB\"}}");
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 1, 100);
}

/* As after commits that failed: a dead letter may be among what was not committed. */
static void test_an_end_with_open_events_moves_no_cursor(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events"), letters = fixture_stream(f, "$dlq");
    for (unsigned open = 0; open < 2; open++) {
        struct range_feed *feed = attach(f, "up");
        assert_int_equal(feed->ranges[0].start_offset, open ? 2 : 0);
        fixture_fill(f, stream, 3 * open, 3, 100);
        store_move_cursor(f->store, feed, 0, 2 + 2 * open);
        if (open)
            fixture_append(f, letters, 2, 100);
        detach(f, feed);
        fixture_close(f);
        fixture_open(f);
    }
    struct range_feed *feed = attach(f, "up");
    assert_int_equal(feed->ranges[0].start_offset, 2);
    detach(f, feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_oldest_go_and_gap_records_say_exactly_which,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_acknowledged_is_no_gap, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_of_ranges_a_backlog_is_told_of_and_a_replay_is_not,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_is_dropped_or_told_without_a_commit,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_gap_records_name_the_epoch_of_the_events,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_the_whole_disk_space_cannot_hold_is_too_large,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_retention_took_meanwhile_does_not_come_back,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_end_with_open_events_moves_no_cursor, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_reserve_of_no_given_disk_space_keeps_nobody_out,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_open_is_not_dropped, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_without_a_consumer_there_is_no_gap, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_the_stream_of_gap_records_is_bounded_too,
                                        fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
