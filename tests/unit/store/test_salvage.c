/* A damaged database: whatever is done to it, the store opens, and everything whose pages are
 * intact is there. */
#include "store/salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
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
#include "store/draft.h"
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

/* Each frame of the log in turn: what follows it was acknowledged as well. */
static void test_a_damaged_frame_of_the_log_takes_only_its_own_page(void **state)
{
    struct world w;
    make_world(*state, &w);
    size_t frame = PAGE + 24, frames = (w.log.len - 32) / frame;
    assert_true(frames > 4);
    for (size_t i = 0; i < frames; i++) {
        char what[64];
        snprintf(what, sizeof(what), "frame %zu", i);
        w.log.data[32 + i * frame + 24 + 600] ^= 1;
        put_world(&w);
        assert_int_equal(quarantine_request(w.f->data_dir), 0);
        struct outcome o = open_and_judge(&w, what);
        assert_true(o.quarantined);
        if (o.kept_count + 4 < w.count)
            fail_msg("%s: %u of %u batches", what, o.kept_count, w.count);
        w.log.data[32 + i * frame + 24 + 600] ^= 1;
    }
    /* Cut short, it ends earlier. */
    size_t len = w.log.len;
    for (w.log.len = 0; w.log.len < len; w.log.len += 700) {
        put_world(&w);
        assert_int_equal(quarantine_request(w.f->data_dir), 0);
        assert_true(open_and_judge(&w, "log cut").kept_count >= 24);
    }
    w.log.len = len;
    free_world(&w);
}

static void test_of_a_log_without_its_database_its_batches_are_kept(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    char path[200];
    snprintf(path, sizeof(path), "%s/sluice.db", w.f->data_dir);
    assert_int_equal(unlink(path), 0);
    struct outcome o = open_and_judge(&w, "no database");
    assert_true(o.quarantined);
    assert_in_range(o.kept_count, 2, w.count);
    free_world(&w);
}

static void test_a_header_that_is_gone_is_no_reason_to_call_the_file_foreign(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    fixture_open(w.f); /* the log goes into the database */
    w.count = (unsigned)read_batches(store_path(w.f->store), w.batches);
    snprintf(w.epoch, sizeof(w.epoch), "%s", store_epoch(w.f->store));
    fixture_close(w.f);
    free_world(&w);
    w.database = load(w.f->data_dir, "sluice.db");
    w.log = (struct file){.data = malloc(1)};
    memset(w.database.data, 0, 512);
    put_world(&w);
    assert_true(open_and_judge(&w, "no header").quarantined);
    free_world(&w);
}

static void test_the_log_of_another_store_does_no_more_harm_than_hiding_pages(void **state)
{
    struct world w, other;
    make_world(*state, &w);
    fixture_close(w.f);
    snprintf(w.f->data_dir, sizeof(w.f->data_dir), "%s/other", w.f->base);
    fixture_open(w.f);
    fixture_fill(w.f, fixture_stream(w.f, "events"), 0, 30, 500);
    fixture_crash(w.f, "crash-other");
    other = (struct world){.log = load(w.f->data_dir, "sluice.db-wal")};
    other.count = w.count;
    struct file own = w.log;
    w.log = other.log;
    put_world(&w);
    assert_int_equal(quarantine_request(w.f->data_dir), 0);
    struct error error = ERROR_INIT;
    assert_int_equal(fixture_try_open(w.f, &error), 0);
    struct known found[BATCHES_MAX];
    assert_true(read_batches(store_path(w.f->store), found) > 0);
    fixture_fill(w.f, fixture_stream(w.f, "events"), 0, 3, 50);
    w.log = own;
    free(other.log.data);
    free_world(&w);
}

