#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "clocks.h"
#include "hold_vfs.h"

enum { EVENTS_MAX = 4096, DECADE = 10 };

static struct sighting seen[EVENTS_MAX];

static uint32_t open_unsynced(struct fixture *f)
{
    f->boot_id = "boot-1";
    clocks_set(f, 0, false); /* a clock without battery: 1970 */
    fixture_open(f);
    return fixture_stream(f, "events");
}

static void commit(struct fixture *f)
{
    assert_int_equal(store_commit(f->store), 0);
}

/* Of stream "events". */
#define OF_EVENTS(key) " WHERE " key " >> 48 = (SELECT id FROM stream WHERE name = 'events')"

static int64_t rows(struct fixture *f)
{
    return fixture_sql(store_path(f->store), "SELECT count(*) FROM boot" OF_EVENTS("first_key"));
}

static int64_t batches(struct fixture *f)
{
    return fixture_sql(store_path(f->store), "SELECT count(*) FROM batch" OF_EVENTS("key"));
}

static void expect(unsigned i, int64_t received_us, enum clock_quality quality)
{
    assert_int_equal(seen[i].offset, i);
    assert_int_equal(seen[i].quality, quality);
    assert_int_equal(seen[i].received_us, received_us);
}

static void test_the_first_sync_of_a_boot_corrects_what_was_received_before(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at[4];
    for (unsigned i = 0; i < 3; i++)
        at[i] = clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 3);
    for (unsigned i = 0; i < 3; i++)
        expect(i, at[i], CLOCK_UNSYNCED);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    at[3] = clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 4);
    for (unsigned i = 0; i < 4; i++)
        expect(i, at[i] + CLOCKS_TRUE_BASE_US, i < 3 ? CLOCK_CORRECTED : CLOCK_SYNCED);
    fixture_crash(f, "crashed");
    fixture_open(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 4);
    expect(0, at[0] + CLOCKS_TRUE_BASE_US, CLOCK_CORRECTED);
}

static void test_a_batch_never_spans_two_settings_of_the_clock(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at[8];
    static const int years[] = {0, DECADE, 0, -DECADE};
    for (unsigned i = 0; i < 8; i++) {
        clocks_set(f, years[i / 2] * CLOCKS_YEAR_US, false);
        at[i] = clocks_receive(f, stream);
    }
    commit(f);
    assert_int_equal(batches(f), 4);
    assert_int_equal(rows(f), 4);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 9);
    for (unsigned i = 0; i < 8; i++)
        expect(i, at[i] + CLOCKS_TRUE_BASE_US, CLOCK_CORRECTED);
    /* The monotonic time of an event is what its own wall clock said less the base. */
    assert_int_equal(fixture_sql(store_path(f->store),
                                 "SELECT t_min - (SELECT base_us FROM boot WHERE first_key <= key"
                                 " ORDER BY first_key DESC LIMIT 1) FROM batch WHERE key >> 48 ="
                                 " (SELECT id FROM stream WHERE name = 'events')"
                                 " ORDER BY key LIMIT 1 OFFSET 1"),
                     at[2]);
}

static void test_a_commit_that_failed_writes_rows_and_correction_with_its_retry(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at[4];
    at[0] = clocks_receive(f, stream);
    commit(f);
    clocks_set(f, DECADE * CLOCKS_YEAR_US, false);
    at[1] = clocks_receive(f, stream);
    hold_vfs_fail(SQLITE_FULL);
    assert_int_not_equal(store_commit(f->store), 0);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    at[2] = clocks_receive(f, stream);
    assert_int_not_equal(store_commit(f->store), 0);
    assert_int_equal(rows(f), 1);
    hold_vfs_fail(SQLITE_OK);
    commit(f);
    at[3] = clocks_receive(f, stream);
    commit(f);
    assert_int_equal(rows(f), 3);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 4);
    for (unsigned i = 0; i < 4; i++)
        expect(i, at[i] + CLOCKS_TRUE_BASE_US, i < 2 ? CLOCK_CORRECTED : CLOCK_SYNCED);
}

