/*
 * A draft is written without syncs and without a journal on disk: it counts for nothing until it is
 * synced as a whole and renamed, and what was interrupted begins anew from the damaged files, which
 * nobody writes to.
 */
#include "store/draft.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/result.h"
#include "pack/codec.h"
#include "store/salvage.h"

int draft_open(struct draft *draft, const char *path, struct salvage_report *report)
{
    *draft = (struct draft){.report = report};
    draft->unpacked = (struct bytes)BYTES_INIT(BATCH_CUT_BYTES + (size_t)STORE_RECORD_MAX_BYTES);
    draft->packed = (struct bytes)BYTES_INIT(BATCH_CUT_BYTES + (size_t)STORE_RECORD_MAX_BYTES);
    int r = unlink(path) && errno != ENOENT ? result_origin(-errno) : 0;
    if (!r)
        r = file_schema(path);
    if (!r)
        r = pack_context_new(&draft->pack);
    if (!r)
        r = database_open(&draft->database, path, SQLITE_OPEN_READWRITE);
    if (!r)
        r = database_exec(&draft->database, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; "
                                            "PRAGMA secure_delete=OFF");
    if (!r)
        r = database_run(&draft->database, SQL_BEGIN, 0, NULL);
    if (r)
        draft_close(draft);
    return result_trace(r);
}

void draft_close(struct draft *draft)
{
    database_close(&draft->database);
    pack_context_free(draft->pack);
    draft->pack = NULL;
    bytes_deinit(&draft->unpacked);
    bytes_deinit(&draft->packed);
}

int draft_commit(struct draft *draft)
{
    draft->pending_bytes = 0;
    int r = database_run(&draft->database, SQL_COMMIT, 0, NULL);
    if (!r)
        r = database_run(&draft->database, SQL_BEGIN, 0, NULL);
    return result_trace(r);
}

int draft_wrote(struct draft *draft, uint64_t bytes)
{
    draft->pending_bytes += bytes;
    return draft->pending_bytes < DRAFT_COMMIT_BYTES ? 0 : result_trace(draft_commit(draft));
}

/* A value to be bound. */
struct value {
    struct slice text; /* .data NULL: number, or NULL if absent */
    int64_t number;
    bool absent;
};

static int put(struct draft *draft, enum sql_statement which, unsigned count,
               const struct value *values)
{
    sqlite3_stmt *statement;
    uint64_t bytes = BATCH_ROW_BYTES;
    int r = database_statement(&draft->database, which, &statement);
    if (r)
        return result_trace(r);
    for (unsigned i = 0; i < count; i++) {
        const struct value *v = &values[i];
        int at = (int)i + 1;
        bytes += v->text.len;
        if (v->absent)
            sqlite3_bind_null(statement, at);
        else if (v->text.data)
            sqlite3_bind_text64(statement, at, (const char *)v->text.data, v->text.len,
                                SQLITE_STATIC, SQLITE_UTF8);
        else
            sqlite3_bind_int64(statement, at, v->number);
    }
    r = database_step(statement);
    return r < 0 ? result_trace(r) : draft_wrote(draft, bytes);
}

#define PUT(draft, which, ...)                                                                     \
    put((draft), (which), sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value),      \
        (const struct value[]){__VA_ARGS__})
#define NUMBER(n)                                                                                  \
    {                                                                                              \
        .number = (int64_t)(n)                                                                     \
    }
#define TEXT(s)                                                                                    \
    {                                                                                              \
        .text = (s)                                                                                \
    }
#define MAYBE(known, n)                                                                            \
    {                                                                                              \
        .number = (int64_t)(n), .absent = !(known)                                                 \
    }

