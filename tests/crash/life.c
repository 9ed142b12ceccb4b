#include "life.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/read.h"
#include "dice.h"
#include "specimen.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"

enum { STEPS_SMALL = 50, STEPS_LARGE = 220 };

const char *const life_streams[LIFE_STREAMS] = {"events", "small", "bulk", "late"};
const char *const life_consumers[2] = {"cloud", "archive"};
const unsigned life_consumer_streams[2] = {2, 1};

struct life {
    const struct life_options *options;
    const char *directory;
    struct history *history;
    struct dice dice;
    struct store_config config;
    struct store *store;
    struct store_reader *reader;
    sqlite3 *slow; /* a reader that stands in the way of checkpoints, or NULL */
    struct range_feed *feeds[2];
    uint64_t next[LIFE_STREAMS];      /* as acknowledged */
    uint64_t open_next[LIFE_STREAMS]; /* as appended */
    uint64_t cursor[LIFE_CURSORS];
    struct backlog backlog;
    bool late; /* its stream was made */
    bool failed;
    size_t epoch_begin; /* where an epoch was asked for that no commit has begun yet; 0: none */
    bool synced;        /* an event was received by a synced clock */
    uint32_t serial;
};

static int64_t now_us = 1000000;

static int64_t life_now(void *data)
{
    (void)data;
    return now_us;
}

static int64_t base_us = SPECIMEN_BASE_US;
static bool synced = true;

static int64_t life_wall(void *data)
{
    (void)data;
    return now_us + base_us;
}

static bool life_synced(void *data)
{
    (void)data;
    return synced;
}

const struct clock life_clock = {life_now, life_wall, life_synced, NULL};

/* Somebody sets the clock, or it gets synced, or not any more. */
static void set_clock(struct dice *d)
{
    if (dice_one_in(d, 3))
        base_us = ((int64_t)dice_below(d, 21) - 10) * INT64_C(31556952000000);
    else if (dice_one_in(d, 3))
        base_us = SPECIMEN_BASE_US;
    synced = base_us == SPECIMEN_BASE_US && !dice_one_in(d, 4);
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "life: %s\n", what);
    exit(99);
}

void life_config(bool large, enum store_durability durability, struct store_config *ret)
{
    char text[512];
    struct error error = ERROR_INIT;
    snprintf(text, sizeof(text),
             "{\"commit\": {\"durability\": \"%s\"}, \"streams\": {"
             "\"events\": {\"max_bytes\": \"%s\"},"
             "\"small\": {\"max_bytes\": \"64KiB\", \"when_full\": \"drop_oldest\"},"
             "\"bulk\": {\"max_bytes\": \"8MiB\", \"max_age\": \"10m\"}}}",
             durability == STORE_DURABILITY_POWER ? "power" : "process", large ? "3MiB" : "96KiB");
    if (config_read_text(&store_section, text, &error, ret))
        must(false, error.what);
}

/* Retention as a reader sees it. */
static void note_step(struct life *life)
{
    struct history *h = life->history;
    must(h->step_count < LIFE_STEPS_MAX, "steps");
    unsigned n = h->step_count++;
    memset(&h->steps[n], 0, sizeof(h->steps[n]));
    for (unsigned i = 0; i < LIFE_STREAMS; i++) {
        struct store_stream_info info;
        int r = store_read_stream(life->reader, life_streams[i], &info);
        must(r == 0 || r == -ENOENT, "reading the extent of a stream");
        if (!r)
            h->steps[n].first[i] = info.first_offset;
    }
    h->steps[n].end = crash_vfs_position();
}

static void note_identity(struct life *life, size_t begin)
{
    struct history *h = life->history;
    must(h->opening_count < LIFE_OPENINGS_MAX, "openings");
    unsigned n = h->opening_count++;
    snprintf(h->openings[n].epoch, sizeof(h->openings[n].epoch), "%s", store_epoch(life->store));
    snprintf(h->openings[n].gateway_id, sizeof(h->openings[n].gateway_id), "%s",
             store_gateway_id(life->store));
    h->openings[n].begin = begin;
    h->openings[n].end = crash_vfs_position();
}

