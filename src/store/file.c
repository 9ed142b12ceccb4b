/*
 * The file before it is a database: the data directory and its lock, whose the file is, and how a
 * new one comes about.
 *
 * Whose it is is read from the first 108 bytes, without SQLite, because SQLite would already
 * recover a journal or make a shared-memory file beside it, and a file that is not ours must stay
 * as it is. That suffices because a database of ours is made under another name, complete with its
 * application_id, and renamed: under its own name it never exists without.
 *
 * Where those bytes are damaged, the log may have them as they were committed, and SQLite reads
 * them from there; else the file is ours if it holds batches whose checksums are right.
 */
#include "store/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "store/pages.h"
#include "store/salvage.h"
#include "store/vfs.h"

/* Of the file format of SQLite: offsets in the first page. */
enum {
    HEADER_BYTES = 108,
    HEADER_USER_VERSION = 60,
    HEADER_APPLICATION_ID = 68,
    HEADER_PAGE_TYPE = 100, /* of the b-tree page that holds the schema */
    HEADER_CELLS = 103,     /* its number of entries, 2 bytes */
    PAGE_TYPE_LEAF = 0x0D
};
static const char header_magic[] = "SQLite format 3"; /* with its NUL */

static const struct {
    int error;
    int outcome; /* 0: stays -errno */
    const char *mend;
} failures[] = {
    {EACCES, STORE_UNREADABLE,
     "give the user that runs sluice read and write access to it, or "
     "choose another gateway.data_dir"},
    {EPERM, STORE_UNREADABLE,
     "give the user that runs sluice read and write access to it, or "
     "choose another gateway.data_dir"},
    {EROFS, STORE_UNREADABLE, "mount the file system writable, or choose another gateway.data_dir"},
    {ENOTDIR, STORE_UNREADABLE,
     "a part of the path is not a directory: choose another "
     "gateway.data_dir"},
    {ELOOP, STORE_UNREADABLE, "choose another gateway.data_dir"},
    {EBADMSG, STORE_DAMAGED,
     "what can be read is salvaged at the next start, or by \"sluice recover\""},
    {ENOSPC, 0, "make room on the file system of gateway.data_dir"},
    {EDQUOT, 0, "raise the disk quota of the user that runs sluice, or make room"},
    {EIO, 0, "check the disk: the kernel's log says more"},
    {ENAMETOOLONG, 0, "choose a shorter gateway.data_dir"},
};

int file_failure(int r, const char *path, struct error *error)
{
    assert(r < 0);
    error_where(error, "%s", path);
    error_what(error, r == -EBADMSG ? "the database is damaged" : "cannot be used: %s",
               strerror(-r));
    error_mend(error, "%s", "");
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].error != -r)
            continue;
        error_mend(error, "%s", failures[i].mend);
        return failures[i].outcome ? failures[i].outcome : r;
    }
    return r;
}

static int make_directories(const char *path)
{
    char part[STORE_PATH_MAX_BYTES];
    snprintf(part, sizeof(part), "%s", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(part, 0700) && errno != EEXIST) {
            int r = -errno;
            struct stat st; /* EROFS and EACCES also stand for what exists */
            if (stat(part, &st))
                return result_origin(r);
        }
        *p = end;
        if (!end)
            return 0;
    }
}

int file_sync_directory(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return result_origin(-errno);
    return 0;
}

int file_lock_directory(const char *data_dir, struct error *error, int *ret)
{
    char path[STORE_PATH_MAX_BYTES + 8];
    snprintf(path, sizeof(path), "%s/lock", data_dir);
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_failure(result_origin(-errno), path, error);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK)
            return file_failure(result_origin(-errno), path, error);
        error_where(error, "%s", data_dir);
        error_what(error, "another process uses this data directory");
        error_mend(error, "stop the other sluice, or give this one its own gateway.data_dir");
        return STORE_LOCKED;
    }
    *ret = take_fd(fd);
    return 0;
}

int file_lock(struct store *store, struct error *error)
{
    if (store->lock_fd >= 0)
        return 0;
    int r = make_directories(store->data_dir);
    if (r)
        return file_failure(r, store->data_dir, error);
    return file_lock_directory(store->data_dir, error, &store->lock_fd);
}

static uint32_t header_u32(const uint8_t *header, unsigned at)
{
    return (uint32_t)header[at] << 24 | (uint32_t)header[at + 1] << 16 |
           (uint32_t)header[at + 2] << 8 | header[at + 3];
}

static bool companion_exists(const char *path, const char *suffix)
{
    char companion[STORE_PATH_MAX_BYTES + 16];
    snprintf(companion, sizeof(companion), "%s%s", path, suffix);
    struct stat st;
    return stat(companion, &st) == 0 && st.st_size > 0;
}

static int foreign(const char *path, const char *what, struct error *error)
{
    error_where(error, "%s", path);
    error_what(error, "%s", what);
    error_mend(error, "move the file away or choose another gateway.data_dir; it was not touched");
    return STORE_FOREIGN;
}

