#ifndef SLUICE_STORE_VFS_JOIN_H
#define SLUICE_STORE_VFS_JOIN_H
/*
 * struct vfs_join: the frames of a transaction on their way to the write-ahead log, which SQLite
 * writes by two calls each, 24 bytes of header and a page, gathered so that the file system is
 * called once per transaction, or once per VFS_JOIN_BYTES of it.
 *
 * Nobody may be told of a frame that is not in the file yet. The index of the log tells of frames:
 * readers, in this process and others, take from its header how far the log is valid and do not
 * look behind that. SQLite writes that header, around a memory barrier, after all frames of a
 * transaction; its last frame is marked as the one that commits. Hence the invariant:
 *
 *     Frames are gathered only while the connection holds the writer's lock and until it has
 *     written the page of the frame that commits; that write flushes, and the commit fails if the
 *     flush does. So when the index is told of a transaction nothing is gathered.
 *
 * It holds with and without a sync of the log, and does not need the barrier, at which nothing
 * could be said to have failed. What may be gathered is thus always part of a transaction under
 * way. Whoever reads or overwrites it, asks the size of the log, or syncs it is the writer itself,
 * through the same file, and its call flushes first; a failure is that call's failure, and what was
 * gathered stays gathered, so that it cannot get lost in a transaction that goes on all the same.
 * When the writer's lock is released what is still gathered belongs to a transaction that was
 * rolled back: it is dropped, since another writer may now write in its place.
 *
 * Whatever does not look like a frame that follows the one before is not gathered: the log's own
 * header, pages of frames that are overwritten within a transaction, headers whose checksums are
 * made anew (they come after the frame that commits), padding (likewise). One thread at a time.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VFS_JOIN_BYTES = 64 * 1024 }; /* what is gathered at most */

struct vfs_file;

struct vfs_join {
    bool gathering;       /* the writer's lock is held and its transaction not committed */
    bool page_due;        /* the last thing gathered is a header */
    bool commits;         /* it is that of the frame that commits */
    sqlite3_int64 offset; /* of data in the file */
    size_t len;
    uint8_t *data; /* VFS_JOIN_BYTES; NULL until it is needed */
};

void vfs_join_begin(struct vfs_join *join); /* the writer's lock was taken */
void vfs_join_drop(struct vfs_join *join);  /* it is about to be released */
void vfs_join_deinit(struct vfs_join *join);

/* A write to the log, gathered or not; a result code of SQLite, also that of a flush. */
int vfs_join_write(struct vfs_file *log, const void *data, int n, sqlite3_int64 offset);
/* Writes what is gathered; on failure it stays. */
int vfs_join_flush(struct vfs_file *log);

#endif
