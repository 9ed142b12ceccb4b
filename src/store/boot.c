/*
 * Which clock the events of a stream were stamped by, and what it was off.
 *
 * The base is what the wall clock is ahead of the monotonic one. It stands still while the clock
 * runs (the kernel slews both alike) and jumps when somebody sets the clock; less than BOOT_STEP_US
 * is no jump. A row of table "boot" says: from first_key on, until the stream's next row, events
 * were received in boot "id" of the machine by a wall clock of base_us, so that received time less
 * base_us is the monotonic time, to BOOT_STEP_US. An open batch belongs to one base, and where a
 * batch is of another base (or boot) than the row before, its row is written in its transaction:
 * none is lost, none stands for nothing, and a quiet stream has none.
 *
 * Once the clock is synced its base is known for the whole boot, backwards too: correction_us is
 * the difference of that base and the row's, to be added to the received times of the row's
 * unsynced events when they are read. Rows written before get it with the next commit, later ones
 * at once. Events received while the clock is synced always lie in rows of correction 0. In boots
 * whose clock never got synced it stays NULL: nobody knows.
 *
 * Dead letters keep the times of their events, received by whatever clock: their rows have no base.
 *
 * Bounds: a stream has at most BOOT_ROWS_MAX rows of one boot, the last of them without a base; and
 * of the bases between two commits only MOVES_MAX are followed, what comes after is "unknown" until
 * the commit. Both only leave times uncorrected.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/result.h"
#include "store/internal.h"
#include "store/notice.h"

enum { MOVES_MAX = 16 };

static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static bool near(int64_t a, int64_t b)
{
    return a != BOOT_UNKNOWN && b != BOOT_UNKNOWN &&
           (uint64_t)difference(a, b) + BOOT_STEP_US <= 2 * (uint64_t)BOOT_STEP_US;
}

static int64_t correction_of(const struct boot *boot, int64_t base_us)
{
    return boot->synced_base_us == BOOT_UNKNOWN || base_us == BOOT_UNKNOWN
               ? BOOT_UNKNOWN
               : difference(boot->synced_base_us, base_us);
}

/* Events are received by another base from now on. */
static void move(struct store *store, int64_t base_us)
{
    struct boot *boot = &store->boot;
    if (boot->base_us == base_us)
        return;
    if (store->open_events && ++boot->moves > MOVES_MAX)
        base_us = BOOT_UNKNOWN;
    boot->base_us = base_us;
}

static void follow(struct store *store, const struct clock_stamp *stamp)
{
    struct boot *boot = &store->boot;
    int64_t base_us = difference(stamp->wall_us, stamp->monotonic_us);
    bool synced = stamp->quality == CLOCK_SYNCED;
    if (!synced && boot->unsynced_base_us == BOOT_UNKNOWN)
        boot->unsynced_base_us = base_us;
    if (near(boot->base_us, base_us) && (!synced || boot->base_us == boot->synced_base_us))
        return;
    if (synced && !near(boot->synced_base_us, base_us)) {
        bool first = boot->synced_base_us == BOOT_UNKNOWN;
        boot->synced_base_us = base_us;
        if (first && boot->unsynced_base_us != BOOT_UNKNOWN)
            boot->correct = boot->announce = true;
    }
    /* Near the base that is synced it is that one: a sync that comes and goes makes no rows. */
    move(store, near(boot->synced_base_us, base_us) ? boot->synced_base_us : base_us);
}

void store_time(struct store *store, const struct clock_stamp *stamp)
{
    follow(store, stamp);
    if (!store->boot.announce)
        return;
    store->boot.announce = false;
    (void)notice_clock(store, correction_of(&store->boot, store->boot.unsynced_base_us));
}

static void bind_us(sqlite3_stmt *statement, int index, int64_t value)
{
    if (value == BOOT_UNKNOWN)
        sqlite3_bind_null(statement, index);
    else
        sqlite3_bind_int64(statement, index, value);
}

static int64_t column_us(sqlite3_stmt *row, int index)
{
    return sqlite3_column_type(row, index) == SQLITE_NULL ? BOOT_UNKNOWN
                                                          : sqlite3_column_int64(row, index);
}

static int count_rows(struct store *store, const struct stream *stream, int64_t before,
                      int64_t *ret)
{
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_BOOT_COUNT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_int64(statement, 1, batch_key(stream->id, 0));
    sqlite3_bind_int64(statement, 2, before - 1);
    sqlite3_bind_text(statement, 3, store->boot.id, -1, SQLITE_STATIC);
    r = database_step(statement);
    if (r)
        return result_trace(r < 0 ? r : -EBADMSG);
    *ret = sqlite3_column_int64(statement, 0);
    database_done(statement);
    return 0;
}

/* Begins a row at key; *row is the stream's last one and becomes this one, unless there are too
 * many. */
