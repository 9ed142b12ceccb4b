#include "store/vfs.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/vfs_file.h"

enum {
    BLOCK_BYTES = 4096,
    SHM_WRITER = 0 /* of the format of the index: the lock of the one writer */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;
static const sqlite3_io_methods methods;
static const char *name; /* NULL: not registered */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t written_bytes, flash_blocks, syncs;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vfs_shared *list; /* open databases, and those left suspect */

void vfs_counts(struct vfs_counts *ret)
{
    ret->written_bytes = atomic_load_explicit(&written_bytes, memory_order_relaxed);
    ret->flash_bytes = atomic_load_explicit(&flash_blocks, memory_order_relaxed) * BLOCK_BYTES;
    ret->syncs = atomic_load_explicit(&syncs, memory_order_relaxed);
}

static struct vfs_file *file_of(sqlite3_file *file)
{
    return (struct vfs_file *)file;
}

struct vfs_file *vfs_file_of(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&file);
    return code == SQLITE_OK && file && file->pMethods == &methods ? file_of(file) : NULL;
}

/* The entry of a database in the list, which is locked. */
static struct vfs_shared **shared_find(const char *path)
{
    struct vfs_shared **at = &list;
    while (*at && strcmp((*at)->path, path) != 0)
        at = &(*at)->next;
    return at;
}

static struct vfs_shared *shared_new(const char *path)
{
    size_t n = strlen(path) + 1;
    struct vfs_shared *shared = calloc(1, sizeof(*shared) + n);
    if (!shared)
        return NULL;
    pthread_mutex_init(&shared->lock, NULL);
    memcpy(shared->path, path, n);
    return shared;
}

static void shared_remove(struct vfs_shared **at)
{
    struct vfs_shared *shared = *at;
    *at = shared->next;
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static struct vfs_shared *shared_open(const char *path)
{
    pthread_mutex_lock(&list_lock);
    struct vfs_shared **at = shared_find(path);
    if (!*at)
        *at = shared_new(path);
    if (*at)
        (*at)->connections++;
    struct vfs_shared *shared = *at;
    pthread_mutex_unlock(&list_lock);
    return shared;
}

static void shared_close(struct vfs_shared *shared)
{
    pthread_mutex_lock(&list_lock);
    shared->connections--;
    if (!shared->connections && shared->failed == shared->mended)
        shared_remove(shared_find(shared->path));
    pthread_mutex_unlock(&list_lock);
}

void vfs_forget(const char *path)
{
    char full[PATH_MAX];
    if (!vfs_name() || real_vfs->xFullPathname(real_vfs, path, sizeof(full), full) != SQLITE_OK)
        return;
    pthread_mutex_lock(&list_lock);
    struct vfs_shared **at = shared_find(full);
    if (*at && !(*at)->connections)
        shared_remove(at);
    pthread_mutex_unlock(&list_lock);
}

bool vfs_suspect(struct database *database)
{
    struct vfs_file *file = vfs_file_of(database->db);
    if (!file || !file->shared)
        return false;
    pthread_mutex_lock(&file->shared->lock);
    bool suspect = file->shared->failed > file->shared->mended;
    pthread_mutex_unlock(&file->shared->lock);
    return suspect;
}

/* Adds the blocks of a write that are not counted yet. */
static void count_blocks(struct vfs_file *file, int64_t offset, int n)
{
    int64_t from = offset / BLOCK_BYTES, end = (offset + n - 1) / BLOCK_BYTES + 1, added;
    if (from >= file->block_from && from <= file->block_end) {
        added = end > file->block_end ? end - file->block_end : 0;
        file->block_end += added;
    } else {
        added = end - from;
        file->block_from = from;
        file->block_end = end;
    }
    atomic_fetch_add_explicit(&flash_blocks, (uint64_t)added, memory_order_relaxed);
}

static void note_log_write(struct vfs_shared *shared, int64_t offset, int n)
{
    pthread_mutex_lock(&shared->lock);
    bool none = shared->log_from >= shared->log_to;
    if (none || offset < shared->log_from)
        shared->log_from = offset;
    if (none || offset + n > shared->log_to)
        shared->log_to = offset + n;
    shared->log_writes++;
    pthread_mutex_unlock(&shared->lock);
}

int vfs_file_write(struct vfs_file *file, const void *data, int n, sqlite3_int64 offset)
{
    if (file->log && file->shared)
        note_log_write(file->shared, offset, n); /* a write that fails may be done in part */
    int code = vfs_real(file)->pMethods->xWrite(vfs_real(file), data, n, offset);
    if (code != SQLITE_OK)
        return code;
    atomic_fetch_add_explicit(&written_bytes, (uint64_t)n, memory_order_relaxed);
    count_blocks(file, offset, n);
    return SQLITE_OK;
}

int vfs_file_sync(struct vfs_file *file, int flags)
{
    int code = vfs_real(file)->pMethods->xSync(vfs_real(file), flags);
    if (code != SQLITE_OK)
        return code;
    atomic_fetch_add_explicit(&syncs, 1, memory_order_relaxed);
    file->block_from = file->block_end = -1;
    return SQLITE_OK;
}

static int on_close(sqlite3_file *base)
{
    struct vfs_file *file = file_of(base);
    if (file->other)
        file->other->other = NULL;
    vfs_join_deinit(&file->join);
    if (file->shared && !file->log)
        shared_close(file->shared);
    return vfs_real(file)->pMethods->xClose(vfs_real(file));
}

static int on_read(sqlite3_file *base, void *data, int n, sqlite3_int64 offset)
{
    struct vfs_file *file = file_of(base);
    int code = vfs_join_flush(file);
    return code == SQLITE_OK ? vfs_real(file)->pMethods->xRead(vfs_real(file), data, n, offset)
                             : code;
}

static int on_write(sqlite3_file *base, const void *data, int n, sqlite3_int64 offset)
{
    struct vfs_file *file = file_of(base);
    return file->log ? vfs_join_write(file, data, n, offset)
                     : vfs_file_write(file, data, n, offset);
}

static int on_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct vfs_file *file = file_of(base);
    int code = vfs_join_flush(file);
    return code == SQLITE_OK ? vfs_real(file)->pMethods->xTruncate(vfs_real(file), size) : code;
}