/* What is in "$gateway", one text after the other. */
static char *gateway_notices(struct fixture *f)
{
    static char text[256 * 1024];
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    struct store_stream_info info;
    struct segment *segment;
    uint64_t offset = 0, skip;
    size_t n = 0;
    assert_int_equal(store_reader_open(store_path(f->store), &error, &reader), 0);
    assert_int_equal(store_read_stream(reader, "$gateway", &info), 0);
    while (store_read(reader, info.stream, offset, &segment, &skip) == 0) {
        struct segment_iterator it;
        struct event event;
        segment_iterator_init(&it, segment, offset);
        while (segment_next(&it, &event, &offset) == 0 && n < sizeof(text) / 2)
            n += (size_t)sprintf(text + n, "%.*s\n", SLICE_PRINT(event.payload));
        offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    store_reader_close(reader);
    text[n] = '\0';
    return text;
}

static void test_what_is_lost_is_told_as_gaps_under_the_old_epoch(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    char path[200], sql[128];
    snprintf(path, sizeof(path), "%s/sluice.db", w.f->data_dir);
    snprintf(sql, sizeof(sql), "UPDATE batch SET crc = crc + 1 WHERE key IN (%lld, %lld)",
             (long long)batch_key(w.batches[0].stream, 60),
             (long long)batch_key(w.batches[0].stream, 120));
    fixture_sql(path, sql);
    assert_int_equal(quarantine_request(w.f->data_dir), 0);
    fixture_open(w.f);
    const char *text = gateway_notices(w.f);
    assert_non_null(strstr(text, "\"reason\":\"quarantine\""));
    assert_non_null(strstr(text, w.epoch));
    assert_non_null(strstr(text, "\"from\":60,\"to\":70,\"count\":10,\"reason\":\"damaged\""));
    assert_null(strstr(text, "\"from\":0"));
    /* Told once. */
    char epoch[32];
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(w.f->store));
    size_t told = strlen(text);
    fixture_close(w.f);
    fixture_open(w.f);
    assert_int_equal(strlen(gateway_notices(w.f)), told);
    assert_string_equal(store_epoch(w.f->store), epoch);
    free_world(&w);
}

static void move(const struct fixture *f, const char *from, const char *to)
{
    char a[200], b[200];
    snprintf(a, sizeof(a), "%s/%s", f->data_dir, from);
    snprintf(b, sizeof(b), "%s/%s", f->data_dir, to);
    if (rename(a, b))
        fail_msg("%s: %s", from, strerror(errno));
}

static void make(const struct fixture *f, const char *name)
{
    const struct file nothing = {.data = (uint8_t *)"x", .len = 1};
    save(f->data_dir, name, &nothing);
}

/* A power cut after each step of setting the files aside. */
static void test_a_quarantine_that_was_interrupted_is_gone_on_with(void **state)
{
    struct world w;
    make_world(*state, &w);
    for (unsigned steps = 0; steps < 6; steps++) {
        char path[200], what[32];
        put_world(&w);
        snprintf(path, sizeof(path), "%s/quarantine-1", w.f->data_dir);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(what, sizeof(what), "cut after step %u", steps);
        if (steps > 0)
            move(w.f, "sluice.db", "quarantine-1/sluice.db");
        if (steps > 1)
            move(w.f, "sluice.db-wal", "quarantine-1/sluice.db-wal");
        if (steps > 2)
            make(w.f, "quarantine-1/moved");
        if (steps > 3)
            make(w.f, "sluice.db-new"); /* half a draft */
        if (steps > 4) {                /* the new database is there, only that is not noted */
            struct salvage_report report;
            char draft[200];
            snprintf(draft, sizeof(draft), "%s/sluice.db-new", w.f->data_dir);
            assert_int_equal(salvage_copy(path, draft, "quarantine-1", &report), 0);
            move(w.f, "sluice.db-new", "sluice.db");
            assert_int_equal(report.batches, w.count + 0u);
        }
        struct outcome o = open_and_judge(&w, what);
        if (!o.quarantined || o.kept_count != w.count)
            fail_msg("%s: %u of %u batches", what, o.kept_count, w.count);
    }
    free_world(&w);
}

static void test_a_full_disk_ends_a_salvage_that_begins_anew_when_there_is_room(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    assert_int_equal(quarantine_request(w.f->data_dir), 0);
    struct error error = ERROR_INIT;
    hold_vfs_fail(SQLITE_FULL);
    assert_int_equal(fixture_try_open(w.f, &error), -ENOSPC);
    assert_true(error.where[0] && error.mend[0]);
    assert_non_null(strstr(error.what, "quarantine-1"));
    assert_int_equal(store_open(w.f->store, &error), -ENOSPC);
    assert_false(in_data_dir(w.f, "sluice.db"));
    hold_vfs_fail(SQLITE_OK);
    fixture_close(w.f);
    struct outcome o = open_and_judge(&w, "room again");
    assert_true(o.quarantined);
    assert_int_equal(o.kept_count, w.count);
    free_world(&w);
}

