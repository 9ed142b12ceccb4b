/* What is in the store already: reading a stream from end to end, and trimming it, beside a SELECT
 * and a DELETE of the same rows of the same file by bare SQLite. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "base/error.h"
#include "input.h"
#include "store/read.h"
#include "store_bench.h"
#include "subject.h"

enum {
    PATH_BYTES_MAX = 4096,
    STEP_BATCHES = 256 /* of one DELETE, as of one eviction in store/retention.c */
};

/* Fills a new store; its path. */
static void fill(const struct input *input, const char *directory, unsigned commits,
                 unsigned per_commit, char path[PATH_BYTES_MAX])
{
    struct subject subject;
    bool more;
    subject_open(&subject, subject_large, directory, false);
    for (unsigned i = 0; i < commits; i++) {
        for (unsigned j = 0; j < per_commit; j++) {
            struct event event = input_event(input, (uint64_t)i * per_commit + j,
                                             clock_system.wall_us(clock_system.data));
            subject_append(&subject, &event);
        }
        subject_commit(&subject);
        if (store_maintain(subject.store, &more))
            fail("store_maintain", "fails");
    }
    snprintf(path, PATH_BYTES_MAX, "%s", store_path(subject.store));
    subject_close(&subject);
}

void run_fill(const struct input *input, const char *directory, char **arguments)
{
    char path[PATH_BYTES_MAX];
    unsigned commits = (unsigned)number(arguments[0], COMMITS_MAX);
    unsigned per_commit = (unsigned)number(arguments[1], PER_COMMIT_MAX);
    fill(input, directory, commits, per_commit, path);
    printf("{\"events\": %.0f, \"stored_bytes\": %llu}\n", (double)commits * per_commit,
           (unsigned long long)subject_stored_bytes(path));
}

struct reading {
    uint64_t events, bytes; /* bytes: of payloads, or of what was read without decoding */
};

enum read_depth { READ_SEGMENTS, READ_EVENTS };

static struct reading read_store(const char *path, enum read_depth depth)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    struct store_stream_info info;
    struct segment *segment;
    struct reading sum = {.events = 0};
    uint64_t skip_to;
    if (store_reader_open(path, &error, &reader) || store_read_stream(reader, "events", &info))
        fail(path, "cannot be read");
    for (uint64_t at = info.first_offset; at < info.next_offset;) {
        if (store_read(reader, info.stream, at, &segment, &skip_to))
            fail(path, "ends early");
        at = segment_end_offset(segment);
        if (depth == READ_SEGMENTS) {
            sum.events += segment->count;
            sum.bytes += segment->records.len;
        } else {
            struct segment_iterator it;
            struct event event;
            uint64_t offset;
            segment_iterator_init(&it, segment, segment->base_offset);
            while (!segment_next(&it, &event, &offset)) {
                sum.events++;
                sum.bytes += event.payload.len;
            }
        }
        segment_unref(segment);
    }
    store_reader_close(reader);
    return sum;
}

/* The blobs of the same rows, from end to end in one statement. */
static struct reading read_bare(const char *path)
{
    struct bare bare;
    struct reading sum = {.events = 0};
    bare_open(&bare, path);
    sqlite3_stmt *select = bare_prepare(&bare, "SELECT n, data FROM batch ORDER BY key");
    while (sqlite3_step(select) == SQLITE_ROW) {
        sum.events += (uint64_t)sqlite3_column_int64(select, 0);
        if (sqlite3_column_blob(select, 1))
            sum.bytes += (uint64_t)sqlite3_column_bytes(select, 1);
    }
    sqlite3_finalize(select);
    bare_close(&bare);
    return sum;
}

static void print_reading(const char *contender, struct meter used, struct reading sum)
{
    double n = (double)sum.events;
    printf("{\"contender\": \"%s\", \"events\": %.0f, \"bytes\": %llu, \"cpu_us\": %.5f, "
           "\"wall_us\": %.5f}\n",
           contender, n, (unsigned long long)sum.bytes, used.cpu_s * 1e6 / n,
           used.wall_s * 1e6 / n);
}

