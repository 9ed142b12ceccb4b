/* The totals and the credit, kept across runs, and what follows from them. */
#include "fixture.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/metrics.h"
#include "hold_vfs.h"

#define SECOND_US INT64_C(1000000)
#define HOUR_US (3600 * SECOND_US)

static uint64_t shown(enum metric metric)
{
    return metric_get(metric_process(), metric);
}

static int64_t kept(struct fixture *f, const char *key)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'", key);
    return fixture_sql(store_path(f->store), sql);
}

static void maintain(struct fixture *f)
{
    bool more;
    assert_int_equal(store_maintain(f->store, &more), 0);
}

static void test_what_was_written_is_counted_over_all_runs(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    uint64_t written = shown(METRIC_STORE_WRITTEN_BYTES), syncs = shown(METRIC_STORE_SYNCS);
    unsigned long long before = hold_vfs_written();
    f->now_us += 2 * SECOND_US;
    for (unsigned i = 0; i < 5; i++)
        fixture_fill(f, stream, i, 1, 300);
    f->now_us += 2 * SECOND_US;
    maintain(f);
    assert_int_equal(shown(METRIC_STORE_WRITTEN_BYTES) - written, hold_vfs_written() - before);
    assert_true(shown(METRIC_STORE_WRITTEN_BYTES) - written > 5 * 300);
    assert_int_equal(shown(METRIC_STORE_SYNCS) - syncs, 5);
    assert_true(shown(METRIC_STORE_FLASH_BYTES) >= 5 * 4096);
    written = shown(METRIC_STORE_WRITTEN_BYTES);
    uint64_t flash = shown(METRIC_STORE_FLASH_BYTES);
    fixture_close(f);
    f->now_us += 2 * SECOND_US;
    fixture_open(f);
    assert_true(shown(METRIC_STORE_WRITTEN_BYTES) >= written);
    assert_true(shown(METRIC_STORE_FLASH_BYTES) >= flash);
    assert_in_range(kept(f, "written_bytes"), written, written + 100000);
    assert_in_range(kept(f, "syncs"), 5, 100);
}

static void test_totals_are_kept_once_an_hour_without_a_sync_of_their_own(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 1, 300);
    assert_int_equal(kept(f, "written_bytes"), 0);
    f->now_us += HOUR_US;
    maintain(f);
    assert_int_equal(kept(f, "written_bytes"), 0);
    unsigned long syncs = hold_vfs_syncs();
    hold_vfs_fail(SQLITE_FULL); /* with a commit that fails nothing is kept */
    fixture_append(f, stream, 1, 300);
    assert_int_equal(store_commit(f->store), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(kept(f, "written_bytes"), 0);
    assert_int_equal(store_commit(f->store), 0);
    int64_t first = kept(f, "written_bytes");
    assert_true(first > 300);
    f->now_us += HOUR_US / 2;
    fixture_fill(f, stream, 2, 1, 300);
    assert_int_equal(kept(f, "written_bytes"), first);
    f->now_us += HOUR_US / 2;
    fixture_fill(f, stream, 3, 1, 300);
    assert_true(kept(f, "written_bytes") > first);
    assert_in_range(hold_vfs_syncs() - syncs, 3,
                    4); /* one may be a checkpoint's after the failure */
}

static void test_the_budget_asks_for_a_delay_also_after_a_restart(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"write_budget\": \"24MiB\", \"budget_max_delay\": \"4s\","
                         " \"max_delay\": \"10ms\"}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    f->now_us += 2 * SECOND_US;
    fixture_fill(f, stream, 0, 1, 100);
    assert_int_equal(store_commit_delay_us(f->store) < 4 * SECOND_US / 10, 1);
    unsigned n = 1;
    while (store_commit_delay_us(f->store) < 4 * SECOND_US && n < 1000)
        fixture_fill(f, stream, n++, 1, 8000); /* more than an hour's budget, at once */
    assert_in_range(n, 40, 200);
    f->now_us += 2 * SECOND_US;
    maintain(f);
    assert_in_range(shown(METRIC_STORE_COMMIT_DELAY), 3900000, 4000000);
    fixture_close(f);
    fixture_open(f);
    assert_true(store_commit_delay_us(f->store) > 4 * SECOND_US * 9 / 10);
    f->now_us += 3 * HOUR_US;
    maintain(f);
    assert_int_equal(store_commit_delay_us(f->store), 0);
    assert_int_equal(shown(METRIC_STORE_COMMIT_DELAY), 10000);
}

static void test_life_and_amplification_are_shown(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"disk\": {\"endurance\": \"1TiB\"}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    f->now_us += 2 * SECOND_US;
    maintain(f);
    assert_int_equal(shown(METRIC_STORE_FLASH_LIFE), 0);
    for (unsigned i = 0; i < 100; i++) {
        f->now_us += SECOND_US;
        fixture_fill(f, stream, i, 1, 300);
    }
    f->now_us += SECOND_US;
    maintain(f);
    uint64_t day = shown(METRIC_STORE_FLASH_BYTES_DAY);
    assert_in_range(day, 86400 * 4096, UINT64_C(86400) * 40960);
    assert_in_range(shown(METRIC_STORE_FLASH_LIFE), (UINT64_C(1) << 40) / day * 86400 * 9 / 10,
                    (UINT64_C(1) << 40) / day * 86400 * 11 / 10);
    assert_in_range(shown(METRIC_STORE_WRITE_AMPLIFICATION), 10000000, 100000000);
    assert_true(shown(METRIC_STORE_SYNCS_HOUR) > 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    hold_vfs_install();
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_written_is_counted_over_all_runs),
        TEST(test_totals_are_kept_once_an_hour_without_a_sync_of_their_own),
        TEST(test_the_budget_asks_for_a_delay_also_after_a_restart),
        TEST(test_life_and_amplification_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
