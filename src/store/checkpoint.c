/*
 * The write-ahead log and its size. SQLite's own checkpointing is off: it would strike in the
 * middle of a commit. Ours runs between commits; a passive one copies what it can without waiting
 * for readers, after which the next commit starts the log over in place, so that the file keeps its
 * size and appending to it does not grow it each time.
 *
 * Where there is a checkpointer (the daemon has one) it copies and syncs beside the commits. While
 * it does, more is committed; when that tail is short the writer copies it itself and the log can
 * start over:
 *
 *   due --request--> under way --answer--> tail short: finished here
 *                        |                 tail long: due again some pages later
 *                        '-- the wait mark reached: waited for and finished here, so that
 *                            the log stays bounded also where events come faster than the disk
 */
#include "store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/checkpointer.h"
#include "store/vfs.h"

/* Shares of disk.wal_max_bytes. */
enum {
    DUE_SHARE = 4,    /* a checkpoint is due */
    WAIT_SHARE = 2,   /* while the checkpointer works: the writer waits for it */
    RETRY_SHARE = 16, /* a reader stood in the way: again after so many more */
    TAIL_SHARE = 32,  /* what the writer copies itself */
    MEASURE_INTERVAL_US = 1000000
};

static int log_pages(const struct store *store, int share)
{
    return (int)(store->config->disk.wal_max_bytes / share / STORE_WAL_FRAME_BYTES);
}

/* Called by SQLite after each commit with the frames now in the log. */
static int on_commit(void *data, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((struct store *)data)->wal_pages = pages;
    return SQLITE_OK;
}

void checkpoint_init(struct store *store)
{
    store->wal_pages = 0;
    store->checkpoint_pages = log_pages(store, DUE_SHARE);
    store->measured_us = INT64_MIN;
    sqlite3_wal_hook(store->database.db, on_commit, store);
}

static bool checkpoint_due(const struct store *store)
{
    return store->wal_pages >= store->checkpoint_pages;
}

int checkpoint_run(struct store *store)
{
    /* Truncating waits for readers (up to the busy timeout), so only when nothing else helped. */
    int mode = store->wal_pages >= 3 * log_pages(store, 1) / 4 ? SQLITE_CHECKPOINT_TRUNCATE
                                                               : SQLITE_CHECKPOINT_PASSIVE;
    int in_log = -1, copied = -1;
    int code = sqlite3_wal_checkpoint_v2(store->database.db, NULL, mode, &in_log, &copied);
    bool whole = code == SQLITE_OK && in_log == copied;
    store->checkpoint_pages =
        whole ? log_pages(store, DUE_SHARE) : store->wal_pages + log_pages(store, RETRY_SHARE);
    if (whole)
        store->wal_pages = 0;
    if (code == SQLITE_OK)
        metric_add(metric_process(), METRIC_CHECKPOINTS, 1);
    if (code == SQLITE_OK || code == SQLITE_BUSY)
        return 0;
    return result_origin(database_result(store->database.db, code));
}

/* What the checkpointer did is taken up: the log is done with, or is due later, or (true) the
 * writer has to finish. */
static bool take_answer(struct store *store, const struct checkpointer_answer *answer)
{
    if (answer->result)
        return true; /* the writer meets the same and tells */
    metric_add(metric_process(), METRIC_CHECKPOINTS, 1);
    int tail = store->wal_pages - answer->copied;
    if (tail <= 0) {
        store->wal_pages = 0;
        store->checkpoint_pages = log_pages(store, DUE_SHARE);
        return false;
    }
    if (tail <= log_pages(store, TAIL_SHARE) || store->wal_pages >= log_pages(store, WAIT_SHARE))
        return true;
    store->checkpoint_pages = store->wal_pages + log_pages(store, RETRY_SHARE);
    return false;
}

int checkpoint_step(struct store *store, bool *ret_more)
{
    struct checkpointer *c = store->checkpointer;
    struct checkpointer_answer answer;
    *ret_more = false;
    if (c && checkpointer_busy(c)) {
        if (checkpointer_take(c, store->wal_pages >= log_pages(store, WAIT_SHARE), &answer) &&
            take_answer(store, &answer))
            return result_trace(checkpoint_run(store));
        return 0;
    }
    if (!checkpoint_due(store))
        return 0;
    if (c && store->wal_pages < log_pages(store, WAIT_SHARE)) {
        checkpointer_request(c);
        return 0;
    }
    *ret_more = true;
    return result_trace(checkpoint_run(store));
}

int checkpoint_mend(struct store *store)
{
    if (!vfs_suspect(&store->database))
        return 0;
    struct checkpointer_answer answer;
    if (store->checkpointer && checkpointer_take(store->checkpointer, true, &answer))
        (void)take_answer(store, &answer); /* what it asks of the writer is due all the same */
    int r = vfs_rewrite_log(&store->database);
    if (!r)
        log_warn("store", "what a failed sync may have lost was written again", "path=%s",
                 store->path);
    return result_trace(r);
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
    char name[STORE_PATH_MAX_BYTES + 8];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    struct stat st;
    return stat(name, &st) ? 0 : (uint64_t)st.st_size;
}

void checkpoint_measure(struct store *store)
{
    int64_t now_us = clock_monotonic_us(store->clock);
    if (store->measured_us != INT64_MIN && now_us - store->measured_us < MEASURE_INTERVAL_US)
        return;
    store->measured_us = now_us;
    metric_put(metric_process(), METRIC_STORE_DATABASE_BYTES, file_bytes(store->path, ""));
    metric_put(metric_process(), METRIC_STORE_WAL_BYTES, file_bytes(store->path, "-wal"));
    metric_put(metric_process(), METRIC_STORE_SHM_BYTES, file_bytes(store->path, "-shm"));
}
