#include "fixture.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hold_vfs.h"

static struct store_range_spec spec(uint32_t stream, enum store_lane lane, uint64_t next,
                                    uint64_t end)
{
    return (struct store_range_spec){
        .consumer = "up", .stream = stream, .lane = lane, .next_offset = next, .end_offset = end};
}

static int64_t add(struct fixture *f, uint32_t stream, enum store_lane lane, uint64_t next,
                   uint64_t end)
{
    const struct store_range_spec s = spec(stream, lane, next, end);
    int64_t id = 0;
    assert_int_equal(store_range_add(f->store, &s, &id), 0);
    assert_true(id > 0);
    return id;
}

/* The row as a reader finds it; false: there is none. */
static bool find_row(struct fixture *f, int64_t id, struct store_range_info *ret)
{
    struct store_reader *reader;
    int64_t at = id - 1;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    int r = store_read_next_range(reader, &at, ret);
    store_reader_close(reader);
    assert_true(r == 0 || r == STORE_READ_END);
    return !r && at == id;
}

static void expect_row(struct fixture *f, int64_t id, const char *lane, uint64_t next, uint64_t end)
{
    struct store_range_info info;
    assert_true(find_row(f, id, &info));
    assert_string_equal(info.consumer, "up");
    assert_string_equal(info.stream_name, "events");
    assert_string_equal(info.lane, lane);
    assert_int_equal(info.next_offset, next);
    assert_int_equal(info.end_offset, end);
}

static void expect_gone(struct fixture *f, int64_t id)
{
    struct store_range_info info;
    assert_false(find_row(f, id, &info));
}

static int64_t count_rows(struct fixture *f)
{
    return fixture_sql(store_path(f->store), "SELECT count(*) FROM \"range\"");
}

static void test_an_added_range_survives_a_crash_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    struct store_range_spec s = spec(stream, STORE_LANE_REPLAY, 10, 60);
    s.attributes = "{\"reason\":\"asked\"}";
    int64_t replay;
    unsigned long syncs = hold_vfs_syncs();
    assert_int_equal(store_range_add(f->store, &s, &replay), 0);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    int64_t live = add(f, stream, STORE_LANE_LIVE, 90, STORE_RANGE_OPEN);
    int64_t backlog = add(f, stream, STORE_LANE_BACKLOG, 20, 90);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_row(f, replay, "replay", 10, 60);
    expect_row(f, live, "live", 90, UINT64_MAX);
    expect_row(f, backlog, "backlog", 20, 90);
    struct store_range_info info;
    assert_true(find_row(f, replay, &info));
    assert_string_equal(info.attributes, s.attributes);
    assert_false(info.holds);
}

static void test_what_cannot_be_a_range_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 20);
    char name[200], json[5000];
    memset(name, 'n', sizeof(name));
    memset(json, ' ', sizeof(json));
    name[128] = json[4097] = '\0';
    struct store_range_spec wrong[] = {
        spec(stream, STORE_LANE_BACKLOG, 5, 5),
        spec(stream, STORE_LANE_BACKLOG, 5, 11), /* beyond the head */
        spec(stream, STORE_LANE_BACKLOG, 5, STORE_RANGE_OPEN),
        spec(stream, STORE_LANE_LIVE, 5, 10),
        spec(stream, STORE_LANE_LIVE, 11, STORE_RANGE_OPEN),
        spec(stream + 100, STORE_LANE_REPLAY, 0, 5),
        spec(stream, STORE_LANE_REPLAY, 0, 5),
        spec(stream, STORE_LANE_REPLAY, 0, 5),
        spec(stream, STORE_LANE_REPLAY, 0, 5)};
    wrong[6].consumer = "";
    wrong[7].consumer = name;
    wrong[8].attributes = json;
    int64_t id;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(store_range_add(f->store, &wrong[i], &id), -EINVAL);
    name[127] = json[4096] = '\0';
    assert_int_equal(store_range_add(f->store, &wrong[7], &id), 0);
    assert_int_equal(store_range_add(f->store, &wrong[8], &id), 0);
    add(f, stream, STORE_LANE_LIVE, 5, STORE_RANGE_OPEN);
    const struct store_range_spec second = spec(stream, STORE_LANE_LIVE, 5, STORE_RANGE_OPEN);
    assert_int_equal(store_range_add(f->store, &second, &id), -EEXIST);
    assert_int_equal(count_rows(f), 3);
}

