/*
 * What the store costs per event: append and commit at 1, 10 and 1000 events a commit, in CPU time
 * and time on the wall, against a bare INSERT of blobs of the same sizes in the same kind of
 * database (an upper bound of what a store on SQLite can do). Then what re-packing saves of a quiet
 * stream, and costs. Prints a table. Arguments: directory on the disk to be measured (default: the
 * current one), events of the quiet stream.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/metrics.h"
#include "event/event.h"
#include "hold_vfs.h"
#include "pack/codec.h"
#include "store/batch.h"
#include "store/store.h"
#include "store/store_config.h"

enum { EVENTS = 4096, PAYLOAD_MAX_BYTES = 256 };

static struct event events[EVENTS];
static char payloads[EVENTS][PAYLOAD_MAX_BYTES], topics[EVENTS][64];

/* Repeatable noise below n, so that the numbers in the events do not compress away. */
static unsigned noise(unsigned n)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)((x >> 16) % n);
}

static void make_events(void)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        unsigned device = noise(500);
        snprintf(topics[i], sizeof(topics[i]), "plant/line%u/sensor-%04u/telemetry", device % 4,
                 device);
        int n = snprintf(payloads[i], PAYLOAD_MAX_BYTES,
                         "{\"device\":\"sensor-%04u\",\"seq\":%u,\"temperature\":%u.%02u,"
                         "\"humidity\":%u.%u,\"battery\":%u,\"rssi\":-%u,\"uptime\":%u,"
                         "\"firmware\":\"2.4.%u\",\"status\":\"ok\",\"flags\":[%u,%u],"
                         "\"location\":\"hall %u row %u\",\"trace\":\"%08x\"}",
                         device, noise(100000), 15 + noise(12), noise(100), 30 + noise(40),
                         noise(10), 2800 + noise(900), 40 + noise(50), noise(100000000), noise(5),
                         noise(3), noise(7), noise(9), noise(23), noise(0xFFFFFFFF));
        events[i] = (struct event){.topic = slice_string(topics[i]),
                                   .type = SLICE_LITERAL("telemetry"),
                                   .client = slice_make(topics[i] + 12, 11),
                                   .device = slice_make(topics[i] + 12, 11),
                                   .payload = slice_make(payloads[i], (size_t)n),
                                   .received_us = 1700000000000000 + noise(100000000),
                                   .time_us = EVENT_NO_TIME,
                                   .quality = CLOCK_SYNCED,
                                   .qos = 1};
    }
}

static double seconds(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct measure {
    double cpu, user, wall;
    unsigned long long written;
};

/* Without the time in the kernel, which is mostly the file system's. */
static double user_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static struct measure measure_begin(void)
{
    return (struct measure){seconds(CLOCK_PROCESS_CPUTIME_ID), user_seconds(),
                            seconds(CLOCK_MONOTONIC), hold_vfs_written()};
}

static void measure_print(const char *what, struct measure begin, unsigned per_commit,
                          unsigned count)
{
    printf("%-28s %6u %10.0f %10.0f %12.0f %10.1f\n", what, per_commit,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - begin.cpu) / count * 1e9,
           (user_seconds() - begin.user) / count * 1e9,
           (seconds(CLOCK_MONOTONIC) - begin.wall) / count * 1e9,
           (double)(hold_vfs_written() - begin.written) / count);
}

static void fail(const char *what, int r)
{
    fprintf(stderr, "%s: %d\n", what, r);
    exit(1);
}

static struct store *open_store(const char *dir, struct store_config *config, uint32_t *ret_stream)
{
    if (config_section_init(&store_section, config))
        fail("config", 0);
    const struct store_options options = {
        .data_dir = dir, .config = config, .clock = &clock_system};
    struct store *store;
    struct error error = ERROR_INIT;
    int r = store_new(&options, &store);
    if (!r)
        r = store_open(store, &error);
    if (!r)
        r = store_stream(store, "events", ret_stream);
    if (r) {
        error_print(&error, stderr);
        fail("open", r);
    }
    return store;
}