static void test_two_quarantines_are_kept(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(quarantine_request(w.f->data_dir), 0);
        fixture_open(w.f);
        assert_false(in_data_dir(w.f, "sluice.db-damaged"));
        fixture_close(w.f);
    }
    assert_false(in_data_dir(w.f, "quarantine-1") || in_data_dir(w.f, "quarantine-2"));
    assert_true(in_data_dir(w.f, "quarantine-3/sluice.db"));
    assert_true(in_data_dir(w.f, "quarantine-4/sluice.db"));
    struct known found[BATCHES_MAX];
    fixture_open(w.f);
    assert_int_equal(read_batches(store_path(w.f->store), found), w.count);
    free_world(&w);
}

static void test_damage_that_a_consumer_meets_is_salvaged_by_the_next_opening(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fixture_fill(f, fixture_stream(f, "events"), 0, 5, 100);
    char epoch[32];
    snprintf(epoch, sizeof(epoch), "%s", store_epoch(f->store));
    struct range_feed *feed = attach(f, RANGE_START_OLDEST);
    assert_false(store_needs_salvage(f->store));
    atomic_store(&feed->damaged, true);
    assert_true(store_needs_salvage(f->store));
    detach(f, feed);
    assert_true(store_needs_salvage(f->store));
    fixture_close(f);
    fixture_open(f);
    assert_false(store_needs_salvage(f->store));
    assert_string_not_equal(store_epoch(f->store), epoch);
    fixture_expect(f, fixture_stream(f, "events"), 0, 0, 5);
}

static void test_a_consumer_whose_cursor_is_lost_begins_at_the_oldest_event(void **state)
{
    struct world w;
    make_world(*state, &w);
    put_world(&w);
    char path[200];
    snprintf(path, sizeof(path), "%s/sluice.db", w.f->data_dir);
    fixture_sql(path, "DELETE FROM \"range\"");
    assert_int_equal(quarantine_request(w.f->data_dir), 0);
    fixture_open(w.f);
    struct range_feed *feed = attach(w.f, RANGE_START_NEWEST);
    assert_int_equal(feed->ranges[0].start_offset, 0);
    detach(w.f, feed);
    /* Once everybody has had the time to come, who is new is new. */
    fixture_close(w.f);
    fixture_open(w.f);
    static const char *const streams[] = {"events"};
    assert_int_equal(range_feed_new("later", RANGE_START_NEWEST, streams, 1, &feed), 0);
    assert_int_equal(store_attach(w.f->store, feed), 0);
    assert_int_equal(feed->ranges[0].start_offset, 130);
    detach(w.f, feed);
    free_world(&w);
}

/* The draft: rows as they are found. */
struct made {
    struct draft draft;
    struct salvage_report report;
    char path[160];
};

static void draft_begin(struct fixture *f, struct made *m)
{
    mkdir(f->data_dir, 0700);
    snprintf(m->path, sizeof(m->path), "%s/draft.db", f->data_dir);
    m->report = (struct salvage_report){.streams = 0};
    assert_int_equal(draft_open(&m->draft, m->path, &m->report), 0);
    assert_int_equal(draft_put_meta(&m->draft, "epoch", "0123456789abcdef"), 0);
}

static void draft_end(struct made *m)
{
    assert_int_equal(draft_resolve(&m->draft), 0);
    assert_int_equal(draft_commit(&m->draft), 0);
    assert_int_equal(database_run(&m->draft.database, SQL_COMMIT, 0, NULL), 0);
    draft_close(&m->draft);
}

/* A batch of events that are numbered as their offsets. */
static void put_batch(struct made *m, uint32_t stream, uint64_t base, unsigned count)
{
    struct batch *batch;
    assert_int_equal(batch_new(base, 0, &batch), 0);
    for (unsigned i = 0; i < count; i++) {
        char payload[48];
        int n = sprintf(payload, "event %u and so on", (unsigned)base + i);
        const struct event event = {.topic = SLICE_LITERAL("site/a"),
                                    .device = SLICE_LITERAL("a"),
                                    .type = SLICE_LITERAL("test"),
                                    .payload = slice_make(payload, (size_t)n),
                                    .received_us = 1700000000000000 + (int64_t)base + i,
                                    .time_us = EVENT_NO_TIME};
        assert_int_equal(batch_append(batch, &event), 0);
    }
    /* As if each event were one of 100 bytes in a row of its own. */
    const int64_t end = (int64_t)(base + count) * (100 + BATCH_ROW_BYTES);
    const struct batch_row row = {.key = batch_key(stream, base),
                                  .n = count,
                                  .t_min_us = batch->t_min_us,
                                  .t_max_us = batch->t_max_us,
                                  .raw_bytes = (int64_t)batch->records.len,
                                  .end_bytes = end,
                                  .end_stored = end};
    struct slice data = bytes_slice(&batch->records);
    assert_int_equal(draft_put_batch(&m->draft, &row, batch_row_crc(&row, data), data), 0);
    batch_free(batch);
}

