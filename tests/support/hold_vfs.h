#ifndef SLUICE_TESTS_SUPPORT_HOLD_VFS_H
#define SLUICE_TESTS_SUPPORT_HOLD_VFS_H
/*
 * A test double of SQLite's file system: passes everything on to the real one, but can hold the
 * sync of a write-ahead log, make writes and syncs fail, and count. One per process; any thread.
 */
#include <stdbool.h>

/* Makes it the default of every connection opened from now on. Once; asserts success. */
void hold_vfs_install(void);

/* While held, xSync of a file whose name ends in "-wal" blocks. */
void hold_vfs_hold(void);
void hold_vfs_release(void);
/* The same for the syncs of every other file. */
void hold_vfs_hold_database(bool hold);
unsigned hold_vfs_waiting(void); /* threads blocked there now */
/* Waits until at least count threads are blocked; false after timeout_ms. */
bool hold_vfs_wait(unsigned count, int timeout_ms);

/* From now on fails with a SQLite result code; SQLITE_OK ends it. SQLITE_IOERR_FSYNC lets every
 * sync fail and nothing else, any other code every write and truncation. */
void hold_vfs_fail(int code);

unsigned long hold_vfs_syncs(void);        /* syncs of write-ahead logs completed with success */
unsigned long hold_vfs_reads(void);        /* xRead calls on any file */
unsigned long hold_vfs_failed(void);       /* syncs failed on demand */
unsigned long hold_vfs_writes(void);       /* xWrite calls on any file that were passed on */
unsigned long long hold_vfs_written(void); /* bytes written to any file */

#endif
