#include "store/vfs.h"

#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hold_vfs.h"
#include "store/database.h"

enum { FRAME_BYTES = 1024 + 24, JOIN_BYTES = 64 * 1024, ROUNDS = 400 };

static void path_of(struct fixture *f, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s.db", f->base, name);
}

static void must_exec(struct database *d, const char *sql)
{
    if (database_exec(d, sql))
        fail_msg("%s: %s", sql, sqlite3_errmsg(d->db));
}

/* A database like the store's, with a table t. */
static void make(struct fixture *f, const char *name, struct database *d, char *path, size_t size)
{
    path_of(f, name, path, size);
    assert_int_equal(database_open(d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE), 0);
    must_exec(d, "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                 "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)");
}

static void insert(struct database *d, int bytes)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "INSERT INTO t(v) VALUES(randomblob(%d))", bytes);
    must_exec(d, sql);
}

static void test_a_commit_is_one_write_and_one_sync(void **state)
{
    struct database d;
    char path[160];
    make(*state, "one", &d, path, sizeof(path));
    for (int bytes = 100; bytes <= 30000; bytes *= 3) {
        unsigned long writes = hold_vfs_writes(), syncs = hold_vfs_syncs();
        insert(&d, bytes);
        assert_int_equal(hold_vfs_writes() - writes, 1);
        assert_int_equal(hold_vfs_syncs() - syncs, 1);
    }
    /* Also where nothing is synced. */
    must_exec(&d, "PRAGMA synchronous=NORMAL");
    unsigned long writes = hold_vfs_writes(), syncs = hold_vfs_syncs();
    insert(&d, 5000);
    assert_int_equal(hold_vfs_writes() - writes, 1);
    assert_int_equal(hold_vfs_syncs(), syncs);
    database_close(&d);
}

static void test_a_large_commit_is_written_in_bounded_pieces(void **state)
{
    struct database d;
    char path[160];
    make(*state, "large", &d, path, sizeof(path));
    must_exec(&d, "PRAGMA cache_size=-4096");
    unsigned long writes = hold_vfs_writes();
    unsigned long long written = hold_vfs_written();
    insert(&d, 1000000);
    written = hold_vfs_written() - written;
    writes = hold_vfs_writes() - writes;
    assert_true(written > 1000000);
    assert_in_range(writes, written / JOIN_BYTES, written / (JOIN_BYTES - FRAME_BYTES) + 1);
    database_close(&d);
}

/* The other process: for each byte it reads it writes how many rows there are. */
static int count_rows(const char *path)
{
    char c;
    while (read(STDIN_FILENO, &c, 1) == 1) {
        uint8_t n = (uint8_t)fixture_sql(path, "SELECT count(*) FROM t");
        if (write(STDOUT_FILENO, &n, 1) != 1)
            return 1;
    }
    return 0;
}

/* By SQLite's own file system, also where the commit is not synced. */
static void test_another_process_sees_a_commit_at_once(void **state)
{
    struct database d;
    char path[160];
    make(*state, "seen", &d, path, sizeof(path));
    must_exec(&d, "PRAGMA synchronous=NORMAL");
    int ask[2], answer[2];
    assert_true(pipe(ask) == 0 && pipe(answer) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ask[0], STDIN_FILENO);
        dup2(answer[1], STDOUT_FILENO);
        for (int i = 0; i < 2; i++) {
            close(ask[i]);
            close(answer[i]);
        }
        execl("/proc/self/exe", "test_store_vfs", path, (char *)NULL);
        _exit(1);
    }
    close(answer[1]);
    close(ask[0]);
    unsigned wrong = 0;
    for (uint8_t n = 1; n <= 100; n++) {
        uint8_t seen = 0;
        insert(&d, 10 + n * 30);
        if (write(ask[1], "?", 1) != 1 || read(answer[0], &seen, 1) != 1 || seen != n)
            wrong++;
    }
    close(ask[1]);
    close(answer[0]);
    waitpid(child, NULL, 0);
    assert_int_equal(wrong, 0);
    database_close(&d);
}

static uint64_t random_next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x >> 11;
}

