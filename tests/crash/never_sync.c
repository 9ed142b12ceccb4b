/* A build that does not sync: whatever the store asks of SQLite, synchronous is OFF. Linked into
 * the power-cut test it must make that test fail. */
#include <sqlite3.h>
#include <string.h>

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *data, char **error);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *data, char **error);

int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                        void *data, char **error)
{
    int code = __real_sqlite3_exec(db, sql, row, data, error);
    /* Inside a transaction it cannot be changed; that is the making of the file alone. */
    if (code == SQLITE_OK && strstr(sql, "synchronous=") && sqlite3_get_autocommit(db))
        code = __real_sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
    return code;
}
