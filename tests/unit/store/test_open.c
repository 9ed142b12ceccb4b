#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "hold_vfs.h"
#include "store/sql.h"

enum { CONTENT_MAX_BYTES = 65536 };

static void write_file(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    close(fd);
}

static size_t read_file(const char *path, uint8_t content[CONTENT_MAX_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, content, CONTENT_MAX_BYTES);
    assert_in_range(n, 0, CONTENT_MAX_BYTES - 1);
    close(fd);
    return (size_t)n;
}

static const char *database_path(struct fixture *f, char path[128])
{
    snprintf(path, 128, "%s/sluice.db", f->data_dir);
    return path;
}

/* Opens and expects an outcome, an error that names the path and the fix, and an untouched file
 * with nothing beside it but the lock. */
static void refuses_untouched(struct fixture *f, int outcome)
{
    static uint8_t before[CONTENT_MAX_BYTES], after[CONTENT_MAX_BYTES];
    char path[128], beside[160];
    size_t n = read_file(database_path(f, path), before);
    struct error error = ERROR_INIT;
    assert_int_equal(fixture_try_open(f, &error), outcome);
    assert_false(store_is_open(f->store));
    assert_string_equal(error.where, path);
    assert_true(error.what[0] && error.mend[0]);
    fixture_close(f);
    assert_int_equal(read_file(path, after), n);
    assert_memory_equal(after, before, n);
    const char *suffixes[] = {"-wal", "-shm", "-journal", "-new"};
    for (unsigned i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(beside, sizeof(beside), "%s%s", path, suffixes[i]);
        assert_int_not_equal(access(beside, F_OK), 0);
    }
}

static void test_a_new_store_has_a_private_directory_an_identity_and_the_stream_events(void **state)
{
    struct fixture *f = *state;
    char deep[sizeof(f->data_dir)];
    snprintf(deep, sizeof(deep), "%s/a/b/c", f->base);
    snprintf(f->data_dir, sizeof(f->data_dir), "%s", deep);
    fixture_open(f);
    struct stat st;
    assert_int_equal(stat(f->data_dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(store_path(f->store), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(strlen(store_epoch(f->store)), 16);
    assert_memory_equal(store_gateway_id(f->store), "gw-", 3);
    assert_int_equal(strlen(store_gateway_id(f->store)), 11);
    const char *path = store_path(f->store);
    assert_int_equal(fixture_sql(path, "PRAGMA application_id"), 0x736C6365);
    assert_int_equal(fixture_sql(path, "PRAGMA user_version"), 2);
    assert_int_equal(fixture_sql(path, "PRAGMA page_size"), 1024);
    assert_int_equal(fixture_sql(path, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM stream WHERE name = 'events'"), 1);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM stream"), 4);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM epoch"), 4);
}

static void test_identity_outlasts_runs(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    char epoch[32], id[128];
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    snprintf(id, sizeof(id), "%s", store_gateway_id(f->store));
    fixture_close(f);
    fixture_open(f);
    assert_string_equal(store_epoch(f->store), epoch);
    assert_string_equal(store_gateway_id(f->store), id);
    /* A configured id goes before it, and does not replace it. */
    fixture_close(f);
    const struct store_options options = {
        .data_dir = f->data_dir, .gateway_id = "plant7", .config = &f->config, .clock = &f->clock};
    assert_int_equal(store_new(&options, &f->store), 0);
    assert_int_equal(store_open(f->store, NULL), 0);
    assert_string_equal(store_gateway_id(f->store), "plant7");
    fixture_close(f);
    fixture_open(f);
    assert_string_equal(store_gateway_id(f->store), id);
}

static void test_a_file_that_is_no_database_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[128];
    static char text[4096];
    memset(text, 'x', sizeof(text));
    mkdir(f->data_dir, 0700);
    write_file(database_path(f, path), "hello", 5);
    refuses_untouched(f, STORE_FOREIGN);
    write_file(path, text, sizeof(text));
    refuses_untouched(f, STORE_FOREIGN);
}

static void test_the_database_of_another_program_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[128];
    mkdir(f->data_dir, 0700);
    fixture_sql(database_path(f, path), "CREATE TABLE batch(key INTEGER PRIMARY KEY)");
    refuses_untouched(f, STORE_FOREIGN);
    fixture_sql(path, "PRAGMA application_id=1");
    refuses_untouched(f, STORE_FOREIGN);
    fixture_sql(path, "PRAGMA journal_mode=WAL");
    refuses_untouched(f, STORE_FOREIGN);
    fixture_sql(path, "DROP TABLE batch"); /* empty, but marked as somebody's */
    refuses_untouched(f, STORE_FOREIGN);
}

static void test_an_empty_file_or_database_becomes_ours(void **state)
{
    struct fixture *f = *state;
    char path[128];
    mkdir(f->data_dir, 0700);
    write_file(database_path(f, path), "", 0);
    fixture_open(f);
    fixture_close(f);
    unlink(path);
    fixture_sql(path, "PRAGMA user_version=3; CREATE TABLE t(x); DROP TABLE t");
    fixture_open(f);
    assert_int_equal(fixture_sql(path, "PRAGMA application_id"), 0x736C6365);
}

static void test_a_newer_format_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[128];
    fixture_open(f);
    fixture_close(f);
    fixture_sql(database_path(f, path), "PRAGMA user_version=3");
    refuses_untouched(f, STORE_NEWER);
}

