#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static size_t load_bytes(const char *path, char **ret)
{
    FILE *file = fopen(path, "re");
    long size = -1;
    if (file && !fseek(file, 0, SEEK_END))
        size = ftell(file);
    if (size <= 0)
        fail(path, "cannot be read, or is empty");
    *ret = malloc((size_t)size);
    rewind(file);
    if (!*ret || fread(*ret, 1, (size_t)size, file) != (size_t)size)
        fail(path, "cannot be read");
    fclose(file);
    return (size_t)size;
}

static struct event make_event(struct slice topic, struct slice payload)
{
    const uint8_t *slash = memrchr(topic.data, '/', topic.len);
    size_t before = slash ? (size_t)(slash - topic.data) : 0;
    struct slice type = slice_make(topic.data + before + 1, topic.len - before - 1);
    return (struct event){.topic = topic,
                          .device = before ? slice_make(topic.data, before) : topic,
                          .type = before && type.len ? type : SLICE_LITERAL("message"),
                          .client = before ? slice_make(topic.data, before) : topic,
                          .payload = payload,
                          .time_us = EVENT_NO_TIME,
                          .quality = CLOCK_SYNCED,
                          .qos = 1};
}

void input_load(const char *path, struct input *ret)
{
    *ret = (struct input){.count = 0};
    size_t size = load_bytes(path, &ret->bytes);
    ret->events = calloc(INPUT_EVENTS_MAX, sizeof(*ret->events));
    if (!ret->events)
        fail(path, "no memory");
    for (size_t at = 0; at < size;) {
        uint32_t lengths[2];
        if (size - at < sizeof(lengths))
            fail(path, "ends within a record");
        memcpy(lengths, ret->bytes + at, sizeof(lengths));
        at += sizeof(lengths);
        if (!lengths[0] || (uint64_t)lengths[0] + lengths[1] > size - at ||
            ret->count == INPUT_EVENTS_MAX)
            fail(path, "is not a file of events, or of too many");
        ret->events[ret->count++] =
            make_event(slice_make(ret->bytes + at, lengths[0]),
                       slice_make(ret->bytes + at + lengths[0], lengths[1]));
        at += (size_t)lengths[0] + lengths[1];
    }
}

void input_free(struct input *input)
{
    free(input->events);
    free(input->bytes);
    *input = (struct input){.count = 0};
}

static double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static double timeval_s(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

struct meter meter_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    struct meter now = {.user_s = timeval_s(usage.ru_utime),
                        .cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID),
                        .wall_s = now_s()};
    char line[128];
    FILE *io = fopen("/proc/self/io", "re");
    while (io && fgets(line, sizeof(line), io)) {
        (void)sscanf(line, "wchar: %llu", &now.call_bytes);
        (void)sscanf(line, "write_bytes: %llu", &now.disk_bytes);
    }
    if (io)
        fclose(io);
    return now;
}

struct meter meter_since(struct meter begin)
{
    struct meter now = meter_now();
    now.cpu_s -= begin.cpu_s;
    now.user_s -= begin.user_s;
    now.wall_s -= begin.wall_s;
    now.disk_bytes -= begin.disk_bytes;
    now.call_bytes -= begin.call_bytes;
    return now;
}
