#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "pack/codec.h"
#include "event/attribute.h"
#include "hold_vfs.h"

enum { STEPS_MAX = 20000, KEY_SHIFT = 48, ROW_BYTES = 64, DUMP_MAX_BYTES = 64 * 1024 * 1024 };

/* Thousands of commits: without a sync each, where it does not matter. */
/* A build may have no zstd; then blocks save what the rows and their repeated names took. */
static bool compresses(void)
{
    return pack_codec_available(PACK_ZSTD);
}

static const char roomy[] =
    "{\"commit\": {\"durability\": \"process\"},"
    " \"streams\": {\"events\": {\"max_bytes\": \"64MiB\", \"max_age\": 0}}}";
static const char synced[] =
    "{\"streams\": {\"events\": {\"max_bytes\": \"64MiB\", \"max_age\": 0}}}";

static void repack(struct fixture *f)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_in_range(i, 0, STEPS_MAX);
        assert_int_equal(store_repack(f->store, &more), 0);
    }
}

static void maintain(struct fixture *f)
{
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_in_range(i, 0, STEPS_MAX);
        assert_int_equal(store_maintain(f->store, &more), 0);
    }
}

static int64_t sql(struct fixture *f, const char *text)
{
    return fixture_sql(store_path(f->store), text);
}

static uint64_t rows(struct fixture *f)
{
    return (uint64_t)sql(f, "SELECT count(*) FROM batch");
}

static uint64_t metric(enum metric which)
{
    return metric_get(metric_set_get(METRIC_GROUP_STREAM, "events", NULL), which);
}

static struct store_stream_info info(struct fixture *f)
{
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    store_reader_close(reader);
    return info;
}

/* What the quota counts is what the rows take, for the writer and for readers. */
static void check_accounts(struct fixture *f)
{
    uint64_t taken = (uint64_t)sql(f, "SELECT sum(length(data) + 64) FROM batch WHERE key >> 48 ="
                                      " (SELECT id FROM stream WHERE name = 'events')");
    assert_int_equal(metric(METRIC_STREAM_BYTES), taken);
    assert_int_equal(info(f).stored_bytes, taken);
}

/* An event of which every part follows from n. */
static void append_rich(struct fixture *f, uint32_t stream, unsigned n)
{
    char payload[256], topic[64], device[32], attributes[64];
    struct bytes list = BYTES_INIT(sizeof(attributes));
    snprintf(topic, sizeof(topic), "plant/%u/line-%u/state", n % 7, n % 3);
    snprintf(device, sizeof(device), n % 2 ? "line-%u" : "press-%u", n % 3);
    int len = snprintf(payload, sizeof(payload), "event %u {\"value\":%u,\"unit\":\"mm\"}%*s", n,
                       n * 7919, (int)(n % 90), "");
    const struct attribute attribute = {
        .kind = ATTRIBUTE_USER, .name = SLICE_LITERAL("batch"), .value = slice_string(device)};
    if (n % 5 == 0)
        assert_int_equal(attribute_append(&list, &attribute), 0);
    const struct event event = {
        .topic = slice_string(topic),
        .device = slice_string(device),
        .type = SLICE_LITERAL("state"),
        .client = n % 4 ? SLICE_EMPTY : SLICE_LITERAL("client"),
        .content_type = n % 3 ? SLICE_EMPTY : SLICE_LITERAL("application/json"),
        .attributes = bytes_slice(&list),
        .payload = slice_make(payload, (size_t)len),
        .received_us = n % 11 ? 1700000000000000 + (int64_t)n * 1000003 : (int64_t)n,
        .time_us = n % 6 ? EVENT_NO_TIME : -(int64_t)n,
        .quality = (enum clock_quality)(n % 3),
        .qos = (uint8_t)(n % 3),
        .retain = n % 8 == 0,
        .payload_utf8 = n % 9 != 0};
    uint64_t offset;
    assert_int_equal(store_append(f->store, stream, &event, &offset), 0);
    assert_int_equal(offset, n);
    bytes_deinit(&list);
}

/* count events from n on, one a commit. */
static void fill_rich(struct fixture *f, uint32_t stream, unsigned n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        append_rich(f, stream, n + i);
        assert_int_equal(store_commit(f->store), 0);
    }
}

