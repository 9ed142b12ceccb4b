#include "store/forget.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/result.h"
#include "store/internal.h"

static bool is_of(sqlite3_stmt *row, const char *consumer, const char *stream)
{
    const char *of_consumer = (const char *)sqlite3_column_text(row, 1);
    const char *of_stream = (const char *)sqlite3_column_text(row, 3);
    return of_consumer && strcmp(of_consumer, consumer) == 0 &&
           (!stream || (of_stream && strcmp(of_stream, stream) == 0));
}

/* In a transaction. */
static int delete_ranges(struct database *d, const char *consumer, const char *stream,
                         unsigned *ret_ranges)
{
    unsigned count = 0;
    int64_t id = 0;
    sqlite3_stmt *row;
    int r = 0;
    while (!r && !(r = database_first(d, SQL_RANGE_LIST, DATABASE_VALUES(id), &row))) {
        id = sqlite3_column_int64(row, 0);
        bool goes = is_of(row, consumer, stream);
        database_done(row);
        count += goes;
        r = goes ? database_run(d, SQL_RANGE_DELETE, DATABASE_VALUES(id)) : 0;
    }
    if (r < 0)
        return result_trace(r);
    *ret_ranges = count;
    return 0;
}

static int forget(struct database *d, const char *consumer, const char *stream,
                  unsigned *ret_ranges)
{
    unsigned count = 0;
    int r = database_exec(d, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                             "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0");
    /* As at a start: appending to a log whose end was torn could tear what was synced. */
    if (!r)
        (void)sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (!r)
        r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r)
        r = delete_ranges(d, consumer, stream, &count);
    if (!r) /* else closing rolls it back */
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (r)
        return result_trace(r);
    *ret_ranges = count;
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