static int write_row(struct store *store, const struct stream *stream, int64_t key,
                     struct boot_row next, struct boot_row *row)
{
    int64_t count = 0;
    int r = count_rows(store, stream, key, &count);
    if (r)
        return result_trace(r);
    if (count >= BOOT_ROWS_MAX - 1) {
        if (row->present && row->base_us == BOOT_UNKNOWN)
            return 0;
        log_warn("store", "the clock was set too often: times are not corrected from here on",
                 "stream=%s offset=%" PRIu64, stream->name, batch_key_offset(key));
        next.base_us = next.correction_us = BOOT_UNKNOWN;
    }
    sqlite3_stmt *statement;
    r = database_statement(&store->database, SQL_BOOT_INSERT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_text(statement, 2, store->boot.id, -1, SQLITE_STATIC);
    bind_us(statement, 3, next.base_us);
    bind_us(statement, 4, next.correction_us);
    r = database_step(statement);
    if (r < 0)
        return result_trace(r);
    *row = next;
    return 0;
}

/* What is known now of a row written before. */
static struct boot_row corrected(const struct boot *boot, struct boot_row row)
{
    if (boot->correct && row.correction_us == BOOT_UNKNOWN)
        row.correction_us = correction_of(boot, row.base_us);
    return row;
}

static int write_rows(struct store *store, struct stream *stream)
{
    struct boot_row row = corrected(&store->boot, stream->boot);
    for (struct batch *batch = stream->first; batch; batch = batch->next) {
        if (!batch->count)
            continue;
        const struct boot_row next = {.present = true,
                                      .base_us = batch->clock_base_us,
                                      .correction_us =
                                          correction_of(&store->boot, batch->clock_base_us)};
        bool same =
            row.present && row.base_us == next.base_us && row.correction_us == next.correction_us;
        int r =
            same ? 0
                 : write_row(store, stream, batch_key(stream->id, batch->base_offset), next, &row);
        if (r)
            return result_trace(r);
        batch->row_base_us = row.base_us;
        batch->correction_us = row.correction_us;
    }
    return 0;
}

/* Only where the last row is of this boot are there others of it. */
static int correct_rows(struct store *store, const struct stream *stream)
{
    if (!store->boot.correct || !stream->boot.present)
        return 0;
    sqlite3_stmt *statement;
    int r = database_statement(&store->database, SQL_BOOT_CORRECT, &statement);
    if (r)
        return result_trace(r);
    sqlite3_bind_int64(statement, 1, batch_key(stream->id, 0));
    sqlite3_bind_int64(statement, 2, batch_key(stream->id, BATCH_OFFSET_MAX));
    sqlite3_bind_text(statement, 3, store->boot.id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, store->boot.synced_base_us);
    r = database_step(statement);
    return r == DATABASE_NONE ? 0 : result_trace(r);
}

int64_t boot_base(const struct store *store, const struct stream *stream)
{
    bool old = strcmp(stream->name, STORE_STREAM_DEAD_LETTERS) == 0;
    return old ? BOOT_UNKNOWN : store->boot.base_us;
}

int boot_write(struct store *store)
{
    int r = 0;
    for (unsigned i = 0; !r && i < store->stream_count; i++) {
        r = correct_rows(store, &store->streams[i]);
        if (!r)
            r = write_rows(store, &store->streams[i]);
    }
    return result_trace(r);
}

void boot_written(struct store *store)
{
    for (unsigned i = 0; i < store->stream_count; i++) {
        struct stream *stream = &store->streams[i];
        stream->boot = corrected(&store->boot, stream->boot);
        for (const struct batch *batch = stream->first; batch; batch = batch->next)
            if (batch->count)
                stream->boot = (struct boot_row){.present = true,
                                                 .base_us = batch->row_base_us,
                                                 .correction_us = batch->correction_us};
    }
    store->boot.correct = false;
    store->boot.moves = 0;
}

/* Where the kernel does not tell, every run counts as a boot of its own. */
static int read_id(const char *given, char id[BOOT_ID_MAX_BYTES])
{
    if (given) {
        snprintf(id, BOOT_ID_MAX_BYTES, "%s", given);
        return 0;
    }
    CLEANUP_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, id, BOOT_ID_MAX_BYTES - 1) : -1;
    id[n > 0 ? n : 0] = '\0';
    id[strcspn(id, "\n")] = '\0';
    uint64_t random;
    if (id[0])
        return 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return result_origin(-EIO);
    snprintf(id, BOOT_ID_MAX_BYTES, "run-%016" PRIx64, random);
    return 0;
}

/* The stream's last row, if it is of this boot. */
static int load_row(struct store *store, struct stream *stream)
{
    sqlite3_stmt *row;
    int r = database_first(
        &store->database, SQL_BOOT_LAST,
        DATABASE_VALUES(batch_key(stream->id, 0), batch_key(stream->id, BATCH_OFFSET_MAX)), &row);
    stream->boot = (struct boot_row){.present = false};
    if (r)
        return r == DATABASE_NONE ? 0 : result_trace(r);
    const unsigned char *id = sqlite3_column_text(row, 0);
    if (id && strcmp((const char *)id, store->boot.id) == 0)
        stream->boot = (struct boot_row){
            .present = true, .base_us = column_us(row, 1), .correction_us = column_us(row, 2)};
    database_done(row);
    return 0;
}

int boot_open(struct store *store)
{
    struct boot *boot = &store->boot;
    const struct clock_stamp stamp = clock_now(store->clock);
    int64_t base_us = difference(stamp.wall_us, stamp.monotonic_us);
    *boot = (struct boot){
        .base_us = BOOT_UNKNOWN, .synced_base_us = BOOT_UNKNOWN, .unsynced_base_us = BOOT_UNKNOWN};
    int r = read_id(store->boot_id, boot->id);
    for (unsigned i = 0; !r && i < store->stream_count; i++) {
        const struct boot_row *row = &store->streams[i].boot;
        r = load_row(store, &store->streams[i]);
        if (r || !row->present || row->base_us == BOOT_UNKNOWN)
            continue;
        if (row->correction_us == BOOT_UNKNOWN)
            boot->unsynced_base_us = row->base_us;
        else /* it was synced in an earlier run */
            boot->synced_base_us = (int64_t)((uint64_t)row->base_us + (uint64_t)row->correction_us);
        if (near(row->base_us, base_us))
            boot->base_us = row->base_us;
    }
    if (!r)
        follow(store, &stamp);
    return result_trace(r);
}

void boot_segment(const struct batch *batch, struct segment *segment)
{
    segment->corrected = batch->correction_us != BOOT_UNKNOWN;
    segment->correction_us = segment->corrected ? batch->correction_us : 0;
}
