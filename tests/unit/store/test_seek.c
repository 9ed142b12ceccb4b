#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "clocks.h"

enum { EVENTS_MAX = 8192 };

static struct sighting seen[EVENTS_MAX];

/* By looking at everything. UINT64_MAX: there is none. */
static uint64_t scan(unsigned count, int64_t wall_us)
{
    for (unsigned i = 0; i < count; i++)
        if (seen[i].received_us >= wall_us)
            return seen[i].offset;
    return UINT64_MAX;
}

static void check(struct store_reader *reader, uint32_t stream, unsigned count, int64_t wall_us)
{
    uint64_t offset = UINT64_MAX, expected = scan(count, wall_us);
    int r = store_read_seek_time(reader, stream, wall_us, &offset);
    assert_int_equal(r, expected == UINT64_MAX ? STORE_READ_END : 0);
    assert_int_equal(offset, expected);
}

/* Before, at and after each event, and far off. */
static void check_all(struct fixture *f, uint32_t stream, unsigned every)
{
    struct store_reader *reader;
    unsigned count = clocks_read(f, stream, seen, EVENTS_MAX);
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    for (unsigned i = 0; i < count; i += every)
        for (int64_t k = -1; k <= 1; k++)
            check(reader, stream, count, seen[i].received_us + k);
    check(reader, stream, count, INT64_MIN);
    check(reader, stream, count, INT64_MAX);
    check(reader, stream, count, 0);
    store_reader_close(reader);
}

static void test_an_empty_or_unknown_stream_has_no_such_time(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    check_all(f, fixture_stream(f, "events"), 1);
    check_all(f, 77, 1);
}

static void test_a_steady_clock(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    uint32_t other = fixture_stream(f, "other");
    for (unsigned i = 0; i < 500; i++) {
        clocks_receive(f, stream);
        clocks_receive(f, other);
        f->now_us += i % 3 ? 0 : INT64_C(7000000);
        if (i % 4 == 3)
            assert_int_equal(store_commit(f->store), 0);
    }
    assert_int_equal(store_commit(f->store), 0);
    check_all(f, stream, 1);
    check_all(f, other, 3);
}

static void test_times_before_the_first_event_left_find_that(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\", \"max_age\": 0}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 100; i++) {
        f->now_us += 60000000;
        clocks_receive(f, stream);
        fixture_fill(f, stream, i, 1, 2000);
    }
    for (bool more = true; more;)
        assert_int_equal(store_maintain(f->store, &more), 0);
    clocks_read(f, stream, seen, EVENTS_MAX);
    assert_true(seen[0].offset > 0);
    check_all(f, stream, 1);
}

static void live(struct fixture *f, uint32_t stream, unsigned seed, unsigned events)
{
    char id[32] = "boot-0";
    for (unsigned n = 0; n < events;) {
        unsigned fate = (unsigned)rand_r(&seed) % 64;
        if (fate == 0) {
            assert_int_equal(store_commit(f->store), 0);
            fixture_close(f);
            snprintf(id, sizeof(id), "boot-%u", n);
            f->boot_id = id;
            f->now_us = rand_r(&seed) % 100000;
            clocks_set(f, (rand_r(&seed) % 9 - 4) * CLOCKS_YEAR_US, false);
            fixture_open(f);
        } else if (fate < 3) {
            clocks_set(f, f->base_us + (rand_r(&seed) % 20001 - 10000) * INT64_C(3600000), false);
        } else if (fate == 3) {
            clocks_set(f, CLOCKS_TRUE_BASE_US, true);
        } else if (fate == 4) {
            f->base_us += rand_r(&seed) % 1800000 - 900000; /* a little back or forth */
        } else if (fate < 12) {
            assert_int_equal(store_commit(f->store), 0);
        } else {
            f->now_us += rand_r(&seed) % 5 ? 1000 : rand_r(&seed) % 20000000;
            clocks_receive(f, stream);
            n++;
        }
    }
    assert_int_equal(store_commit(f->store), 0);
    f->boot_id = NULL;
}

static void test_random_clocks_against_a_linear_scan(void **state)
{
    struct fixture *f = *state;
    f->boot_id = "boot-0";
    fixture_open(f);
    for (unsigned seed = 1; seed <= 12; seed++) {
        char name[32];
        snprintf(name, sizeof(name), "s%u", seed);
        uint32_t stream = fixture_stream(f, name);
        live(f, stream, seed, 600);
        check_all(f, stream, 3);
    }
}

/* Some reads per doubling, not one per batch. */
static void test_a_long_stream_is_not_read_through(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 6000; i++) {
        f->now_us += 1000000;
        clocks_receive(f, stream);
        if (i % 2)
            assert_int_equal(store_commit(f->store), 0);
    }
    check_all(f, stream, 97);
    struct store_reader *reader;
    uint64_t offset;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    int64_t begin_us = clock_monotonic_us(&clock_system);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(store_read_seek_time(reader, stream, seen[i * 29].received_us, &offset),
                         0);
    int64_t seeks_us = clock_monotonic_us(&clock_system) - begin_us;
    begin_us = clock_monotonic_us(&clock_system);
    clocks_read(f, stream, seen, EVENTS_MAX);
    int64_t scan_us = clock_monotonic_us(&clock_system) - begin_us;
    print_message("a seek takes %ld us, a scan %ld us\n", (long)(seeks_us / 200), (long)scan_us);
    assert_true(seeks_us / 200 < scan_us / 4);
    store_reader_close(reader);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_or_unknown_stream_has_no_such_time),
        TEST(test_a_steady_clock),
        TEST(test_times_before_the_first_event_left_find_that),
        TEST(test_random_clocks_against_a_linear_scan),
        TEST(test_a_long_stream_is_not_read_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