int draft_put_batch(struct draft *draft, const struct batch_row *row, uint32_t crc,
                    struct slice data)
{
    sqlite3_stmt *statement;
    int r = database_statement(&draft->database, SQL_SALVAGE_BATCH, &statement);
    if (r)
        return result_trace(r);
    const int64_t columns[] = {row->key,       row->n,          row->t_min_us,
                               row->t_max_us,  row->codec,      row->raw_bytes,
                               row->end_bytes, row->end_stored, crc};
    int count = (int)(sizeof(columns) / sizeof(columns[0]));
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, columns[i]);
    sqlite3_bind_blob64(statement, count + 1, data.data ? data.data : (const void *)"", data.len,
                        SQLITE_STATIC);
    r = database_step(statement);
    return r < 0 ? result_trace(r) : draft_wrote(draft, data.len + BATCH_ROW_BYTES);
}

int draft_put_meta(struct draft *draft, const char *key, const char *text)
{
    return PUT(draft, SQL_SALVAGE_META, TEXT(slice_string(key)), TEXT(slice_string(text)));
}

static void note_name(struct draft *draft, uint32_t id, struct slice name)
{
    for (unsigned i = 0; i < draft->name_count; i++)
        if (draft->names[i].id == id)
            return;
    if (draft->name_count == STORE_STREAMS_MAX || name.len >= STORE_STREAM_NAME_MAX_BYTES)
        return;
    struct draft_name *n = &draft->names[draft->name_count++];
    *n = (struct draft_name){.id = id};
    memcpy(n->name, name.data, name.len);
}

/* What an earlier salvage left to be told is found anew. */
static bool is_pending(struct slice key)
{
    static const char damaged[] = "damaged:";
    return slice_equal_string(key, DRAFT_SALVAGED_KEY) ||
           (key.len > strlen(damaged) && memcmp(key.data, damaged, strlen(damaged)) == 0);
}

static int put_meta(struct draft *draft, const struct row *row)
{
    if (is_pending(row->meta.key))
        return 0;
    if (row->meta.numeric)
        return PUT(draft, SQL_SALVAGE_META, TEXT(row->meta.key), NUMBER(row->meta.number));
    if (!row->meta.text.len)
        return 0;
    return PUT(draft, SQL_SALVAGE_META, TEXT(row->meta.key), TEXT(row->meta.text));
}

int draft_put(struct draft *draft, const struct row *row)
{
    switch (row->kind) {
    case ROW_NONE:
        return 0;
    case ROW_BATCH_DAMAGED:
        draft->report->batches_damaged++;
        return 0;
    case ROW_BATCH:
        return draft_put_batch(draft, &row->batch.columns, row->batch.crc, row->batch.data);
    case ROW_NAME:
        note_name(draft, row->stream.id, row->stream.name);
        return 0;
    case ROW_STREAM:
        return PUT(draft, SQL_SALVAGE_STREAM, NUMBER(row->stream.id), TEXT(row->stream.name),
                   NUMBER(row->stream.next_offset), NUMBER(row->stream.end_bytes),
                   NUMBER(row->stream.end_stored));
    case ROW_RANGE:
        return PUT(draft, SQL_SALVAGE_RANGE, NUMBER(row->range.id), TEXT(row->range.consumer),
                   NUMBER(row->range.stream), TEXT(row->range.lane), NUMBER(row->range.next_offset),
                   MAYBE(row->range.end_offset != UINT64_MAX, row->range.end_offset),
                   {.text = row->range.attributes, .absent = !row->range.attributes.data});
    case ROW_EPOCH:
        return PUT(draft, SQL_SALVAGE_EPOCH, NUMBER(row->epoch.stream),
                   NUMBER(row->epoch.first_offset), TEXT(row->epoch.epoch));
    case ROW_BOOT:
        return PUT(draft, SQL_SALVAGE_BOOT, NUMBER(row->boot.key), TEXT(row->boot.id),
                   MAYBE(row->boot.base_known, row->boot.base_us),
                   MAYBE(row->boot.correction_known, row->boot.correction_us));
    case ROW_MARK:
        return PUT(draft, SQL_SALVAGE_MARK, NUMBER(row->mark.key), NUMBER(row->mark.run_us));
    case ROW_META:
        return put_meta(draft, row);
    }
    return 0;
}
