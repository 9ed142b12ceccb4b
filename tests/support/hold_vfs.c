#include "hold_vfs.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* What SQLite allocates per file: ours, followed by that of the real VFS. */
struct hold_file {
    sqlite3_file base;
    bool wal;
    sqlite3_int64 real[]; /* SQLite aligns what it allocates to 8 bytes, no more */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs hold_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* held or waiting */
static bool held, held_database;
static unsigned waiting;
static atomic_int failure = SQLITE_OK;
static atomic_ulong syncs, reads, writes, failed;
static atomic_ullong written;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)((struct hold_file *)file)->real;
}

static int on_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int on_read(sqlite3_file *file, void *data, int n, sqlite3_int64 offset)
{
    atomic_fetch_add(&reads, 1);
    return real_of(file)->pMethods->xRead(real_of(file), data, n, offset);
}

static int write_failure(void)
{
    int code = atomic_load(&failure);
    if (code != SQLITE_OK)
        errno = (code & 0xFF) == SQLITE_FULL ? ENOSPC : EIO;
    return code == SQLITE_IOERR_FSYNC ? SQLITE_OK : code;
}

static int on_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
    int code = write_failure();
    if (code != SQLITE_OK)
        return code;
    atomic_fetch_add(&writes, 1);
    atomic_fetch_add(&written, (unsigned long long)n);
    return real_of(file)->pMethods->xWrite(real_of(file), data, n, offset);
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = write_failure();
    return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int on_sync(sqlite3_file *file, int flags)
{
    struct hold_file *f = (struct hold_file *)file;
    const bool *hold = f->wal ? &held : &held_database;
    pthread_mutex_lock(&lock);
    if (*hold) {
        waiting++;
        pthread_cond_broadcast(&changed);
        while (*hold)
            pthread_cond_wait(&changed, &lock);
        waiting--;
    }
    pthread_mutex_unlock(&lock);
    if (atomic_load(&failure) == SQLITE_IOERR_FSYNC) {
        atomic_fetch_add(&failed, 1);
        errno = EIO; /* the real one sets it, and SQLite asks for it */
        return SQLITE_IOERR_FSYNC;
    }
    int code = real_of(file)->pMethods->xSync(real_of(file), flags);
    if (code == SQLITE_OK && f->wal)
        atomic_fetch_add(&syncs, 1);
    return code;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int on_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int on_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int on_check_reserved_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int on_file_control(sqlite3_file *file, int op, void *data)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, data);
}

static int on_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int on_device_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int on_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int on_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int on_shm_unmap(sqlite3_file *file, int delete_it)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_reserved_lock,
    .xFileControl = on_file_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_device_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    struct hold_file *f = (struct hold_file *)file;
    size_t n = name ? strlen(name) : 0;
    f->wal = n >= 4 && strcmp(name + n - 4, "-wal") == 0;
    int code = real_vfs->xOpen(real_vfs, name, real_of(file), flags, out);
    file->pMethods = real_of(file)->pMethods ? &methods : NULL;
    return code;
}

void hold_vfs_install(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    real_vfs = sqlite3_vfs_find(NULL);
    assert(real_vfs && real_vfs != &hold_vfs);
    hold_vfs = *real_vfs;
    hold_vfs.zName = "hold";
    hold_vfs.szOsFile = (int)sizeof(struct hold_file) + real_vfs->szOsFile;
    hold_vfs.xOpen = on_open;
    int code = sqlite3_vfs_register(&hold_vfs, 1);
    assert(code == SQLITE_OK);
    (void)code;
}

static void set_held(bool *which, bool value)
{
    pthread_mutex_lock(&lock);
    *which = value;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void hold_vfs_hold(void)
{
    set_held(&held, true);
}

void hold_vfs_release(void)
{
    set_held(&held, false);
}

void hold_vfs_hold_database(bool hold)
{
    set_held(&held_database, hold);
}

unsigned hold_vfs_waiting(void)
{
    pthread_mutex_lock(&lock);
    unsigned n = waiting;
    pthread_mutex_unlock(&lock);
    return n;
}

bool hold_vfs_wait(unsigned count, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&lock);
    int r = 0;
    while (waiting < count && r == 0)
        r = pthread_cond_timedwait(&changed, &lock, &until);
    bool reached = waiting >= count;
    pthread_mutex_unlock(&lock);
    return reached;
}

void hold_vfs_fail(int code)
{
    atomic_store(&failure, code);
}

unsigned long hold_vfs_syncs(void)
{
    return atomic_load(&syncs);
}

unsigned long hold_vfs_reads(void)
{
    return atomic_load(&reads);
}

unsigned long hold_vfs_failed(void)
{
    return atomic_load(&failed);
}

unsigned long hold_vfs_writes(void)
{
    return atomic_load(&writes);
}

unsigned long long hold_vfs_written(void)
{
    return atomic_load(&written);
}
