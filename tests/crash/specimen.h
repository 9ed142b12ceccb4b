#ifndef SLUICE_TESTS_CRASH_SPECIMEN_H
#define SLUICE_TESTS_CRASH_SPECIMEN_H
/* Events that follow from a number and a size, so that whoever reads one knows whether it is the
 * one that was appended; and a directory in memory for tests that sync ten thousand times. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

enum { SPECIMEN_MAX_BYTES = 512 * 1024 };
#define SPECIMEN_BASE_US INT64_C(1700000000000000)

struct specimen {
    uint32_t serial; /* never twice in a test */
    uint32_t bytes;  /* of its payload, at most SPECIMEN_MAX_BYTES */
    bool smooth;     /* compresses well */
    /* Where the clocks matter, else 0: received in a boot at monotonic_us when a wall clock said
     * wall_us; SPECIMEN_BASE_US more than monotonic_us would have been right. */
    bool unsynced;
    uint64_t boot;
    int64_t monotonic_us, wall_us;
};

/* The event; its slices live until the next call. */
struct event specimen_event(const struct specimen *specimen);
/* Whether event is it, as it was or with its received time corrected. */
bool specimen_is(const struct specimen *specimen, const struct event *event);

/* Makes a directory for the life of the test, in memory where the system allows; its real path.
 * Once. It goes when the process exits, unless kept. */
void specimen_directory(char path[256]);
void specimen_directory_keep(void);
void specimen_directory_remove(const char *path);

#endif