static void dump_slice(struct bytes *out, struct slice s)
{
    assert_int_equal(bytes_append_format(out, "%zu:", s.len), 0);
    assert_int_equal(bytes_append_slice(out, s), 0);
}

/* Everything that can be read of the stream, in one buffer. */
static struct bytes dump(struct fixture *f, uint32_t stream)
{
    struct bytes out = BYTES_INIT(DUMP_MAX_BYTES);
    struct store_reader *reader;
    struct segment *segment;
    uint64_t offset = 0, at, skip = 0, bytes = 0;
    int r;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    while ((r = store_read(reader, stream, offset, &segment, &skip)) != STORE_READ_END) {
        if (r == STORE_READ_DAMAGED) {
            assert_int_equal(
                bytes_append_format(&out, "damaged to %llu;", (unsigned long long)skip), 0);
            offset = skip;
            continue;
        }
        assert_int_equal(r, 0);
        struct segment_iterator it;
        struct event e;
        segment_iterator_init(&it, segment, offset);
        /* Lag in bytes never grows on the way through the stream. */
        assert_true(segment_iterator_bytes(&it) >= bytes);
        while (segment_next(&it, &e, &at) == 0) {
            assert_int_equal(bytes_append_format(&out, "%llu %lld %lld %d %d %d %d;",
                                                 (unsigned long long)at, (long long)e.received_us,
                                                 (long long)e.time_us, e.quality, e.qos, e.retain,
                                                 e.payload_utf8),
                             0);
            const struct slice parts[] = {e.topic,        e.device,     e.type,   e.client,
                                          e.content_type, e.attributes, e.payload};
            for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                dump_slice(&out, parts[i]);
            offset = at + 1;
        }
        bytes = segment_iterator_bytes(&it);
        assert_int_equal(bytes, segment->end_bytes);
        segment_unref(segment);
    }
    store_reader_close(reader);
    return out;
}

static void expect_dump(struct fixture *f, uint32_t stream, struct bytes *before)
{
    struct bytes now = dump(f, stream);
    assert_true(slice_equal(bytes_slice(before), bytes_slice(&now)));
    bytes_deinit(&now);
}

static void test_small_rows_become_blocks_and_every_event_stays_what_it_was(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fill_rich(f, stream, 0, 2000);
    struct bytes before = dump(f, stream);
    fixture_close(f);
    fixture_configure(f, synced);
    fixture_open(f);
    struct store_stream_info was = info(f);
    uint64_t counted = metric(METRIC_STREAM_REPACKED_BATCHES);
    unsigned long syncs = hold_vfs_syncs();
    repack(f);
    assert_int_equal(hold_vfs_syncs(), syncs);
    uint64_t replaced = metric(METRIC_STREAM_REPACKED_BATCHES) - counted;
    assert_true(replaced > 1000);
    assert_in_range(rows(f), 2000 - replaced + 2, 600);
    assert_int_equal(sql(f, "SELECT sum(n) FROM batch"), 2000);
    assert_in_range(sql(f, "SELECT max(raw_bytes) FROM batch"), 60000, 65 * 1024);
    struct store_stream_info is = info(f);
    assert_int_equal(is.first_offset, 0);
    assert_int_equal(is.next_offset, 2000);
    assert_int_equal(is.end_bytes, was.end_bytes);
    assert_true(is.stored_bytes < was.stored_bytes / (compresses() ? 2 : 1));
    check_accounts(f);
    expect_dump(f, stream, &before);
    fixture_close(f);
    fixture_open(f);
    check_accounts(f);
    expect_dump(f, stream, &before);
    append_rich(f, stream, 2000);
    assert_int_equal(store_commit(f->store), 0);
    check_accounts(f);
    bytes_deinit(&before);
}

