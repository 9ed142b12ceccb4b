#include "crash_vfs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO_FILE = -1, SECTOR_BYTES = 4096 };

/* What SQLite allocates per file: ours, followed by that of the real VFS. */
struct crash_file {
    sqlite3_file base;
    int file; /* in the log, or NO_FILE */
    bool wal;
    sqlite3_int64 real[];
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs crash_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crash_log *active; /* NULL: nothing is written down, and nothing is synced */
static char directory[PATH_MAX];
static struct stat directory_stat;
static int files_now[CRASH_NAMES_MAX]; /* what each name means */
static struct crash_disk disk;
static uint64_t randomness;
static int failure; /* SQLITE_OK: none is due */
static unsigned failure_after;
static int (*real_open_directory)(const char *, int *);

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

struct crash_log *crash_log_new(void)
{
    struct crash_log *log = calloc(1, sizeof(*log));
    assert(log);
    log->ops = (struct bytes)BYTES_INIT(CRASH_OPS_MAX * sizeof(struct crash_op));
    log->data = (struct bytes)BYTES_INIT(CRASH_LOG_MAX_BYTES);
    return log;
}

struct crash_log *crash_log_free(struct crash_log *log)
{
    if (!log)
        return NULL;
    bytes_deinit(&log->ops);
    bytes_deinit(&log->data);
    free(log);
    return NULL;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "crash_vfs: %s: %s\n", what, strerror(errno));
    exit(99); /* trouble of the test itself: never an expected failure */
}

/* The name of a path if it lies in the directory and counts; else NULL. */
static const char *name_of(const char *path)
{
    size_t n = strlen(directory);
    if (!active || !path || strncmp(path, directory, n) || path[n] != '/')
        return NULL;
    const char *name = path + n + 1;
    size_t len = strlen(name);
    if (strchr(name, '/') || strcmp(name, "lock") == 0 ||
        (len >= 4 && strcmp(name + len - 4, "-shm") == 0))
        return NULL;
    return name;
}

static unsigned name_index(const char *name)
{
    for (unsigned i = 0; i < active->name_count; i++)
        if (strcmp(active->names[i], name) == 0)
            return i;
    must(active->name_count < CRASH_NAMES_MAX && strlen(name) < CRASH_NAME_MAX_BYTES, "names");
    files_now[active->name_count] = NO_FILE;
    snprintf(active->names[active->name_count], CRASH_NAME_MAX_BYTES, "%s", name);
    return active->name_count++;
}

static void note(struct crash_op op)
{
    must(bytes_append(&active->ops, &op, sizeof(op)) == 0, "log");
}

static void note_write(int file, const void *data, size_t n, uint64_t offset)
{
    size_t at = active->data.len;
    must(bytes_append(&active->data, data, n) == 0, "log");
    note((struct crash_op){
        .kind = CRASH_WRITE, .file = (unsigned)file, .offset = offset, .length = n, .data = at});
}

static int note_create(unsigned name)
{
    must(active->file_count < CRASH_FILES_MAX, "files");
    int file = (int)active->file_count++;
    files_now[name] = file;
    note((struct crash_op){.kind = CRASH_CREATE, .file = (unsigned)file, .name = name});
    return file;
}

static void note_sync(int file)
{
    note((struct crash_op){.kind = CRASH_SYNC, .file = (unsigned)file});
}

static void note_directory(void)
{
    if (disk.lie != CRASH_LIE_DIRECTORY)
        note((struct crash_op){.kind = CRASH_DIRECTORY});
}

/* Writes down the whole content of a file that came about without SQLite. */
static int adopt(const char *path, unsigned name)
{
    int file = files_now[name];
    if (file == NO_FILE)
        file = note_create(name);
    else
        note((struct crash_op){.kind = CRASH_TRUNCATE, .file = (unsigned)file, .length = 0});
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, path);
    char buffer[65536];
    uint64_t offset = 0;
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0; offset += (uint64_t)n)
        note_write(file, buffer, (size_t)n, offset);
    close(fd);
    return file;
}

static void adopt_directory(void)
{
    DIR *dir = opendir(directory);
    must(dir != NULL, directory);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[PATH_MAX + 256];
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        struct stat st;
        if (!name_of(path) || stat(path, &st) || !S_ISREG(st.st_mode))
            continue;
        note_sync(adopt(path, name_index(e->d_name)));
    }
    closedir(dir);
    note((struct crash_op){.kind = CRASH_DIRECTORY});
}

