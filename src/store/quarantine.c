/*
 * Database, log and shared memory go aside together: the log holds acknowledged events, and no log
 * may ever be replayed onto another database. Each step may be the last before a power cut:
 *
 *   1. mkdir quarantine-<n>; the three files are renamed into it, the database first (a database
 *      without its log would open and look sound; a log without its database does not). Then both
 *      directories are synced and the file "moved" is made: from here on what stands in the data
 *      directory under the old names is new.
 *   2. the new database is made under a draft's name and synced,
 *   3. renamed,
 *   4. the file "salvaged" is made.
 *
 * A quarantine without "salvaged" is gone on with at the next start: without "moved" at 1, else at
 * 2, or at 4 if the database is there. Until then nothing is opened or made in the data directory.
 */
#include "store/quarantine.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "store/draft.h"
#include "store/internal.h"
#include "store/notice.h"
#include "store/range.h"
#include "store/vfs.h"

#define MARK_MOVED "moved"
#define MARK_SALVAGED "salvaged"
#define MARK_REQUEST STORE_FILE_NAME "-damaged" /* in the data directory */
#define CURSORS_LOST_KEY "cursors_lost"

enum {
    QUARANTINES_MAX = 64,
    ROOM_MORE_BYTES = 1024 * 1024, /* that much more than what did not suffice */
    PATH_BYTES = STORE_PATH_MAX_BYTES + QUARANTINE_NAME_MAX_BYTES, /* of a quarantine */
    FILE_BYTES = PATH_BYTES + QUARANTINE_NAME_MAX_BYTES            /* of what is in it */
};

static const char *const names[] = {STORE_FILE_NAME, STORE_FILE_NAME "-wal",
                                    STORE_FILE_NAME "-shm"};

static void path_of(const char *directory, const char *name, char path[FILE_BYTES])
{
    int n = snprintf(path, FILE_BYTES, "%s/%s", directory, name);
    assert(n > 0 && n < FILE_BYTES); /* the store's path has room for this */
    (void)n;
}

static bool exists(const char *directory, const char *name)
{
    char path[FILE_BYTES];
    struct stat st;
    path_of(directory, name, path);
    return stat(path, &st) == 0;
}

/* 0: it is there; -ENOENT; another -errno: nobody can tell, so nothing may be made of it. */
static int look_for(const char *directory, const char *name)
{
    char path[FILE_BYTES];
    struct stat st;
    path_of(directory, name, path);
    if (stat(path, &st) == 0)
        return 0;
    return errno == ENOENT ? -ENOENT : result_origin(-errno);
}

static int make_mark(const char *directory, const char *name)
{
    char path[FILE_BYTES];
    path_of(directory, name, path);
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fsync(fd))
        return result_origin(-errno);
    return result_trace(file_sync_directory(directory));
}

static int remove_file(const char *directory, const char *name)
{
    char path[FILE_BYTES];
    path_of(directory, name, path);
    return unlink(path) && errno != ENOENT ? result_origin(-errno) : 0;
}

static void name_of(const char *data_dir, unsigned n, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/quarantine-%u", data_dir, n);
}

static int ascending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

/* The numbers of the quarantines there are, ascending. 0, -errno. */
static int list(const char *data_dir, unsigned numbers[QUARANTINES_MAX], unsigned *ret_count)
{
    unsigned count = 0;
    DIR *dir = opendir(data_dir);
    if (!dir)
        return result_origin(-errno);
    for (struct dirent *e; count < QUARANTINES_MAX && (e = readdir(dir));) {
        unsigned n;
        char rest;
        if (sscanf(e->d_name, "quarantine-%9u%c", &n, &rest) == 1 && n)
            numbers[count++] = n;
    }
    closedir(dir);
    qsort(numbers, count, sizeof(*numbers), ascending);
    *ret_count = count;
    return 0;
}