static void put_lane(struct made *m, int64_t id, const char *consumer, const char *lane,
                     uint64_t next, uint64_t end)
{
    const struct row row = {.kind = ROW_RANGE,
                            .range = {.id = id,
                                      .consumer = slice_string(consumer),
                                      .lane = slice_string(lane),
                                      .stream = 1,
                                      .next_offset = next,
                                      .end_offset = end}};
    assert_int_equal(draft_put(&m->draft, &row), 0);
}

static void put_range(struct made *m, int64_t id, const char *consumer, uint64_t next)
{
    put_lane(m, id, consumer, "live", next, UINT64_MAX);
}

static void expect_offsets(struct fixture *f, const char *path, const bool *there, unsigned count)
{
    (void)f;
    struct store_reader *reader;
    struct error error = ERROR_INIT;
    struct segment *segment;
    uint64_t offset = 0, skip;
    unsigned seen = 0;
    assert_int_equal(store_reader_open(path, &error, &reader), 0);
    int r;
    while ((r = store_read(reader, 1, offset, &segment, &skip)) == 0) {
        struct segment_iterator it;
        struct event event;
        uint64_t at;
        assert_true(segment->base_offset >= offset);
        assert_string_equal(segment->epoch, "0123456789abcdef");
        segment_iterator_init(&it, segment, 0);
        while (segment_next(&it, &event, &at) == 0) {
            assert_true(at < count && there[at]);
            assert_int_equal(fixture_number(&event), at);
            seen++;
        }
        offset = segment_end_offset(segment);
        segment_unref(segment);
    }
    assert_int_equal(r, STORE_READ_END);
    unsigned expected = 0;
    for (unsigned i = 0; i < count; i++)
        expected += there[i];
    assert_int_equal(seen, expected);
    store_reader_close(reader);
}

static void test_overlapping_batches_give_each_offset_once(void **state)
{
    struct fixture *f = *state;
    bool there[400] = {false};
    uint32_t x = 12345;
    for (unsigned round = 0; round < 30; round++) {
        struct made m;
        draft_begin(f, &m);
        memset(there, 0, sizeof(there));
        for (unsigned i = 0; i < 25; i++) {
            x = x * 1103515245 + 12345;
            unsigned base = x >> 8 & 0xFF, count = 1 + (x >> 16 & 0x3F);
            put_batch(&m, 1, base, count);
            memset(there + base, 1, count);
        }
        draft_end(&m);
        expect_offsets(f, m.path, there, 400);
        /* The quota counts what is there. */
        int64_t actual = fixture_sql(m.path, "SELECT sum(length(data) + 64) FROM batch");
        struct store_reader *reader;
        struct store_stream_info info;
        struct error error = ERROR_INIT;
        assert_int_equal(store_reader_open(m.path, &error, &reader), 0);
        assert_int_equal(store_read_stream(reader, "recovered-1", &info), 0);
        assert_int_equal(info.stored_bytes, actual);
        assert_int_equal(m.report.stored_bytes, actual);
        store_reader_close(reader);
        unsigned first = 0, last = 399, missing = 0;
        while (!there[first])
            first++;
        while (!there[last])
            last--;
        for (unsigned i = first; i < last; i++)
            missing += !there[i];
        assert_int_equal(m.report.missing, missing);
    }
}

static void test_of_two_cursors_the_lower_counts_and_none_is_beyond_the_end(void **state)
{
    struct made m;
    draft_begin(*state, &m);
    put_batch(&m, 1, 10, 10);
    put_range(&m, 1, "cloud", 17);
    put_range(&m, 1, "cloud", 12);
    put_range(&m, 2, "other", 40);
    put_range(&m, 3, "cloud", 15);
    put_range(&m, 4, "wild", BATCH_OFFSET_MAX); /* a flipped bit */
    draft_end(&m);
    assert_int_equal(fixture_sql(m.path, "SELECT count(*) FROM \"range\""), 3);
    assert_int_equal(fixture_sql(m.path, "SELECT next_offset FROM \"range\" WHERE id = 1"), 12);
    /* Something was forwarded up to 40: no offset below may be given again, and 20 to 40 is lost.
     */
    assert_int_equal(fixture_sql(m.path, "SELECT next_offset FROM stream"), 40);
    assert_int_equal(fixture_sql(m.path, "SELECT next_offset FROM \"range\" WHERE id = 4"), 40);
    assert_int_equal(m.report.gaps, 1);
    assert_int_equal(m.report.missing, 20);
}