static void test_the_tail_waits_until_it_makes_a_block(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    unsigned n = 0;
    while (info(f).end_bytes < 63000) {
        fill_rich(f, stream, n++, 1);
        repack(f);
    }
    assert_int_equal(rows(f), n);
    /* Events that wait are served first. */
    while (store_open_bytes(f->store) < 4000)
        append_rich(f, stream, n++);
    bool more = true;
    assert_int_equal(store_repack(f->store, &more), 0);
    assert_false(more);
    uint64_t few = rows(f);
    assert_int_equal(store_commit(f->store), 0);
    append_rich(f, stream, n);
    assert_int_equal(store_repack(f->store, &more), 0);
    assert_int_equal(rows(f), few + 1);
    assert_int_equal(store_commit(f->store), 0);
    repack(f);
    assert_in_range(rows(f), 1, 3);
    check_accounts(f);
}

static void test_rows_that_would_not_shrink_stay(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 40; i++)
        fixture_fill(f, stream, i, 1, 3500);
    repack(f);
    assert_int_equal(rows(f), 40);
    /* Neither do large ones among small ones, and fewer than sixteen between them. */
    for (unsigned i = 0; i < 60; i++)
        fixture_fill(f, stream, 40 + i, 1, i % 12 ? 60 : 20000);
    repack(f);
    assert_int_equal(rows(f), 100);
    fixture_expect(f, stream, 0, 0, 100);
    check_accounts(f);
}

static void test_quota_is_exact_while_blocks_and_rows_go_and_slack_goes_with_them(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 1000; i += 4) { /* rows of one event, or of three */
            fixture_fill(f, stream, 1000 * round + i, 1, 60);
            fixture_fill(f, stream, 1000 * round + i + 1, 3, round % 3 == 2 ? 5000 : 60);
        }
        repack(f);
        check_accounts(f);
    }
    assert_true(sql(f, "SELECT slack FROM stream WHERE name = 'events'") >
                (compresses() ? 100000 : 0));
    uint64_t first = 0;
    unsigned shrunk = 0;
    for (uint64_t max; (max = info(f).stored_bytes - 30000) > 64 * 1024; shrunk++) {
        char json[128];
        snprintf(json, sizeof(json),
                 "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                 "{\"max_bytes\": %llu, \"max_age\": 0}}}",
                 (unsigned long long)max);
        fixture_configure(f, json);
        maintain(f);
        assert_true(info(f).stored_bytes <= max);
        assert_true(info(f).first_offset > first);
        first = info(f).first_offset;
        check_accounts(f);
        if (shrunk % 2) {
            fixture_close(f);
            fixture_open(f);
            check_accounts(f);
        }
        fixture_expect(f, stream, first, (unsigned)first, 6000 - (unsigned)first);
    }
    assert_true(shrunk > 5);
    /* Everything goes, by age. */
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                         "{\"max_age\": \"10m\"}}}");
    for (unsigned i = 0; i < 30; i++) {
        f->now_us += INT64_C(60) * 1000000;
        maintain(f);
    }
    assert_int_equal(rows(f), 0);
    assert_int_equal(sql(f, "SELECT slack FROM stream WHERE name = 'events'"), 0);
    assert_int_equal(metric(METRIC_STREAM_BYTES), 0);
    fixture_fill(f, stream, 6000, 1, 60);
    check_accounts(f);
    fixture_close(f);
    fixture_open(f);
    check_accounts(f);
}

static void test_slack_is_what_the_first_row_lets_see_of_it(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 1200; i++) {
        fixture_fill(f, stream, i, 1, 60);
        if (i % 300 == 299)
            repack(f);
    }
    check_accounts(f);
    /* Blocks re-packed again, the first of the stream among them: larger ones are allowed now, and
     * a start looks at them again. */
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                         "{\"max_bytes\": 65536, \"max_age\": 0}}}");
    fixture_close(f);
    fixture_open(f);
    for (unsigned i = 0; i < 400; i++) {
        fixture_fill(f, stream, 1200 + i, 1, 60);
        maintain(f);
        repack(f);
        check_accounts(f);
    }
    uint64_t small = rows(f);
    fixture_configure(f, roomy);
    fixture_close(f);
    fixture_open(f);
    for (unsigned i = 0; i < 1200; i++)
        fixture_fill(f, stream, 1600 + i, 1, 60);
    repack(f);
    assert_true(rows(f) < small + 700);
    check_accounts(f);
    fixture_close(f);
    fixture_open(f);
    check_accounts(f);
}

