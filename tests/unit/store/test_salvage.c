/* A damaged database: whatever is done to it, the store opens, and everything whose pages are
 * intact is there. */
#include "store/salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "fixture.h"
#include "hold_vfs.h"
#include "store/batch.h"
#include "store/internal.h"
#include "store/quarantine.h"

enum { PAGE = 1024, BATCHES_MAX = 256 };

struct file {
    uint8_t *data;
    size_t len;
};

static struct file load(const char *dir, const char *name)
{
    char path[200];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct file f = {.data = NULL};
    if (fd < 0)
        return f;
    assert_int_equal(fstat(fd, &st), 0);
    f.len = (size_t)st.st_size;
    f.data = malloc(f.len + 1);
    assert_int_equal(read(fd, f.data, f.len), (ssize_t)f.len);
    close(fd);
    return f;
}

static void save(const char *dir, const char *name, const struct file *f)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->data, f->len), (ssize_t)f->len);
    close(fd);
}

static void empty_directory(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char name[512];
        struct stat st;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || lstat(name, &st))
            continue;
        if (S_ISDIR(st.st_mode)) {
            empty_directory(name);
            rmdir(name);
        } else {
            unlink(name);
        }
    }
    if (dir)
        closedir(dir);
}

static bool in_data_dir(const struct fixture *f, const char *name)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", f->data_dir, name);
    return access(path, F_OK) == 0;
}

/* A batch of the store before the damage, and the pages it needs. */
struct known {
    uint32_t stream;
    unsigned pages; /* at most, where it is not compressed */
    uint64_t base, end;
    uint64_t sum; /* over the records */
};

struct world {
    struct fixture *f;
    struct file database, log;
    unsigned count;
    struct known batches[BATCHES_MAX];
    char epoch[17], gateway_id[32];
    uint64_t cursor; /* of consumer "cloud" on "events" */
};

static uint64_t records_sum(const struct segment *segment)
{
    const struct batch_row none = {.key = 0};
    return batch_row_crc(&none, bytes_slice(&segment->records));
}

/* Reads all batches that can be read; their number, or -EBADMSG. */
static int read_batches(const char *path, struct known out[BATCHES_MAX])
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    int n = 0;
    uint32_t stream = 0;
    char name[STORE_STREAM_NAME_MAX_BYTES];
    if (store_reader_open(path, &error, &reader))
        fail_msg("%s: %s", error.where, error.what);
    while (store_read_next_stream(reader, &stream, name) == 0) {
        uint64_t offset = 0, skip;
        struct segment *segment;
        int r;
        if (name[0] == '$')
            continue;
        while ((r = store_read(reader, stream, offset, &segment, &skip)) == 0 ||
               r == STORE_READ_DAMAGED) {
            if (r) {
                offset = skip;
                continue;
            }
            assert_true(n < BATCHES_MAX);
            out[n++] = (struct known){stream, 2 + (unsigned)(segment->records.len / (PAGE - 4)),
                                      segment->base_offset, segment_end_offset(segment),
                                      records_sum(segment)};
            offset = segment_end_offset(segment);
            segment_unref(segment);
        }
        if (r == -EBADMSG)
            n = r;
        if (r == -EBADMSG)
            break;
        assert_int_equal(r, STORE_READ_END);
    }
    store_reader_close(reader);
    return n;
}

static struct range_feed *attach(struct fixture *f, enum range_start start)
{
    static const char *const streams[] = {"events"};
    struct range_feed *feed;
    assert_int_equal(range_feed_new("cloud", start, streams, 1, &feed), 0);
    assert_int_equal(store_attach(f->store, feed), 0);
    return feed;
}

static void detach(struct fixture *f, struct range_feed *feed)
{
    store_detach(f->store, feed);
    range_feed_unref(feed);
}

/* A store of two streams with small and large batches, evicted and open ones, and a cursor; as a
 * kill leaves it, so that part of it is in the log. */
static void make_world(struct fixture *f, struct world *w)
{
    *w = (struct world){.f = f};
    fixture_configure(f, "{\"streams\": {\"events\": {\"max_bytes\": \"1MiB\"},"
                         " \"alarms\": {\"max_bytes\": \"1MiB\"}}}");
    fixture_open(f);
    uint32_t events = fixture_stream(f, "events"), alarms = fixture_stream(f, "alarms");
    for (unsigned i = 0; i < 12; i++) {
        fixture_fill(f, events, 10 * i, 10, i % 3 ? 40 : 900);
        fixture_fill(f, alarms, i, 1, i % 4 ? 60 : 3000);
    }
    struct range_feed *feed = attach(f, RANGE_START_OLDEST);
    store_move_cursor(f->store, feed, 0, 35);
    detach(f, feed);
    assert_int_equal(store_commit(f->store), 0);
    w->cursor = 35;
    fixture_sql(store_path(f->store), "PRAGMA wal_checkpoint(PASSIVE)");
    fixture_fill(f, events, 120, 10, 300);
    fixture_fill(f, alarms, 12, 1, 300);
    snprintf(w->epoch, sizeof(w->epoch), "%s", store_epoch(f->store));
    snprintf(w->gateway_id, sizeof(w->gateway_id), "%s", store_gateway_id(f->store));
    w->count = (unsigned)read_batches(store_path(f->store), w->batches);
    assert_int_equal(w->count, 26);
    fixture_crash(f, "crashed");
    w->database = load(f->data_dir, "sluice.db");
    w->log = load(f->data_dir, "sluice.db-wal");
    assert_true(w->database.len > 30 * PAGE && w->log.len > 5 * PAGE);
}

