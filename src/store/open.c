/* The life of a store: new, open, reconfigure, free. Opening costs the same whatever is stored: it
 * reads meta, and of each stream the first and the last row. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "pack/codec.h"
#include "store/checkpointer.h"
#include "store/epoch.h"
#include "store/internal.h"

static const char *const durability_texts[] = {
    [STORE_DURABILITY_POWER] = "power", [STORE_DURABILITY_PROCESS] = "process"};

int store_new(const struct store_options *options, struct store **ret)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return result_origin(-ENOMEM);
    store->lock_fd = -1;
    store->config = options->config;
    store->clock = options->clock;
    store->boot_id = options->boot_id;
    store->background = options->background_checkpoints;
    store->cursor_interval_us = options->cursor_interval_us;
    store->packed = (struct bytes)BYTES_INIT(BATCH_CUT_BYTES + (size_t)STORE_RECORD_MAX_BYTES);
    store->committed = (struct bytes)BYTES_INIT(STORE_OPEN_BATCHES_MAX * sizeof(struct segment *));
    /* A cut path must not become another path: store_open() refuses what fills the buffer. */
    snprintf(store->data_dir, sizeof(store->data_dir), "%s", options->data_dir);
    identity_machine(options->machine_id, store->machine);
    store->gateway_id_given = options->gateway_id != NULL;
    snprintf(store->gateway_id, sizeof(store->gateway_id), "%s",
             options->gateway_id ? options->gateway_id : "");
    int n = snprintf(store->path, sizeof(store->path), "%s/%s", options->data_dir, STORE_FILE_NAME);
    if (n < 0 || (size_t)n >= sizeof(store->path) - 16)
        store->path[0] = '\0';
    int r = pack_context_new(&store->pack);
    if (r) {
        free(store);
        return result_trace(r);
    }
    *ret = store;
    return 0;
}

static int open_identity(struct store *store, bool *ret_unclean)
{
    struct database *d = &store->database;
    char durability[16] = "";
    int64_t clean = 1;
    int r = database_meta_get(d, "epoch", store->epoch, sizeof(store->epoch));
    store->first_run = r == DATABASE_NONE;
    if (r >= 0)
        r = database_meta_get(d, "durability", durability, sizeof(durability));
    if (r >= 0)
        r = database_meta_get_number(d, "clean", &clean);
    if (r >= 0)
        r = database_meta_get_number(d, "run_us", &store->run_base_us);
    if (r >= 0 && !store->gateway_id_given)
        r = database_meta_get(d, "gateway_id", store->gateway_id, sizeof(store->gateway_id));
    if (r < 0)
        return result_trace(r);
    if (!store->gateway_id_given && r == DATABASE_NONE) {
        memcpy(store->gateway_id, "gw-", 3);
        r = identity_random(store->gateway_id + 3, 4);
        if (!r)
            r = database_meta_put(d, "gateway_id", store->gateway_id);
        if (r)
            return result_trace(r);
    }
    /* A commit that was only written, not synced, may be lost after it was forwarded. */
    *ret_unclean = !clean && strcmp(durability, durability_texts[STORE_DURABILITY_PROCESS]) == 0;
    return 0;
}

/* Makes the streams of the configuration that are not there yet: the gateway's own or the others.
 */
static int create_streams(struct store *store, bool own)
{
    for (size_t i = 0; i < store->config->streams.count; i++) {
        const char *name = store->config->streams.items[i].name;
        struct stream *ignored;
        int r = (name[0] == '$') == own ? stream_create(store, name, &ignored) : 0;
        if (r)
            return r == STORE_STREAM_LIMIT ? result_origin(-ENOSPC) : result_trace(r);
    }
    return 0;
}

