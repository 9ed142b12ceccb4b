#include "store/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/result.h"
#include "store/crc32c.h"
#include "store/store.h"

enum { LINE_MAX_BYTES = 192, PATH_BYTES = STORE_PATH_MAX_BYTES + 32, SOURCE_MAX_BYTES = 256 };

/* The line as it stands in the file, with its checksum and newline. */
static size_t render(const struct identity *identity, char line[LINE_MAX_BYTES])
{
    int n = snprintf(line, LINE_MAX_BYTES,
                     "sluice-identity 1 epoch=%s run=%" PRIu64 " machine=%s total=%" PRIu64,
                     identity->epoch, identity->run, identity->machine, identity->total);
    uint32_t crc = crc32c(0, slice_make(line, (size_t)n));
    n += snprintf(line + n, LINE_MAX_BYTES - (size_t)n, " crc=%08" PRIx32 "\n", crc);
    return (size_t)n;
}

/* Whole files of a few bytes. 0, or -errno; -EMSGSIZE if there is more than fits. */
static int read_small(const char *path, char *text, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = 0;
    for (ssize_t n; len < size - 1; len += (size_t)n) {
        n = read(fd, text + len, size - 1 - len);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
    }
    text[len] = '\0';
    return len == size - 1 ? -EMSGSIZE : 0;
}

int identity_read(const char *directory, struct identity *ret)
{
    char path[PATH_BYTES], line[LINE_MAX_BYTES], again[LINE_MAX_BYTES];
    snprintf(path, sizeof(path), "%s/%s", directory, IDENTITY_FILE_NAME);
    int r = read_small(path, line, sizeof(line));
    if (r == -ENOENT || r == -EMSGSIZE)
        return IDENTITY_NONE;
    if (r)
        return result_origin(r);
    struct identity identity = {.epoch = ""};
    int found = sscanf(line,
                       "sluice-identity 1 epoch=%16[0-9a-f] run=%" SCNu64
                       " machine=%16[a-z0-9] total=%" SCNu64,
                       identity.epoch, &identity.run, identity.machine, &identity.total);
    if (found != 4)
        return IDENTITY_NONE;
    /* Sound is what would be written so, byte for byte, its checksum included. */
    render(&identity, again);
    if (strcmp(line, again))
        return IDENTITY_NONE;
    *ret = identity;
    return 0;
}

static int write_draft(const char *path, const char *line, size_t len)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return result_origin(-errno);
    ssize_t n = write(fd, line, len);
    if (n != (ssize_t)len)
        return result_origin(n < 0 ? -errno : -ENOSPC);
    return fsync(fd) ? result_origin(-errno) : 0;
}

static int sync_directory(const char *directory)
{
    CLEANUP_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return result_origin(-errno);
    return 0;
}

int identity_write(const char *directory, const struct identity *identity)
{
    char path[PATH_BYTES], draft[PATH_BYTES], line[LINE_MAX_BYTES];
    assert(strlen(identity->epoch) == IDENTITY_EPOCH_MAX_BYTES - 1 && identity->machine[0]);
    snprintf(path, sizeof(path), "%s/%s", directory, IDENTITY_FILE_NAME);
    snprintf(draft, sizeof(draft), "%s/%s-new", directory, IDENTITY_FILE_NAME);
    int r = write_draft(draft, line, render(identity, line));
    if (!r && rename(draft, path))
        r = result_origin(-errno);
    if (r) {
        unlink(draft);
        return result_trace(r);
    }
    return result_trace(sync_directory(directory));
}

void identity_machine(const char *text, char ret[IDENTITY_MACHINE_MAX_BYTES])
{
    static const char *const sources[] = {"/etc/machine-id", "/var/lib/dbus/machine-id",
                                          "/proc/device-tree/serial-number"};
    char read[SOURCE_MAX_BYTES] = "";
    for (size_t i = 0; !text && i < sizeof(sources) / sizeof(sources[0]); i++) {
        if (read_small(sources[i], read, sizeof(read)))
            continue;
        read[strcspn(read, "\n")] = '\0';
        /* systemd writes the word into an image that has not been booted yet. */
        if (read[0] && strcmp(read, "uninitialized"))
            text = read;
    }
    if (!text || !text[0]) {
        snprintf(ret, IDENTITY_MACHINE_MAX_BYTES, "%s", IDENTITY_UNKNOWN);
        return;
    }
    /* FNV-1a of a word of our own and the id: 64 bits of 128 cannot be turned back. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *parts[] = {"sluice store on ", text};
    for (unsigned i = 0; i < 2; i++)
        for (const char *p = parts[i]; *p; p++)
            hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    snprintf(ret, IDENTITY_MACHINE_MAX_BYTES, "%016" PRIx64, hash);
}

int identity_random(char *text, unsigned bytes)
{
    uint8_t random[16];
    assert(bytes <= sizeof(random));
    if (getrandom(random, bytes, 0) != (ssize_t)bytes)
        return result_origin(-EIO);
    for (unsigned i = 0; i < bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    return 0;
}