static void free_world(struct world *w)
{
    free(w->database.data);
    free(w->log.data);
}

static void put_world(struct world *w)
{
    fixture_close(w->f);
    empty_directory(w->f->data_dir);
    save(w->f->data_dir, "sluice.db", &w->database);
    save(w->f->data_dir, "sluice.db-wal", &w->log);
}

struct outcome {
    bool kept[BATCHES_MAX]; /* of the batches that were known */
    unsigned kept_count;
    bool quarantined; /* the database was set aside */
};

/* Opens what is there and checks that nothing is invented, no offset is there twice, the cursor is
 * not above what it was, and appending goes on. */
static struct outcome open_and_judge(struct world *w, const char *what)
{
    struct fixture *f = w->f;
    struct error error = ERROR_INIT;
    int r = fixture_try_open(f, &error);
    if (r)
        fail_msg("%s: %d: %s: %s", what, r, error.where, error.what);
    struct known found[BATCHES_MAX];
    int n = read_batches(store_path(f->store), found);
    if (n < 0) { /* opening did not see it; what a running store then does */
        assert_int_equal(quarantine_request(f->data_dir), 0);
        fixture_close(f);
        fixture_open(f);
        n = read_batches(store_path(f->store), found);
    }
    struct outcome o = {.quarantined = in_data_dir(f, "quarantine-1/salvaged")};
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (unsigned k = 0; k < w->count && !known; k++) {
            known = memcmp(&found[i], &w->batches[k], sizeof(found[i])) == 0;
            if (known && o.kept[k])
                fail_msg("%s: a batch is there twice", what);
            o.kept[k] = o.kept[k] || known;
        }
        if (!known)
            fail_msg("%s: stream %u has a batch at %llu that nobody wrote", what, found[i].stream,
                     (unsigned long long)found[i].base);
        o.kept_count++;
    }
    if (o.quarantined) {
        assert_string_not_equal(store_epoch(f->store), w->epoch);
        assert_false(in_data_dir(f, "sluice.db-new"));
    }
    struct range_feed *feed = attach(f, RANGE_START_NEWEST);
    if (feed->ranges[0].start_offset > w->cursor)
        fail_msg("%s: the cursor is at %llu", what,
                 (unsigned long long)feed->ranges[0].start_offset);
    detach(f, feed);
    uint32_t events = fixture_stream(f, "events");
    uint64_t offset = fixture_append(f, events, 9999, 100);
    assert_int_equal(store_commit(f->store), 0);
    fixture_expect(f, events, offset, 9999, 1);
    fixture_close(f);
    fixture_open(f); /* once more, in order */
    fixture_expect(f, fixture_stream(f, "events"), offset, 9999, 1);
    return o;
}

/* Damages one page after the other. A batch may be lost with a page that it needs, and with no
 * other: one with its row, and those with its data. */
static void damage_each_page(struct world *w, uint8_t (*change)(uint8_t, size_t), const char *how)
{
    unsigned quarantines = 0, whole = 0, pages = (unsigned)(w->database.len / PAGE);
    unsigned lost[BATCHES_MAX] = {0};
    for (unsigned page = 0; page < pages; page++) {
        struct file original = w->database;
        char what[64];
        w->database.data = malloc(original.len);
        memcpy(w->database.data, original.data, original.len);
        for (size_t i = 0; i < PAGE; i++)
            w->database.data[(size_t)page * PAGE + i] =
                change(original.data[(size_t)page * PAGE + i], i);
        snprintf(what, sizeof(what), "page %u %s", page + 1, how);
        put_world(w);
        struct outcome o = open_and_judge(w, what);
        quarantines += o.quarantined;
        whole += o.kept_count == w->count;
        for (unsigned k = 0; k < w->count; k++)
            lost[k] += !o.kept[k];
        free(w->database.data);
        w->database = original;
    }
    print_message("%u pages %s: %u quarantines, %u without any loss\n", pages, how, quarantines,
                  whole);
    for (unsigned k = 0; k < w->count; k++)
        if (lost[k] > w->batches[k].pages)
            fail_msg("stream %u: the batch at %llu was lost %u times, it has %u pages",
                     w->batches[k].stream, (unsigned long long)w->batches[k].base, lost[k],
                     w->batches[k].pages);
    assert_true(quarantines > 0 && whole > 0);
}

static uint8_t zeroed(uint8_t byte, size_t at)
{
    (void)byte;
    (void)at;
    return 0;
}

static uint8_t flipped(uint8_t byte, size_t at)
{
    return at % 128 == 9 ? byte ^ 0x10 : byte;
}

static uint8_t scrambled(uint8_t byte, size_t at)
{
    return (uint8_t)(byte * 167 + at * 31 + 13);
}

static void test_each_page_of_a_store_may_be_lost(void **state)
{
    struct world w;
    make_world(*state, &w);
    damage_each_page(&w, zeroed, "zeroed");
    damage_each_page(&w, flipped, "flipped");
    damage_each_page(&w, scrambled, "scrambled");
    free_world(&w);
}

static int quiet_setup(void **state)
{
    log_set_level(LOG_LEVEL_ERROR - 1);
    return fixture_setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, quiet_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_page_of_a_store_may_be_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