static void test_what_an_earlier_boot_was_off_nobody_knows(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at = clocks_receive(f, stream);
    commit(f);
    fixture_close(f);
    f->boot_id = "boot-2";
    f->now_us = 1000;
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    fixture_open(f);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 2);
    expect(0, at, CLOCK_UNSYNCED);
    expect(1, CLOCKS_TRUE_BASE_US + 2000, CLOCK_SYNCED);
    assert_int_equal(rows(f), 2);
}

static void test_a_run_that_starts_synced_corrects_the_runs_before_it_in_this_boot(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at = clocks_receive(f, stream);
    commit(f);
    fixture_close(f);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    fixture_open(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 1);
    expect(0, at + CLOCKS_TRUE_BASE_US, CLOCK_CORRECTED);
}

static void test_a_sync_is_known_to_later_runs_in_this_boot(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    clocks_receive(f, stream);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    fixture_close(f);
    clocks_set(f, DECADE * CLOCKS_YEAR_US, false);
    fixture_open(f);
    int64_t at = clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 3);
    expect(2, at + CLOCKS_TRUE_BASE_US, CLOCK_CORRECTED);
}

static void test_only_a_change_and_an_event_make_a_row(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    fixture_close(f);
    f->boot_id = "boot-2"; /* a boot without events leaves no trace */
    fixture_open(f);
    assert_int_equal(rows(f), 0);
    fixture_stream(f, "quiet");
    for (unsigned i = 0; i < 20; i++) {
        clocks_receive(f, stream);
        commit(f);
        if (i % 5 == 4) { /* the same boot, and a clock that nobody set */
            fixture_close(f);
            fixture_open(f);
        }
    }
    assert_int_equal(rows(f), 1);
    f->base_us += 900000; /* less than a second is no change */
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(rows(f), 1);
    for (unsigned i = 0; i < 20; i++) { /* a sync that comes and goes */
        clocks_set(f, CLOCKS_TRUE_BASE_US + 1000 * i, i % 2 == 0);
        clocks_receive(f, stream);
        commit(f);
    }
    assert_int_equal(rows(f), 2);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 41);
    for (unsigned i = 0; i < 41; i++)
        assert_int_equal(seen[i].quality, i > 20 && i % 2 == 1 ? CLOCK_SYNCED : CLOCK_CORRECTED);
    assert_int_equal(seen[22].received_us, CLOCKS_TRUE_BASE_US + 1000 + f->now_us - 18 * 1000);
}

static void test_a_clock_set_all_the_time_makes_a_bounded_number_of_rows(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    static int64_t at[EVENTS_MAX];
    unsigned n = 0;
    for (; n < 200; n++) {
        clocks_set(f, (n % 7) * CLOCKS_YEAR_US, false);
        at[n] = clocks_receive(f, stream);
        commit(f);
    }
    assert_int_equal(rows(f), 64);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    at[n++] = clocks_receive(f, stream);
    commit(f);
    assert_int_equal(rows(f), 64);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), n);
    for (unsigned i = 0; i < 63; i++)
        expect(i, at[i] + CLOCKS_TRUE_BASE_US, CLOCK_CORRECTED);
    for (unsigned i = 63; i < 200; i++) /* rather not at all than wrong */
        expect(i, at[i] + (i % 7) * CLOCKS_YEAR_US, CLOCK_UNSYNCED);
    expect(200, at[200] + CLOCKS_TRUE_BASE_US, CLOCK_SYNCED);
    /* Another boot begins anew. */
    fixture_close(f);
    f->boot_id = "boot-2";
    fixture_open(f);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(rows(f), 65);
}

static void test_few_batches_are_open_however_often_the_clock_is_set(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_unsynced(f);
    int64_t at[60];
    for (unsigned i = 0; i < 60; i++) {
        clocks_set(f, (i % 7) * CLOCKS_YEAR_US, false);
        at[i] = clocks_receive(f, stream);
    }
    commit(f);
    assert_in_range(batches(f), 10, 20);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 61);
    unsigned known = 0;
    for (unsigned i = 0; i < 60; i++) {
        known += seen[i].quality == CLOCK_CORRECTED;
        assert_int_equal(seen[i].received_us,
                         at[i] + (seen[i].quality == CLOCK_CORRECTED ? CLOCKS_TRUE_BASE_US
                                                                     : (i % 7) * CLOCKS_YEAR_US));
    }
    assert_in_range(known, 10, 20);
}