/* Somebody asked for a salvage, and then another version's database came in its place. */
static void test_a_request_to_salvage_touches_no_newer_and_no_foreign_database(void **state)
{
    struct fixture *f = *state;
    char path[128], mark[160];
    fixture_open(f);
    fixture_close(f);
    fixture_sql(database_path(f, path), "PRAGMA user_version=3");
    snprintf(mark, sizeof(mark), "%s-damaged", path);
    FILE *file = fopen(mark, "w");
    assert_non_null(file);
    fclose(file);
    refuses_untouched(f, STORE_NEWER);
    fixture_sql(path, "PRAGMA application_id=1; DELETE FROM batch");
    refuses_untouched(f, STORE_FOREIGN);
}

static void test_a_second_process_is_told_that_the_directory_is_taken(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct store *first = f->store;
    f->store = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(fixture_try_open(f, &error), STORE_LOCKED);
    assert_string_equal(error.where, f->data_dir);
    assert_true(error.mend[0]);
    store_free(first);
    assert_int_equal(store_open(f->store, &error), 0); /* may be called again */
}

/* Runs as a user that is not root, for whom permissions count; exits with the outcome. */
static int open_as_nobody(struct fixture *f)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(99);
        const struct store_options options = {
            .data_dir = f->data_dir, .config = &f->config, .clock = &f->clock};
        struct store *store;
        struct error error = ERROR_INIT;
        if (store_new(&options, &store))
            _exit(98);
        int r = store_open(store, &error);
        _exit(r >= 0 && error.where[0] && error.mend[0] ? r : 97);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_directory_without_permission_is_unreadable(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fixture_close(f);
    assert_int_equal(chmod(f->base, 0755), 0);
    assert_int_equal(chmod(f->data_dir, 0), 0);
    assert_int_equal(open_as_nobody(f), STORE_UNREADABLE);
    /* The directory may be used, but the database in it belongs to somebody else. */
    char path[128];
    assert_int_equal(chmod(f->data_dir, 0777), 0);
    assert_int_equal(chmod(database_path(f, path), 0), 0);
    snprintf(path, sizeof(path), "%s/lock", f->data_dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_as_nobody(f), STORE_UNREADABLE);
    assert_int_equal(chmod(f->data_dir, 0700), 0);
}

static void test_a_data_directory_that_is_a_file_is_unreadable(void **state)
{
    struct fixture *f = *state;
    write_file(f->data_dir, "x", 1);
    struct error error = ERROR_INIT;
    assert_int_equal(fixture_try_open(f, &error), STORE_UNREADABLE);
    assert_true(error.where[0] && error.mend[0]);
}