static void test_moves_ride_along_and_go_forward_only(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t backlog = add(f, stream, STORE_LANE_BACKLOG, 20, 90);
    int64_t live = add(f, stream, STORE_LANE_LIVE, 90, STORE_RANGE_OPEN);
    unsigned long syncs = hold_vfs_syncs();
    store_range_move(f->store, backlog, 50);
    store_range_move(f->store, backlog, 30);
    store_range_move(f->store, live, 1000); /* no further than the head */
    store_range_move(f->store, 4711, 50);
    assert_int_equal(hold_vfs_syncs(), syncs);
    expect_row(f, backlog, "backlog", 20, 90);
    assert_true(store_cursors_due_us(f->store) < INT64_MAX);
    fixture_fill(f, stream, 100, 1, 20);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    expect_row(f, backlog, "backlog", 50, 90);
    expect_row(f, live, "live", 100, UINT64_MAX);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_row(f, backlog, "backlog", 50, 90);
    /* Ids that are still known to somebody go on meaning the same. */
    store_range_move(f->store, backlog, 60);
    assert_int_equal(store_commit(f->store), 0);
    expect_row(f, backlog, "backlog", 60, 90);
}

static void test_a_range_that_ends_goes_with_the_commit_that_moves_it_there(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t backlog = add(f, stream, STORE_LANE_BACKLOG, 20, 90);
    int64_t other = add(f, stream, STORE_LANE_REPLAY, 0, 10);
    store_range_move(f->store, backlog, 95); /* no further than the end */
    store_range_move(f->store, other, 5);
    expect_row(f, backlog, "backlog", 20, 90);
    /* A commit that fails takes nothing away. */
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(store_commit(f->store), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    expect_row(f, backlog, "backlog", 20, 90);
    unsigned long syncs = hold_vfs_syncs();
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    expect_gone(f, backlog);
    expect_row(f, other, "replay", 5, 10);
    assert_int_equal(store_range_remove(f->store, backlog), STORE_RANGE_UNKNOWN);
    /* Not given again while an acknowledgement of the old one may be under way. */
    int64_t last = add(f, stream, STORE_LANE_REPLAY, 0, 10);
    assert_int_equal(store_range_remove(f->store, last), 0);
    assert_true(add(f, stream, STORE_LANE_REPLAY, 0, 10) > last);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_gone(f, backlog);
    expect_row(f, other, "replay", 5, 10);
}

static void test_a_removed_range_is_gone_with_its_moves(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t backlog = add(f, stream, STORE_LANE_BACKLOG, 20, 90);
    store_range_move(f->store, backlog, 50);
    assert_int_equal(store_range_remove(f->store, backlog), 0);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    assert_int_equal(store_range_remove(f->store, backlog), STORE_RANGE_UNKNOWN);
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("up", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    assert_int_equal(store_range_remove(f->store, feed->ranges[0].id), -EBUSY);
    store_detach(f->store, feed);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_gone(f, backlog);
    assert_int_equal(store_range_remove(f->store, feed->ranges[0].id), 0);
    range_feed_unref(feed);
    assert_int_equal(count_rows(f), 0);
}

static void test_a_split_moves_the_live_range_and_makes_the_backlog_in_one(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t id = 0, live = add(f, stream, STORE_LANE_LIVE, 10, STORE_RANGE_OPEN);
    assert_int_equal(store_range_split(f->store, "none", stream, 50, &id), STORE_RANGE_UNKNOWN);
    store_range_move(f->store, live, 30); /* acknowledged, not yet written */
    assert_int_equal(store_range_split(f->store, "up", stream, 30, &id), STORE_RANGE_EMPTY);
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(store_range_split(f->store, "up", stream, UINT64_MAX, &id), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    expect_row(f, live, "live", 10, UINT64_MAX);
    assert_int_equal(count_rows(f), 1);
    unsigned long syncs = hold_vfs_syncs();
    assert_int_equal(store_range_split(f->store, "up", stream, UINT64_MAX, &id), 0);
    assert_int_equal(hold_vfs_syncs(), syncs + 1);
    assert_true(store_cursors_due_us(f->store) == INT64_MAX);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_row(f, live, "live", 100, UINT64_MAX);
    expect_row(f, id, "backlog", 30, 100);
}

static void test_splits_in_a_row_make_one_backlog(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t live = add(f, stream, STORE_LANE_LIVE, 10, STORE_RANGE_OPEN), first, second, third;
    assert_int_equal(store_range_split(f->store, "up", stream, 50, &first), 0);
    assert_int_equal(store_range_split(f->store, "up", stream, 80, &second), 0);
    assert_int_equal(second, first);
    expect_row(f, first, "backlog", 10, 80);
    store_range_move(f->store, live, 85);
    assert_int_equal(store_range_split(f->store, "up", stream, 100, &third), 0);
    assert_int_not_equal(third, first);
    fixture_crash(f, "crashed");
    fixture_open(f);
    expect_row(f, first, "backlog", 10, 80);
    expect_row(f, third, "backlog", 85, 100);
    /* One that is acknowledged to its end and only waits for its commit is not made longer. */
    store_range_move(f->store, third, 100);
    fixture_fill(f, stream, 100, 10, 20);
    fixture_append(f, stream, 110, 20);
    int64_t fourth;
    assert_int_equal(store_range_split(f->store, "up", stream, 110, &fourth), 0);
    assert_int_equal(store_commit(f->store), 0);
    expect_row(f, fourth, "backlog", 100, 110);
}

static void test_there_is_a_limit_to_ranges(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t live = add(f, stream, STORE_LANE_LIVE, 10, STORE_RANGE_OPEN), last = 0, id = -7;
    for (unsigned i = 1; i < STORE_RANGES_MAX; i++)
        last = add(f, stream, STORE_LANE_REPLAY, 10, 20);
    const struct store_range_spec one_more = spec(stream, STORE_LANE_REPLAY, 10, 20);
    assert_int_equal(store_range_add(f->store, &one_more, &id), STORE_RANGES_FULL);
    assert_int_equal(store_range_split(f->store, "up", stream, 50, &id), STORE_RANGES_FULL);
    assert_int_equal(id, -7);
    expect_row(f, live, "live", 10, UINT64_MAX);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(count_rows(f), STORE_RANGES_MAX);
    store_range_move(f->store, last, 20);
    assert_int_equal(store_commit(f->store), 0);
    assert_int_equal(store_range_add(f->store, &one_more, &id), 0);
}

static const char small[] = "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\"}}}";

static void maintain(struct fixture *f)
{
    for (bool more = true; more;)
        assert_int_equal(store_maintain(f->store, &more), 0);
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

static void test_live_and_backlog_hold_events_and_a_replay_does_not(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, small);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 50; i++)
        fixture_fill(f, stream, i, 1, 1000);
    int64_t replay = add(f, stream, STORE_LANE_REPLAY, 0, 50);
    int64_t backlog = add(f, stream, STORE_LANE_BACKLOG, 0, 40);
    int64_t live = add(f, stream, STORE_LANE_LIVE, 50, STORE_RANGE_OPEN);
    /* The backlog is in the way of what comes. */
    uint64_t offset;
    int r = 0;
    for (unsigned i = 50; !r; i++) {
        r = fixture_try_append(f, stream, i, 1000, &offset);
        assert_int_equal(store_commit(f->store), 0);
        store_range_move(f->store, live, UINT64_MAX);
        maintain(f);
        assert_int_equal(first_offset(f), 0);
    }
    assert_int_equal(r, STORE_FULL);
    store_range_move(f->store, backlog, 30);
    assert_int_equal(store_commit(f->store), 0);
    for (unsigned i = 0; i < 20; i++) {
        fixture_fill(f, stream, i, 1, 1000);
        store_range_move(f->store, live, UINT64_MAX);
        maintain(f);
    }
    assert_in_range(first_offset(f), 1, 30);
    store_range_move(f->store, backlog, 40); /* its end: now only the live range holds */
    for (unsigned i = 0; i < 60; i++) {
        fixture_fill(f, stream, i, 1, 1000);
        store_range_move(f->store, live, UINT64_MAX);
        maintain(f);
    }
    assert_true(first_offset(f) > 50);
    expect_row(f, replay, "replay", 0, 50); /* it finds nothing there any more */
    struct store_reader *reader;
    struct store_stream_info info;
    struct store_range_info range;
    struct store_range_lag lag;
    assert_true(find_row(f, replay, &range));
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    assert_int_equal(store_read_range_lag(reader, &info, &range, &lag), 0);
    store_reader_close(reader);
    assert_int_equal(lag.to - lag.from, 0);
    assert_int_equal(lag.bytes, 0);
}

static void test_the_lag_of_a_range_is_exact_inside_batches(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    uint64_t before[4];
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(store_read_stream(reader, "events", &info), 0);
        before[i] = info.end_bytes;
        fixture_fill(f, stream, 10 * i, 10, 100);
    }
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    const struct {
        uint64_t next, end, events, bytes;
    } cases[] = {{0, UINT64_MAX, 40, info.end_bytes},
                 {10, 30, 20, before[3] - before[1]},
                 {40, UINT64_MAX, 0, 0},
                 {10, 10, 0, 0}};
    struct store_range_lag lag;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct store_range_info range = {
            .stream = stream, .next_offset = cases[i].next, .end_offset = cases[i].end};
        assert_int_equal(store_read_range_lag(reader, &info, &range, &lag), 0);
        assert_int_equal(lag.to - lag.from, cases[i].events);
        assert_int_equal(lag.bytes, cases[i].bytes);
    }
    const struct store_range_info inside = {.stream = stream, .next_offset = 15, .end_offset = 16};
    assert_int_equal(store_read_range_lag(reader, &info, &inside, &lag), 0);
    assert_in_range(lag.bytes, 100, 160);
    store_reader_close(reader);
}

