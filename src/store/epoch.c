/*
 * Epochs. An event's id is "<stream>/<offset>" under a source that names the epoch, and no id is
 * given to two events. Offsets only rise while the database goes on from what it was; where it may
 * not have, a new epoch begins, so that offsets given again belong to other ids:
 *
 *   quarantine     the database was damaged and salvaged
 *   unclean        the last run was not power-safe and did not end in order
 *   damaged        where a stream ends had to be guessed
 *   restored       the database is older than the file beside it, or not the file's
 *   cloned         the database was last used on another machine
 *   identity_lost  the file is gone, so nobody can tell whether the database was restored
 *   or what store_epoch_begin() is told
 *
 * Database and file (identity.h) both hold epoch, run, machine and, the database by its streams,
 * the total. The run is a number that rises with every start, every clean end and every epoch.
 *
 * Invariant: the file never knows more than the database on the disk. The database changes first,
 * synced, then the file (with durability "process" it may be written only, but there a power cut is
 * a reason of its own). So a cut between the two leaves a file that is older, which is no reason
 * for anything, and only a database that went back leaves one that is newer. An older file may name
 * the epoch before; which that is the database knows from meta.epoch_filed, the epoch of the file
 * when the database was last written ("": there was no file, so that none is missed).
 *
 * A commit does not touch the file; an hour's events at most are in a database and not in the
 * file's total. A copy of the database taken while the gateway ran and put back after a crash of
 * the same run, within that hour, is therefore not told from the crash alone.
 */
#include "store/epoch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/internal.h"
#include "store/vfs.h"
#include "store/notice.h"
#include "store/store.h"

#define REFRESH_US (INT64_C(3600) * 1000000) /* of the file's total */
#define RETRY_US (INT64_C(60) * 1000000)     /* after the file could not be written */

/* What the database says. */
struct record {
    int64_t run; /* 0: of a version that had no file */
    char machine[IDENTITY_MACHINE_MAX_BYTES];
    char filed[IDENTITY_EPOCH_MAX_BYTES];
};

static uint64_t total(const struct store *store)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < store->stream_count; i++)
        sum += store->streams[i].next_offset;
    return sum;
}

static int record_read(struct store *store, struct record *ret)
{
    struct database *d = &store->database;
    struct record record = {.run = 0, .machine = IDENTITY_UNKNOWN};
    int r = database_meta_get_number(d, "run", &record.run);
    if (r >= 0)
        r = database_meta_get(d, "machine", record.machine, sizeof(record.machine));
    if (r >= 0)
        r = database_meta_get(d, "epoch_filed", record.filed, sizeof(record.filed));
    if (r >= 0)
        r = database_meta_get_number(d, "epochs", &store->epochs);
    if (r < 0)
        return result_trace(r);
    *ret = record;
    return 0;
}

static int record_write(struct store *store)
{
    struct database *d = &store->database;
    int r = database_meta_put_number(d, "run", (int64_t)store->run);
    if (!r)
        r = database_meta_put(d, "machine", store->machine);
    if (!r)
        r = database_meta_put(d, "epoch_filed", store->identity.epoch);
    return result_trace(r);
}

static bool restored(const struct store *store, const struct record *record)
{
    const struct identity *file = &store->identity;
    uint64_t run = (uint64_t)record->run;
    if (file->run > run)
        return true;
    if (strcmp(file->epoch, store->epoch) == 0)
        return file->total > total(store);
    return file->run == run || strcmp(file->epoch, record->filed) != 0;
}

/* Why an id might be given twice; NULL: it cannot. */
static const char *reason_of(const struct store *store, const struct record *record, bool unclean)
{
    if (store->salvaged)
        return "quarantine";
    bool known = strcmp(record->machine, IDENTITY_UNKNOWN) != 0 &&
                 strcmp(store->machine, IDENTITY_UNKNOWN) != 0;
    if (known && strcmp(record->machine, store->machine) != 0)
        return "cloned";
    if (unclean)
        return "unclean";
    if (store->distrust)
        return "damaged";
    if (!store->identity.epoch[0])
        return record->filed[0] ? "identity_lost" : NULL;
    return restored(store, record) ? "restored" : NULL;
}

