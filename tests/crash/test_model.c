/*
 * The store against a model of it that is too simple to be wrong: per stream a list of events, how
 * many of them are committed, and where consumers stand. Random steps (append, commit, commits that
 * fail, reads and replays, acknowledgements, retention, orderly ends, kills) go to both, and what
 * the store shows must be what the model says. Of a stream that drops its oldest events a prefix
 * goes, only for want of room, and the gap records name exactly what each consumer never got. The
 * seed of each round is printed; a round follows from its seed.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/metrics.h"
#include "base/metrics.h"
#include "config/read.h"
#include "hold_vfs.h"
#include "model.h"
#include "specimen.h"
#include "store/batch.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"

enum { ROUND_STEPS = 10000, TROUBLE = 99 };

static const char settings[] =
    "{\"streams\": {\"drops\": {\"max_bytes\": \"64KiB\", \"when_full\": \"drop_oldest\"},"
    " \"events\": {\"max_bytes\": \"256KiB\", \"max_age\": \"30m\"},"
    " \"small\": {\"max_bytes\": \"64KiB\", \"when_full\": \"reject\"},"
    " \"free\": {\"max_bytes\": \"128KiB\", \"max_age\": \"0s\"}}}";

static uint64_t steps_of[12];

static void replay(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++)
        for (uint64_t offset = 0; offset < m->streams[i].committed;)
            offset = model_read(m, i, offset);
}

/* false: the stream is full. */
static bool append_one(struct model *m, unsigned stream, uint32_t most, bool smooth)
{
    struct model_stream *s = &m->streams[stream];
    const struct specimen specimen = {
        .serial = ++m->serial, .bytes = (uint32_t)dice_below(&m->dice, most), .smooth = smooth};
    struct event event = specimen_event(&specimen);
    uint64_t offset;
    int r = store_append(m->store, s->id, &event, &offset);
    if (r == STORE_FULL) {
        /* Only a stream that somebody is behind in can be full; one that drops, only while there is
         * nothing committed to drop. */
        CHECK(m, stream != STREAMS - 1 && (stream != DROPPING || s->next > s->committed));
        return false;
    }
    CHECK(m, r == 0 && offset == s->next);
    s->next++;
    s->events.len = offset * sizeof(specimen);
    CHECK(m, bytes_append(&s->events, &specimen, sizeof(specimen)) == 0);
    return true;
}

static void append(struct model *m)
{
    unsigned stream = (unsigned)dice_below(&m->dice, STREAMS);
    unsigned count = 1 + (unsigned)dice_below(&m->dice, 8);
    uint32_t most = dice_one_in(&m->dice, 8) ? 20000 : 300;
    for (unsigned i = 0; i < count; i++)
        if (!append_one(m, stream, most, dice_one_in(&m->dice, 2)))
            return;
}

static size_t open_events(const struct model *m)
{
    size_t n = 0;
    for (unsigned i = 0; i < STREAMS; i++)
        n += (size_t)(m->streams[i].next - m->streams[i].committed);
    return n;
}

static bool moves_wait(const struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++)
        for (unsigned c = 0; c < CONSUMERS; c++)
            if (m->streams[i].cursor[c] != m->streams[i].cursor_saved[c])
                return true;
    return false;
}

static uint64_t lowest_cursor(const struct model *m, unsigned stream)
{
    uint64_t lowest = UINT64_MAX;
    for (unsigned c = 0; c < CONSUMERS; c++)
        if (model_has_cursor(c, stream) && m->streams[stream].cursor[c] < lowest)
            lowest = m->streams[stream].cursor[c];
    return lowest;
}

