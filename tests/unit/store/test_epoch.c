#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "hold_vfs.h"
#include "store/identity.h"
#include "store/sql.h"

#define HOUR_US (INT64_C(3600) * 1000000)

/* What an epoch was before something happened to the store. */
struct before {
    char epoch[STORE_EPOCH_BYTES];
    unsigned notices;
};

/* How many notices of an epoch with this reason (NULL: any) "$gateway" holds; the last one must
 * name the epoch that is, and, with reason, the one before. */
static unsigned notices(struct fixture *f, const char *reason, const char *previous)
{
    struct store_reader *reader;
    struct store_stream_info info;
    char wanted[128], last[256] = "";
    unsigned count = 0;
    snprintf(wanted, sizeof(wanted), "\"reason\":\"%s\"", reason ? reason : "");
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "$gateway", &info), 0);
    for (uint64_t offset = info.first_offset; offset < info.next_offset;) {
        struct segment *segment;
        struct segment_iterator it;
        struct event event;
        uint64_t at;
        assert_int_equal(store_read(reader, info.stream, offset, &segment, &at), 0);
        segment_iterator_init(&it, segment, offset);
        while (segment_next(&it, &event, &at) == 0) {
            char text[256];
            snprintf(text, sizeof(text), "%.*s", SLICE_PRINT(event.payload));
            if (!slice_equal_string(event.type, "sluice.epoch") ||
                (reason && !strstr(text, wanted)))
                continue;
            assert_non_null(strstr(text, segment->epoch)); /* it belongs to what it announces */
            snprintf(last, sizeof(last), "%s", text);
            count++;
        }
        offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    store_reader_close(reader);
    if (previous) {
        assert_non_null(strstr(last, previous));
        assert_non_null(strstr(last, store_epoch(f->store)));
    }
    return count;
}

static struct before remember(struct fixture *f)
{
    struct before before = {.notices = notices(f, NULL, NULL)};
    snprintf(before.epoch, sizeof(before.epoch), "%s", store_epoch(f->store));
    return before;
}

static void same_epoch(struct fixture *f, const struct before *before)
{
    assert_string_equal(store_epoch(f->store), before->epoch);
    assert_int_equal(notices(f, NULL, NULL), before->notices);
}

/* The store just opened has a new epoch for this reason, once: it stays over restarts of either
 * kind. before->notices: of those that this database holds. */
static void new_epoch_once(struct fixture *f, const char *reason, const struct before *before)
{
    static unsigned serial;
    char name[32];
    assert_string_not_equal(store_epoch(f->store), before->epoch);
    assert_int_equal(strlen(store_epoch(f->store)), 16);
    assert_int_equal(notices(f, NULL, NULL), before->notices + 1);
    assert_int_equal(notices(f, reason, before->epoch), 1);
    struct before now = remember(f);
    snprintf(name, sizeof(name), "once%u", serial++);
    fixture_crash(f, name);
    fixture_open(f);
    same_epoch(f, &now);
    fixture_close(f);
    fixture_open(f);
    same_epoch(f, &now);
}

static const char *beside(const struct fixture *f, const char *name, char path[96])
{
    snprintf(path, 96, "%s/%s", f->base, name);
    return path;
}

static struct identity filed(const struct fixture *f)
{
    struct identity identity;
    assert_int_equal(identity_read(f->data_dir, &identity), 0);
    return identity;
}

/* The epoch of the batch at an offset, as a reader sees it. */
static void reads(struct store_reader *reader, uint32_t stream, uint64_t offset, const char *epoch)
{
    struct segment *segment;
    uint64_t skip;
    assert_int_equal(store_read(reader, stream, offset, &segment, &skip), 0);
    assert_in_range(offset, segment->base_offset, segment_end_offset(segment) - 1);
    assert_string_equal(segment->epoch, epoch);
    segment_unref(segment);
}