static void test_retention_keeps_the_row_of_the_first_event_left(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\", \"max_age\": 0}}}");
    uint32_t stream = open_unsynced(f);
    for (unsigned i = 0; i < 1000; i++) {
        clocks_set(f, i / 100 * CLOCKS_YEAR_US, false);
        clocks_receive(f, stream);
        commit(f);
    }
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    for (bool more = true; more;)
        assert_int_equal(store_maintain(f->store, &more), 0);
    unsigned count = clocks_read(f, stream, seen, EVENTS_MAX);
    assert_in_range(count, 420, 880);
    assert_int_not_equal(seen[0].offset % 100, 0); /* in the middle of a row */
    assert_int_equal(rows(f), 11 - seen[0].offset / 100);
    for (unsigned i = 0; i + 1 < count; i++)
        assert_int_equal(seen[i].quality, CLOCK_CORRECTED);
}

static void test_batches_from_memory_are_corrected_as_those_that_are_read(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"events"};
    uint32_t stream = open_unsynced(f);
    struct range_feed *feed;
    assert_int_equal(range_feed_new("cloud", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    clocks_receive(f, stream);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 2);
    for (unsigned i = 0; i < 2; i++) {
        struct segment *segment = store_committed_next(f->store);
        struct segment_iterator it;
        struct event event;
        uint64_t offset;
        assert_non_null(segment);
        segment_iterator_init(&it, segment, 0);
        assert_int_equal(segment_next(&it, &event, &offset), 0);
        expect(i, event.received_us, event.quality);
        segment_unref(segment);
    }
    expect(0, CLOCKS_TRUE_BASE_US + f->now_us - 1000, CLOCK_CORRECTED);
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

/* The payload of the last event of a stream. */
static void last_payload(struct fixture *f, const char *name, char *text, size_t size)
{
    struct store_reader *reader;
    struct store_stream_info info;
    struct segment *segment;
    struct segment_iterator it;
    struct event event;
    uint64_t offset, skip;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, name, &info), 0);
    text[0] = '\0';
    if (info.next_offset > info.first_offset) {
        assert_int_equal(store_read(reader, info.stream, info.next_offset - 1, &segment, &skip), 0);
        segment_iterator_init(&it, segment, info.next_offset - 1);
        assert_int_equal(segment_next(&it, &event, &offset), 0);
        snprintf(text, size, "%.*s", SLICE_PRINT(event.payload));
        segment_unref(segment);
    }
    store_reader_close(reader);
}

static void test_the_first_sync_is_told_once(void **state)
{
    struct fixture *f = *state;
    char text[256];
    uint32_t stream = open_unsynced(f);
    clocks_receive(f, stream);
    commit(f);
    last_payload(f, "$gateway", text, sizeof(text));
    assert_null(strstr(text, "clock"));
    clocks_set(f, CLOCKS_TRUE_BASE_US, false); /* set first, said to be synced later */
    clocks_receive(f, stream);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    last_payload(f, "$gateway", text, sizeof(text));
    char expected[256];
    snprintf(expected, sizeof(expected),
             "{\"subject\":\"clock\",\"state\":\"synced\",\"was\":\"unsynced\","
             "\"correction_seconds\":%lld}",
             (long long)(CLOCKS_TRUE_BASE_US / 1000000));
    assert_string_equal(text, expected);
    const char *told = "SELECT count(*) FROM batch"
                       " WHERE key >> 48 = (SELECT id FROM stream WHERE name = '$gateway')";
    int64_t before = fixture_sql(store_path(f->store), told);
    clocks_set(f, 0, false);
    clocks_receive(f, stream);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(fixture_sql(store_path(f->store), told), before);
}

/* They were received under another base, or in another boot, than the one they are stored under. */
static void test_dead_letters_are_not_corrected(void **state)
{
    struct fixture *f = *state;
    open_unsynced(f);
    uint32_t stream = fixture_stream(f, "$dlq");
    int64_t at = clocks_receive(f, stream);
    commit(f);
    clocks_set(f, CLOCKS_TRUE_BASE_US, true);
    clocks_receive(f, stream);
    commit(f);
    assert_int_equal(clocks_read(f, stream, seen, EVENTS_MAX), 2);
    expect(0, at, CLOCK_UNSYNCED);
    expect(1, CLOCKS_TRUE_BASE_US + f->now_us, CLOCK_SYNCED);
}

