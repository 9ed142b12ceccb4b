#ifndef SLUICE_STORE_VFS_H
#define SLUICE_STORE_VFS_H
/*
 * The store's own file system for SQLite, a thin one over the default: it counts what is written,
 * joins the many small writes of the write-ahead log (vfs_join.h), and remembers a sync that
 * failed until what it lost has been written again (vfs_mend.c). Of the store room alone; any
 * thread, each connection from one at a time.
 */
#include <stdbool.h>
#include <stdint.h>

struct database;

/* What this process has handed to the disk so far, over all databases.
 *
 * flash_bytes is an estimate of what the disk has to take: blocks of 4 KiB that were touched
 * between two syncs of a file, since the file system writes whole blocks, each once a sync. Exact
 * for the log, which is written in order, and for checkpoints, which go up the database in order of
 * its pages; a block that is returned to between two syncs counts twice. The file system's own
 * journal and the shared memory, which is never synced, are not in it, nor what the flash's
 * controller makes of it. */
struct vfs_counts {
    uint64_t written_bytes, flash_bytes;
    uint64_t syncs; /* that succeeded */
};
void vfs_counts(struct vfs_counts *ret);

/* What sqlite3_open_v2() is to be given. Registers it when first called, over whatever is the
 * default then. NULL, which means the default, only where SQLite has no memory for it. */
const char *vfs_name(void);

/* Whether a sync of the database or its log failed, through any connection of this process, and
 * vfs_rewrite_log() has not made good for it. Until then every sync of theirs fails with EIO, and
 * with it every commit and checkpoint. Outlasts the connections. */
bool vfs_suspect(struct database *database);

/* Writes again what a failed sync may have lost and syncs it. Takes the locks of a writer and of a
 * checkpoint for that long; no transaction may be open. 0, -EBUSY (another connection is writing
 * or copying the log), another -errno: still suspect. */
int vfs_rewrite_log(struct database *database);

/* The database at path is another one now: nothing is known against it. Not while it is open. */
void vfs_forget(const char *path);

#endif