/* Everything that opening reads and writes, in one transaction. */
static int open_transaction(struct store *store)
{
    struct database *d = &store->database;
    bool unclean = false;
    char old_epoch[STORE_EPOCH_MAX_BYTES];
    int r = quarantine_untold(store);
    if (!r)
        r = open_identity(store, &unclean);
    memcpy(old_epoch, store->epoch, sizeof(old_epoch));
    if (!r)
        r = stream_load_all(store);
    if (!r)
        r = boot_open(store);
    /* The gateway's own first, so that their rows lie before those of the busy streams: SQLite
     * appends to the right edge of a tree at half the price of its middle. */
    if (!r)
        r = create_streams(store, true);
    if (!r)
        r = create_streams(store, false);
    if (!r)
        r = cursor_load_all(store);
    if (!r)
        r = epoch_open(store, unclean);
    if (!r)
        r = account_load(store);
    if (!r)
        r = database_meta_put(d, "durability", durability_texts[store->config->commit.durability]);
    if (!r)
        r = database_meta_put_number(d, "clean", 0);
    if (!r && store->salvaged)
        r = quarantine_tell(store, old_epoch);
    if (!r)
        r = commit_write(store); /* what opening has to tell */
    return result_trace(r);
}

/* In the transaction of the opening, so that a power cut leaves the old format or the new one. */
static int migrate(struct store *store, int64_t format)
{
    if (format < 1)
        return result_origin(-EBADMSG);
    for (; format < STORE_FORMAT; format++) {
        log_info("store", "the database is brought to the format of this version",
                 "path=%s from=%d to=%d", store->path, (int)format, (int)format + 1);
        int r = database_exec(&store->database, sql_migrations[format]);
        if (r)
            return result_trace(r);
    }
    return 0;
}

static int open_database(struct store *store)
{
    struct database *d = &store->database;
    int r = database_open(d, store->path, SQLITE_OPEN_READWRITE);
    if (r)
        return result_trace(r);
    int64_t format = 0;
    r = database_number(d, SQL_USER_VERSION, &format);
    if (!r && format > STORE_FORMAT)
        return STORE_NEWER;
    /* FULL also where durability is "process": that this run began must outlast a power cut, or
     * the next start could not know that it has to begin an epoch. */
    if (!r)
        r = database_exec(d, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; "
                             "PRAGMA secure_delete=OFF; PRAGMA wal_autocheckpoint=0");
    if (r)
        return result_trace(r);
    checkpoint_init(store);
    r = checkpoint_mend(store); /* of an attempt to open it before */
    if (r)
        return result_trace(r);
    /* A power cut may have torn the padding behind the last commit, so that recovery ended inside a
     * sector that was synced; appending there, a second cut could tear what is acknowledged. With
     * the log copied, the next transaction starts it over. On a disk too full for that the risk is
     * taken: starting lets the backlog drain. */
    int code = sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK)
        log_warn("store", "no checkpoint at start", "path=%s code=%d", store->path, code);
    store->opened_us = clock_monotonic_us(store->clock);
    store->absent_due_us = 0;
    r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r)
        r = migrate(store, format);
    if (!r)
        r = open_transaction(store);
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (!r)
        commit_finish(store);
    if (!r)
        epoch_opened(store);
    if (!r && store->config->commit.durability == STORE_DURABILITY_PROCESS) {
        r = database_exec(d, "PRAGMA synchronous=NORMAL");
        log_warn("store", "durability is \"process\": a power cut may take acknowledged events",
                 "path=%s", store->path);
    }
    return result_trace(r);
}

/* Back to what store_new() left, but for the lock if keep_lock. */
static void store_close(struct store *store, bool keep_lock)
{
    stream_open_reset(store);
    commit_drop_segments(store);
    store->checkpointer = checkpointer_free(store->checkpointer);
    database_close(&store->database);
    store->stream_count = store->cursor_count = 0;
    store->moved_acknowledged = 0;
    store->epoch_next[0] = '\0';
    store->failing = store->needs_salvage = false;
    if (!keep_lock && store->lock_fd >= 0)
        close(take_fd(store->lock_fd));
}

/* The file as it is. 0, an outcome of store_open(), -errno. */
static int open_file(struct store *store, struct error *error)
{
    int r = file_identify(store->path, error);
    if (r == -ENOENT)
        r = file_create(store->path, error);
    if (!r) {
        r = open_database(store);
        if (r == STORE_NEWER) {
            error_where(error, "%s", store->path);
            error_what(error, "was written by a newer version of sluice");
            error_mend(error, "run the newer version, or choose another gateway.data_dir");
        } else if (r) {
            r = file_failure(r, store->path, error);
        }
    }
    return r;
}