static void bench_store(const char *dir, unsigned per_commit, unsigned commits)
{
    struct store_config config;
    uint32_t stream;
    struct store *store = open_store(dir, &config, &stream);
    int r = 0;
    struct measure begin = measure_begin();
    for (unsigned i = 0; i < commits && !r; i++) {
        uint64_t offset;
        bool more;
        for (unsigned j = 0; j < per_commit && !r; j++)
            r = store_append(store, stream, &events[(i * per_commit + j) % EVENTS], &offset);
        if (!r)
            r = store_commit(store);
        if (!r)
            r = store_maintain(store, &more);
    }
    if (r)
        fail("store", r);
    measure_print("store, append and commit", begin, per_commit, commits * per_commit);
    store_free(store);
    config_section_deinit(&store_section, &config);
}

struct repack_cost {
    double longest, total; /* seconds of wall clock */
    unsigned long long written;
};

/* Until nothing is left to do. */
static void repack(struct store *store, struct repack_cost *cost)
{
    bool more = true;
    for (unsigned long long before = hold_vfs_written(); more; before = hold_vfs_written()) {
        double begin = seconds(CLOCK_MONOTONIC);
        int r = store_repack(store, &more);
        if (r)
            fail("re-packing", r);
        double took = seconds(CLOCK_MONOTONIC) - begin;
        cost->longest = took > cost->longest ? took : cost->longest;
        cost->total += took;
        cost->written += hold_vfs_written() - before;
        for (bool again = true; again;)
            if ((r = store_maintain(store, &again)))
                fail("store", r);
    }
}

static void show_size(const char *dir, const char *what)
{
    char path[700];
    struct stat st = {.st_size = 0};
    snprintf(path, sizeof(path), "%s/sluice.db", dir);
    (void)stat(path, &st);
    printf("  %-30s %12" PRIu64 " stored bytes, %12lld in the file\n", what,
           metric_get(metric_set_get(METRIC_GROUP_STREAM, "events", NULL), METRIC_STREAM_BYTES),
           (long long)st.st_size);
}

/* A quiet stream, one event a commit: re-packed after commits, or (beside) all the while. */
static void bench_repack(const char *dir, unsigned commits, bool beside)
{
    struct store_config config;
    uint32_t stream;
    uint64_t offset;
    struct store *store = open_store(dir, &config, &stream);
    struct repack_cost cost = {.longest = 0};
    unsigned long long before = hold_vfs_written();
    for (unsigned i = 0; i < commits; i++) {
        bool more;
        int r = store_append(store, stream, &events[i % EVENTS], &offset);
        if (!r)
            r = store_commit(store);
        if (!r)
            r = store_maintain(store, &more);
        if (r)
            fail("store", r);
        if (beside)
            repack(store, &cost);
    }
    unsigned long long all = hold_vfs_written() - before;
    if (!beside) {
        store_free(store); /* the log is in the database */
        show_size(dir, "rows of one event");
        store = open_store(dir, &config, &stream);
        repack(store, &cost);
    }
    store_free(store);
    config_section_deinit(&store_section, &config);
    show_size(dir, beside ? "re-packed beside the commits" : "re-packed afterwards");
    printf("  %-30s %.0f bytes/event by commits, %.1f by re-packing; a block took %.1f ms at most,"
           " all of them %.2f s\n",
           "", (double)(beside ? all - cost.written : all) / commits,
           (double)cost.written / commits, cost.longest * 1e3, cost.total);
}

/* The records of a commit, encoded and compressed as the store would; for the bare insert. */
static struct bytes make_blob(unsigned per_commit)
{
    struct batch *batch;
    struct pack_context *pack;
    struct bytes out = BYTES_INIT(1 << 24);
    if (batch_new(0, 0, &batch) || pack_context_new(&pack))
        fail("memory", 0);
    for (unsigned j = 0; j < per_commit; j++)
        if (batch_append(batch, &events[j % EVENTS]))
            fail("memory", 0);
    size_t n = batch->records.len;
    if (n < 512 || pack_compress(pack, PACK_ZSTD, bytes_slice(&batch->records), n - n / 16, &out))
        bytes_append_slice(&out, bytes_slice(&batch->records));
    batch_free(batch);
    pack_context_free(pack);
    return out;
}