static void test_a_damaged_database_is_set_aside_and_the_store_opens(void **state)
{
    struct fixture *f = *state;
    char path[128];
    fixture_open(f);
    fixture_close(f);
    int fd = open(database_path(f, path), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    char junk[8192];
    memset(junk, 0xA5, sizeof(junk));
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 108), (ssize_t)sizeof(junk));
    close(fd);
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    snprintf(path, sizeof(path), "%s/quarantine-1/sluice.db", f->data_dir);
    assert_int_equal(access(path, F_OK), 0);
}

static void test_a_log_without_its_database_is_damage_not_a_new_start(void **state)
{
    struct fixture *f = *state;
    char path[128];
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    fixture_crash(f, "crashed");
    assert_int_equal(unlink(database_path(f, path)), 0);
    fixture_open(f);
    snprintf(path, sizeof(path), "%s/quarantine-1/sluice.db-wal", f->data_dir);
    assert_int_equal(access(path, F_OK), 0);
    fixture_expect(f, fixture_stream(f, "events"), 0, 0, 5);
}

static void test_a_full_disk_at_the_start_may_be_tried_again(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(fixture_try_open(f, &error), -ENOSPC);
    assert_true(error.where[0] && error.mend[0]);
    assert_int_equal(store_open(f->store, &error), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(store_open(f->store, &error), 0);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    /* The same with a store that is there already. */
    fixture_close(f);
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(fixture_try_open(f, &error), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(store_open(f->store, &error), 0);
    fixture_expect(f, fixture_stream(f, "events"), 0, 0, 5);
}

static void test_an_unclean_end_begins_an_epoch_only_if_it_was_not_power_safe(void **state)
{
    struct fixture *f = *state;
    char epoch[32];
    fixture_configure(f, "{\"commit\": {\"durability\": \"process\"}}");
    fixture_open(f);
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    fixture_close(f);
    fixture_open(f); /* clean */
    assert_string_equal(store_epoch(f->store), epoch);
    fixture_crash(f, "crash1");
    fixture_configure(f, "{}"); /* what counts is how the run was that ended */
    fixture_open(f);
    assert_string_not_equal(store_epoch(f->store), epoch);
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    assert_int_equal(
        fixture_sql(store_path(f->store), "SELECT first_offset FROM epoch ORDER BY 1 DESC"), 5);
    fixture_crash(f, "crash2");
    fixture_open(f);
    assert_string_equal(store_epoch(f->store), epoch);
}

static void test_a_damaged_last_batch_begins_an_epoch_so_that_no_id_is_given_twice(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < 3; i++)
        fixture_fill(f, stream, 10 * i, 10, 100);
    char epoch[32], path[128];
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    fixture_close(f);
    fixture_sql(database_path(f, path), "UPDATE batch SET n = 4, end_bytes = 1, end_stored = 7"
                                        " WHERE key = (SELECT max(key) FROM batch)");
    fixture_open(f);
    assert_string_not_equal(store_epoch(f->store), epoch);
    uint64_t offset = fixture_append(f, stream, 77, 100);
    assert_true(offset > 20);
    assert_int_equal(store_commit(f->store), 0);
    fixture_expect(f, stream, offset, 77, 1);
    struct store_reader *reader;
    struct store_stream_info info;
    assert_int_equal(store_reader_open(path, NULL, &reader), 0);
    assert_int_equal(store_read_stream(reader, "events", &info), 0);
    assert_in_range(info.stored_bytes, 3000, 8000);
    store_reader_close(reader);
    /* Once there is a sound batch behind it the epoch stays. */
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    fixture_close(f);
    fixture_open(f);
    assert_string_equal(store_epoch(f->store), epoch);
}

static unsigned long reads_of_start(struct fixture *f, unsigned commits)
{
    fixture_open(f);
    uint32_t stream = fixture_stream(f, "events");
    for (unsigned i = 0; i < commits; i++)
        fixture_fill(f, stream, i, 1, 3000);
    fixture_close(f);
    unsigned long reads = hold_vfs_reads();
    fixture_open(f);
    reads = hold_vfs_reads() - reads;
    fixture_close(f);
    return reads;
}

static void test_the_cost_of_a_start_does_not_depend_on_what_is_stored(void **state)
{
    struct fixture *f = *state;
    unsigned long few = reads_of_start(f, 10), many = reads_of_start(f, 600);
    /* A tree one level higher costs a page for each look-up. */
    assert_in_range(many, 1, few + 10);
}

static void test_every_statement_on_batches_goes_by_the_key(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(store_path(f->store), &db), SQLITE_OK);
    unsigned seen = 0;
    for (unsigned i = 0; i < SQL_COUNT; i++) {
        char sql[1024];
        sqlite3_stmt *statement;
        snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sql_text[i]);
        if (strstr(sql_text[i], "PRAGMA"))
            continue;
        if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
            fail_msg("%s: %s", sql_text[i], sqlite3_errmsg(db));
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(statement, 3);
            /* Salvage goes through the small tables once. */
            if (i >= SQL_SALVAGE_BATCH && i <= SQL_SALVAGE_SETTLED && !strstr(step, "batch"))
                continue;
            if (strstr(step, "SCAN") || strstr(step, "TEMP B-TREE"))
                fail_msg("%s: %s", sql_text[i], step);
            seen += strstr(step, "SEARCH batch USING INTEGER PRIMARY KEY") != NULL;
        }
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
    assert_in_range(seen, 5, 20);
}