void crash_vfs_begin(const char *path, const struct crash_disk *behaviour, uint64_t seed,
                     struct crash_log *log)
{
    assert(!active && !log->ops.len);
    must(realpath(path, directory) && stat(directory, &directory_stat) == 0, path);
    disk = *behaviour;
    randomness = seed | 1;
    failure = SQLITE_OK;
    sqlite3_randomness(0, NULL); /* ask for a new seed */
    active = log;
    adopt_directory();
    log->start = crash_log_count(log);
}

void crash_vfs_end(void)
{
    active = NULL;
    failure = SQLITE_OK;
}

size_t crash_vfs_position(void)
{
    pthread_mutex_lock(&lock);
    size_t n = active ? crash_log_count(active) : 0;
    pthread_mutex_unlock(&lock);
    return n;
}

void crash_vfs_fail_once(int code, unsigned after)
{
    pthread_mutex_lock(&lock);
    failure = code;
    failure_after = after;
    pthread_mutex_unlock(&lock);
}

void crash_vfs_fail_never(void)
{
    crash_vfs_fail_once(SQLITE_OK, 0);
}

/* Whether it is this call that fails. */
static int fails(bool sync)
{
    if (!active || failure == SQLITE_OK || (failure == SQLITE_IOERR_FSYNC) != sync)
        return SQLITE_OK;
    if (failure_after) {
        failure_after--;
        return SQLITE_OK;
    }
    int code = failure;
    failure = SQLITE_OK;
    errno = (code & 0xFF) == SQLITE_FULL ? ENOSPC : EIO;
    return code;
}

int __wrap_rename(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    const char *old = name_of(from), *name = name_of(to);
    if (old && files_now[name_index(old)] == NO_FILE && access(from, F_OK) == 0)
        (void)adopt(from, name_index(old));
    int r = __real_rename(from, to);
    if (!r && old && name) {
        unsigned other = name_index(old), now = name_index(name);
        files_now[now] = files_now[other];
        files_now[other] = NO_FILE;
        note((struct crash_op){
            .kind = CRASH_RENAME, .file = (unsigned)files_now[now], .name = now, .other = other});
    }
    pthread_mutex_unlock(&lock);
    return r;
}

static void note_unlink(const char *path)
{
    const char *name = name_of(path);
    if (!name || files_now[name_index(name)] == NO_FILE)
        return;
    note((struct crash_op){.kind = CRASH_UNLINK, .name = name_index(name)});
    files_now[name_index(name)] = NO_FILE;
}

int __wrap_unlink(const char *path)
{
    pthread_mutex_lock(&lock);
    int r = __real_unlink(path);
    if (!r)
        note_unlink(path);
    pthread_mutex_unlock(&lock);
    return r;
}

static void synced(int fd)
{
    struct stat st;
    char link[64], path[PATH_MAX];
    if (!active || fstat(fd, &st))
        return;
    if (S_ISDIR(st.st_mode)) {
        if (st.st_dev == directory_stat.st_dev && st.st_ino == directory_stat.st_ino)
            note_directory();
        return;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    must(n > 0, "readlink");
    path[n] = '\0';
    if (name_of(path))
        note_sync(adopt(path, name_index(name_of(path))));
}

int __wrap_fsync(int fd)
{
    pthread_mutex_lock(&lock);
    synced(fd);
    pthread_mutex_unlock(&lock);
    return active ? __real_fsync(fd) : 0;
}

int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&lock);
    synced(fd);
    pthread_mutex_unlock(&lock);
    return active ? __real_fdatasync(fd) : 0;
}

/* SQLite asks for the descriptor of a directory only to sync it. */
static int on_open_directory(const char *path, int *fd)
{
    int code = real_open_directory(path, fd);
    pthread_mutex_lock(&lock);
    if (code == SQLITE_OK && name_of(path))
        note_directory();
    pthread_mutex_unlock(&lock);
    return code;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)((struct crash_file *)file)->real;
}

static bool logged(sqlite3_file *file)
{
    return active && ((struct crash_file *)file)->file != NO_FILE;
}

