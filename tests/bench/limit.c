/*
 * limit: the durable appends this machine can do at all. Copies events of the size asked for into a
 * buffer and inserts one blob per commit into an SQLite database set up like the gateway's (WAL,
 * synchronous=FULL), one sync per commit. No MQTT, no threads, no compression. Pages are small
 * where commits are small, which writes least, and 4096 bytes elsewhere, which costs least.
 *
 *     limit DATABASE EVENT-BYTES EVENTS-PER-COMMIT SECONDS [EVENTS-PER-SECOND]
 *
 * With a rate, each commit waits until its last event is due, as if events came in one by one.
 * Prints one JSON object.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum {
    SMALL_BATCH_EVENTS = 16,
    EVENT_BYTES_MAX = 1 << 20,
    BATCH_EVENTS_MAX = 100000,
    BATCH_BYTES_MAX = 256 << 20,
    CHECKPOINT_BYTES = 16 << 20, /* of WAL */
    SECONDS_MAX = 3600
};

struct limit {
    sqlite3 *database;
    sqlite3_stmt *begin, *insert, *commit;
    uint8_t *batch;
    size_t event_bytes, batch_events;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* Bytes this process has caused to be written; the file system's journal is not among them. */
static unsigned long long written_bytes(void)
{
    char line[128];
    unsigned long long value = 0;
    FILE *io = fopen("/proc/self/io", "re");
    while (io && fgets(line, sizeof line, io))
        if (sscanf(line, "write_bytes: %llu", &value) == 1)
            break;
    if (io)
        fclose(io);
    return value;
}

static int limit_fail(struct limit *limit, const char *what)
{
    fprintf(stderr, "limit: %s: %s\n", what, sqlite3_errmsg(limit->database));
    return 1;
}

static int limit_open(struct limit *limit, const char *path)
{
    int page_bytes = limit->batch_events <= SMALL_BATCH_EVENTS ? 1024 : 4096;
    char setup[256];
    snprintf(setup, sizeof setup,
             "PRAGMA page_size=%d; PRAGMA journal_mode=WAL;"
             "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF;"
             "CREATE TABLE batch(key INTEGER PRIMARY KEY, data BLOB)",
             page_bytes);
    if (sqlite3_open(path, &limit->database) ||
        sqlite3_exec(limit->database, setup, NULL, NULL, NULL) ||
        sqlite3_wal_autocheckpoint(limit->database, CHECKPOINT_BYTES / page_bytes) ||
        sqlite3_prepare_v2(limit->database, "BEGIN", -1, &limit->begin, NULL) ||
        sqlite3_prepare_v2(limit->database, "INSERT INTO batch(data) VALUES(?)", -1, &limit->insert,
                           NULL) ||
        sqlite3_prepare_v2(limit->database, "COMMIT", -1, &limit->commit, NULL))
        return limit_fail(limit, path);
    limit->batch = malloc(limit->event_bytes * limit->batch_events);
    return limit->batch ? 0 : limit_fail(limit, "no memory");
}

static void limit_close(struct limit *limit)
{
    sqlite3_finalize(limit->begin);
    sqlite3_finalize(limit->insert);
    sqlite3_finalize(limit->commit);
    sqlite3_close(limit->database);
    free(limit->batch);
}

static int limit_step(struct limit *limit, sqlite3_stmt *statement, const char *what)
{
    int r = sqlite3_step(statement);
    sqlite3_reset(statement);
    return r == SQLITE_DONE ? 0 : limit_fail(limit, what);
}

/* One commit: every event is copied, as whoever receives it must. */
static int limit_commit(struct limit *limit, const uint8_t *event)
{
    size_t bytes = limit->event_bytes * limit->batch_events;
    for (size_t at = 0; at < bytes; at += limit->event_bytes)
        memcpy(limit->batch + at, event, limit->event_bytes);
    if (sqlite3_bind_blob64(limit->insert, 1, limit->batch, bytes, SQLITE_STATIC))
        return limit_fail(limit, "bind");
    return limit_step(limit, limit->begin, "begin") || limit_step(limit, limit->insert, "insert") ||
           limit_step(limit, limit->commit, "commit");
}

static void sleep_until(double when)
{
    struct timespec t = {.tv_sec = (time_t)when};
    t.tv_nsec = (long)((when - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static int limit_run(struct limit *limit, const uint8_t *event, double seconds, double rate)
{
    uint64_t commits = 0;
    unsigned long long written = written_bytes();
    double cpu = cpu_s(), start = now_s(), end;
    while ((end = now_s()) < start + seconds) {
        if (rate > 0)
            sleep_until(start + (double)(commits + 1) * (double)limit->batch_events / rate);
        if (limit_commit(limit, event))
            return 1;
        commits++;
    }
    double events = (double)commits * (double)limit->batch_events;
    printf("{\"events\": %.0f, \"seconds\": %.3f, \"events_per_s\": %.1f, "
           "\"cpu_us_per_event\": %.3f, \"written_bytes_per_event\": %.1f}\n",
           events, end - start, events / (end - start), (cpu_s() - cpu) * 1e6 / events,
           (double)(written_bytes() - written) / events);
    return 0;
}

static long number(const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < 1 || value > max) {
        fprintf(stderr, "limit: \"%s\" is not a number from 1 to %ld\n", text, max);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: limit DATABASE EVENT-BYTES EVENTS-PER-COMMIT SECONDS [RATE]\n");
        return 2;
    }
    struct limit limit = {.event_bytes = (size_t)number(argv[2], EVENT_BYTES_MAX),
                          .batch_events = (size_t)number(argv[3], BATCH_EVENTS_MAX)};
    double seconds = (double)number(argv[4], SECONDS_MAX);
    double rate = argc == 6 ? (double)number(argv[5], 1000000) : 0;
    if (limit.event_bytes * limit.batch_events > BATCH_BYTES_MAX) {
        fprintf(stderr, "limit: more than %d bytes per commit\n", BATCH_BYTES_MAX);
        return 2;
    }
    uint8_t *event = malloc(limit.event_bytes);
    if (!event)
        return 1;
    for (size_t i = 0; i < limit.event_bytes; i++)
        event[i] = (uint8_t)(i * 131);
    int r = limit_open(&limit, argv[1]) || limit_run(&limit, event, seconds, rate);
    limit_close(&limit);
    free(event);
    return r ? 1 : 0;
}