/* The segments of a commit are what was open, of the streams that somebody forwards. */
static void check_committed(struct model *m, const uint64_t before[STREAMS])
{
    uint64_t at[STREAMS];
    memcpy(at, before, sizeof(at));
    for (struct segment *segment; (segment = store_committed_next(m->store));) {
        unsigned i = 0;
        while (i < STREAMS && m->streams[i].id != segment->stream)
            i++;
        CHECK(m, i < STREAMS && model_has_cursor(0, i) && segment->base_offset == at[i]);
        model_check_segment(m, i, segment, at[i]);
        at[i] = segment_end_offset(segment);
        segment_unref(segment);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        CHECK(m, at[i] == (model_has_cursor(0, i) ? m->streams[i].committed : before[i]));
}

static void commit(struct model *m)
{
    struct model_stream *dropping = &m->streams[DROPPING];
    uint64_t before[STREAMS], first = dropping->first,
                              owed = latest(first, lowest_cursor(m, DROPPING));
    uint64_t filled = dropping->stored_bytes + store_open_bytes(m->store) + APPEND_MAX_BYTES +
                      (m->own_events + 1) * BATCH_ROW_BYTES;
    CHECK(m, store_open_events(m->store) == open_events(m) + m->own_events);
    CHECK(m, store_commit(m->store) == 0);
    CHECK(m, store_open_events(m->store) == 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        before[i] = m->streams[i].committed;
        m->streams[i].committed = m->streams[i].next;
    }
    model_save_cursors(m);
    check_committed(m, before);
    model_follow(m);
    CHECK(m, dropping->first <= owed || filled > DROPPING_MAX_BYTES);
    for (unsigned i = 0; i < STREAMS; i++)
        m->streams[i].stored_bytes = 0;
    model_follow(m);
    m->tried_count = 0;
    m->own_events = 0;
    m->inexact = false;
}

static void fail_to_commit(struct model *m)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    size_t open = store_open_events(m->store);
    bool fails = open || store_cursors_due_us(m->store) != INT64_MAX;
    CHECK(m, open == open_events(m) + m->own_events && (fails || !moves_wait(m)));
    hold_vfs_fail(codes[dice_below(&m->dice, 3)]);
    int r = store_commit(m->store);
    hold_vfs_fail(SQLITE_OK);
    CHECK(m, fails ? r < 0 : r == 0);
    if (fails) {
        CHECK(m, m->tried_count < TRIED_MAX);
        for (unsigned i = 0; i < STREAMS; i++) {
            m->tried[m->tried_count].next[i] = m->streams[i].next;
            memcpy(m->tried[m->tried_count].cursor[i], m->streams[i].cursor,
                   sizeof(m->streams[i].cursor));
        }
        m->tried_count++;
        m->inexact = true;
        m->own_events = store_open_events(m->store) - open_events(m);
        CHECK(m, m->own_events <= OWN_EVENTS_MAX);
    }
    CHECK(m, store_open_events(m->store) >= open);
    CHECK(m, store_committed_next(m->store) == NULL);
    model_follow(m);
}

static void acknowledge(struct model *m)
{
    unsigned consumer = (unsigned)dice_below(&m->dice, CONSUMERS);
    unsigned stream = (unsigned)dice_below(&m->dice, model_consumer_streams[consumer]);
    struct model_stream *s = &m->streams[stream];
    uint64_t ahead = s->committed - s->cursor[consumer];
    if (dice_one_in(&m->dice, 8)) { /* backwards counts for nothing */
        store_move_cursor(m->store, m->feeds[consumer], stream,
                          dice_below(&m->dice, s->cursor[consumer] + 1));
        return;
    }
    s->cursor[consumer] += dice_one_in(&m->dice, 2) ? ahead : dice_below(&m->dice, ahead + 1);
    store_move_cursor(m->store, m->feeds[consumer], stream, s->cursor[consumer]);
    bool due = store_cursors_due_us(m->store) != INT64_MAX;
    CHECK(m, due == moves_wait(m) || (due && m->hidden_moves));
}

/* What a stream is said to take, by its reader and by its writer, is what its rows take. */
static void check_accounts(struct model *m)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    CHECK(m, sqlite3_open_v2(store_path(m->store), &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK);
    CHECK(m, sqlite3_prepare_v2(db, "SELECT sum(length(data) + 64) FROM batch WHERE key >> 48 = ?1",
                                -1, &row, NULL) == SQLITE_OK);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info info;
        sqlite3_bind_int64(row, 1, m->streams[i].id);
        CHECK(m, sqlite3_step(row) == SQLITE_ROW);
        uint64_t taken = (uint64_t)sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
        CHECK(m, store_read_stream(m->reader, model_streams[i], &info) == 0);
        CHECK(m, info.stored_bytes == taken);
        CHECK(m, metric_get(metric_set_get(METRIC_GROUP_STREAM, model_streams[i], NULL),
                            METRIC_STREAM_BYTES) == taken);
    }
    sqlite3_finalize(row);
    CHECK(m, sqlite3_close(db) == SQLITE_OK);
}

static void maintain(struct model *m)
{
    bool more = true;
    for (unsigned i = 0; i < 1000 && more; i++)
        CHECK(m, store_maintain(m->store, &more) == 0);
    CHECK(m, !more);
    more = dice_one_in(&m->dice, 4) == 0;
    for (unsigned i = 0; i < 1000 && more; i++)
        CHECK(m, store_repack(m->store, &more) == 0);
    CHECK(m, !more);
    model_follow(m);
    check_accounts(m);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info info;
        const struct model_stream *s = &m->streams[i];
        bool owed = false;
        for (unsigned c = 0; c < CONSUMERS; c++)
            owed = owed || (model_has_cursor(c, i) && s->cursor_saved[c] < s->committed);
        CHECK(m, store_read_stream(m->reader, model_streams[i], &info) == 0);
        CHECK(m,
              owed || info.stored_bytes <=
                          (uint64_t)store_config_stream(&m->config, model_streams[i])->max_bytes);
    }
}