static void test_ordinary_restarts_keep_the_epoch_and_say_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct before before = remember(f);
    assert_int_equal(before.notices, 0);
    uint64_t run = filed(f).run;
    for (unsigned i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "crash%u", i);
        fixture_fill(f, fixture_stream(f, "events"), i, 1 + i % 3, 100);
        f->now_us += HOUR_US / 3;
        bool more;
        assert_int_equal(store_maintain(f->store, &more), 0);
        if (i % 2)
            fixture_crash(f, name);
        else
            fixture_close(f);
        fixture_open(f);
        same_epoch(f, &before);
        assert_true(filed(f).run > run);
        run = filed(f).run;
    }
    assert_int_equal(fixture_sql(store_path(f->store), "SELECT count(DISTINCT epoch) FROM epoch"),
                     1);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_EPOCHS), 0);
}

static void test_a_database_restored_from_a_backup_begins_an_epoch(void **state)
{
    struct fixture *f = *state;
    char backup[96];
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    struct before before = remember(f);
    fixture_close(f);
    fixture_copy(f->data_dir, beside(f, "backup", backup), false);
    fixture_open(f);
    same_epoch(f, &before);
    fixture_fill(f, fixture_stream(f, "events"), 5, 5, 100);
    fixture_close(f);
    fixture_copy(backup, f->data_dir, false);
    fixture_open(f);
    new_epoch_once(f, "restored", &before);
    uint32_t stream = fixture_stream(f, "events");
    assert_int_equal(fixture_append(f, stream, 77, 100), 5);
    assert_int_equal(store_commit(f->store), 0);
    struct store_reader *reader;
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    reads(reader, stream, 4, before.epoch);
    reads(reader, stream, 5, store_epoch(f->store));
    store_reader_close(reader);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_EPOCHS), 1);
}

static void test_a_copy_taken_in_a_run_is_known_once_the_run_has_ended(void **state)
{
    struct fixture *f = *state;
    char backup[96];
    fixture_open(f);
    struct before before = remember(f);
    fixture_copy(f->data_dir, beside(f, "backup", backup), false);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    fixture_close(f);
    fixture_copy(backup, f->data_dir, false);
    fixture_open(f);
    new_epoch_once(f, "restored", &before);
}

static void test_a_copy_taken_in_a_run_that_crashed_is_known_by_the_total(void **state)
{
    struct fixture *f = *state;
    char backup[96];
    bool more;
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    fixture_copy(f->data_dir, beside(f, "backup", backup), false);
    fixture_fill(f, fixture_stream(f, "events"), 5, 1, 100);
    f->now_us += HOUR_US;
    assert_int_equal(store_maintain(f->store, &more), 0);
    struct before before = remember(f);
    fixture_crash(f, "crash");
    fixture_copy(backup, f->data_dir, false);
    fixture_open(f);
    new_epoch_once(f, "restored", &before);
}

static void test_each_of_two_histories_put_back_in_turn_begins_an_epoch(void **state)
{
    struct fixture *f = *state;
    char early[96], late[96];
    fixture_open(f);
    struct before first = remember(f);
    fixture_close(f);
    fixture_copy(f->data_dir, beside(f, "early", early), false);
    for (unsigned i = 0; i < 5; i++) {
        fixture_open(f);
        fixture_close(f);
    }
    fixture_copy(f->data_dir, beside(f, "late", late), false);
    for (unsigned i = 0; i < 3; i++) {
        fixture_copy(i % 2 ? late : early, f->data_dir, false);
        fixture_open(f);
        new_epoch_once(f, "restored", &first);
        fixture_close(f);
    }
}

static void test_the_database_of_another_gateway_begins_an_epoch_though_it_is_older(void **state)
{
    struct fixture *f = *state;
    char other[96], mine[sizeof(f->data_dir)];
    fixture_open(f);
    fixture_close(f);
    memcpy(mine, f->data_dir, sizeof(mine));
    snprintf(f->data_dir, sizeof(f->data_dir), "%s", beside(f, "other", other));
    for (unsigned i = 0; i < 9; i++) {
        fixture_open(f);
        fixture_close(f);
    }
    fixture_open(f);
    struct before before = remember(f);
    fixture_close(f);
    memcpy(f->data_dir, mine, sizeof(mine));
    fixture_copy(other, f->data_dir, false);
    fixture_open(f);
    new_epoch_once(f, "restored", &before);
}