static void bench_bare(const char *path, unsigned per_commit, unsigned commits)
{
    struct bytes blob = make_blob(per_commit);
    sqlite3 *db;
    sqlite3_stmt *insert;
    if (sqlite3_open(path, &db) ||
        sqlite3_exec(db,
                     "PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL;"
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-1024;"
                     "CREATE TABLE b(key INTEGER PRIMARY KEY, data BLOB)",
                     NULL, NULL, NULL) ||
        sqlite3_prepare_v2(db, "INSERT INTO b(data) VALUES(?1)", -1, &insert, NULL))
        fail(sqlite3_errmsg(db), 0);
    struct measure begin = measure_begin();
    for (unsigned i = 0; i < commits; i++) {
        sqlite3_bind_blob64(insert, 1, blob.data, blob.len, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE)
            fail(sqlite3_errmsg(db), 0);
        sqlite3_reset(insert);
    }
    measure_print("bare INSERT of the blobs", begin, per_commit, commits * per_commit);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    bytes_deinit(&blob);
}

static void bench_parts(void)
{
    enum { ROUNDS = 1000 };
    struct batch *batch;
    struct pack_context *pack;
    struct bytes out = BYTES_INIT(1 << 24);
    if (batch_new(0, 1 << 20, &batch) || pack_context_new(&pack))
        fail("memory", 0);
    struct measure begin = measure_begin();
    for (unsigned i = 0; i < ROUNDS; i++) {
        batch_reset(batch, 0);
        for (unsigned j = 0; j < 1000; j++)
            if (batch_append(batch, &events[j % EVENTS]))
                fail("memory", 0);
    }
    measure_print("encoding alone", begin, 1000, ROUNDS * 1000);
    begin = measure_begin();
    for (unsigned i = 0; i < ROUNDS; i++) {
        out.len = 0;
        if (pack_compress(pack, PACK_ZSTD, bytes_slice(&batch->records), batch->records.len, &out))
            fail("compress", 0);
    }
    measure_print("compression alone", begin, 1000, ROUNDS * 1000);
    begin = measure_begin();
    unsigned long long sum = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct event event;
        size_t position = 0;
        int64_t received_us = 0;
        while (position < batch->records.len &&
               !batch_decode(bytes_slice(&batch->records), &position, &received_us, &event))
            sum += event.payload.len;
    }
    measure_print("decoding alone", begin, 1000, ROUNDS * 1000);
    printf("1000 events: %llu payload, %zu record, %zu compressed bytes\n", sum / ROUNDS,
           batch->records.len, out.len);
    bytes_deinit(&out);
    batch_free(batch);
    pack_context_free(pack);
}

int main(int argc, char **argv)
{
    static const struct {
        unsigned per_commit, commits;
    } cases[] = {{1, 5000}, {10, 3000}, {1000, 1000}};
    char base[512], path[600];
    snprintf(base, sizeof(base), "%s/sluice-bench-XXXXXX", argc > 1 ? argv[1] : ".");
    if (!mkdtemp(base))
        fail(base, 0);
    hold_vfs_install();
    make_events();
    printf("%-28s %6s %10s %10s %12s %10s\n", "", "/commit", "CPU ns/ev", "of it user",
           "wall ns/ev", "bytes/ev");
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(path, sizeof(path), "%s/store%u", base, i);
        bench_store(path, cases[i].per_commit, cases[i].commits);
        snprintf(path, sizeof(path), "%s/bare%u.db", base, i);
        bench_bare(path, cases[i].per_commit, cases[i].commits);
    }
    if (pack_codec_available(PACK_ZSTD))
        bench_parts();
    unsigned quiet = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5000;
    printf("re-packing %u events, one a commit\n", quiet);
    for (unsigned i = 3; i < 5; i++) {
        snprintf(path, sizeof(path), "%s/store%u", base, i);
        bench_repack(path, quiet, i == 4);
    }
    static const char *const leftovers[] = {
        "store0/sluice.db", "store1/sluice.db", "store2/sluice.db",
        "store0/lock",      "store1/lock",      "store2/lock",
        "store0",           "store1",           "store2",
        "bare0.db",         "bare1.db",         "bare2.db",
        "store3/sluice.db", "store4/sluice.db", "store3/lock",
        "store4/lock",      "store3",           "store4"};
    for (unsigned i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", base, leftovers[i]);
        remove(path);
    }
    rmdir(base);
    return 0;
}