/* One step of a random life, the same SQL for ours and for SQLite's own file system. */
static void make_step(uint64_t *x, char *sql, size_t size)
{
    unsigned long long a = random_next(x) % 200, b = random_next(x) % 9000;
    switch (random_next(x) % 12) {
    case 0:
        snprintf(sql, size, "SAVEPOINT s");
        break;
    case 1:
        snprintf(sql, size, "ROLLBACK TO s");
        break;
    case 2:
        snprintf(sql, size, "RELEASE s");
        break;
    case 3:
        snprintf(sql, size, "DELETE FROM t WHERE k %% 7 = %llu", a % 7);
        break;
    case 4:
    case 5:
        snprintf(sql, size, "UPDATE t SET v = zeroblob(%llu) WHERE k = %llu", b / 4, a);
        break;
    default:
        snprintf(sql, size,
                 "INSERT OR REPLACE INTO t VALUES(%llu, replace(hex(zeroblob(%llu)),"
                 " '00', 'x%llu'))",
                 a, b, b);
    }
}

static int64_t sum_of(const char *path)
{
    return fixture_sql(path, "SELECT coalesce(sum(k * length(v) + unicode(substr(v, -3, 1))), 0)"
                             " FROM t");
}

/* Transactions that outgrow the cache, overwrite their own frames, are rolled back as a whole and
 * in part, by two connections in turn. */
static void test_the_log_is_what_it_would_be_without(void **state)
{
    struct database ours[2];
    char path[160], plain_path[160], sql[160];
    make(*state, "joined", &ours[0], path, sizeof(path));
    assert_int_equal(database_open(&ours[1], path, SQLITE_OPEN_READWRITE), 0);
    path_of(*state, "plain", plain_path, sizeof(plain_path));
    sqlite3 *plain;
    assert_int_equal(sqlite3_open(plain_path, &plain), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(plain, "CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB)", NULL, NULL, NULL),
        SQLITE_OK);
    for (int i = 0; i < 2; i++)
        must_exec(&ours[i], "PRAGMA cache_size=8; PRAGMA wal_autocheckpoint=0");
    uint64_t x = 88172645463325252u;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct database *d = &ours[random_next(&x) % 2];
        must_exec(d, random_next(&x) % 2 ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        must_exec(d, "BEGIN IMMEDIATE");
        sqlite3_exec(plain, "BEGIN", NULL, NULL, NULL);
        for (unsigned steps = (unsigned)(random_next(&x) % 12); steps; steps--) {
            make_step(&x, sql, sizeof(sql));
            int code = sqlite3_exec(plain, sql, NULL, NULL, NULL);
            assert_int_equal(sqlite3_exec(d->db, sql, NULL, NULL, NULL), code);
        }
        const char *end = random_next(&x) % 3 ? "COMMIT" : "ROLLBACK";
        must_exec(d, end);
        assert_int_equal(sqlite3_exec(plain, end, NULL, NULL, NULL), SQLITE_OK);
        if (round % 8 == 0)
            assert_int_equal(sum_of(path), sum_of(plain_path));
        if (round % 50 == 49)
            must_exec(&ours[0], "PRAGMA wal_checkpoint");
    }
    assert_int_equal(sum_of(path), sum_of(plain_path));
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM pragma_integrity_check"
                                       " WHERE integrity_check <> 'ok'"),
                     0);
    sqlite3_close(plain);
    database_close(&ours[1]);
    database_close(&ours[0]);
}

/* The rollback reads nothing from the log, so nothing but the end of the lock takes care of what
 * was gathered. */