static void test_a_clone_on_another_machine_begins_an_epoch_and_the_original_does_not(void **state)
{
    struct fixture *f = *state;
    char clone[96], original[sizeof(f->data_dir)];
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    struct before before = remember(f);
    fixture_close(f);
    memcpy(original, f->data_dir, sizeof(original));
    fixture_copy(f->data_dir, beside(f, "clone", clone), true);
    snprintf(f->data_dir, sizeof(f->data_dir), "%s", clone);
    f->machine_id = "another machine";
    fixture_open(f);
    new_epoch_once(f, "cloned", &before);
    fixture_close(f);
    memcpy(f->data_dir, original, sizeof(original));
    f->machine_id = "machine of the tests";
    fixture_open(f);
    same_epoch(f, &before);
}

static void test_a_machine_that_does_not_say_who_it_is_is_not_compared(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct before before = remember(f);
    static const char *const ids[] = {"", "", "one machine", "one machine", "", "another"};
    for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        fixture_close(f);
        f->machine_id = ids[i];
        fixture_open(f);
        same_epoch(f, &before);
    }
}

static void test_without_the_file_nobody_can_tell_so_an_epoch_begins(void **state)
{
    struct fixture *f = *state;
    char path[160];
    fixture_open(f);
    fixture_close(f);
    fixture_open(f);
    struct before before = remember(f);
    fixture_close(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    new_epoch_once(f, "identity_lost", &before);
    /* A damaged file is as good as none. */
    before = remember(f);
    fixture_close(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(truncate(path, 20), 0);
    fixture_open(f);
    assert_string_not_equal(store_epoch(f->store), before.epoch);
    assert_int_equal(notices(f, "identity_lost", before.epoch), 2);
}

static void test_a_database_of_a_version_without_the_file_keeps_its_epoch(void **state)
{
    struct fixture *f = *state;
    char path[160];
    fixture_open(f);
    struct before before = remember(f);
    fixture_close(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, STORE_FILE_NAME);
    fixture_sql(path, "DELETE FROM meta WHERE key IN ('run', 'machine', 'epoch_filed', 'epochs')");
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    same_epoch(f, &before);
    assert_string_equal(filed(f).epoch, before.epoch);
}

static void test_an_unclean_end_without_power_safety_begins_an_epoch(void **state)
{
    struct fixture *f = *state;
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}}");
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    struct before before = remember(f);
    fixture_crash(f, "unclean");
    fixture_configure(f, "{}");
    fixture_open(f);
    new_epoch_once(f, "unclean", &before);
}

static void test_a_guessed_end_begins_an_epoch(void **state)
{
    struct fixture *f = *state;
    char path[160];
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 10, 100);
    struct before before = remember(f);
    fixture_close(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, STORE_FILE_NAME);
    char sql[160];
    snprintf(sql, sizeof(sql), "UPDATE batch SET n = 4 WHERE key >> 48 = %u", stream);
    fixture_sql(path, sql);
    fixture_open(f);
    assert_string_not_equal(store_epoch(f->store), before.epoch);
    assert_int_equal(notices(f, "damaged", before.epoch), 1);
}