static void test_stream_names_are_checked_and_their_number_bounded(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream;
    const char *bad[] = {"",
                         "a/b",
                         "a b",
                         "$",
                         "a$b",
                         "\xc3\xa4",
                         "0123456789012345678901234567890123456789012345678901234567890123x"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(store_stream(f->store, bad[i], &stream), -EINVAL);
    assert_int_equal(store_stream(f->store, "$dlq", &stream), 0);
    char name[16];
    for (unsigned i = 0; i < STORE_STREAMS_MAX - 4; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(store_stream(f->store, name, &stream), 0);
    }
    assert_int_equal(store_stream(f->store, "one-too-many", &stream), STORE_STREAM_LIMIT);
    uint32_t again;
    assert_int_equal(store_stream(f->store, name, &again), 0);
    assert_int_equal(again, stream);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(store_stream(f->store, name, &again), 0);
    assert_int_equal(again, stream);
}

static void test_a_stream_that_cannot_be_made_is_not_there(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    uint32_t stream;
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(store_stream(f->store, "new", &stream), -ENOSPC);
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(store_stream(f->store, "new", &stream), 0);
    fixture_fill(f, stream, 0, 3, 10);
    fixture_expect(f, stream, 0, 0, 3);
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
        TEST(test_a_new_store_has_a_private_directory_an_identity_and_the_stream_events),
        TEST(test_identity_outlasts_runs),
        TEST(test_a_file_that_is_no_database_is_left_alone),
        TEST(test_the_database_of_another_program_is_left_alone),
        TEST(test_an_empty_file_or_database_becomes_ours),
        TEST(test_a_newer_format_is_left_alone),
        TEST(test_a_request_to_salvage_touches_no_newer_and_no_foreign_database),
        TEST(test_a_second_process_is_told_that_the_directory_is_taken),
        TEST(test_a_directory_without_permission_is_unreadable),
        TEST(test_a_data_directory_that_is_a_file_is_unreadable),
        TEST(test_a_damaged_database_is_set_aside_and_the_store_opens),
        TEST(test_a_log_without_its_database_is_damage_not_a_new_start),
        TEST(test_a_full_disk_at_the_start_may_be_tried_again),
        TEST(test_an_unclean_end_begins_an_epoch_only_if_it_was_not_power_safe),
        TEST(test_a_damaged_last_batch_begins_an_epoch_so_that_no_id_is_given_twice),
        TEST(test_the_cost_of_a_start_does_not_depend_on_what_is_stored),
        TEST(test_every_statement_on_batches_goes_by_the_key),
        TEST(test_stream_names_are_checked_and_their_number_bounded),
        TEST(test_a_stream_that_cannot_be_made_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
