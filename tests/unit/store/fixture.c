#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/error.h"
#include "config/read.h"

static int64_t clock_fixture_monotonic(void *data)
{
    return ((struct fixture *)data)->now_us;
}

static int64_t clock_fixture_wall(void *data)
{
    return ((struct fixture *)data)->now_us + ((struct fixture *)data)->base_us;
}

static bool clock_fixture_synced(void *data)
{
    return !((struct fixture *)data)->unsynced;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    /* In memory where the system allows: the tests sync by the thousand. */
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(f->base, sizeof(f->base), "%s/sluice-store-XXXXXX",
             tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->data_dir, sizeof(f->data_dir), "%s/data", f->base);
    f->now_us = 1000000;
    f->machine_id = "machine of the tests";
    f->base_us = 1700000000000000 - f->now_us;
    f->clock = (struct clock){clock_fixture_monotonic, clock_fixture_wall, clock_fixture_synced, f};
    assert_int_equal(config_section_init(&store_section, &f->config), 0);
    *state = f;
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char name[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        struct stat st;
        if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
            remove_tree(name);
        else
            unlink(name);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    config_section_deinit(&store_section, &f->config);
    remove_tree(f->base);
    free(f);
    return 0;
}

void fixture_configure(struct fixture *f, const char *json)
{
    struct error error = ERROR_INIT;
    config_section_deinit(&store_section, &f->config);
    int r = config_read_text(&store_section, json, &error, &f->config);
    if (r)
        fail_msg("%s: %s", error.where, error.what);
    if (f->store)
        store_reconfigure(f->store, &f->config);
}

int fixture_try_open(struct fixture *f, struct error *error)
{
    assert_null(f->store);
    const struct store_options options = {.data_dir = f->data_dir,
                                          .config = &f->config,
                                          .clock = &f->clock,
                                          .background_checkpoints = f->background,
                                          .cursor_interval_us = f->cursor_interval_us,
                                          .machine_id = f->machine_id,
                                          .boot_id = f->boot_id};
    assert_int_equal(store_new(&options, &f->store), 0);
    return store_open(f->store, error);
}

void fixture_open(struct fixture *f)
{
    struct error error = ERROR_INIT;
    int r = fixture_try_open(f, &error);
    if (r)
        fail_msg("store_open: %d: %s: %s", r, error.where, error.what);
}

void fixture_close(struct fixture *f)
{
    f->store = store_free(f->store);
}

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return;
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    char buffer[65536];
    for (ssize_t n; (n = read(in, buffer, sizeof(buffer))) > 0;)
        assert_int_equal(write(out, buffer, (size_t)n), n);
    close(in);
    close(out);
}

void fixture_copy(const char *from, const char *to, bool identity)
{
    static const char *const files[] = {"sluice.db", "sluice.db-wal", "sluice.db-shm", "sluice.id"};
    /* In a child: closing a descriptor of the database here would drop SQLite's locks. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        mkdir(to, 0700);
        for (unsigned i = 0; i < (identity ? 4 : 3); i++) {
            char source[160], target[160];
            snprintf(source, sizeof(source), "%s/%s", from, files[i]);
            snprintf(target, sizeof(target), "%s/%s", to, files[i]);
            unlink(target);
            if (i != 2)
                copy_file(source, target);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

void fixture_crash(struct fixture *f, const char *name)
{
    char dir[96];
    snprintf(dir, sizeof(dir), "%s/%s", f->base, name);
    fixture_copy(f->data_dir, dir, true);
    fixture_close(f);
    snprintf(f->data_dir, sizeof(f->data_dir), "%s", dir);
}

uint32_t fixture_stream(struct fixture *f, const char *name)
{
    uint32_t stream = 0;
    assert_int_equal(store_stream(f->store, name, &stream), 0);
    return stream;
}

int fixture_try_append(struct fixture *f, uint32_t stream, unsigned n, size_t bytes,
                       uint64_t *ret_offset)
{
    char *payload = malloc(bytes + 32);
    int len = sprintf(payload, "event %u ", n);
    /* Does not compress: sizes in the database are then as the test means them. */
    uint64_t x = 88172645463325252u + n;
    for (; (size_t)len < bytes; len++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        payload[len] = (char)x;
    }
    const struct event event = {.topic = SLICE_LITERAL("site/a/sensor/telemetry"),
                                .device = SLICE_LITERAL("sensor"),
                                .type = SLICE_LITERAL("test"),
                                .payload = slice_make(payload, (size_t)len),
                                .received_us = 1700000000000000 + n,
                                .time_us = EVENT_NO_TIME,
                                .quality = CLOCK_SYNCED,
                                .qos = 1};
    int r = store_append(f->store, stream, &event, ret_offset);
    free(payload);
    return r;
}

uint64_t fixture_append(struct fixture *f, uint32_t stream, unsigned n, size_t bytes)
{
    uint64_t offset = UINT64_MAX;
    assert_int_equal(fixture_try_append(f, stream, n, bytes, &offset), 0);
    return offset;
}

void fixture_fill(struct fixture *f, uint32_t stream, unsigned n, unsigned count, size_t bytes)
{
    for (unsigned i = 0; i < count; i++)
        fixture_append(f, stream, n + i, bytes);
    assert_int_equal(store_commit(f->store), 0);
}

unsigned fixture_number(const struct event *event)
{
    char text[24] = "";
    memcpy(text, event->payload.data,
           event->payload.len < sizeof(text) - 1 ? event->payload.len : sizeof(text) - 1);
    unsigned n = UINT32_MAX;
    assert_int_equal(sscanf(text, "event %u ", &n), 1);
    return n;
}

void fixture_expect(struct fixture *f, uint32_t stream, uint64_t offset, unsigned n, unsigned count)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    if (store_reader_open(store_path(f->store), &error, &reader))
        fail_msg("%s: %s", error.where, error.what);
    unsigned seen = 0;
    struct segment *segment;
    uint64_t skip;
    int r;
    while (!(r = store_read(reader, stream, offset, &segment, &skip))) {
        struct segment_iterator it;
        segment_iterator_init(&it, segment, offset);
        struct event event;
        uint64_t at;
        while ((r = segment_next(&it, &event, &at)) == 0) {
            assert_int_equal(at, offset);
            assert_int_equal(fixture_number(&event), n + seen);
            offset++;
            seen++;
        }
        assert_int_equal(r, SEGMENT_END);
        segment_unref(segment);
    }
    assert_int_equal(r, STORE_READ_END);
    assert_int_equal(seen, count);
    store_reader_close(reader);
}

int64_t fixture_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    int64_t number = 0;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    for (const char *rest = sql; *rest;) {
        if (sqlite3_prepare_v2(db, rest, -1, &statement, &rest) != SQLITE_OK)
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        int code = sqlite3_step(statement);
        assert_true(code == SQLITE_ROW || code == SQLITE_DONE);
        if (code == SQLITE_ROW && !number)
            number = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}