static void test_a_cut_between_database_and_file_is_no_reason(void **state)
{
    struct fixture *f = *state;
    char older[96], path[160];
    fixture_open(f);
    struct before before = remember(f);
    fixture_close(f);
    /* A start, and an end: the file stays as it was. */
    for (unsigned i = 0; i < 2; i++) {
        struct identity identity = filed(f);
        fixture_open(f);
        fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
        if (i)
            fixture_close(f);
        else
            fixture_crash(f, "start");
        assert_int_equal(identity_write(f->data_dir, &identity), 0);
        fixture_open(f);
        same_epoch(f, &before);
        fixture_close(f);
    }
    /* An epoch: the file names the one before. */
    struct identity identity = filed(f);
    fixture_open(f);
    assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
    assert_int_equal(store_commit(f->store), 0);
    before = remember(f);
    assert_string_not_equal(before.epoch, identity.epoch);
    fixture_crash(f, "epoch");
    assert_int_equal(identity_write(f->data_dir, &identity), 0);
    fixture_open(f);
    same_epoch(f, &before);
    fixture_close(f);
    /* The very first start: there is no file yet. */
    snprintf(f->data_dir, sizeof(f->data_dir), "%s", beside(f, "first", older));
    fixture_open(f);
    before = remember(f);
    fixture_crash(f, "first-crash");
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(unlink(path), 0);
    fixture_open(f);
    same_epoch(f, &before);
}

static void test_a_file_that_cannot_be_written_is_written_later_and_stops_nothing(void **state)
{
    struct fixture *f = *state;
    char draft[160];
    bool more;
    fixture_open(f);
    struct before before = remember(f);
    fixture_close(f);
    uint64_t run = filed(f).run;
    snprintf(draft, sizeof(draft), "%s/%s-new", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(mkdir(draft, 0700), 0);
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    same_epoch(f, &before);
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(filed(f).run, run);
    assert_int_equal(rmdir(draft), 0);
    f->now_us += 61 * 1000000;
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(filed(f).run, run + 1);
    assert_int_equal(filed(f).total, 5);
    /* Also where none could be written in a whole run, ended so or so. */
    fixture_close(f);
    run = filed(f).run;
    assert_int_equal(mkdir(draft, 0700), 0);
    fixture_open(f);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(filed(f).run, run);
    same_epoch(f, &before);
    assert_int_equal(rmdir(draft), 0);
}

static void test_the_total_is_refreshed_hourly_and_only_after_events(void **state)
{
    struct fixture *f = *state;
    char path[160];
    bool more;
    struct stat first, second;
    fixture_open(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(filed(f).total, 0);
    assert_int_equal(stat(path, &first), 0);
    f->now_us += 2 * HOUR_US;
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    fixture_fill(f, fixture_stream(f, "more"), 0, 2, 100);
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(filed(f).total, 7);
    fixture_fill(f, fixture_stream(f, "events"), 5, 5, 100);
    f->now_us += HOUR_US - 1;
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(filed(f).total, 7);
    f->now_us += 1;
    assert_int_equal(store_maintain(f->store, &more), 0);
    assert_int_equal(filed(f).total, 12);
}

static void test_an_epoch_asked_for_begins_with_the_commit_that_succeeds(void **state)
{
    struct fixture *f = *state;
    char shown[STORE_EPOCH_BYTES];
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    const char *names[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("cloud", RANGE_START_OLDEST, names, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    fixture_fill(f, stream, 0, 3, 100);
    struct before before = remember(f);
    fixture_append(f, stream, 3, 100);
    assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
    assert_int_equal(store_epoch_begin(f->store, "upstream"), 0); /* one at a time */
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(store_commit(f->store), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_string_equal(store_epoch(f->store), before.epoch);
    store_epoch_now(f->store, shown);
    assert_string_equal(shown, before.epoch);
    fixture_append(f, stream, 4, 100);
    assert_int_equal(store_commit(f->store), 0);
    store_epoch_now(f->store, shown);
    assert_string_equal(shown, store_epoch(f->store));
    struct segment *segment = store_committed_next(f->store);
    assert_non_null(segment);
    assert_int_equal(segment->base_offset, 3);
    assert_string_equal(segment->epoch, shown);
    segment_unref(segment);
    store_detach(f->store, feed);
    range_feed_unref(feed);
    assert_string_equal(filed(f).epoch, shown);
    fixture_expect(f, stream, 0, 0, 5);
    new_epoch_once(f, "upstream", &before);
}

static void test_an_epoch_asked_for_begins_without_events_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct before before = remember(f);
    assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
    fixture_close(f); /* it was never committed, so nobody saw it */
    fixture_open(f);
    same_epoch(f, &before);
    assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
    assert_int_equal(store_commit(f->store), 0);
    new_epoch_once(f, "upstream", &before);
}

static void test_a_reader_sees_each_batch_under_the_epoch_it_was_stored_in(void **state)
{
    struct fixture *f = *state;
    enum { EPOCHS = 5, EACH = 4 };
    char epochs[EPOCHS][STORE_EPOCH_BYTES];
    struct store_reader *reader, *fresh;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events"), other = fixture_stream(f, "other");
    fixture_fill(f, other, 0, 1, 10);
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    for (unsigned i = 0; i < EPOCHS; i++) {
        snprintf(epochs[i], sizeof(epochs[i]), "%s", store_epoch(f->store));
        for (unsigned k = 0; k < EACH; k++) {
            fixture_fill(f, stream, 0, 2, 10);
            /* Its look-ups of earlier rounds must not speak for what came since. */
            reads(reader, stream, (i * EACH + k) * 2, epochs[i]);
        }
        /* The second of two that begin at one offset is the one that counts. */
        for (unsigned k = 0; k < 1 + i % 2; k++) {
            assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
            assert_int_equal(store_commit(f->store), 0);
        }
    }
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &fresh), 0);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < EPOCHS * EACH * 2; i++) {
            unsigned offset = turn ? EPOCHS * EACH * 2 - 1 - i : i;
            reads(reader, stream, offset, epochs[offset / 2 / EACH]);
            reads(fresh, stream, offset, epochs[offset / 2 / EACH]);
            reads(fresh, other, 0, epochs[0]);
        }
    }
    store_reader_close(fresh);
    store_reader_close(reader);
}