static void live_open(struct life *life)
{
    struct error error = ERROR_INIT;
    char boot_id[24];
    snprintf(boot_id, sizeof(boot_id), "%llx", (unsigned long long)life->options->seed);
    const struct store_options options = {.data_dir = life->directory,
                                          .boot_id = boot_id,
                                          .config = &life->config,
                                          .clock = &life_clock,
                                          .background_checkpoints = life->options->large};
    must(store_new(&options, &life->store) == 0, "store_new");
    int r = store_open(life->store, &error);
    must(r == 0, error.what);
    struct history *h = life->history;
    note_identity(life, 0);
    for (unsigned i = 0; i < h->attempt_count; i++)
        if (h->attempts[i].end == LIFE_LATER)
            h->attempts[i].end = h->openings[h->opening_count - 1].end;
    for (unsigned i = 0; i < 2; i++) {
        must(range_feed_new(life_consumers[i], RANGE_START_OLDEST, life_streams,
                            life_consumer_streams[i], &life->feeds[i]) == 0 &&
                 store_attach(life->store, life->feeds[i]) == 0,
             "attach");
    }
    must(store_reader_open(store_path(life->store), &error, &life->reader) == 0, error.what);
    note_step(life);
}

static void slow_reader_end(struct life *life)
{
    must(sqlite3_close(life->slow) == SQLITE_OK, "slow reader");
    life->slow = NULL;
}

static void slow_reader_begin(struct life *life)
{
    must(sqlite3_open_v2(store_path(life->store), &life->slow, SQLITE_OPEN_READONLY, NULL) ==
                 SQLITE_OK &&
             sqlite3_exec(life->slow, "BEGIN; SELECT count(*) FROM batch", NULL, NULL, NULL) ==
                 SQLITE_OK,
         "slow reader");
}

/* A checkpoint on a connection of its own, at any time and not only when the log has grown. */
static void checkpoint(struct life *life)
{
    sqlite3 *db;
    must(sqlite3_open(store_path(life->store), &db) == SQLITE_OK, "checkpoint");
    int mode = dice_one_in(&life->dice, 4) ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, mode, NULL, NULL);
    must(code == SQLITE_OK || code == SQLITE_BUSY, "checkpoint");
    must(sqlite3_close(db) == SQLITE_OK, "checkpoint");
}

static struct attempt *attempt_begin(struct life *life, const uint64_t next[LIFE_STREAMS])
{
    struct history *h = life->history;
    must(h->attempt_count < LIFE_ATTEMPTS_MAX, "attempts");
    struct attempt *attempt = &h->attempts[h->attempt_count++];
    *attempt = (struct attempt){.begin = crash_vfs_position()};
    memcpy(attempt->next, next, sizeof(attempt->next));
    memcpy(attempt->cursor, life->cursor, sizeof(attempt->cursor));
    attempt->backlog = life->backlog;
    return attempt;
}

static void attempt_end(struct life *life, struct attempt *attempt)
{
    attempt->acknowledged = true;
    attempt->end = crash_vfs_position();
    memcpy(life->next, attempt->next, sizeof(life->next));
    /* Not at an end that leaves out what is open: the sync may have come with that. */
    bool all = memcmp(attempt->next, life->open_next, sizeof(life->open_next)) == 0;
    if (life->synced && all && life->history->synced_end == LIFE_LATER)
        life->history->synced_end = attempt->end;
}

static void commit(struct life *life, bool failing)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    struct attempt *attempt = attempt_begin(life, life->open_next);
    if (!life->epoch_begin && dice_one_in(&life->dice, 24)) {
        must(store_epoch_begin(life->store, "test") == 0, "epoch");
        life->epoch_begin = crash_vfs_position();
    }
    if (failing) {
        int code = codes[dice_below(&life->dice, 3)];
        bool sync = code == SQLITE_IOERR_FSYNC;
        crash_vfs_fail_once(code, sync ? 0 : (unsigned)dice_below(&life->dice, 3));
    }
    int r = store_commit(life->store);
    crash_vfs_fail_never();
    must(r == 0 || failing, "a commit failed for no reason");
    life->failed = r != 0;
    if (r)
        return;
    attempt_end(life, attempt);
    if (life->epoch_begin)
        note_identity(life, life->epoch_begin);
    life->epoch_begin = 0;
}

/* What was tried may be on the disk, so it must not be forgotten as what was never tried may. */
static void commit_for_sure(struct life *life)
{
    if (life->failed)
        commit(life, false);
}

/* An end with open events leaves the cursors where the last commit put them. */
static void forget_moves(struct life *life)
{
    const struct history *h = life->history;
    unsigned last = h->attempt_count - 1;
    while (last && !h->attempts[last].acknowledged)
        last--;
    memcpy(life->cursor, h->attempts[last].cursor, sizeof(life->cursor));
    life->backlog = h->attempts[last].backlog;
}