/* What a random life has promised. */
struct told {
    int64_t monotonic_us, wall_us;
    bool synced;
    unsigned boot;
};

static void check_life(struct fixture *f, const uint32_t *streams, struct told (*told)[EVENTS_MAX],
                       const unsigned *counts, const bool *known)
{
    for (unsigned s = 0; s < 2; s++) {
        assert_int_equal(clocks_read(f, streams[s], seen, EVENTS_MAX), counts[s]);
        for (unsigned i = 0; i < counts[s]; i++) {
            const struct told *t = &told[s][i];
            bool corrected = !t->synced && known[t->boot];
            expect(i, corrected ? t->monotonic_us + CLOCKS_TRUE_BASE_US : t->wall_us,
                   t->synced   ? CLOCK_SYNCED
                   : corrected ? CLOCK_CORRECTED
                               : CLOCK_UNSYNCED);
        }
    }
}

static void test_a_random_life_of_clocks(void **state)
{
    struct fixture *f = *state;
    static struct told told[2][EVENTS_MAX];
    static const char *const names[] = {"events", "other"};
    unsigned counts[2] = {0, 0}, boot = 0;
    bool known[512] = {false};
    char id[32] = "boot-0";
    unsigned seed = 20261;
    f->boot_id = id;
    clocks_set(f, 0, false);
    fixture_open(f);
    uint32_t streams[2] = {fixture_stream(f, names[0]), fixture_stream(f, names[1])};
    for (unsigned step = 0; step < 1500; step++) {
        unsigned fate = (unsigned)rand_r(&seed) % 32;
        if (fate == 0 || fate == 1) { /* the gateway or the machine is started again */
            commit(f);
            fixture_close(f);
            if (fate == 1) {
                snprintf(id, sizeof(id), "boot-%u", ++boot);
                f->now_us = rand_r(&seed) % 1000000;
                clocks_set(f, (rand_r(&seed) % 9 - 4) * CLOCKS_YEAR_US, false);
            }
            fixture_open(f);
            known[boot] = known[boot] || !f->unsynced;
        } else if (fate < 4) {
            clocks_set(f, (rand_r(&seed) % 20 - 10) * CLOCKS_YEAR_US, false);
        } else if (fate == 4) {
            clocks_set(f, CLOCKS_TRUE_BASE_US, true);
        } else if (fate == 5) {
            f->unsynced = true;
        } else if (fate < 8) {
            hold_vfs_fail(SQLITE_FULL);
            (void)store_commit(f->store);
            hold_vfs_fail(SQLITE_OK);
        } else if (fate < 16) {
            commit(f);
        } else {
            unsigned s = (unsigned)rand_r(&seed) % 2;
            struct told *t = &told[s][counts[s]++];
            t->monotonic_us = clocks_receive(f, streams[s]);
            t->wall_us = t->monotonic_us + f->base_us;
            t->synced = !f->unsynced;
            t->boot = boot;
            known[boot] = known[boot] || t->synced;
        }
    }
    commit(f);
    check_life(f, streams, told, counts, known);
    fixture_crash(f, "crashed");
    fixture_open(f);
    known[boot] = known[boot] || !f->unsynced;
    check_life(f, streams, told, counts, known);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_sync_of_a_boot_corrects_what_was_received_before),
        TEST(test_a_batch_never_spans_two_settings_of_the_clock),
        TEST(test_a_commit_that_failed_writes_rows_and_correction_with_its_retry),
        TEST(test_what_an_earlier_boot_was_off_nobody_knows),
        TEST(test_a_run_that_starts_synced_corrects_the_runs_before_it_in_this_boot),
        TEST(test_a_sync_is_known_to_later_runs_in_this_boot),
        TEST(test_only_a_change_and_an_event_make_a_row),
        TEST(test_a_clock_set_all_the_time_makes_a_bounded_number_of_rows),
        TEST(test_few_batches_are_open_however_often_the_clock_is_set),
        TEST(test_retention_keeps_the_row_of_the_first_event_left),
        TEST(test_batches_from_memory_are_corrected_as_those_that_are_read),
        TEST(test_the_first_sync_is_told_once),
        TEST(test_dead_letters_are_not_corrected),
        TEST(test_a_random_life_of_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