static void test_a_backlog_costs_one_look_up_of_the_epoch(void **state)
{
    struct fixture *f = *state;
    enum { BATCHES = 200 };
    struct store_reader *reader;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < BATCHES; i++)
        fixture_fill(f, stream, i, 1, 10);
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    reads(reader, stream, 0, store_epoch(f->store));
    /* Another epoch for all of it, which only another look-up would see. */
    char sql[160];
    snprintf(sql, sizeof(sql), "UPDATE epoch SET epoch = 'fedcba9876543210' WHERE stream = %u",
             stream);
    fixture_sql(store_path(f->store), sql);
    for (unsigned i = 0; i < BATCHES; i++)
        reads(reader, stream, i, store_epoch(f->store));
    store_reader_close(reader);
    assert_int_equal(store_reader_open(store_path(f->store), NULL, &reader), 0);
    reads(reader, stream, 0, "fedcba9876543210");
    store_reader_close(reader);
}

static void test_epochs_of_evicted_events_are_forgotten(void **state)
{
    struct fixture *f = *state;
    bool more = true;
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"64KiB\"}}}");
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    char sql[160];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM epoch WHERE stream = %u", stream);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 10; k++)
            fixture_fill(f, stream, k, 1, 3000);
        while (more)
            assert_int_equal(store_maintain(f->store, &more), 0);
        more = true;
        assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
        assert_int_equal(store_commit(f->store), 0);
    }
    assert_in_range(fixture_sql(store_path(f->store), sql), 2, 5);
    assert_int_equal(fixture_sql(store_path(f->store), "SELECT value FROM meta"
                                                       " WHERE key = 'epochs'"),
                     20);
    assert_int_equal(metric_get(metric_process(), METRIC_STORE_EPOCHS), 20);
}

