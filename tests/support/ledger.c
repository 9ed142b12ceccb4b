#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct ledger_head {
    char magic[8];
    uint32_t devices, capacity;
};

static const char magic[8] = "ledger1";

static size_t ledger_size(uint32_t devices, uint32_t capacity)
{
    return sizeof(struct ledger_head) + devices * sizeof(struct ledger_device) +
           (size_t)devices * (capacity / 64) * sizeof(uint64_t);
}

static void lay_out(struct ledger *ledger)
{
    char *at = (char *)ledger->mapping + sizeof(struct ledger_head);
    ledger->device = (struct ledger_device *)(void *)at;
    at += ledger->devices * sizeof(struct ledger_device);
    ledger->bits = (_Atomic uint64_t *)(void *)at;
}

/* Maps fd, whose head says head. */
static int map(int fd, const struct ledger_head *head, bool writable, struct ledger *ret)
{
    struct ledger ledger = {.devices = head->devices, .capacity = head->capacity};
    struct stat st;
    if (memcmp(head->magic, magic, sizeof magic) != 0 || head->devices == 0 ||
        head->devices > LEDGER_DEVICES_MAX || head->capacity == 0 || head->capacity % 64 ||
        head->capacity > LEDGER_CAPACITY_MAX)
        return -EINVAL;
    ledger.bytes = ledger_size(head->devices, head->capacity);
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size != ledger.bytes)
        return -EINVAL;
    ledger.mapping =
        mmap(NULL, ledger.bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (ledger.mapping == MAP_FAILED)
        return -errno;
    lay_out(&ledger);
    *ret = ledger;
    return 0;
}

int ledger_open(const char *path, uint32_t devices, uint32_t capacity, bool fresh,
                struct ledger *ret)
{
    struct ledger_head head = {.devices = devices, .capacity = capacity}, old;
    memcpy(head.magic, magic, sizeof magic);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (fresh ? O_TRUNC : 0), 0600);
    if (fd < 0)
        return -errno;
    int r = 0;
    ssize_t n = pread(fd, &old, sizeof old, 0);
    if (n == 0) {
        /* The head last: a reader that finds it finds the rest as well. */
        if (ftruncate(fd, (off_t)ledger_size(devices, capacity)) < 0 ||
            pwrite(fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
            r = -errno;
    } else if (n != (ssize_t)sizeof old || memcmp(&old, &head, sizeof head) != 0) {
        r = -EINVAL;
    }
    if (!r)
        r = map(fd, &head, true, ret);
    close(fd);
    return r;
}

int ledger_open_read(const char *path, struct ledger *ret)
{
    struct ledger_head head;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head && head.magic[0]
                ? map(fd, &head, false, ret)
                : -ENOENT;
    close(fd);
    return r;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->mapping)
        munmap(ledger->mapping, ledger->bytes);
    *ledger = (struct ledger){0};
}

void ledger_acknowledge(struct ledger *ledger, uint32_t device, uint64_t sequence)
{
    _Atomic uint64_t *word = &ledger->bits[device * ledger_words(ledger) + sequence / 64];
    uint64_t bit = UINT64_C(1) << sequence % 64;
    if (!(atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit))
        atomic_fetch_add_explicit(&ledger->device[device].acknowledged, 1, memory_order_relaxed);
}