static int suspect_code(void)
{
    errno = EIO; /* SQLite asks for it */
    return SQLITE_IOERR_FSYNC;
}

/* What was written before a sync that failed is clean for the system, and gone, so a sync that
 * succeeds after it says nothing. Where another connection's failed meanwhile, Linux tells this
 * one's as well. */
static int on_sync(sqlite3_file *base, int flags)
{
    struct vfs_file *file = file_of(base);
    struct vfs_shared *shared = file->shared;
    int code = vfs_join_flush(file);
    if (code != SQLITE_OK || !shared)
        return code == SQLITE_OK ? vfs_file_sync(file, flags) : code;
    pthread_mutex_lock(&shared->lock);
    bool suspect = shared->failed > shared->mended;
    uint64_t writes = shared->log_writes;
    pthread_mutex_unlock(&shared->lock);
    if (suspect)
        return suspect_code();
    code = vfs_file_sync(file, flags);
    pthread_mutex_lock(&shared->lock);
    shared->failed += code != SQLITE_OK;
    suspect = shared->failed > shared->mended;
    if (!suspect && file->log && writes == shared->log_writes)
        shared->log_from = shared->log_to = 0;
    pthread_mutex_unlock(&shared->lock);
    return code == SQLITE_OK && suspect ? suspect_code() : code;
}

static int on_file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct vfs_file *file = file_of(base);
    int code = vfs_join_flush(file);
    return code == SQLITE_OK ? vfs_real(file)->pMethods->xFileSize(vfs_real(file), size) : code;
}

static int on_lock(sqlite3_file *base, int level)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xLock(real, level);
}

static int on_unlock(sqlite3_file *base, int level)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xUnlock(real, level);
}

static int on_check_reserved_lock(sqlite3_file *base, int *result)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xCheckReservedLock(real, result);
}

static int on_file_control(sqlite3_file *base, int op, void *data)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xFileControl(real, op, data);
}

static int on_sector_size(sqlite3_file *base)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xSectorSize(real);
}

static int on_device_characteristics(sqlite3_file *base)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xDeviceCharacteristics(real);
}

static int on_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **ret)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xShmMap(real, page, size, extend, ret);
}

/* The writer's lock opens and ends the time in which frames are gathered: vfs_join.h. */
static int on_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    struct vfs_file *file = file_of(base);
    struct vfs_file *log =
        offset == SHM_WRITER && flags & SQLITE_SHM_EXCLUSIVE ? file->other : NULL;
    if (log && flags & SQLITE_SHM_UNLOCK)
        vfs_join_drop(&log->join);
    int code = vfs_real(file)->pMethods->xShmLock(vfs_real(file), offset, n, flags);
    if (log && flags & SQLITE_SHM_LOCK && code == SQLITE_OK)
        vfs_join_begin(&log->join);
    return code;
}

static void on_shm_barrier(sqlite3_file *base)
{
    sqlite3_file *real = vfs_real(file_of(base));
    real->pMethods->xShmBarrier(real);
}

static int on_shm_unmap(sqlite3_file *base, int delete_it)
{
    sqlite3_file *real = vfs_real(file_of(base));
    return real->pMethods->xShmUnmap(real, delete_it);
}

/* Version 2: without mapped reads of the database, which the store does not use. */
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

/* Finds the database a log belongs to, or what is known of a database. A connection opens its
 * database before its log and closes it after; the name of the log, as SQLite hands it over, leads
 * to the very file. */
static int connect_file(struct vfs_file *file, const char *path, int flags)
{
    if (flags & SQLITE_OPEN_MAIN_DB && path) {
        file->shared = shared_open(path);
        return file->shared ? SQLITE_OK : SQLITE_NOMEM;
    }
    if (!file->log)
        return SQLITE_OK;
    sqlite3_file *database = sqlite3_database_file_object(path);
    if (!database || database->pMethods != &methods)
        return SQLITE_OK;
    file->other = file_of(database);
    file->other->other = file;
    file->shared = file->other->shared;
    return SQLITE_OK;
}

static int on_open(sqlite3_vfs *ignored, const char *path, sqlite3_file *base, int flags, int *out)
{
    (void)ignored;
    struct vfs_file *file = file_of(base);
    *file =
        (struct vfs_file){.log = (flags & SQLITE_OPEN_WAL) != 0, .block_from = -1, .block_end = -1};
    int code = real_vfs->xOpen(real_vfs, path, vfs_real(file), flags, out);
    if (code == SQLITE_OK) {
        code = connect_file(file, path, flags);
        if (code != SQLITE_OK)
            vfs_real(file)->pMethods->xClose(vfs_real(file));
    }
    base->pMethods = code == SQLITE_OK ? &methods : NULL;
    return code;
}

static void start(void)
{
    real_vfs = sqlite3_vfs_find(NULL); /* SQLite is initialised by it */
    if (!real_vfs)
        return;
    vfs = *real_vfs;
    vfs.zName = "sluice";
    vfs.szOsFile = (int)sizeof(struct vfs_file) + real_vfs->szOsFile;
    vfs.xOpen = on_open;
    if (sqlite3_vfs_register(&vfs, 0) == SQLITE_OK)
        name = vfs.zName;
}

const char *vfs_name(void)
{
    pthread_once(&once, start);
    return name;
}
