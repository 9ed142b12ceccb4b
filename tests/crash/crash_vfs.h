#ifndef SLUICE_TESTS_CRASH_VFS_H
#define SLUICE_TESTS_CRASH_VFS_H
/*
 * A test double of the file system that remembers. Everything goes on to the real one, and what
 * happens to the files of one directory is written down in order: creations, writes, truncations,
 * syncs, renames, removals and syncs of the directory. disk.h makes of that log what a power cut
 * may leave.
 *
 * What SQLite does is seen by a VFS. What the store does without SQLite is seen where the linker
 * sends rename, unlink, fsync and fdatasync to __wrap_ functions here; a file that only such calls
 * touch enters the log with its whole content when it is synced or renamed. Shared memory ("-shm")
 * and the file "lock" hold nothing that counts after a cut and are not in the log.
 *
 * One per process; the log may be written by any thread, everything else belongs to one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    CRASH_NAMES_MAX = 32,        /* different names in the directory */
    CRASH_NAME_MAX_BYTES = 48,   /* with its NUL */
    CRASH_FILES_MAX = 1024,      /* files ever made under them */
    CRASH_OPS_MAX = 1024 * 1024, /* lines of the log */
    CRASH_LOG_MAX_BYTES = 1024 * 1024 * 1024
};

enum crash_op_kind {
    CRASH_CREATE,    /* name now means file, which is empty */
    CRASH_RENAME,    /* other is gone, name means its file */
    CRASH_UNLINK,    /* name is gone */
    CRASH_DIRECTORY, /* sync of the directory: the three above last */
    CRASH_WRITE,     /* length bytes at offset of file */
    CRASH_TRUNCATE,  /* file has length bytes from now on */
    CRASH_SYNC,      /* the two above of file last */
    CRASH_LOST       /* a sync failed: what was written to file since the last is forgotten, though
                        it can still be read; it reaches the disk only where the page is written
                        again */
};

struct crash_op {
    enum crash_op_kind kind;
    unsigned file;
    unsigned name, other; /* index in names */
    uint64_t offset, length;
    size_t data; /* where its bytes lie in the log's data */
};

struct crash_log {
    struct bytes ops;  /* struct crash_op */
    struct bytes data; /* bytes written */
    char names[CRASH_NAMES_MAX][CRASH_NAME_MAX_BYTES];
    unsigned name_count;
    unsigned file_count;
    size_t start; /* ops before it made the directory as it was found: all synced */
};

/* Syncs that are reported as done and are not: each proves that the test needs it. */
enum crash_lie { CRASH_LIE_NONE, CRASH_LIE_WAL, CRASH_LIE_DATABASE, CRASH_LIE_DIRECTORY };

/* Makes it the default of every connection opened from now on. Once; asserts success. */
void crash_vfs_install(void);

/* How a disk, and the system above it, behave. */
struct crash_disk {
    bool psow;          /* a sector is written as a whole; else it is damaged when power fails */
    bool lost_on_error; /* what a sync failed on is not written by the next one: as Linux does */
    enum crash_lie lie;
};

/* Begins a log of directory, which may hold files already; log is empty and borrowed until
 * crash_vfs_end(). SQLite is told of psow. Its randomness follows from seed from now on. */
void crash_vfs_begin(const char *directory, const struct crash_disk *disk, uint64_t seed,
                     struct crash_log *log);
void crash_vfs_end(void);

/* Lines in the log; 0 when there is none. */
size_t crash_vfs_position(void);

/* What fails once, and then nothing does. after: so many calls of the kind succeed before. The code
 * is that of SQLite: SQLITE_IOERR_FSYNC fails a sync, any other code a write. */
void crash_vfs_fail_once(int code, unsigned after);
void crash_vfs_fail_never(void);

struct crash_log *crash_log_new(void); /* asserts memory */
struct crash_log *crash_log_free(struct crash_log *log);

static inline size_t crash_log_count(const struct crash_log *log)
{
    return log->ops.len / sizeof(struct crash_op);
}

static inline const struct crash_op *crash_log_op(const struct crash_log *log, size_t i)
{
    return (const struct crash_op *)(const void *)log->ops.data + i;
}

#endif
