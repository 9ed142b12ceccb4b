#include "fixture.h"

#include <errno.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/metrics.h"
#include "hold_vfs.h"

enum { DEADLINE_MS = 10000, STEP_MS = 5, EVENT_BYTES = 500 * 1024 };

static uint32_t open_with_checkpointer(struct fixture *f)
{
    f->background = true;
    fixture_open(f);
    return fixture_stream(f, "events");
}

static void maintain_once(struct fixture *f)
{
    bool more;
    assert_int_equal(store_maintain(f->store, &more), 0);
}

static uint64_t checkpoints(void)
{
    return metric_get(metric_process(), METRIC_CHECKPOINTS);
}

/* Commits events of 500 KiB until the log is so large that a checkpoint is under way. */
static unsigned fill_until_due(struct fixture *f, uint32_t stream)
{
    for (unsigned n = 0; n < 10; n++) {
        fixture_fill(f, stream, n, 1, EVENT_BYTES);
        maintain_once(f);
    }
    return 10;
}

static void test_commits_go_on_while_the_database_is_being_synced(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_with_checkpointer(f);
    uint64_t before = checkpoints();
    hold_vfs_hold_database(true);
    unsigned n = fill_until_due(f, stream);
    if (!hold_vfs_wait(1, DEADLINE_MS)) {
        hold_vfs_hold_database(false); /* or the teardown would wait for ever */
        fail_msg("nothing is checkpointed");
    }
    for (unsigned i = 0; i < 5; i++) {
        fixture_fill(f, stream, n++, 1, 100);
        maintain_once(f);
    }
    bool held = hold_vfs_waiting() == 1 && checkpoints() == before;
    hold_vfs_hold_database(false);
    assert_true(held);
    fixture_expect(f, stream, 0, 0, n);
    for (int waited = 0; checkpoints() < before + 1 && waited < DEADLINE_MS; waited += STEP_MS) {
        poll(NULL, 0, STEP_MS);
        maintain_once(f);
    }
    assert_true(checkpoints() >= before + 1);
    /* What is on the disk then is whole, with and without the log. */
    fixture_crash(f, "after");
    fixture_open(f);
    fixture_expect(f, stream, 0, 0, n);
}

static void test_the_log_stays_bounded_beside_a_checkpointer(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_with_checkpointer(f);
    char wal[160];
    snprintf(wal, sizeof(wal), "%s-wal", store_path(f->store));
    struct stat st;
    for (unsigned i = 0; i < 80; i++) {
        fixture_fill(f, stream, i, 1, EVENT_BYTES);
        maintain_once(f);
        assert_int_equal(stat(wal, &st), 0);
        assert_in_range(st.st_size, 0, 10 << 20);
    }
    fixture_expect(f, stream, 0, 0, 80);
    assert_int_equal(fixture_sql(store_path(f->store), "SELECT count(*) FROM pragma_integrity_check"
                                                       " WHERE integrity_check <> 'ok'"),
                     0);
}

static void test_a_store_is_closed_while_its_checkpoint_is_under_way(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_with_checkpointer(f);
    unsigned n = fill_until_due(f, stream);
    fixture_close(f);
    fixture_open(f);
    fixture_expect(f, stream, 0, 0, n);
}

static void
test_after_a_failed_sync_what_it_may_have_lost_is_written_before_the_next_commit(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 3, 100);
    unsigned long long written = hold_vfs_written();
    fixture_fill(f, stream, 3, 1, 8000);
    unsigned long long once = hold_vfs_written() - written;
    hold_vfs_fail(SQLITE_IOERR_FSYNC);
    fixture_append(f, stream, 4, 8000);
    assert_int_equal(store_commit(f->store), -EIO);
    assert_int_equal(store_commit(f->store), -EIO); /* also because that cannot be synced */
    hold_vfs_fail(SQLITE_OK);
    written = hold_vfs_written();
    assert_int_equal(store_commit(f->store), 0);
    assert_in_range(hold_vfs_written() - written, once + 8000, 2 * once + 8000);
    fixture_expect(f, stream, 0, 0, 5);
    written = hold_vfs_written();
    fixture_fill(f, stream, 5, 1, 8000);
    assert_in_range(hold_vfs_written() - written, 8000, once + 4000); /* once is enough */
}

/* The checkpointer's sync fails, which the writer cannot know of when it commits. */
static void test_a_failed_sync_of_the_checkpointer_is_made_good_for_by_the_next_commit(void **state)
{
    struct fixture *f = *state;
    uint32_t stream = open_with_checkpointer(f);
    hold_vfs_hold_database(true);
    unsigned n = fill_until_due(f, stream);
    bool held = hold_vfs_wait(1, DEADLINE_MS);
    unsigned long failed = hold_vfs_failed();
    hold_vfs_fail(SQLITE_IOERR_FSYNC);
    hold_vfs_hold_database(false);
    for (int waited = 0; hold_vfs_failed() == failed && waited < DEADLINE_MS; waited += STEP_MS)
        poll(NULL, 0, STEP_MS);
    hold_vfs_fail(SQLITE_OK);
    assert_true(held);
    assert_int_equal(hold_vfs_failed(), failed + 1);
    /* All that was copied into the database is copied again: at once where the log's index calls it
     * copied, by the next checkpoint where that sync was one of SQLite's own, which then does not.
     * Either comes with what the writer does next once the thread has told of the failure. */
    unsigned long long written = hold_vfs_written();
    fixture_append(f, stream, n++, 100);
    assert_int_equal(store_commit(f->store), 0);
    bool again = false;
    for (int waited = 0; !again && waited < DEADLINE_MS; waited += STEP_MS) {
        maintain_once(f);
        again = hold_vfs_written() - written > 8 * EVENT_BYTES;
        poll(NULL, 0, again ? 0 : STEP_MS);
    }
    assert_true(again);
    fixture_expect(f, stream, 0, 0, n);
    fixture_crash(f, "after");
    fixture_open(f);
    fixture_expect(f, stream, 0, 0, n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    hold_vfs_install();
    const struct CMUnitTest tests[] = {
        TEST(test_commits_go_on_while_the_database_is_being_synced),
        TEST(test_the_log_stays_bounded_beside_a_checkpointer),
        TEST(test_after_a_failed_sync_what_it_may_have_lost_is_written_before_the_next_commit),
        TEST(test_a_failed_sync_of_the_checkpointer_is_made_good_for_by_the_next_commit),
        TEST(test_a_store_is_closed_while_its_checkpoint_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
