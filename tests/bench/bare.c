#include "bare.h"

#include "input.h"

static void check(struct bare *bare, int code)
{
    if (code != SQLITE_OK && code != SQLITE_DONE)
        fail("bare SQLite", sqlite3_errmsg(bare->db));
}

static int on_commit(void *data, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct bare *)data)->log_pages = pages;
    return SQLITE_OK;
}

void bare_exec(struct bare *bare, const char *sql)
{
    check(bare, sqlite3_exec(bare->db, sql, NULL, NULL, NULL));
}

sqlite3_stmt *bare_prepare(struct bare *bare, const char *sql)
{
    sqlite3_stmt *statement;
    check(bare, sqlite3_prepare_v2(bare->db, sql, -1, &statement, NULL));
    return statement;
}

void bare_open(struct bare *bare, const char *path)
{
    *bare = (struct bare){.db = NULL};
    check(bare,
          sqlite3_open_v2(path, &bare->db,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    bare_exec(bare,
              "PRAGMA page_size=1024; PRAGMA auto_vacuum=INCREMENTAL;"
              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF;"
              "PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0; PRAGMA cache_size=-256;"
              "CREATE TABLE IF NOT EXISTS batch(key INTEGER PRIMARY KEY, data BLOB NOT NULL)");
    sqlite3_wal_hook(bare->db, on_commit, bare);
}

void bare_close(struct bare *bare)
{
    sqlite3_finalize(bare->insert);
    sqlite3_close(bare->db);
}

void bare_append(struct bare *bare, int64_t key, struct slice data)
{
    if (!bare->insert)
        bare->insert = bare_prepare(bare, "INSERT INTO batch(key, data) VALUES(?1, ?2)");
    sqlite3_bind_int64(bare->insert, 1, key);
    sqlite3_bind_blob64(bare->insert, 2, data.data, data.len, SQLITE_STATIC);
    check(bare, sqlite3_step(bare->insert));
    sqlite3_reset(bare->insert);
}

void bare_checkpoint(struct bare *bare)
{
    if (bare->log_pages < BARE_CHECKPOINT_PAGES)
        return;
    check(bare, sqlite3_wal_checkpoint_v2(bare->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
    bare->log_pages = 0;
}
