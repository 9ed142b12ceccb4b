#include "store/forget.h"

#include <errno.h>

#include "base/error.h"
#include "base/result.h"
#include "store/internal.h"

static int forget(struct database *d, const char *consumer, const char *stream,
                  unsigned *ret_ranges)
{
    int r = database_exec(d, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                             "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0");
    /* As at a start: appending to a log whose end was torn could tear what was synced. */
    if (!r)
        (void)sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    sqlite3_stmt *statement;
    if (!r)
        r = database_statement(d, SQL_RANGE_FORGET, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_text(statement, 1, consumer, -1, SQLITE_STATIC);
    if (stream)
        sqlite3_bind_text(statement, 2, stream, -1, SQLITE_STATIC);
    r = database_step(statement);
    if (r < 0)
        return result_trace(r);
    *ret_ranges = (unsigned)sqlite3_changes(d->db);
    return 0;
}

int store_forget(const char *path, const char *consumer, const char *stream, struct error *error,
                 unsigned *ret_ranges)
{
    int r = file_identify(path, error);
    if (r == -ENOENT)
        return file_failure(result_origin(r), path, error);
    if (r)
        return r;
    struct database d = {.db = NULL};
    r = database_open(&d, path, SQLITE_OPEN_READWRITE);
    if (!r)
        r = forget(&d, consumer, stream, ret_ranges);
    database_close(&d);
    return r ? file_failure(r, path, error) : 0;
}
