#ifndef SLUICE_TESTS_CRASH_GAP_READER_H
#define SLUICE_TESTS_CRASH_GAP_READER_H
/* The gap records in "$gateway": what the gateway says that upstreams never got. */
#include <stdint.h>

struct store_reader;

struct gap_record {
    char stream[32], upstream[32], reason[32];
    unsigned long long from, to, count;
};

/* Hands every gap record from *offset on to take, in order, and advances *offset to the end of the
 * stream. 0, or -1 if something cannot be read. */
int gap_reader_next(struct store_reader *reader, uint64_t *offset,
                    void (*take)(void *data, const struct gap_record *record), void *data);

#endif