/* Step 1; may have been begun. */
static int move_aside(const char *data_dir, const char *directory)
{
    int r = file_sync_directory(data_dir); /* the new directory outlasts a power cut */
    for (size_t i = 0; !r && i < sizeof(names) / sizeof(names[0]); i++) {
        char from[FILE_BYTES], to[FILE_BYTES];
        path_of(data_dir, names[i], from);
        path_of(directory, names[i], to);
        if (rename(from, to) && errno != ENOENT)
            r = result_origin(-errno);
    }
    if (!r)
        r = file_sync_directory(directory);
    if (!r)
        r = file_sync_directory(data_dir);
    return r ? result_trace(r) : result_trace(make_mark(directory, MARK_MOVED));
}

int quarantine_begin(struct quarantine *quarantine, struct error *error)
{
    unsigned numbers[QUARANTINES_MAX], count = 0;
    char directory[PATH_BYTES];
    int r = list(quarantine->data_dir, numbers, &count);
    name_of(quarantine->data_dir, count ? numbers[count - 1] + 1 : 1, directory);
    if (!r && mkdir(directory, 0700))
        r = result_origin(-errno);
    if (!r)
        r = move_aside(quarantine->data_dir, directory);
    if (r) {
        (void)file_failure(r, directory, error);
        return result_trace(r);
    }
    quarantine->needs_bytes = 0;
    log_error("store", "the database is damaged: moved aside, what is readable will be salvaged",
              "kept=\"%s\"", directory);
    return 0;
}

static void remove_quarantine(const char *directory)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)remove_file(directory, names[i]);
    (void)remove_file(directory, MARK_MOVED);
    (void)remove_file(directory, MARK_SALVAGED); /* last: until then it is none to go on with */
    if (rmdir(directory))
        log_warn("store", "an old quarantine could not be removed", "path=\"%s\" error=\"%s\"",
                 directory, strerror(errno));
    else
        log_warn("store", "an old quarantine was removed: a newer one has taken its place",
                 "path=\"%s\"", directory);
}

/* The oldest that were salvaged go. */
static void prune(const char *data_dir)
{
    unsigned numbers[QUARANTINES_MAX], count;
    if (list(data_dir, numbers, &count))
        return;
    unsigned kept = count;
    for (unsigned i = 0; i < count && kept > QUARANTINES_KEPT; i++) {
        char directory[PATH_BYTES];
        name_of(data_dir, numbers[i], directory);
        if (!exists(directory, MARK_SALVAGED))
            continue;
        remove_quarantine(directory);
        kept--;
    }
    metric_put(metric_process(), METRIC_STORE_QUARANTINES, kept);
}