static void test_the_migration_leaves_one_epoch_per_offset(void **state)
{
    struct fixture *f = *state;
    char path[160];
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    fixture_fill(f, stream, 0, 3, 10);
    struct before before = remember(f);
    fixture_close(f);
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, STORE_FILE_NAME);
    /* As the first version left it where nothing was stored between two epochs. */
    fixture_sql(path,
                "INSERT INTO epoch SELECT stream, first_offset, '0000000000000000' FROM epoch;"
                "INSERT INTO epoch SELECT stream, first_offset, 'ffffffffffffffff' FROM epoch"
                " WHERE epoch <> '0000000000000000';"
                "ALTER TABLE stream DROP COLUMN slack;"
                "DELETE FROM meta WHERE key IN ('run', 'machine', 'epoch_filed', 'epochs');"
                "PRAGMA user_version = 1");
    char file[160];
    snprintf(file, sizeof(file), "%s/%s", f->data_dir, IDENTITY_FILE_NAME);
    assert_int_equal(unlink(file), 0);
    fixture_open(f);
    same_epoch(f, &before);
    struct store_reader *reader;
    assert_int_equal(store_reader_open(path, NULL, &reader), 0);
    reads(reader, stream, 0, before.epoch);
    store_reader_close(reader);
}

static void *watch(void *argument)
{
    struct fixture *f = argument;
    char last[STORE_EPOCH_BYTES], now[STORE_EPOCH_BYTES];
    uintptr_t changes = 0;
    store_epoch_now(f->store, last);
    while (changes < 3) {
        store_epoch_now(f->store, now);
        changes += strcmp(last, now) != 0;
        memcpy(last, now, sizeof(last));
    }
    return (void *)changes;
}

static void test_another_thread_may_ask_for_the_epoch_while_it_changes(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    fixture_open(f);
    char first[STORE_EPOCH_BYTES];
    store_epoch_now(f->store, first);
    assert_string_equal(first, store_epoch(f->store));
    assert_int_equal(pthread_create(&thread, NULL, watch, f), 0);
    void *changes = NULL;
    while (pthread_tryjoin_np(thread, &changes) == EBUSY) {
        assert_int_equal(store_epoch_begin(f->store, "upstream"), 0);
        assert_int_equal(store_commit(f->store), 0);
    }
    assert_int_equal((uintptr_t)changes, 3);
}

static int teardown(void **state)
{
    hold_vfs_fail(SQLITE_OK);
    return fixture_teardown(state);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    hold_vfs_install();
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ordinary_restarts_keep_the_epoch_and_say_nothing),
        TEST(test_a_database_restored_from_a_backup_begins_an_epoch),
        TEST(test_a_copy_taken_in_a_run_is_known_once_the_run_has_ended),
        TEST(test_a_copy_taken_in_a_run_that_crashed_is_known_by_the_total),
        TEST(test_each_of_two_histories_put_back_in_turn_begins_an_epoch),
        TEST(test_the_database_of_another_gateway_begins_an_epoch_though_it_is_older),
        TEST(test_a_clone_on_another_machine_begins_an_epoch_and_the_original_does_not),
        TEST(test_a_machine_that_does_not_say_who_it_is_is_not_compared),
        TEST(test_without_the_file_nobody_can_tell_so_an_epoch_begins),
        TEST(test_a_database_of_a_version_without_the_file_keeps_its_epoch),
        TEST(test_an_unclean_end_without_power_safety_begins_an_epoch),
        TEST(test_a_guessed_end_begins_an_epoch),
        TEST(test_a_cut_between_database_and_file_is_no_reason),
        TEST(test_a_file_that_cannot_be_written_is_written_later_and_stops_nothing),
        TEST(test_the_total_is_refreshed_hourly_and_only_after_events),
        TEST(test_an_epoch_asked_for_begins_with_the_commit_that_succeeds),
        TEST(test_an_epoch_asked_for_begins_without_events_or_not_at_all),
        TEST(test_a_reader_sees_each_batch_under_the_epoch_it_was_stored_in),
        TEST(test_a_backlog_costs_one_look_up_of_the_epoch),
        TEST(test_epochs_of_evicted_events_are_forgotten),
        TEST(test_the_migration_leaves_one_epoch_per_offset),
        TEST(test_another_thread_may_ask_for_the_epoch_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
