#ifndef SLUICE_TESTS_LEDGER_H
#define SLUICE_TESTS_LEDGER_H
/*
 * The ledger: what a load generator was promised. One file, mapped shared, so that it is complete
 * at every moment, also when either side is killed: a head, then per device how many sequences were
 * sent and acknowledged, then per device one bit for each acknowledged sequence. The file is
 * sparse.
 *
 * load writes it, check reads it. One writer; readers see relaxed atomics.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEDGER_DEVICES_MAX = 65536,
    LEDGER_CAPACITY_DEFAULT = 1 << 21, /* sequences per device */
    LEDGER_CAPACITY_MAX = 1 << 28
};

struct ledger_device {
    _Atomic uint64_t sent;         /* sequences 0 .. sent - 1 were handed to a socket */
    _Atomic uint64_t acknowledged; /* how many bits are set */
};

struct ledger {
    uint32_t devices;
    uint32_t capacity; /* sequences per device, a multiple of 64 */
    size_t bytes;      /* of the mapping */
    void *mapping;
    struct ledger_device *device;
    _Atomic uint64_t *bits;
};

/* Opens the ledger, creating it if it does not exist or if fresh. An existing one must have the
 * same devices and capacity (-EINVAL). 0 or -errno. */
int ledger_open(const char *path, uint32_t devices, uint32_t capacity, bool fresh,
                struct ledger *ret);

/* Opens an existing ledger for reading. 0 or -errno (-ENOENT: not there yet). */
int ledger_open_read(const char *path, struct ledger *ret);
void ledger_close(struct ledger *ledger);

void ledger_acknowledge(struct ledger *ledger, uint32_t device, uint64_t sequence);

static inline size_t ledger_words(const struct ledger *ledger)
{
    return ledger->capacity / 64;
}

/* Word number word (64 sequences) of a device. */
static inline uint64_t ledger_word(const struct ledger *ledger, uint32_t device, size_t word)
{
    return atomic_load_explicit(&ledger->bits[device * ledger_words(ledger) + word],
                                memory_order_relaxed);
}

#endif