/* A quiet stream: an event a commit, which re-packing is for. */
static void trickle(struct model *m)
{
    unsigned stream = (unsigned)dice_below(&m->dice, STREAMS);
    unsigned count = 20 + (unsigned)dice_below(&m->dice, 100);
    for (unsigned i = 0; i < count && append_one(m, stream, 300, true); i++)
        commit(m);
    maintain(m);
}

static void reattach(struct model *m)
{
    unsigned consumer = (unsigned)dice_below(&m->dice, CONSUMERS);
    store_detach(m->store, m->feeds[consumer]);
    model_attach(m, consumer);
}

static void restart(struct model *m)
{
    bool open = store_open_events(m->store) > 0; /* an end moves no cursor then */
    model_close(m);
    for (unsigned i = 0; open && i < STREAMS; i++)
        memcpy(m->streams[i].cursor, m->streams[i].cursor_saved, sizeof(m->streams[i].cursor));
    model_save_cursors(m);
    m->tried_count = 0;
    model_open(m);
    model_follow(m);
    m->inexact = false;
}

static void read_one(struct model *m)
{
    unsigned stream = (unsigned)dice_below(&m->dice, STREAMS);
    const struct model_stream *s = &m->streams[stream];
    uint64_t offset = dice_one_in(&m->dice, 8)
                          ? dice_below(&m->dice, s->committed + 3)
                          : s->first + dice_below(&m->dice, s->committed - s->first + 1);
    (void)model_read(m, stream, offset);
}

static const struct {
    const char *name;
    unsigned weight; /* of 1000 */
    void (*run)(struct model *m);
} kinds[] = {
    {"append", 374, append},
    {"commit", 180, commit},
    {"read", 200, read_one},
    {"move", 120, acknowledge},
    {"failed commit", 40, fail_to_commit},
    {"maintain", 60, maintain},
    {"trickle", 6, trickle},
    {"replay", 4, replay},
    {"reattach", 8, reattach},
    {"restart", 4, restart},
    {"kill", 4, model_kill},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static_assert(KINDS <= sizeof(steps_of) / sizeof(steps_of[0]), "a counter for each kind");

static void one_step(struct model *m)
{
    unsigned at = (unsigned)dice_below(&m->dice, 1000), i = 0;
    while (i + 1 < KINDS && at >= kinds[i].weight)
        at -= kinds[i++].weight;
    model_now_us += (int64_t)dice_below(&m->dice, 4000000);
    steps_of[i]++;
    kinds[i].run(m);
}

static uint64_t run_round(struct model *m, const char *base, uint64_t seed, uint64_t steps)
{
    *m = (struct model){.seed = seed, .dice = {seed}};
    snprintf(m->base, sizeof(m->base), "%s", base);
    snprintf(m->directory, sizeof(m->directory), "%s/0", base);
    struct error error = ERROR_INIT;
    CHECK(m, config_read_text(&store_section, settings, &error, &m->config) == 0);
    for (unsigned i = 0; i < STREAMS; i++)
        m->streams[i].events = (struct bytes)BYTES_INIT(EVENTS_MAX * sizeof(struct specimen));
    model_now_us = 1000000;
    model_open(m);
    for (m->step = 1; m->step <= steps; m->step++)
        one_step(m);
    restart(m);
    replay(m);
    model_close(m);
    specimen_directory_remove(m->directory);
    uint64_t events = 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        events += m->streams[i].committed;
        bytes_deinit(&m->streams[i].events);
    }
    config_section_deinit(&store_section, &m->config);
    return events;
}

int main(int argc, char **argv)
{
    uint64_t steps = 100000, seed = 1, done = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--steps") == 0)
            steps = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        fprintf(stderr, "usage: test_model [--steps N] [--seed N]\n");
        return TROUBLE;
    }
    static struct model model;
    char base[256];
    specimen_directory(base);
    hold_vfs_install();
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; done < steps; seed++) {
        uint64_t n = steps - done < ROUND_STEPS ? steps - done : ROUND_STEPS;
        printf("seed %" PRIu64 ": ", seed);
        fflush(stdout);
        uint64_t events = run_round(&model, base, seed, n);
        done += n;
        printf("%" PRIu64 " steps, %" PRIu64 " events committed\n", n, events);
    }
    for (unsigned i = 0; i < KINDS; i++)
        printf("%s %" PRIu64 "%s", kinds[i].name, steps_of[i], i + 1 < KINDS ? ", " : "\n");
    uint64_t repacked = 0;
    for (unsigned i = 0; i < STREAMS; i++)
        repacked += metric_get(metric_set_get(METRIC_GROUP_STREAM, model_streams[i], NULL),
                               METRIC_STREAM_REPACKED_BATCHES);
    printf("%" PRIu64 " batches re-packed\n", repacked);
    if (!repacked && done >= ROUND_STEPS)
        return TROUBLE;
    printf("%" PRIu64 " model steps, 0 bad\n", done);
    return 0;
}
