#ifndef SLUICE_TESTS_BENCH_BARE_H
#define SLUICE_TESTS_BENCH_BARE_H
/* Bare SQLite, set up as the store sets it up: what the store is measured against. Ends the program
 * on any failure. */
#include <sqlite3.h>
#include <stdint.h>

#include "base/bytes.h"

enum { BARE_CHECKPOINT_PAGES = 4 * 1024 * 1024 / (1024 + 24) }; /* as in store/internal.h */

struct bare {
    sqlite3 *db;
    sqlite3_stmt *insert;
    int log_pages; /* in the write-ahead log as of the last commit */
};

/* Makes a database of one table batch(key, data), or opens one that has it. */
void bare_open(struct bare *bare, const char *path);
void bare_close(struct bare *bare);
void bare_exec(struct bare *bare, const char *sql);
sqlite3_stmt *bare_prepare(struct bare *bare, const char *sql);

/* One synced commit of one row. */
void bare_append(struct bare *bare, int64_t key, struct slice data);
/* Copies the log when it is as long as the store lets its own grow. */
void bare_checkpoint(struct bare *bare);

#endif