static int write_row(struct store *store, const struct stream *stream, const char *epoch)
{
    struct database *d = &store->database;
    const int64_t next = (int64_t)stream->next_offset;
    /* Where nothing was stored since the epoch before, that one has no ids to stand for. */
    int r = database_run(d, SQL_EPOCH_REPLACE, DATABASE_VALUES(stream->id, next));
    if (!r)
        r = database_run(d, SQL_EPOCH_TRIM,
                         DATABASE_VALUES(stream->id, (int64_t)stream->first_offset));
    sqlite3_stmt *statement = NULL;
    if (!r)
        r = database_statement(d, SQL_EPOCH_INSERT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_int64(statement, 1, stream->id);
    sqlite3_bind_int64(statement, 2, next);
    sqlite3_bind_text(statement, 3, epoch, -1, SQLITE_STATIC);
    r = database_step(statement);
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

int epoch_write_stream(struct store *store, const struct stream *stream)
{
    return result_trace(write_row(store, stream, store->epoch));
}

/* From the head of every stream on. */
static int begin(struct store *store, const char *epoch)
{
    int r = database_meta_put(&store->database, "epoch", epoch);
    for (unsigned i = 0; !r && i < store->stream_count; i++)
        r = write_row(store, &store->streams[i], epoch);
    return result_trace(r);
}

static int begin_now(struct store *store, const char *reason)
{
    char old[STORE_EPOCH_MAX_BYTES];
    memcpy(old, store->epoch, sizeof(old));
    int r = identity_random(store->epoch, (STORE_EPOCH_MAX_BYTES - 1) / 2);
    if (!r)
        r = begin(store, store->epoch);
    if (r || !reason)
        return result_trace(r);
    log_warn("store", "a new epoch begins: offsets might be given again",
             "reason=%s old_epoch=%s epoch=%s", reason, old, store->epoch);
    r = database_meta_put_number(&store->database, "epochs", ++store->epochs);
    if (!r)
        (void)notice_epoch(store, old, reason); /* says itself when it fails; the epoch begins */
    return result_trace(r);
}

int epoch_open(struct store *store, bool unclean)
{
    struct record record;
    store->identity = (struct identity){.epoch = ""};
    store->epochs = 0;
    int r = identity_read(store->data_dir, &store->identity);
    if (r < 0) /* as good as gone: nobody can tell what it says */
        log_warn("store", "the identity file cannot be read", "path=%s/%s error=\"%s\"",
                 store->data_dir, IDENTITY_FILE_NAME, strerror(-r));
    r = record_read(store, &record);
    if (r)
        return result_trace(r);
    store->run =
        store->identity.run > (uint64_t)record.run ? store->identity.run : (uint64_t)record.run;
    store->run++;
    const char *reason =
        store->first_run && !store->salvaged ? NULL : reason_of(store, &record, unclean);
    if (reason || store->first_run)
        r = begin_now(store, reason);
    for (unsigned i = 0; !r && i < store->stream_count; i++)
        if (store->streams[i].next_offset == 0) /* perhaps made just now */
            r = epoch_write_stream(store, &store->streams[i]);
    return r ? result_trace(r) : result_trace(record_write(store));
}

/* For other threads. */
static void show(struct store *store)
{
    atomic_store_explicit(&store->epoch_number, strtoull(store->epoch, NULL, 16),
                          memory_order_relaxed);
    metric_put(metric_process(), METRIC_STORE_EPOCHS, (uint64_t)store->epochs);
}

/* Never fatal: what the file does not say now it says later, and until then it is older. */
static void file(struct store *store)
{
    struct identity identity = {.run = store->run, .total = total(store)};
    memcpy(identity.epoch, store->epoch, sizeof(identity.epoch));
    memcpy(identity.machine, store->machine, sizeof(identity.machine));
    int r = identity_write(store->data_dir, &identity);
    if (!r)
        store->identity = identity;
    else if (!store->identity_due)
        log_warn("store", "the identity file cannot be written, tried again later",
                 "path=%s/%s error=\"%s\"", store->data_dir, IDENTITY_FILE_NAME, strerror(-r));
    store->identity_due = r != 0;
    store->identity_us = clock_monotonic_us(store->clock);
}

void epoch_opened(struct store *store)
{
    show(store);
    file(store);
}

int store_epoch_begin(struct store *store, const char *reason)
{
    assert(store_is_open(store));
    if (epoch_waiting(store))
        return 0;
    char next[STORE_EPOCH_MAX_BYTES];
    int r = identity_random(next, (STORE_EPOCH_MAX_BYTES - 1) / 2);
    if (r)
        return result_trace(r);
    memcpy(store->epoch_next, next, sizeof(next));
    log_warn("store", "a new epoch begins with the next commit", "reason=%s old_epoch=%s epoch=%s",
             reason, store->epoch, next);
    (void)notice_epoch(store, store->epoch, reason); /* as in begin_now() */
    return 0;
}

bool epoch_waiting(const struct store *store)
{
    return store->epoch_next[0] != '\0';
}

int epoch_commit(struct store *store)
{
    struct database *d = &store->database;
    if (!epoch_waiting(store))
        return 0;
    int r = begin(store, store->epoch_next);
    if (!r)
        r = database_meta_put_number(d, "epochs", store->epochs + 1);
    if (!r)
        r = database_meta_put_number(d, "run", (int64_t)store->run + 1);
    if (!r)
        r = database_meta_put(d, "epoch_filed", store->identity.epoch);
    return result_trace(r);
}

void epoch_committed(struct store *store)
{
    if (!epoch_waiting(store))
        return;
    memcpy(store->epoch, store->epoch_next, sizeof(store->epoch));
    store->epoch_next[0] = '\0';
    store->epochs++;
    store->run++;
    show(store);
    file(store);
}

int epoch_close(struct store *store)
{
    store->run++;
    return result_trace(record_write(store));
}

void epoch_closed(struct store *store)
{
    /* Behind frames that a failed sync may have lost the end is not safe, so it is not filed. */
    if (!vfs_suspect(&store->database))
        file(store);
}

void epoch_maintain(struct store *store)
{
    int64_t since_us = clock_monotonic_us(store->clock) - store->identity_us;
    bool due = since_us >= REFRESH_US && store->identity.total != total(store);
    if (due || (store->identity_due && since_us >= RETRY_US))
        file(store);
}

void store_epoch_now(const struct store *store, char ret[STORE_EPOCH_BYTES])
{
    snprintf(ret, STORE_EPOCH_BYTES, "%016" PRIx64,
             atomic_load_explicit(&store->epoch_number, memory_order_relaxed));
}
