/*
 * After a sync that failed. Linux keeps what it could not write as if it were written: it can be
 * read until memory is wanted for something else, but no later sync writes it. So it is read and
 * written again, in two steps, each synced:
 *
 *   1. What of the log was written since its last good sync. Not what was synced before: that is on
 *      the disk, acknowledged, and a power cut while it is overwritten might damage it.
 *   2. In the database, the pages of all frames that the index calls copied. A checkpoint that did
 *      not reach the end of the log copies without syncing; the next goes on from there, and with
 *      the pages lost the log would be started over too early. Each of these pages is in the log,
 *      which is on the disk now, so they may be overwritten. What a failing checkpoint copied and
 *      did not call so is copied again by the next.
 *
 * The locks of the writer and of the checkpoint keep both files as they are meanwhile.
 */
#include "store/vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/result.h"
#include "store/database.h"
#include "store/vfs_file.h"

enum {
    COPY_BYTES = 64 * 1024, /* at a time; a page of SQLite is not larger */
    /* Of the formats of log and index. */
    LOG_HEADER_BYTES = 32,
    LOG_PAGE_SIZE = 8, /* where it stands, big-endian; likewise below */
    FRAME_HEADER_BYTES = 24,
    INDEX_REGION_BYTES = 32 * 1024,
    INDEX_COPIED = 96, /* frames, in the byte order of the machine */
    SHM_CHECKPOINT = 1 /* the lock */
};

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int read_real(struct vfs_file *file, uint8_t *data, int n, int64_t offset)
{
    return vfs_real(file)->pMethods->xRead(vfs_real(file), data, n, offset);
}

/* The first step; scratch has COPY_BYTES. */
static int rewrite_log(struct vfs_file *log, int64_t from, int64_t to, uint8_t *scratch)
{
    sqlite3_int64 size;
    int code = vfs_real(log)->pMethods->xFileSize(vfs_real(log), &size);
    if (to > size)
        to = size;
    while (code == SQLITE_OK && from < to) {
        int n = to - from < COPY_BYTES ? (int)(to - from) : COPY_BYTES;
        code = read_real(log, scratch, n, from);
        if (code == SQLITE_OK)
            code = vfs_file_write(log, scratch, n, from);
        from += n;
    }
    return code == SQLITE_OK ? vfs_file_sync(log, SQLITE_SYNC_NORMAL) : code;
}

/* How many frames, from the first on, the index calls copied into the database. */
static int frames_copied(struct vfs_file *database, uint32_t *ret)
{
    void volatile *region = NULL;
    int code = database->base.pMethods->xShmMap(&database->base, 0, INDEX_REGION_BYTES, 0, &region);
    if (code == SQLITE_OK)
        *ret = region ? *(volatile uint32_t *)((volatile uint8_t *)region + INDEX_COPIED) : 0;
    return code;
}

static int rewrite_page(struct vfs_file *database, uint32_t page, int page_bytes, uint8_t *scratch)
{
    int64_t offset = ((int64_t)page - 1) * page_bytes;
    int code = read_real(database, scratch, page_bytes, offset);
    if (code == SQLITE_IOERR_SHORT_READ) /* the database was made shorter since */
        return SQLITE_OK;
    return code == SQLITE_OK ? vfs_file_write(database, scratch, page_bytes, offset) : code;
}

/* The second step. */
static int rewrite_database(struct vfs_file *database, struct vfs_file *log, uint8_t *scratch)
{
    uint32_t copied = 0;
    uint8_t header[LOG_HEADER_BYTES];
    int code = frames_copied(database, &copied);
    if (code == SQLITE_OK && copied)
        code = read_real(log, header, LOG_HEADER_BYTES, 0);
    if (code != SQLITE_OK || !copied)
        return code;
    uint32_t page_bytes = read_u32(header + LOG_PAGE_SIZE);
    if (page_bytes < 512 || page_bytes > COPY_BYTES)
        return SQLITE_CORRUPT;
    for (uint32_t i = 0; code == SQLITE_OK && i < copied; i++) {
        uint8_t frame[FRAME_HEADER_BYTES];
        code = read_real(log, frame, FRAME_HEADER_BYTES,
                         LOG_HEADER_BYTES + (int64_t)i * (FRAME_HEADER_BYTES + page_bytes));
        if (code == SQLITE_OK)
            code = rewrite_page(database, read_u32(frame), (int)page_bytes, scratch);
    }
    return code == SQLITE_OK ? vfs_file_sync(database, SQLITE_SYNC_NORMAL) : code;
}

static int rewrite_both(struct vfs_file *database, uint8_t *scratch)
{
    struct vfs_shared *shared = database->shared;
    struct vfs_file *log = database->other;
    if (!log) /* no log, so nothing that could be lost with it */
        return SQLITE_IOERR;
    pthread_mutex_lock(&shared->lock);
    uint64_t failed = shared->failed;
    int64_t from = shared->log_from, to = shared->log_to;
    pthread_mutex_unlock(&shared->lock);
    int code = rewrite_log(log, from, to, scratch);
    if (code == SQLITE_OK)
        code = rewrite_database(database, log, scratch);
    if (code != SQLITE_OK)
        return code;
    pthread_mutex_lock(&shared->lock);
    shared->mended = failed;
    if (shared->failed == failed)
        shared->log_from = shared->log_to = 0;
    pthread_mutex_unlock(&shared->lock);
    return SQLITE_OK;
}

static int with_checkpoint_lock(struct vfs_file *file, uint8_t *scratch)
{
    const sqlite3_io_methods *methods = file->base.pMethods;
    int code =
        methods->xShmLock(&file->base, SHM_CHECKPOINT, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
    if (code != SQLITE_OK)
        return result_origin(database_result(NULL, code));
    code = rewrite_both(file, scratch);
    (void)methods->xShmLock(&file->base, SHM_CHECKPOINT, 1,
                            SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    return code == SQLITE_OK ? 0 : result_origin(database_result(NULL, code));
}

int vfs_rewrite_log(struct database *d)
{
    struct vfs_file *file = vfs_file_of(d->db);
    if (!file || !file->shared)
        return 0;
    uint8_t *scratch = malloc(COPY_BYTES);
    if (!scratch)
        return result_origin(-ENOMEM);
    int r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r) {
        r = with_checkpoint_lock(file, scratch);
        int end = database_run(d, SQL_ROLLBACK, 0, NULL);
        r = r ? r : end;
    }
    free(scratch);
    return result_trace(r);
}
