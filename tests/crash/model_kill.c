#include "model.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "specimen.h"
#include "store/read.h"
#include "store/store.h"

static void copy_file(const struct model *m, const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return;
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(m, out >= 0);
    for (ssize_t n; (n = read(in, buffer, sizeof(buffer))) > 0;)
        CHECK(m, write(out, buffer, (size_t)n) == n);
    close(in);
    close(out);
}

/* As persisted; where a drop has passed one by, where the stream begins. */
static void look_at_cursors(struct model *m, const char *path, const uint64_t first[STREAMS],
                            uint64_t cursor[STREAMS][CONSUMERS])
{
    sqlite3 *db;
    sqlite3_stmt *row;
    CHECK(m, sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(m, sqlite3_prepare_v2(
                 db,
                 "SELECT \"range\".next_offset FROM \"range\" JOIN stream ON stream.id = stream"
                 " WHERE name = ?1 AND consumer = ?2",
                 -1, &row, NULL) == SQLITE_OK);
    for (unsigned i = 0; i < STREAMS; i++) {
        for (unsigned c = 0; c < CONSUMERS; c++) {
            sqlite3_bind_text(row, 1, model_streams[i], -1, SQLITE_STATIC);
            sqlite3_bind_text(row, 2, model_consumers[c], -1, SQLITE_STATIC);
            bool found = sqlite3_step(row) == SQLITE_ROW;
            cursor[i][c] = found ? latest((uint64_t)sqlite3_column_int64(row, 0), first[i]) : 0;
            sqlite3_reset(row);
        }
    }
    sqlite3_finalize(row);
    CHECK(m, sqlite3_close(db) == SQLITE_OK);
}

/* A commit whose sync failed is not acknowledged, but its frames are in the log: whoever reads the
 * log afresh may find it whole. */
static void follow_tried(struct model *m)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader;
    char path[340];
    uint64_t next[STREAMS] = {0}, first[STREAMS] = {0}, cursor[STREAMS][CONSUMERS];
    snprintf(path, sizeof(path), "%s/%s", m->directory, STORE_FILE_NAME);
    CHECK(m, store_reader_open(path, &error, &reader) == 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info info;
        if (!store_read_stream(reader, model_streams[i], &info))
            next[i] = info.next_offset, first[i] = info.first_offset;
    }
    look_at_cursors(m, path, first, cursor);
    store_reader_close(reader);
    for (unsigned k = 0; k < m->tried_count; k++) {
        uint64_t then[STREAMS][CONSUMERS];
        memcpy(then, m->tried[k].cursor, sizeof(then));
        for (unsigned c = 0; c < CONSUMERS; c++)
            then[DROPPING][c] = latest(then[DROPPING][c], first[DROPPING]);
        if (memcmp(m->tried[k].next, next, sizeof(next)) || memcmp(then, cursor, sizeof(cursor)))
            continue;
        for (unsigned i = 0; i < STREAMS; i++) {
            m->streams[i].committed = m->streams[i].next = next[i];
            memcpy(m->streams[i].cursor, m->tried[k].cursor[i], sizeof(cursor[i]));
        }
        model_save_cursors(m);
        break;
    }
    m->tried_count = 0;
}

/* As after a kill: goes on with what the files hold at this moment. */
void model_kill(struct model *m)
{
    static const char *const files[] = {"sluice.db", "sluice.db-wal"};
    char directory[sizeof(m->directory)], from[340], to[340];
    snprintf(directory, sizeof(directory), "%s/%u", m->base, ++m->directories);
    CHECK(m, mkdir(directory, 0700) == 0);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(from, sizeof(from), "%s/%s", m->directory, files[i]);
        snprintf(to, sizeof(to), "%s/%s", directory, files[i]);
        copy_file(m, from, to);
    }
    model_close(m);
    specimen_directory_remove(m->directory);
    memcpy(m->directory, directory, sizeof(directory));
    for (unsigned i = 0; i < STREAMS; i++)
        memcpy(m->streams[i].cursor, m->streams[i].cursor_saved, sizeof(m->streams[i].cursor));
    follow_tried(m);
    model_open(m);
    model_follow(m);
    m->inexact = false;
}