static bool spans(struct fixture *f, unsigned offset)
{
    char text[160];
    snprintf(text, sizeof(text),
             "SELECT count(*) FROM batch WHERE (key & 281474976710655) < %u"
             " AND (key & 281474976710655) + n > %u",
             offset, offset);
    return sql(f, text) > 0;
}

static void test_no_block_spans_an_epoch_or_a_boot(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fill_rich(f, stream, 0, 1500);
    char text[160];
    snprintf(text, sizeof(text), "INSERT INTO epoch VALUES(%u, 130, '0123456789abcdef')", stream);
    sql(f, text);
    snprintf(text, sizeof(text), "INSERT INTO boot(first_key, id) VALUES(%lld, 'other')",
             (long long)stream << KEY_SHIFT | 275);
    sql(f, text);
    struct bytes before = dump(f, stream);
    repack(f);
    assert_false(spans(f, 130));
    assert_false(spans(f, 275));
    assert_true(spans(f, 129) && spans(f, 131) && spans(f, 274) && spans(f, 276));
    expect_dump(f, stream, &before);
    check_accounts(f);
    bytes_deinit(&before);
}

static void test_a_damaged_row_ends_a_run_and_is_left_alone(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fill_rich(f, stream, 0, 1500);
    char text[200];
    snprintf(text, sizeof(text), "UPDATE batch SET crc = crc + 1 WHERE key = %lld",
             (long long)stream << KEY_SHIFT | 200);
    sql(f, text);
    struct bytes before = dump(f, stream);
    repack(f);
    assert_true(spans(f, 199) && spans(f, 202));
    assert_false(spans(f, 200) || spans(f, 201));
    snprintf(text, sizeof(text), "SELECT n FROM batch WHERE key = %lld",
             (long long)stream << KEY_SHIFT | 200);
    assert_int_equal(sql(f, text), 1);
    expect_dump(f, stream, &before);
    check_accounts(f);
    bytes_deinit(&before);
}

static void test_events_do_not_outstay_max_age_by_more_than_an_eighth(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                         "{\"max_bytes\": \"64MiB\","
                         " \"max_age\": \"64m\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 1500; i++) {
        fixture_fill(f, stream, i, 1, 60);
        f->now_us += INT64_C(2) * 1000000;
        maintain(f);
        repack(f);
    }
    /* 30 events a minute, 8 minutes. */
    assert_in_range(sql(f, "SELECT max(n) FROM batch"), 200, 280);
    check_accounts(f);
    f->now_us += INT64_C(64) * 60 * 1000000 - INT64_C(3000) * 1000000;
    maintain(f);
    uint64_t first = info(f).first_offset;
    f->now_us += INT64_C(9) * 60 * 1000000;
    maintain(f);
    assert_true(info(f).first_offset > first);
}

