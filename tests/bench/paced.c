/*
 * Events that come at a rate, whatever the store does meanwhile (an open loop), committed as the
 * daemon does: what came during the last commit makes the next one, or, with a delay, what came
 * within that time of the first. Prints how long commits took, how long events waited from the
 * moment they were due until they were durable, and what was written to the disk.
 *
 * Checkpoints: "background" by the store's own thread, "inline" by the writer between commits,
 * "none" (store_maintain() is not called, so the log only grows).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "input.h"
#include "store/batch.h"
#include "store_bench.h"
#include "subject.h"

struct series {
    float *values; /* microseconds */
    size_t count, capacity;
};

struct paced {
    const struct input *input;
    struct subject subject;
    double rate, delay_s;
    uint64_t total; /* events */
    bool maintained;
    double start_s;
    uint64_t appended, committed;
    uint64_t payload_bytes;
    struct series commits, waits;
    double maintain_max_s;
};

static void series_init(struct series *series, size_t capacity)
{
    *series = (struct series){.capacity = capacity, .values = calloc(capacity, sizeof(float))};
    if (!series->values)
        fail("series", "no memory");
}

static void series_add(struct series *series, double s)
{
    if (series->count < series->capacity)
        series->values[series->count++] = (float)(s * 1e6);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void series_print(const char *name, struct series *series)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    qsort(series->values, series->count, sizeof(float), compare);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        size_t at = (size_t)((double)series->count * points[i].share);
        at = at < series->count ? at : series->count - 1;
        printf(", \"%s_%s_us\": %.0f", name, points[i].name, (double)series->values[at]);
    }
}

static double due_s(const struct paced *p, uint64_t event)
{
    return p->start_s + (double)event / p->rate;
}

static void sleep_until(double when_s)
{
    struct timespec t = {.tv_sec = (time_t)when_s};
    t.tv_nsec = (long)((when_s - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static void take(struct paced *p)
{
    int64_t wall_us = clock_system.wall_us(clock_system.data);
    for (double now = now_s(); p->appended < p->total && due_s(p, p->appended) <= now;) {
        struct event event = input_event(p->input, p->appended, wall_us);
        p->payload_bytes += event.payload.len;
        subject_append(&p->subject, &event);
        p->appended++;
    }
}

static void commit(struct paced *p)
{
    double begin_s = now_s();
    subject_commit(&p->subject);
    double end_s = now_s();
    series_add(&p->commits, end_s - begin_s);
    for (; p->committed < p->appended; p->committed++)
        series_add(&p->waits, end_s - due_s(p, p->committed));
    bool more;
    if (p->maintained && store_maintain(p->subject.store, &more))
        fail("store_maintain", "fails");
    double took_s = now_s() - end_s;
    p->maintain_max_s = took_s > p->maintain_max_s ? took_s : p->maintain_max_s;
}

static void run(struct paced *p)
{
    p->start_s = now_s();
    while (p->committed < p->total) {
        take(p);
        bool open = p->appended > p->committed;
        double commit_s = due_s(p, p->committed) + p->delay_s;
        if (open && (now_s() >= commit_s || p->appended == p->total)) {
            commit(p);
            continue;
        }
        double next_s = due_s(p, p->appended);
        sleep_until(open && commit_s < next_s ? commit_s : next_s);
    }
}

void run_paced(const struct input *input, const char *directory, char **arguments)
{
    struct paced p = {.input = input,
                      .maintained = strcmp(arguments[0], "none") != 0,
                      .rate = (double)number(arguments[1], RATE_MAX),
                      .delay_s = (double)number(arguments[3], DELAY_MAX_MS) * 1e-3};
    p.total = (uint64_t)(p.rate * (double)number(arguments[2], SECONDS_MAX));
    if (!p.total)
        fail("paced", "a rate and a time of at least 1 are needed");
    series_init(&p.commits, p.total);
    series_init(&p.waits, p.total);
    subject_open(&p.subject, subject_large, directory, strcmp(arguments[0], "background") == 0);
    struct meter begin = meter_now();
    run(&p);
    struct meter open = meter_since(begin);
    uint64_t stored =
        subject_stored_bytes(store_path(p.subject.store)) - p.commits.count * BATCH_ROW_BYTES;
    subject_close(&p.subject); /* the last checkpoint */
    struct meter closed = meter_since(begin);
    printf("{\"checkpoints\": \"%s\", \"rate\": %.0f, \"delay_ms\": %.0f, \"events\": %llu, "
           "\"commits\": %zu, \"seconds\": %.3f, \"payload_bytes\": %llu, "
           "\"stored_bytes\": %llu, \"disk_bytes_open\": %llu, \"disk_bytes\": %llu, "
           "\"maintain_max_us\": %.0f",
           arguments[0], p.rate, p.delay_s * 1e3, (unsigned long long)p.total, p.commits.count,
           open.wall_s, (unsigned long long)p.payload_bytes, (unsigned long long)stored,
           open.disk_bytes, closed.disk_bytes, p.maintain_max_s * 1e6);
    series_print("commit", &p.commits);
    series_print("wait", &p.waits);
    printf("}\n");
    free(p.commits.values);
    free(p.waits.values);
}
