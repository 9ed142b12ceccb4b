#ifndef SLUICE_TESTS_BENCH_INPUT_H
#define SLUICE_TESTS_BENCH_INPUT_H
/* What the benchmarks of the store work on: events out of a file, and meters. */
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

enum { INPUT_EVENTS_MAX = 1 << 20 };

/* Events read from a file of records: topic bytes and payload bytes as 32-bit numbers in the order
 * of this machine, topic, payload. Devices and types follow from the topics as in admission. */
struct input {
    char *bytes; /* of the file: what the events point into */
    struct event *events;
    size_t count;
};

void input_load(const char *path, struct input *ret); /* ends the program when it cannot */
void input_free(struct input *input);

/* The event to be appended as number n: the file over and over, received at wall_us. */
static inline struct event input_event(const struct input *input, uint64_t n, int64_t wall_us)
{
    struct event event = input->events[n % input->count];
    event.received_us = wall_us;
    return event;
}

/* This process: CPU of all its threads, time on the wall, bytes it caused to be written to the
 * disk (without the journal of the file system) and bytes of its write calls. */
struct meter {
    double cpu_s, user_s, wall_s;
    unsigned long long disk_bytes, call_bytes;
};

struct meter meter_now(void);
struct meter meter_since(struct meter begin);

double now_s(void); /* monotonic */
/* Ends the program with a word about what did not work. */
void fail(const char *what, const char *why) __attribute__((noreturn));

#endif