static struct range_feed *attach(struct fixture *f)
{
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("up", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static void test_a_consumer_in_the_middle_of_a_block_goes_on_there(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    for (unsigned i = 0; i < 1000; i++)
        fixture_fill(f, stream, i, 1, 60);
    store_move_cursor(f->store, feed, 0, 137);
    fixture_fill(f, stream, 1000, 1, 60);
    repack(f);
    assert_true(spans(f, 137));
    fixture_expect(f, stream, 137, 137, 1001 - 137);
    /* The block is kept as a whole while the cursor stands in it. */
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                         "{\"max_bytes\": \"64KiB\", \"max_age\": 0}}}");
    maintain(f);
    assert_int_equal(info(f).first_offset, 0);
    store_move_cursor(f->store, feed, 0, 1001);
    assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    assert_true(info(f).first_offset > 137);
    check_accounts(f);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_a_stream_full_of_unsent_blocks_takes_what_fits_and_no_more(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}, \"streams\": {\"events\": "
                         "{\"max_bytes\": \"256KiB\", \"max_age\": 0}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    uint64_t offset;
    unsigned n = 0;
    for (; !fixture_try_append(f, stream, n, 60, &offset); n++) {
        assert_int_equal(store_commit(f->store), 0);
        repack(f);
        assert_true(metric(METRIC_STREAM_BYTES) <= 256 * 1024);
        assert_in_range(n, 0, 6000);
    }
    assert_true(n > 2000); /* 1,550 rows of their own would have fitted */
    assert_true(metric(METRIC_STREAM_BYTES) > 255 * 1024);
    check_accounts(f);
    fixture_expect(f, stream, 0, 0, n);
    /* Acknowledged events make room before they are evicted, although end_stored counts slack. */
    store_move_cursor(f->store, feed, 0, n / 2);
    assert_int_equal(fixture_try_append(f, stream, n, 60, &offset), 0);
    assert_int_equal(offset, n);
    assert_int_equal(store_commit(f->store), 0);
    maintain(f);
    check_accounts(f);
    fixture_expect(f, stream, info(f).first_offset, (unsigned)info(f).first_offset,
                   n + 1 - (unsigned)info(f).first_offset);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

static void test_what_is_dropped_takes_its_slack_with_it(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"},"
                         " \"streams\": {\"events\": {\"max_bytes\": \"128KiB\", \"max_age\": 0,"
                         " \"when_full\": \"drop_oldest\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    struct range_feed *feed = attach(f);
    for (unsigned i = 0; i < 6000; i++) {
        fixture_fill(f, stream, i, 1, 60);
        if (i % 3 == 0)
            repack(f);
        if (i % 100 == 0) {
            maintain(f);
            check_accounts(f);
        }
    }
    struct store_stream_info is = info(f);
    assert_in_range(is.first_offset, 3000, 5500);
    assert_true(is.stored_bytes > 100 * 1024);
    fixture_expect(f, stream, is.first_offset, (unsigned)is.first_offset,
                   6000 - (unsigned)is.first_offset);
    store_detach(f->store, feed);
    fixture_close(f);
    fixture_open(f);
    check_accounts(f);
    range_feed_unref(feed);
}

static void test_what_cannot_be_written_stays_as_it_was(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fill_rich(f, stream, 0, 1500);
    struct bytes before = dump(f, stream);
    bool more = true;
    int r = 0;
    hold_vfs_fail(SQLITE_FULL);
    while (!r && more)
        r = store_repack(f->store, &more);
    hold_vfs_fail(SQLITE_OK);
    assert_true(r < 0);
    assert_int_equal(rows(f), 1500);
    check_accounts(f);
    expect_dump(f, stream, &before);
    fill_rich(f, stream, 1500, 1);
    repack(f); /* goes on behind it */
    assert_in_range(rows(f), 400, 1200);
    check_accounts(f);
    bytes_deinit(&before);
}

static void test_a_start_looks_at_the_newest_rows_only(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, roomy);
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    unsigned n = 0;
    for (; n < 600; n++)
        fixture_fill(f, stream, n, 1, 60);
    for (; n < 1100; n++)
        fixture_fill(f, stream, n, 1, 20000);
    for (; n < 1900; n++)
        fixture_fill(f, stream, n, 1, 60);
    fixture_close(f);
    fixture_open(f);
    unsigned long reads = hold_vfs_reads();
    repack(f);
    /* A few pages for each row of the last MiB, not the 10 MB before. */
    assert_in_range(hold_vfs_reads() - reads, 1, 4000);
    assert_in_range(rows(f), 600 + 500 + 1, 600 + 500 + 400);
    fixture_expect(f, stream, 0, 0, n);
    check_accounts(f);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_small_rows_become_blocks_and_every_event_stays_what_it_was),
        TEST(test_the_tail_waits_until_it_makes_a_block),
        TEST(test_rows_that_would_not_shrink_stay),
        TEST(test_quota_is_exact_while_blocks_and_rows_go_and_slack_goes_with_them),
        TEST(test_slack_is_what_the_first_row_lets_see_of_it),
        TEST(test_no_block_spans_an_epoch_or_a_boot),
        TEST(test_a_damaged_row_ends_a_run_and_is_left_alone),
        TEST(test_events_do_not_outstay_max_age_by_more_than_an_eighth),
        TEST(test_a_consumer_in_the_middle_of_a_block_goes_on_there),
        TEST(test_a_stream_full_of_unsent_blocks_takes_what_fits_and_no_more),
        TEST(test_what_is_dropped_takes_its_slack_with_it),
        TEST(test_what_cannot_be_written_stays_as_it_was),
        TEST(test_a_start_looks_at_the_newest_rows_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