static void test_a_range_behind_the_head_is_cut_at_the_opening(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 100, 20);
    int64_t long_one = add(f, stream, STORE_LANE_BACKLOG, 10, 100);
    int64_t late_one = add(f, stream, STORE_LANE_BACKLOG, 90, 100);
    char sql[200];
    snprintf(sql, sizeof(sql),
             "UPDATE \"range\" SET end_offset = 300 WHERE id = %lld;"
             "UPDATE \"range\" SET next_offset = 200, end_offset = 300 WHERE id = %lld",
             (long long)long_one, (long long)late_one);
    fixture_sql(store_path(f->store), sql);
    fixture_close(f);
    fixture_open(f);
    expect_row(f, long_one, "backlog", 10, 100);
    expect_gone(f, late_one);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_added_range_survives_a_crash_at_once),
        TEST(test_what_cannot_be_a_range_is_refused),
        TEST(test_moves_ride_along_and_go_forward_only),
        TEST(test_a_range_that_ends_goes_with_the_commit_that_moves_it_there),
        TEST(test_a_removed_range_is_gone_with_its_moves),
        TEST(test_a_split_moves_the_live_range_and_makes_the_backlog_in_one),
        TEST(test_splits_in_a_row_make_one_backlog),
        TEST(test_there_is_a_limit_to_ranges),
        TEST(test_live_and_backlog_hold_events_and_a_replay_does_not),
        TEST(test_the_lag_of_a_range_is_exact_inside_batches),
        TEST(test_a_range_behind_the_head_is_cut_at_the_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
