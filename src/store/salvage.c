/*
 * Salvage: all pages of the damaged database in their order, all records of each, all rows that are
 * recognised, into a draft. Needs no tree to be whole: a page that is lost takes only its own rows.
 */
#include "store/salvage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "store/draft.h"
#include "store/internal.h"
#include "store/pages.h"
#include "store/quarantine.h"
#include "store/record.h"
#include "store/rows.h"

enum { RECOGNISE_PAGES = 4096 };

/* What salvage reads. */
struct source {
    struct pages *pages;
    struct bytes scratch;
};

static int source_open(struct source *source, int database_fd, int log_fd)
{
    source->scratch = (struct bytes)BYTES_INIT(BATCH_CUT_BYTES + (size_t)STORE_RECORD_MAX_BYTES);
    source->pages = NULL;
    return pages_open(database_fd, log_fd, &source->pages);
}

static void source_close(struct source *source)
{
    source->pages = pages_close(source->pages);
    bytes_deinit(&source->scratch);
}

static int copy_page(struct source *source, uint32_t number, struct draft *draft)
{
    struct record_iterator it;
    struct record record;
    int r;
    record_iterator_init(&it, source->pages, number, &source->scratch);
    if (!it.cells || pages_unused(source->pages, number))
        return 0;
    while ((r = record_next(&it, row_possible, &record)) != RECORD_END) {
        struct row row = {.kind = ROW_NONE};
        if (r < 0)
            return result_trace(r);
        if (r == RECORD_BROKEN && row_was_batch(&record))
            row.kind = ROW_BATCH_DAMAGED;
        else if (!r)
            row_recognise(&record, &row);
        r = draft_put(draft, &row);
        if (r)
            return result_trace(r);
    }
    return 0;
}

static int copy_pages(int database_fd, int log_fd, struct draft *draft)
{
    struct source source;
    int r = source_open(&source, database_fd, log_fd);
    for (uint32_t i = 1; !r && i <= pages_count(source.pages); i++)
        r = copy_page(&source, i, draft);
    source_close(&source);
    return result_trace(r);
}

/* The draft becomes a database as the store makes them, on disk. */
static int complete(struct draft *draft, const char *label)
{
    struct database *d = &draft->database;
    int r = draft_resolve(draft);
    if (!r)
        r = draft_put_meta(draft, DRAFT_SALVAGED_KEY, label);
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (!r)
        r = database_exec(d, "PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL");
    return result_trace(r);
}

static int sync_path(const char *path)
{
    CLEANUP_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? result_origin(-errno) : 0;
}

int salvage_copy(const char *directory, const char *path, const char *label,
                 struct salvage_report *ret)
{
    char name[STORE_PATH_MAX_BYTES + 64];
    snprintf(name, sizeof(name), "%s/" STORE_FILE_NAME, directory);
    CLEANUP_CLOSE int database_fd = open(name, O_RDONLY | O_CLOEXEC);
    snprintf(name, sizeof(name), "%s/" STORE_FILE_NAME "-wal", directory);
    CLEANUP_CLOSE int log_fd = open(name, O_RDONLY | O_CLOEXEC);
    struct salvage_report report = {.streams = 0};
    struct draft draft;
    int r = draft_open(&draft, path, &report);
    if (!r) {
        r = copy_pages(database_fd, log_fd, &draft);
        if (!r)
            r = complete(&draft, label);
        draft_close(&draft);
    }
    if (!r)
        r = sync_path(path);
    if (r) {
        unlink(path);
        return result_trace(r);
    }
    *ret = report;
    return 0;
}

bool salvage_recognises(int database_fd, int log_fd)
{
    struct source source;
    bool found = false;
    int r = source_open(&source, database_fd, log_fd);
    for (uint32_t i = 1; !r && !found && i <= pages_count(source.pages) && i <= RECOGNISE_PAGES;
         i++) {
        struct record_iterator it;
        struct record record;
        record_iterator_init(&it, source.pages, i, &source.scratch);
        while (!found && (r = record_next(&it, row_was_batch, &record)) != RECORD_END && r >= 0) {
            struct row row = {.kind = ROW_NONE};
            if (!r)
                row_recognise(&record, &row);
            found = row.kind == ROW_BATCH;
        }
        r = r < 0 ? r : 0;
    }
    source_close(&source);
    return found;
}

int salvage_lock(const char *data_dir, char ret_path[SALVAGE_PATH_MAX_BYTES], struct error *error,
                 int *ret)
{
    static_assert((int)SALVAGE_PATH_MAX_BYTES == (int)STORE_PATH_MAX_BYTES, "one is the other");
    int n = snprintf(ret_path, SALVAGE_PATH_MAX_BYTES, "%s/" STORE_FILE_NAME, data_dir);
    if (n < 0 || n >= SALVAGE_PATH_MAX_BYTES - QUARANTINE_NAME_MAX_BYTES)
        return file_failure(result_origin(-ENAMETOOLONG), data_dir, error);
    return file_lock_directory(data_dir, error, ret);
}

int salvage_run(const char *data_dir, bool force, struct error *error, struct salvage_report *ret)
{
    struct quarantine quarantine = {.data_dir = data_dir};
    char path[STORE_PATH_MAX_BYTES]; /* which fits: salvage_lock() saw to it */
    snprintf(path, sizeof(path), "%s/" STORE_FILE_NAME, data_dir);
    int r = quarantine_finish(&quarantine, error);
    if (r == QUARANTINE_NONE) {
        r = file_identify(path, error);
        if (r == -ENOENT || (!r && !force && !quarantine_requested(data_dir)))
            return SALVAGE_NOTHING;
        if (r && r != STORE_DAMAGED)
            return r > 0 ? SALVAGE_REFUSED : result_trace(r);
        r = quarantine_begin(&quarantine, error);
        if (!r)
            r = quarantine_finish(&quarantine, error);
    }
    if (r)
        return r > 0 ? result_origin(-EIO) : result_trace(r);
    *ret = quarantine.report;
    return 0;
}