static void test_of_two_backlogs_all_between_is_kept_and_the_youngest_replays(void **state)
{
    struct made m;
    draft_begin(*state, &m);
    put_batch(&m, 1, 10, 10);
    put_range(&m, 1, "cloud", 18);
    put_lane(&m, 2, "cloud", "backlog", 11, 13);
    put_lane(&m, 2, "cloud", "backlog", 12, 15); /* the same row, older or younger */
    put_lane(&m, 3, "cloud", "backlog", 16, 17);
    put_lane(&m, 4, "other", "backlog", 14, 30); /* there were events up to 30 */
    for (unsigned i = 0; i < 300; i++)
        put_lane(&m, 10 + i, "asked", "replay", 10, 20);
    draft_end(&m);
    assert_int_equal(fixture_sql(m.path, "SELECT next_offset * 100 + end_offset FROM \"range\""
                                         " WHERE consumer = 'cloud' AND lane = 'backlog'"),
                     1117);
    assert_int_equal(fixture_sql(m.path, "SELECT count(*) FROM \"range\" WHERE lane = 'backlog'"),
                     2);
    assert_int_equal(fixture_sql(m.path, "SELECT end_offset FROM \"range\" WHERE id = 4"), 30);
    assert_int_equal(fixture_sql(m.path, "SELECT end_offset IS NULL FROM \"range\" WHERE id = 1"),
                     1);
    assert_int_equal(fixture_sql(m.path, "SELECT next_offset FROM stream"), 30);
    assert_int_equal(fixture_sql(m.path, "SELECT count(*) FROM \"range\" WHERE lane = 'replay'"),
                     32);
    assert_int_equal(fixture_sql(m.path, "SELECT max(id) FROM \"range\""), 309);
}

static void test_unsent_events_that_are_missing_at_the_front_are_a_gap(void **state)
{
    struct made m;
    draft_begin(*state, &m);
    put_batch(&m, 1, 10, 10);
    put_range(&m, 1, "cloud", 4);
    draft_end(&m);
    assert_int_equal(m.report.gaps, 1);
    assert_int_equal(m.report.missing, 6);
}

static void test_of_many_gaps_the_last_are_told_as_one(void **state)
{
    struct made m;
    draft_begin(*state, &m);
    for (unsigned i = 0; i < DRAFT_GAPS_MAX + 50; i++)
        put_batch(&m, 1, 3 * i, 1);
    draft_end(&m);
    assert_int_equal(m.report.gaps, DRAFT_GAPS_MAX + 49);
    assert_int_equal(fixture_sql(m.path, "SELECT count(*) FROM meta WHERE key LIKE 'damaged:%'"),
                     DRAFT_GAPS_MAX + 1);
    assert_int_equal(
        fixture_sql(m.path, "SELECT value = '1 3001 3147 98' FROM meta WHERE key = 'damaged:1000'"),
        1);
}

/* In memory where the system allows: a store is opened some hundred times. */
static int setup(void **state)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    log_set_level(LOG_LEVEL_ERROR);
    return fixture_setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    hold_vfs_install();
    const struct CMUnitTest tests[] = {
        TEST(test_each_page_of_a_store_may_be_lost),
        TEST(test_a_damaged_frame_of_the_log_takes_only_its_own_page),
        TEST(test_of_a_log_without_its_database_its_batches_are_kept),
        TEST(test_a_header_that_is_gone_is_no_reason_to_call_the_file_foreign),
        TEST(test_the_log_of_another_store_does_no_more_harm_than_hiding_pages),
        TEST(test_what_is_lost_is_told_as_gaps_under_the_old_epoch),
        TEST(test_a_quarantine_that_was_interrupted_is_gone_on_with),
        TEST(test_a_full_disk_ends_a_salvage_that_begins_anew_when_there_is_room),
        TEST(test_two_quarantines_are_kept),
        TEST(test_damage_that_a_consumer_meets_is_salvaged_by_the_next_opening),
        TEST(test_a_consumer_whose_cursor_is_lost_begins_at_the_oldest_event),
        TEST(test_overlapping_batches_give_each_offset_once),
        TEST(test_of_two_cursors_the_lower_counts_and_none_is_beyond_the_end),
        TEST(test_of_two_backlogs_all_between_is_kept_and_the_youngest_replays),
        TEST(test_unsent_events_that_are_missing_at_the_front_are_a_gap),
        TEST(test_of_many_gaps_the_last_are_told_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