static int on_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int on_read(sqlite3_file *file, void *data, int n, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, n, offset);
}

static int on_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
    pthread_mutex_lock(&lock);
    int code = fails(false);
    if (code == SQLITE_OK)
        code = real_of(file)->pMethods->xWrite(real_of(file), data, n, offset);
    if (code == SQLITE_OK && logged(file))
        note_write(((struct crash_file *)file)->file, data, (size_t)n, (uint64_t)offset);
    pthread_mutex_unlock(&lock);
    return code;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    pthread_mutex_lock(&lock);
    int code = real_of(file)->pMethods->xTruncate(real_of(file), size);
    if (code == SQLITE_OK && logged(file))
        note((struct crash_op){.kind = CRASH_TRUNCATE,
                               .file = (unsigned)((struct crash_file *)file)->file,
                               .length = (uint64_t)size});
    pthread_mutex_unlock(&lock);
    return code;
}

/* Written down before the real one is called, because that may sync the directory afterwards. */
static int on_sync(sqlite3_file *file, int flags)
{
    struct crash_file *f = (struct crash_file *)file;
    pthread_mutex_lock(&lock);
    int code = fails(true);
    enum crash_lie lie = f->wal ? CRASH_LIE_WAL : CRASH_LIE_DATABASE;
    if (code == SQLITE_OK && logged(file) && disk.lie != lie)
        note_sync(f->file);
    if (code != SQLITE_OK && logged(file) && disk.lost_on_error)
        note((struct crash_op){.kind = CRASH_LOST, .file = (unsigned)f->file});
    pthread_mutex_unlock(&lock);
    if (code != SQLITE_OK || !logged(file))
        return code;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
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
    (void)file;
    return SECTOR_BYTES;
}

static int on_device_characteristics(sqlite3_file *file)
{
    int flags = real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
    return disk.psow ? flags | SQLITE_IOCAP_POWERSAFE_OVERWRITE
                     : flags & ~SQLITE_IOCAP_POWERSAFE_OVERWRITE;
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

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    struct crash_file *f = (struct crash_file *)file;
    size_t n = path ? strlen(path) : 0;
    f->wal = n >= 4 && strcmp(path + n - 4, "-wal") == 0;
    f->file = NO_FILE;
    int code = real_vfs->xOpen(real_vfs, path, real_of(file), flags, out);
    file->pMethods = real_of(file)->pMethods ? &methods : NULL;
    pthread_mutex_lock(&lock);
    if (code == SQLITE_OK && name_of(path)) {
        unsigned name = name_index(name_of(path));
        f->file = files_now[name] != NO_FILE ? files_now[name] : note_create(name);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static int on_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    (void)vfs;
    /* Before the real one, which may sync the directory; it fails only where there is no file. */
    pthread_mutex_lock(&lock);
    if (access(path, F_OK) == 0)
        note_unlink(path);
    pthread_mutex_unlock(&lock);
    return real_vfs->xDelete(real_vfs, path, sync_directory);
}

static int on_randomness(sqlite3_vfs *vfs, int n, char *ret)
{
    (void)vfs;
    for (int i = 0; i < n; i++) {
        randomness ^= randomness << 13;
        randomness ^= randomness >> 7;
        randomness ^= randomness << 17;
        ret[i] = (char)(randomness >> 32);
    }
    return n;
}

void crash_vfs_install(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    assert(real_vfs && real_vfs != &crash_vfs);
    crash_vfs = *real_vfs;
    crash_vfs.zName = "crash";
    crash_vfs.szOsFile = (int)sizeof(struct crash_file) + real_vfs->szOsFile;
    crash_vfs.xOpen = on_open;
    crash_vfs.xDelete = on_delete;
    crash_vfs.xRandomness = on_randomness;
    must(sqlite3_vfs_register(&crash_vfs, 1) == SQLITE_OK, "register");
    sqlite3_syscall_ptr found = real_vfs->xGetSystemCall(real_vfs, "openDirectory");
    must(found != NULL, "openDirectory");
    real_open_directory = (int (*)(const char *, int *))found;
    must(real_vfs->xSetSystemCall(real_vfs, "openDirectory",
                                  (sqlite3_syscall_ptr)on_open_directory) == SQLITE_OK,
         "openDirectory");
    randomness = 1;
}