/* With what is damaged set aside and salvaged; once, so that there is no circle. */
static int open_sound(struct store *store, struct error *error)
{
    struct quarantine *q = &store->quarantine;
    q->data_dir = store->data_dir;
    int r = quarantine_finish(q, error);
    if (r < 0)
        return result_trace(r);
    bool requested = quarantine_requested(store->data_dir);
    if (requested) { /* of what is ours, whatever has come in its place since */
        r = file_identify(store->path, error);
        r = r == STORE_FOREIGN || r == STORE_NEWER ? r : STORE_DAMAGED;
    } else {
        r = open_file(store, error);
    }
    if (r != STORE_DAMAGED)
        return r;
    if (!requested)
        log_error("store", "the database is damaged", "where=\"%s\" what=\"%s\"",
                  error ? error->where : store->path, error ? error->what : "");
    store_close(store, true);
    r = quarantine_begin(q, error);
    if (!r)
        r = quarantine_finish(q, error);
    return r ? result_trace(r < 0 ? r : -EIO) : open_file(store, error);
}

int store_open(struct store *store, struct error *error)
{
    assert(!store_is_open(store));
    if (!store->path[0])
        return file_failure(-ENAMETOOLONG, store->data_dir, error);
    int r = file_lock(store, error);
    if (!r)
        r = open_sound(store, error);
    if (r) {
        /* A full disk is tried again by us and by nobody else meanwhile. */
        store_close(store, r < 0);
        return r;
    }
    /* Without one the writer does its work. */
    if (store->background && (r = checkpointer_new(store->path, &store->checkpointer)))
        log_warn("store", "no checkpointer: commits wait for checkpoints", "error=\"%s\"",
                 strerror(-r));
    store->vacuum = true;
    checkpoint_measure(store);
    account_update(store);
    for (unsigned i = 0; i < store->stream_count; i++)
        stream_show(&store->streams[i]);
    return 0;
}

bool store_is_open(const struct store *store)
{
    return store->database.db != NULL;
}

static int mark_clean(struct store *store)
{
    struct database *d = &store->database;
    account_update(store);
    int r = retention_restore_sync(store);
    if (!r)
        r = database_run(d, SQL_BEGIN, 0, NULL);
    if (!r)
        r = database_meta_put_number(d, "run_us", retention_run_us(store));
    if (!r)
        r = account_save(store);
    if (!r)
        r = database_meta_put_number(d, "clean", 1);
    if (!r && store->cursors_lost)
        r = database_meta_put_number(d, "cursors_lost", 0);
    if (!r)
        r = epoch_close(store);
    if (!r)
        r = database_run(d, SQL_COMMIT, 0, NULL);
    if (!r)
        epoch_closed(store);
    return result_trace(r);
}

struct store *store_free(struct store *store)
{
    if (!store)
        return NULL;
    if (store_is_open(store)) {
        int r = checkpoint_mend(store);
        /* What is open goes, and with it perhaps the dead letter of what a cursor passed: then what
         * was sent is rather sent again. */
        if (!r && !store->open_events)
            r = commit_cursors(store);
        if (!r)
            r = mark_clean(store);
        if (r)
            log_warn("store", "the end of this run could not be recorded", "path=%s error=%s",
                     store->path, strerror(-r));
    }
    store_close(store, false);
    pack_context_free(store->pack);
    bytes_deinit(&store->packed);
    bytes_deinit(&store->committed);
    free(store);
    return NULL;
}

const char *store_path(const struct store *store)
{
    return store->path;
}

const char *store_gateway_id(const struct store *store)
{
    return store->gateway_id;
}

uint64_t store_disk_max_bytes(const struct store *store)
{
    return (uint64_t)store->config->disk.max_bytes;
}

const char *store_epoch(const struct store *store)
{
    return store->epoch;
}

void store_reconfigure(struct store *store, const struct store_config *config)
{
    store->config = config;
    for (unsigned i = 0; i < store->stream_count; i++) {
        store->streams[i].config = store_config_stream(config, store->streams[i].name);
        store->streams[i].sent_known = false;
        store->streams[i].age_due_us = 0;
    }
}
