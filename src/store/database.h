#ifndef SLUICE_STORE_DATABASE_H
#define SLUICE_STORE_DATABASE_H
/*
 * One SQLite connection and its prepared statements: what the writer and the readers of the store
 * have in common, and the only place where SQLite's result codes become ours. Belongs to one
 * thread.
 */
#include <sqlite3.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/sql.h"

struct database {
    sqlite3 *db;                         /* NULL: closed */
    sqlite3_stmt *statements[SQL_COUNT]; /* prepared when first used, kept */
};

/* flags are those of sqlite3_open_v2() but for SQLITE_OPEN_NOMUTEX, which is added. Sets what every
 * connection of ours has: our file system (vfs.h), extended codes, untrusted schema, no mmap, busy
 * timeout. 0 or -errno; closed on failure. */
int database_open(struct database *d, const char *path, int flags);
void database_close(struct database *d); /* may be closed already */

/* -errno of a SQLite result code other than OK, ROW and DONE; db may be NULL. */
int database_result(sqlite3 *db, int code);

/* Runs SQL text that yields nothing anybody wants. 0 or -errno. */
int database_exec(struct database *d, const char *sql);

/* The prepared statement, reset and without values. 0 or -errno. */
int database_statement(struct database *d, enum sql_statement which, sqlite3_stmt **ret);

/* Binds integers ?1..?count, runs a statement to its end and resets it. 0 or -errno. */
int database_run(struct database *d, enum sql_statement which, unsigned count,
                 const int64_t *values);

/* The same up to the first row, which is left standing in *ret until database_done(). 0,
 * DATABASE_NONE (no row; already reset), -errno. */
enum database_outcome { DATABASE_NONE = 1 };
int database_first(struct database *d, enum sql_statement which, unsigned count,
                   const int64_t *values, sqlite3_stmt **ret);
/* Steps a statement whose values are bound to its next row: 0, DATABASE_NONE, -errno, as above. */
int database_step(sqlite3_stmt *statement);
void database_done(sqlite3_stmt *statement);

/* The first column of the first row as a number. 0, DATABASE_NONE, -errno. */
int database_number(struct database *d, enum sql_statement which, int64_t *ret);

/* Table meta. text is cut to size. 0, DATABASE_NONE (no such key), -errno. */
int database_meta_get(struct database *d, const char *key, char *text, size_t size);
int database_meta_get_number(struct database *d, const char *key, int64_t *ret);
int database_meta_put(struct database *d, const char *key, const char *text);
int database_meta_put_number(struct database *d, const char *key, int64_t value);

#define DATABASE_VALUES(...)                                                                       \
    (unsigned)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])        \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#endif