static void live_close(struct life *life)
{
    commit_for_sure(life);
    note_step(life); /* a commit may evict, too */
    if (life->slow)
        slow_reader_end(life);
    life->reader = store_reader_close(life->reader);
    for (unsigned i = 0; i < 2; i++)
        store_detach(life->store, life->feeds[i]);
    if (store_open_events(life->store))
        forget_moves(life);
    struct attempt *attempt = attempt_begin(life, life->next);
    life->store = store_free(life->store);
    attempt_end(life, attempt);
    for (unsigned i = 0; i < 2; i++)
        life->feeds[i] = range_feed_unref(life->feeds[i]);
    memcpy(life->open_next, life->next, sizeof(life->next));
}

static void append(struct life *life, unsigned stream, uint32_t bytes, bool smooth)
{
    const struct clock_stamp stamp = clock_now(&life_clock);
    struct specimen specimen = {.serial = ++life->serial,
                                .bytes = bytes,
                                .smooth = smooth,
                                .unsynced = stamp.quality == CLOCK_UNSYNCED,
                                .boot = life->history->boot,
                                .monotonic_us = stamp.monotonic_us,
                                .wall_us = stamp.wall_us};
    struct event event = specimen_event(&specimen);
    uint32_t id;
    uint64_t offset;
    must(store_stream(life->store, life_streams[stream], &id) == 0, "stream");
    store_time(life->store, &stamp);
    int r = store_append(life->store, id, &event, &offset);
    if (r == STORE_FULL)
        return;
    must(r == 0 && offset == life->open_next[stream], "append");
    life->synced = life->synced || !specimen.unsynced;
    life->open_next[stream]++;
    struct bytes *events = &life->history->events[stream];
    events->len = offset * sizeof(specimen);
    must(bytes_append(events, &specimen, sizeof(specimen)) == 0, "events");
}

static void append_some(struct life *life)
{
    struct dice *d = &life->dice;
    unsigned stream = (unsigned)dice_below(d, 2);
    if (dice_one_in(d, 16))
        life->late = true;
    if (life->late && dice_one_in(d, 5))
        stream = 3;
    bool smooth = dice_one_in(d, 2);
    uint32_t most = dice_one_in(d, 3) ? 6000 : 200;
    unsigned count = 1 + (unsigned)dice_below(d, most > 1000 ? 4 : 20);
    if (life->options->large && stream == 0) {
        count = 4;
        most = 32000;
        smooth = false;
    } else if (dice_one_in(d, 64)) { /* more than fits into one batch */
        stream = 2;
        for (unsigned i = 0; i < 3; i++)
            append(life, stream, 350000 + (uint32_t)dice_below(d, 100000), true);
        return;
    } else if (dice_one_in(d, 12)) {
        stream = 2;
    }
    for (unsigned i = 0; i < count; i++)
        append(life, stream, (uint32_t)dice_below(d, most), smooth);
}

static void move_cursor(struct life *life)
{
    unsigned cursor = (unsigned)dice_below(&life->dice, LIFE_CURSORS);
    unsigned feed = cursor / 2, stream = cursor % 2;
    uint64_t ahead = life->next[stream] - life->cursor[cursor];
    if (!ahead)
        return;
    uint64_t by = dice_one_in(&life->dice, 3) ? 1 + dice_below(&life->dice, ahead) : ahead;
    life->cursor[cursor] += by;
    store_move_cursor(life->store, life->feeds[feed], stream, life->cursor[cursor]);
}

static void move_backlog(struct life *life)
{
    struct backlog *backlog = &life->backlog;
    if (!backlog->id)
        return;
    backlog->next += 1 + dice_below(&life->dice, backlog->end - backlog->next);
    store_range_move(life->store, backlog->id, backlog->next);
    if (backlog->next == backlog->end)
        *backlog = (struct backlog){.id = 0};
}

/* The live range goes on elsewhere, and what it leaves becomes a backlog, or lengthens the one that
 * is there. A commit of what else waits goes before. */
