#ifndef SLUICE_STORE_VFS_FILE_H
#define SLUICE_STORE_VFS_FILE_H
/* What the files of the VFS share: an open file of SQLite's, and what all connections to one
 * database know in common. Of vfs*.c alone. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/vfs_join.h"

/* A database as this process knows it, by its path; shared by its connections. */
struct vfs_shared {
    struct vfs_shared *next;
    unsigned connections; /* of the list's lock; it goes with the last unless it is suspect */
    pthread_mutex_t lock; /* for what follows; never held over a call to the real files */
    uint64_t failed;      /* syncs of its files that failed */
    uint64_t mended;      /* of them, made good for; suspect while less */
    uint64_t log_writes;  /* to the log */
    int64_t log_from,
        log_to; /* what of the log was written since its last good sync; empty: none */
    char path[];
};

/* What SQLite allocates per file: ours, followed by that of the real VFS. */
struct vfs_file {
    sqlite3_file base;
    bool log;                      /* a write-ahead log */
    struct vfs_file *other;        /* of the same connection: the log's database, or its log */
    struct vfs_shared *shared;     /* NULL: neither a database nor its log */
    struct vfs_join join;          /* of a log */
    int64_t block_from, block_end; /* blocks counted since the last sync, for what follows them */
    sqlite3_int64 real[];          /* SQLite aligns what it allocates to 8 bytes, no more */
};

static inline sqlite3_file *vfs_real(struct vfs_file *file)
{
    return (sqlite3_file *)file->real;
}

/* Writes and syncs with the real file at once, counted. A result code of SQLite. */
int vfs_file_write(struct vfs_file *file, const void *data, int n, sqlite3_int64 offset);
int vfs_file_sync(struct vfs_file *file, int flags);

/* The database file of a connection opened with vfs_name(), else NULL. */
struct vfs_file *vfs_file_of(sqlite3 *db);

#endif