void run_read(const struct input *input, const char *directory, char **arguments)
{
    char path[PATH_BYTES_MAX];
    fill(input, directory, (unsigned)number(arguments[0], COMMITS_MAX),
         (unsigned)number(arguments[1], PER_COMMIT_MAX), path);
    read_bare(path); /* so that everybody finds the file in memory */
    for (long round = number(arguments[2], ROUNDS_MAX); round > 0; round--) {
        struct meter begin = meter_now();
        struct reading sum = read_bare(path);
        print_reading("bare", meter_since(begin), sum);
        begin = meter_now();
        sum = read_store(path, READ_SEGMENTS);
        print_reading("store", meter_since(begin), sum);
        begin = meter_now();
        sum = read_store(path, READ_EVENTS);
        print_reading("store, events", meter_since(begin), sum);
    }
}

static void print_trim(const char *contender, const char *phase, struct meter used, double events)
{
    printf("{\"contender\": \"%s\", \"phase\": \"%s\", \"events\": %.0f, \"cpu_us\": %.5f, "
           "\"wall_us\": %.5f, \"written_bytes\": %.4f}\n",
           contender, phase, events, used.cpu_s * 1e6 / events, used.wall_s * 1e6 / events,
           (double)used.call_bytes / events);
}

static uint64_t first_offset(const char *path)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    struct store_stream_info info;
    if (store_reader_open(path, &error, &reader) || store_read_stream(reader, "events", &info))
        fail(path, "cannot be read");
    store_reader_close(reader);
    return info.first_offset;
}

/* Down to a quota of 64 KiB, which with checkpoints and the return of space is one thing. */
static void trim_store(const char *directory, double events)
{
    struct subject subject;
    subject_open(&subject, subject_small, directory, false);
    struct meter begin = meter_now();
    subject_maintain(&subject);
    struct meter used = meter_since(begin);
    double trimmed = (double)first_offset(store_path(subject.store));
    if (trimmed < events * 0.9)
        fail("trim", "the store kept too much");
    print_trim("store", "all", used, trimmed);
    subject_close(&subject);
}

static void trim_bare(const char *path, double events)
{
    struct bare bare;
    bare_open(&bare, path);
    sqlite3_stmt *step = bare_prepare(&bare, "DELETE FROM batch WHERE key IN"
                                             " (SELECT key FROM batch ORDER BY key LIMIT ?1)");
    struct meter begin = meter_now();
    bare_exec(&bare, "PRAGMA synchronous=NORMAL");
    do {
        sqlite3_bind_int(step, 1, STEP_BATCHES);
        if (sqlite3_step(step) != SQLITE_DONE)
            fail(path, sqlite3_errmsg(bare.db));
        sqlite3_reset(step);
        bare_checkpoint(&bare);
    } while (sqlite3_changes(bare.db) > 0);
    sqlite3_finalize(step);
    print_trim("bare", "delete", meter_since(begin), events);
    for (int pages = 1; pages > 0;) {
        bare_exec(&bare, "PRAGMA incremental_vacuum(128)");
        bare_checkpoint(&bare);
        sqlite3_stmt *left = bare_prepare(&bare, "PRAGMA freelist_count");
        pages = sqlite3_step(left) == SQLITE_ROW ? sqlite3_column_int(left, 0) : 0;
        sqlite3_finalize(left);
    }
    print_trim("bare", "all", meter_since(begin), events);
    bare_close(&bare);
}

void run_trim(const struct input *input, const char *directory, char **arguments)
{
    char path[PATH_BYTES_MAX];
    unsigned commits = (unsigned)number(arguments[1], COMMITS_MAX);
    unsigned per_commit = (unsigned)number(arguments[2], PER_COMMIT_MAX);
    fill(input, directory, commits, per_commit, path);
    if (strcmp(arguments[0], "store") == 0)
        trim_store(directory, (double)commits * per_commit);
    else
        trim_bare(path, (double)commits * per_commit);
}