static void split(struct life *life)
{
    commit(life, false);
    uint64_t from = life->cursor[LIFE_SPLIT], ahead = life->next[0] - from;
    if (!ahead || (life->backlog.id && life->backlog.end != from))
        return;
    uint32_t stream;
    uint64_t at = from + 1 + dice_below(&life->dice, ahead);
    must(store_stream(life->store, life_streams[0], &stream) == 0, "stream");
    if (!life->backlog.id)
        life->backlog.next = from;
    life->backlog.end = life->cursor[LIFE_SPLIT] = at;
    struct attempt *attempt = attempt_begin(life, life->next);
    int r = store_range_split(life->store, life_consumers[1], stream, at, &life->backlog.id);
    must(r == 0, "split");
    attempt->backlog.id = life->backlog.id;
    attempt_end(life, attempt);
}

static void maintain(struct life *life)
{
    bool more = true;
    for (unsigned i = 0; i < 8 && more; i++)
        must(store_maintain(life->store, &more) == 0, "maintain");
    more = true;
    for (unsigned i = 0; i < 8 && more; i++)
        must(store_repack(life->store, &more) == 0, "repack");
}

/* A quiet stream: an event a commit, until some of them make a block. */
static void trickle(struct life *life)
{
    unsigned stream = (unsigned)dice_below(&life->dice, 2);
    unsigned count = 16 + (unsigned)dice_below(&life->dice, 16);
    for (unsigned i = 0; i < count; i++) {
        append(life, stream, 100 + (uint32_t)dice_below(&life->dice, 200), true);
        commit(life, false);
        if (dice_one_in(&life->dice, 8))
            move_cursor(life);
    }
    maintain(life);
}

/* More than the stream holds, faster than anybody acknowledges: the oldest are dropped. */
static void flood(struct life *life)
{
    unsigned count = 16 + (unsigned)dice_below(&life->dice, 16);
    for (unsigned i = 0; i < count; i++) {
        append(life, LIFE_DROPPING, 3000 + (uint32_t)dice_below(&life->dice, 6000), false);
        if (i % 4 == 3)
            commit(life, false);
    }
}

static void shrink(struct life *life)
{
    life->config.streams.items[0].max_bytes = 256 << 10;
    store_reconfigure(life->store, &life->config);
}

static void step(struct life *life)
{
    struct dice *d = &life->dice;
    unsigned fate = (unsigned)dice_below(d, 64);
    now_us += (int64_t)dice_below(d, 60) * 1000000;
    if (fate < 6) {
        move_cursor(life);
        move_backlog(life);
        if (dice_one_in(d, 3))
            commit(life, false);
    } else if (fate < 14) {
        maintain(life);
    } else if (fate < 17 && !life->options->large) {
        checkpoint(life);
    } else if (fate < 19) {
        if (life->slow)
            slow_reader_end(life);
        else if (!life->options->large)
            slow_reader_begin(life);
    } else if (fate < 21) {
        live_close(life);
        live_open(life);
    } else if (fate < 23) {
        trickle(life);
    } else if (fate < 25) {
        flood(life);
    } else if (fate < 30) {
        split(life);
    } else {
        unsigned streams = 1 + (unsigned)dice_below(d, 3);
        for (unsigned i = 0; i < streams; i++) {
            if (dice_one_in(d, 6))
                set_clock(d);
            append_some(life);
        }
        if (dice_one_in(d, 2))
            move_cursor(life);
        if (!dice_one_in(d, 16))
            commit(life, dice_one_in(d, 12));
    }
    note_step(life);
}

void life_run(const struct life_options *options, const char *directory, struct crash_log *log,
              struct history *history)
{
    struct life life = {.options = options,
                        .directory = directory,
                        .history = history,
                        .dice = {options->seed},
                        .serial = (uint32_t)options->seed << 16};
    const struct attempt *begin = &history->attempts[history->attempt_count - 1];
    now_us = 1000000;
    base_us = 0;
    synced = false;
    history->boot = options->seed;
    history->synced_end = LIFE_LATER;
    memcpy(life.next, begin->next, sizeof(life.next));
    memcpy(life.open_next, begin->next, sizeof(life.next));
    memcpy(life.cursor, begin->cursor, sizeof(life.cursor));
    life.backlog = begin->backlog;
    life_config(options->large, options->durability, &life.config);
    crash_vfs_begin(directory, &options->disk, options->seed, log);
    live_open(&life);
    unsigned steps = options->large ? STEPS_LARGE : STEPS_SMALL;
    for (unsigned i = 0; i < steps; i++) {
        if (options->large && i == steps * 3 / 4)
            shrink(&life);
        step(&life);
    }
    live_close(&life);
    crash_vfs_end();
    config_section_deinit(&store_section, &life.config);
}