static int judge_header(const uint8_t *header, size_t len, const char *path, struct error *error)
{
    if (len < HEADER_BYTES || memcmp(header, header_magic, sizeof(header_magic)))
        return foreign(path, "is not a SQLite database", error);
    uint32_t id = header_u32(header, HEADER_APPLICATION_ID);
    uint32_t format = header_u32(header, HEADER_USER_VERSION);
    bool empty = header[HEADER_PAGE_TYPE] == PAGE_TYPE_LEAF && !header[HEADER_CELLS] &&
                 !header[HEADER_CELLS + 1] && !companion_exists(path, "-wal") &&
                 !companion_exists(path, "-journal");
    if (id == 0 && empty)
        return -ENOENT;
    if (id != STORE_APPLICATION_ID)
        return foreign(path, "is the SQLite database of another program", error);
    if (format > STORE_FORMAT) {
        error_where(error, "%s", path);
        error_what(error, "was written by a newer version of sluice (format %u, this one knows %d)",
                   format, STORE_FORMAT);
        error_mend(error, "run the newer version, or choose another gateway.data_dir; the file was "
                          "not touched");
        return STORE_NEWER;
    }
    return 0;
}

/* The header says that the file is not ours, which is what error says. */
static int judge_damaged(int fd, const char *path, struct error *error)
{
    char log[STORE_PATH_MAX_BYTES + 16];
    snprintf(log, sizeof(log), "%s-wal", path);
    CLEANUP_CLOSE int log_fd = open(log, O_RDONLY | O_CLOEXEC);
    struct pages *pages = NULL;
    if (pages_open(fd, log_fd, &pages))
        return STORE_FOREIGN;
    struct error ignored = ERROR_INIT;
    const uint8_t *first = pages_log_first(pages);
    int r = first ? judge_header(first, HEADER_BYTES, path, &ignored) : STORE_FOREIGN;
    pages_close(pages);
    if (!r || r == STORE_NEWER) {
        if (r && error)
            *error = ignored;
        return r;
    }
    return salvage_recognises(fd, log_fd) ? file_failure(-EBADMSG, path, error) : STORE_FOREIGN;
}

/* 0: ours; -ENOENT: there is none, or an empty one that may be replaced, and error is not filled;
 * an enum store_open_outcome; another -errno. */
int file_identify(const char *path, struct error *error)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT)
        return file_failure(result_origin(-errno), path, error);
    uint8_t header[HEADER_BYTES];
    ssize_t len = 0;
    if (fd >= 0) {
        struct stat st;
        if (fstat(fd, &st))
            return file_failure(result_origin(-errno), path, error);
        if (!S_ISREG(st.st_mode))
            return foreign(path, "is not a file", error);
        len = pread(fd, header, sizeof(header), 0);
        if (len < 0)
            return file_failure(result_origin(-errno), path, error);
    }
    if (len) {
        int r = judge_header(header, (size_t)len, path, error);
        return r == STORE_FOREIGN ? judge_damaged(fd, path, error) : r;
    }
    if (companion_exists(path, "-wal")) {
        file_failure(-EBADMSG, path, error);
        error_what(error, "the database is gone, but its write-ahead log is there");
        return STORE_DAMAGED;
    }
    return -ENOENT;
}

int file_schema(const char *path)
{
    struct database d;
    int r = database_open(&d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (r)
        return result_trace(r);
    char identity[128];
    snprintf(identity, sizeof(identity), "PRAGMA application_id=%d; PRAGMA user_version=%d",
             STORE_APPLICATION_ID, STORE_FORMAT);
    /* No journal: the file counts for nothing until it is renamed. */
    r = database_exec(&d, "PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL; "
                          "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=FULL; BEGIN");
    if (!r)
        r = database_exec(&d, identity);
    if (!r)
        r = database_exec(&d, sql_schema);
    if (!r)
        r = database_exec(&d, "COMMIT; PRAGMA journal_mode=WAL");
    database_close(&d);
    return result_trace(r);
}

int file_publish(const char *draft, const char *path)
{
    char directory[STORE_PATH_MAX_BYTES];
    snprintf(directory, sizeof(directory), "%s", path);
    *strrchr(directory, '/') = '\0';
    if (chmod(draft, 0600) || rename(draft, path))
        return result_origin(-errno);
    return result_trace(file_sync_directory(directory));
}

int file_create(const char *path, struct error *error)
{
    static_assert(STORE_PAGE_BYTES == 1024, "the page size stands in the pragma above");
    char draft[STORE_PATH_MAX_BYTES + 16];
    snprintf(draft, sizeof(draft), "%s-new", path);
    if (unlink(draft) && errno != ENOENT)
        return file_failure(result_origin(-errno), draft, error);
    vfs_forget(draft);
    int r = file_schema(draft);
    if (!r)
        r = file_publish(draft, path);
    if (r) {
        unlink(draft);
        return file_failure(r, path, error);
    }
    return 0;
}