static void test_what_was_rolled_back_never_overwrites_what_another_wrote(void **state)
{
    struct database ours[2];
    char path[160];
    make(*state, "rolled-back", &ours[0], path, sizeof(path));
    assert_int_equal(database_open(&ours[1], path, SQLITE_OPEN_READWRITE), 0);
    insert(&ours[0], 3000);
    must_exec(&ours[0], "PRAGMA wal_checkpoint; PRAGMA cache_size=4; BEGIN IMMEDIATE");
    unsigned long long written = hold_vfs_written();
    insert(&ours[0], 30000);
    assert_true(hold_vfs_written() - written < 1000); /* it has left the cache, and waits */
    must_exec(&ours[0], "ROLLBACK");
    insert(&ours[1], 20000);
    must_exec(&ours[0], "SELECT sum(length(hex(v))) FROM t");
    insert(&ours[0], 10000);
    assert_int_equal(fixture_sql(path, "SELECT sum(length(v)) FROM t"), 33000);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM pragma_integrity_check"
                                       " WHERE integrity_check <> 'ok'"),
                     0);
    database_close(&ours[1]);
    database_close(&ours[0]);
}

static void test_a_commit_whose_write_fails_fails_and_nobody_sees_it(void **state)
{
    struct database d;
    char path[160];
    make(*state, "fails", &d, path, sizeof(path));
    for (int full = 0; full < 2; full++) {
        must_exec(&d, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        insert(&d, 3000);
        hold_vfs_fail(full ? SQLITE_FULL : SQLITE_IOERR_WRITE);
        int r = database_exec(&d, "INSERT INTO t(v) VALUES(randomblob(3000))");
        hold_vfs_fail(SQLITE_OK);
        assert_int_equal(r, full ? -ENOSPC : -EIO);
        assert_int_equal(fixture_sql(path, "SELECT count(*) FROM t"), 1 + 2 * full);
        insert(&d, 4000);
        assert_int_equal(fixture_sql(path, "SELECT count(*) FROM t"), 2 + 2 * full);
    }
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM pragma_integrity_check"
                                       " WHERE integrity_check <> 'ok'"),
                     0);
    database_close(&d);
}

/* Frames that had to leave the cache are read back before they are in the file. */
static void test_a_failing_write_is_told_where_frames_are_read_back(void **state)
{
    struct database d;
    char path[160];
    make(*state, "spilled", &d, path, sizeof(path));
    insert(&d, 100);
    must_exec(&d, "PRAGMA cache_size=4; BEGIN IMMEDIATE");
    insert(&d, 40000);
    hold_vfs_fail(SQLITE_IOERR_WRITE);
    int r = database_exec(&d, "SELECT sum(length(hex(v))) FROM t");
    hold_vfs_fail(SQLITE_OK);
    assert_int_equal(r, -EIO);
    if (!sqlite3_get_autocommit(d.db))
        must_exec(&d, "ROLLBACK");
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM t"), 1);
    insert(&d, 100);
    assert_int_equal(fixture_sql(path, "SELECT count(*) FROM t"), 2);
    database_close(&d);
}

static void test_after_a_failed_sync_nothing_is_trusted_until_it_is_written_again(void **state)
{
    struct database d, other;
    char path[160];
    make(*state, "suspect", &d, path, sizeof(path));
    assert_int_equal(database_open(&other, path, SQLITE_OPEN_READWRITE), 0);
    must_exec(&other, "SELECT count(*) FROM t");
    hold_vfs_fail(SQLITE_IOERR_FSYNC);
    assert_int_equal(database_exec(&d, "INSERT INTO t(v) VALUES(randomblob(3000))"), -EIO);
    hold_vfs_fail(SQLITE_OK);
    /* For no connection, and not by closing. */
    assert_true(vfs_suspect(&d) && vfs_suspect(&other));
    assert_int_equal(database_exec(&d, "INSERT INTO t(v) VALUES(1)"), -EIO);
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(other.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) & 0xFF,
        SQLITE_IOERR);
    database_close(&d);
    database_close(&other);
    assert_int_equal(database_open(&d, path, SQLITE_OPEN_READWRITE), 0);
    assert_true(vfs_suspect(&d));
    hold_vfs_fail(SQLITE_IOERR_FSYNC);
    assert_int_equal(vfs_rewrite_log(&d), -EIO);
    hold_vfs_fail(SQLITE_OK);
    assert_true(vfs_suspect(&d));
    unsigned long long written = hold_vfs_written();
    assert_int_equal(vfs_rewrite_log(&d), 0);
    assert_true(hold_vfs_written() - written >= 3000);
    assert_false(vfs_suspect(&d));
    insert(&d, 100);
    written = hold_vfs_written();
    assert_int_equal(vfs_rewrite_log(&d), 0); /* all of it is synced: nothing but the database's */
    assert_int_equal(hold_vfs_written(), written);
    database_close(&d);
}