static uint64_t free_bytes(const char *data_dir)
{
    struct statvfs st;
    return statvfs(data_dir, &st) ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

/* Steps 2 and 3. */
static int salvage(struct quarantine *quarantine, const char *directory)
{
    const char *data_dir = quarantine->data_dir;
    char path[FILE_BYTES], draft[FILE_BYTES];
    path_of(data_dir, STORE_FILE_NAME, path);
    path_of(data_dir, STORE_FILE_NAME "-new", draft);
    (void)remove_file(data_dir, STORE_FILE_NAME "-new");
    uint64_t available = free_bytes(data_dir);
    if (available < quarantine->needs_bytes)
        return result_origin(-ENOSPC);
    vfs_forget(path);
    vfs_forget(draft);
    int r = salvage_copy(directory, draft, strrchr(directory, '/') + 1, &quarantine->report);
    if (r == -ENOSPC && available < UINT64_MAX)
        quarantine->needs_bytes = available + available / 16 + ROOM_MORE_BYTES;
    return r ? result_trace(r) : result_trace(file_publish(draft, path));
}

static void tell_log(const struct quarantine *quarantine, const char *directory)
{
    const struct salvage_report *report = &quarantine->report;
    log_error("store", "the damaged database was salvaged: a new epoch begins",
              "kept=\"%s\" streams=%u batches=%" PRIu64 " events=%" PRIu64
              " batches_damaged=%" PRIu64 " gaps=%" PRIu64 " missing_events=%" PRIu64,
              directory, report->streams, report->batches, report->events, report->batches_damaged,
              report->gaps, report->missing);
}

/* Goes on with one. 0, -errno. */
static int go_on(struct quarantine *quarantine, const char *directory)
{
    const char *data_dir = quarantine->data_dir;
    int r = look_for(directory, MARK_MOVED);
    if (r == -ENOENT)
        r = move_aside(data_dir, directory);
    if (!r)
        r = remove_file(data_dir, MARK_REQUEST); /* it was about what is aside now */
    if (!r && !exists(data_dir, STORE_FILE_NAME)) {
        r = salvage(quarantine, directory);
        if (!r)
            tell_log(quarantine, directory);
    }
    return r ? result_trace(r) : result_trace(make_mark(directory, MARK_SALVAGED));
}

int quarantine_finish(struct quarantine *quarantine, struct error *error)
{
    unsigned numbers[QUARANTINES_MAX], count = 0;
    char directory[PATH_BYTES];
    int r = list(quarantine->data_dir, numbers, &count);
    metric_put(metric_process(), METRIC_STORE_QUARANTINES, count);
    if (!r && !count)
        return QUARANTINE_NONE;
    if (!r) {
        /* Only the last one can be unfinished: no other is begun before. */
        name_of(quarantine->data_dir, numbers[count - 1], directory);
        r = look_for(directory, MARK_SALVAGED);
        if (!r)
            return QUARANTINE_NONE;
        if (r == -ENOENT)
            r = go_on(quarantine, directory);
    }
    if (r) {
        (void)file_failure(r, quarantine->data_dir, error);
        error_what(error, "the damaged database (kept in quarantine-%u) cannot be salvaged now: %s",
                   count ? numbers[count - 1] : 0, strerror(-r));
        return result_trace(r);
    }
    prune(quarantine->data_dir);
    return 0;
}

int quarantine_request(const char *data_dir)
{
    return result_trace(make_mark(data_dir, MARK_REQUEST));
}

int salvage_note(struct store *store, int r)
{
    if (r != -EBADMSG || store->needs_salvage)
        return r;
    store->needs_salvage = true;
    log_error("store", "the database is damaged: it has to be opened anew to be salvaged",
              "path=\"%s\"", store->path);
    /* Without the mark it is for the opening to notice. */
    (void)quarantine_request(store->data_dir);
    return r;
}

bool store_needs_salvage(struct store *store)
{
    for (unsigned i = 0; i < store->cursor_count; i++)
        if (store->cursors[i].feed && atomic_load(&store->cursors[i].feed->damaged))
            (void)salvage_note(store, -EBADMSG);
    return store->needs_salvage;
}

bool quarantine_requested(const char *data_dir)
{
    return exists(data_dir, MARK_REQUEST);
}

int quarantine_untold(struct store *store)
{
    char name[QUARANTINE_NAME_MAX_BYTES];
    int64_t lost = 0;
    int r = database_meta_get(&store->database, DRAFT_SALVAGED_KEY, name, sizeof(name));
    store->salvaged = !r;
    if (r >= 0)
        r = database_meta_get_number(&store->database, CURSORS_LOST_KEY, &lost);
    store->cursors_lost = store->salvaged || lost;
    return r < 0 ? result_trace(r) : 0;
}

static int tell_gap(struct store *store, const char *text, const char *old_epoch)
{
    uint32_t id;
    struct gap gap = {.reason = "damaged", .epoch = old_epoch[0] ? old_epoch : NULL};
    if (sscanf(text, "%" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64, &id, &gap.from, &gap.to,
               &gap.count) != 4)
        return 0;
    const struct stream *stream = stream_find(store, id);
    if (!stream)
        return 0;
    gap.stream = stream->name;
    return result_trace(notice_gap(store, &gap));
}

int quarantine_tell(struct store *store, const char *old_epoch)
{
    struct database *d = &store->database;
    int r = 0;
    for (unsigned i = 0; !r; i++) {
        char key[24], text[96];
        snprintf(key, sizeof(key), "damaged:%04u", i);
        r = database_meta_get(d, key, text, sizeof(text));
        if (!r)
            r = tell_gap(store, text, old_epoch);
    }
    if (r == DATABASE_NONE)
        r = database_run(d, SQL_SALVAGE_SETTLED, 0, NULL);
    if (!r)
        r = database_meta_put_number(d, CURSORS_LOST_KEY, 1);
    return result_trace(r);
}
