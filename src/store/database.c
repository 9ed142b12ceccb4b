#include "store/database.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/result.h"
#include "store/vfs.h"

enum {
    BUSY_TIMEOUT_MS = 500,
    BLOB_MAX_BYTES = 600 * 1024 * 1024 /* SQLite's own limit is a thousand million */
};

/* KiB, negative as SQLite wants it. Batches are written once and not looked at again, so what is
 * worth keeping is the inner nodes of the tree; a larger transaction goes to the log early. */
#define CACHE "-256"

static const struct {
    int code;
    int error;
} results[] = {
    {SQLITE_PERM, EACCES},       {SQLITE_BUSY, EBUSY},     {SQLITE_LOCKED, EBUSY},
    {SQLITE_NOMEM, ENOMEM},      {SQLITE_READONLY, EROFS}, {SQLITE_CORRUPT, EBADMSG},
    {SQLITE_NOTADB, EBADMSG},    {SQLITE_FULL, ENOSPC},    {SQLITE_CANTOPEN, EACCES},
    {SQLITE_TOOBIG, EMSGSIZE},   {SQLITE_AUTH, EACCES},    {SQLITE_INTERRUPT, EINTR},
    {SQLITE_ERROR, EBADMSG}, /* our statements are right, so the tables they name are not there */
    {SQLITE_CONSTRAINT, EEXIST}, {SQLITE_IOERR, EIO},
};

int database_result(sqlite3 *db, int code)
{
    int primary = code & 0xFF;
    if (code == SQLITE_IOERR_NOMEM)
        return -ENOMEM;
    /* What the operating system said is more to the point, where it is about the file at all:
     * SQLite keeps the number of the last failed call, whatever that was. */
    int system = db ? sqlite3_system_errno(db) : 0;
    if ((primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT || system == EROFS)) ||
        (primary == SQLITE_CANTOPEN && system > 0))
        return -system;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        if (results[i].code == primary)
            return -results[i].error;
    return -EIO;
}

int database_open(struct database *d, const char *path, int flags)
{
    *d = (struct database){.db = NULL};
    int code = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX, vfs_name());
    if (code != SQLITE_OK) {
        int r = database_result(d->db, code);
        database_close(d);
        return result_origin(r);
    }
    sqlite3_extended_result_codes(d->db, 1);
    sqlite3_busy_timeout(d->db, BUSY_TIMEOUT_MS);
    sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, BLOB_MAX_BYTES);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    int r = database_exec(d, "PRAGMA mmap_size=0; PRAGMA cache_size=" CACHE
                             "; PRAGMA temp_store=MEMORY");
    if (r)
        database_close(d);
    return result_trace(r);
}

void database_close(struct database *d)
{
    if (!d->db)
        return;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(d->statements[i]);
    int code = sqlite3_close(d->db);
    assert(code == SQLITE_OK);
    (void)code;
    *d = (struct database){.db = NULL};
}

int database_exec(struct database *d, const char *sql)
{
    int code = sqlite3_exec(d->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : result_origin(database_result(d->db, code));
}

int database_statement(struct database *d, enum sql_statement which, sqlite3_stmt **ret)
{
    if (!d->statements[which]) {
        int code = sqlite3_prepare_v3(d->db, sql_text[which], -1, SQLITE_PREPARE_PERSISTENT,
                                      &d->statements[which], NULL);
        if (code != SQLITE_OK)
            return result_origin(database_result(d->db, code));
    }
    *ret = d->statements[which];
    return 0;
}

int database_step(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 0;
    int r =
        code == SQLITE_DONE ? DATABASE_NONE : database_result(sqlite3_db_handle(statement), code);
    database_done(statement);
    return r < 0 ? result_origin(r) : r;
}

void database_done(sqlite3_stmt *statement)
{
    sqlite3_reset(statement); /* repeats the code of the last step, which was looked at there */
    sqlite3_clear_bindings(statement);
}

int database_first(struct database *d, enum sql_statement which, unsigned count,
                   const int64_t *values, sqlite3_stmt **ret)
{
    sqlite3_stmt *statement;
    int r = database_statement(d, which, &statement);
    if (r)
        return result_trace(r);
    for (unsigned i = 0; i < count; i++)
        sqlite3_bind_int64(statement, (int)i + 1, values[i]);
    r = database_step(statement);
    if (!r)
        *ret = statement;
    return r;
}

int database_run(struct database *d, enum sql_statement which, unsigned count,
                 const int64_t *values)
{
    sqlite3_stmt *statement;
    int r = database_first(d, which, count, values, &statement);
    while (!r)
        r = database_step(statement);
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

int database_number(struct database *d, enum sql_statement which, int64_t *ret)
{
    sqlite3_stmt *statement;
    int r = database_first(d, which, 0, NULL, &statement);
    if (r)
        return r;
    *ret = sqlite3_column_int64(statement, 0);
    database_done(statement);
    return 0;
}

static int meta_row(struct database *d, const char *key, sqlite3_stmt **ret)
{
    sqlite3_stmt *statement = NULL;
    int r = database_statement(d, SQL_META_GET, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    r = database_step(statement);
    if (!r)
        *ret = statement;
    return r;
}

int database_meta_get(struct database *d, const char *key, char *text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int r = meta_row(d, key, &statement);
    if (r)
        return r;
    const unsigned char *value = sqlite3_column_text(statement, 0);
    snprintf(text, size, "%s", value ? (const char *)value : "");
    database_done(statement);
    return 0;
}

int database_meta_get_number(struct database *d, const char *key, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int r = meta_row(d, key, &statement);
    if (r)
        return r;
    *ret = sqlite3_column_int64(statement, 0);
    database_done(statement);
    return 0;
}

static int meta_write(sqlite3_stmt *statement, const char *key)
{
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    int r = database_step(statement);
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

int database_meta_put(struct database *d, const char *key, const char *text)
{
    sqlite3_stmt *statement = NULL;
    int r = database_statement(d, SQL_META_PUT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(statement, 2, text, -1, SQLITE_STATIC);
    return meta_write(statement, key);
}

int database_meta_put_number(struct database *d, const char *key, int64_t value)
{
    sqlite3_stmt *statement = NULL;
    int r = database_statement(d, SQL_META_PUT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_int64(statement, 2, value);
    return meta_write(statement, key);
}