static void test_the_log_is_not_written_again_beside_a_writer_or_a_checkpoint(void **state)
{
    struct database d, other;
    char path[160];
    make(*state, "busy", &d, path, sizeof(path));
    sqlite3_busy_timeout(d.db, 0);
    assert_int_equal(database_open(&other, path, SQLITE_OPEN_READWRITE), 0);
    must_exec(&other, "BEGIN IMMEDIATE");
    assert_int_equal(vfs_rewrite_log(&d), -EBUSY);
    must_exec(&other, "ROLLBACK");
    assert_int_equal(vfs_rewrite_log(&d), 0);
    database_close(&other);
    database_close(&d);
}

static void test_a_new_database_at_the_path_is_not_suspect(void **state)
{
    struct database d;
    char path[160];
    make(*state, "forgotten", &d, path, sizeof(path));
    hold_vfs_fail(SQLITE_IOERR_FSYNC);
    assert_int_equal(database_exec(&d, "INSERT INTO t(v) VALUES(1)"), -EIO);
    hold_vfs_fail(SQLITE_OK);
    database_close(&d);
    vfs_forget(path);
    assert_int_equal(database_open(&d, path, SQLITE_OPEN_READWRITE), 0);
    assert_false(vfs_suspect(&d));
    database_close(&d);
}

static void test_what_reaches_the_disk_is_counted_in_blocks(void **state)
{
    struct database d;
    char path[160];
    make(*state, "counts", &d, path, sizeof(path));
    must_exec(&d, "PRAGMA wal_checkpoint");
    struct vfs_counts before, after;
    for (unsigned i = 0; i < 10; i++) {
        vfs_counts(&before);
        unsigned long long written = hold_vfs_written();
        insert(&d, 2000);
        written = hold_vfs_written() - written;
        vfs_counts(&after);
        assert_int_equal(after.written_bytes - before.written_bytes, written);
        assert_int_equal(after.syncs - before.syncs, i ? 1 : 2); /* the new log's header, too */
        uint64_t blocks = (after.flash_bytes - before.flash_bytes) / 4096;
        assert_in_range(blocks, (written + 4095) / 4096, written / 4096 + 2 + (i == 0));
    }
    /* Of a hundred pages that lie together the database takes 25 blocks, give or take. */
    insert(&d, 100 * 1020);
    vfs_counts(&before);
    must_exec(&d, "PRAGMA wal_checkpoint");
    vfs_counts(&after);
    uint64_t bytes = after.written_bytes - before.written_bytes;
    assert_true(bytes > 100 * 1024);
    assert_in_range(after.flash_bytes - before.flash_bytes, bytes, bytes + 3 * 4096);
    database_close(&d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(int argc, char **argv)
{
    if (argc == 2)
        return count_rows(argv[1]);
    signal(SIGPIPE, SIG_IGN); /* should the other process end early */
    hold_vfs_install();
    const struct CMUnitTest tests[] = {
        TEST(test_a_commit_is_one_write_and_one_sync),
        TEST(test_a_large_commit_is_written_in_bounded_pieces),
        TEST(test_another_process_sees_a_commit_at_once),
        TEST(test_the_log_is_what_it_would_be_without),
        TEST(test_what_was_rolled_back_never_overwrites_what_another_wrote),
        TEST(test_a_commit_whose_write_fails_fails_and_nobody_sees_it),
        TEST(test_a_failing_write_is_told_where_frames_are_read_back),
        TEST(test_after_a_failed_sync_nothing_is_trusted_until_it_is_written_again),
        TEST(test_the_log_is_not_written_again_beside_a_writer_or_a_checkpoint),
        TEST(test_a_new_database_at_the_path_is_not_suspect),
        TEST(test_what_reaches_the_disk_is_counted_in_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
