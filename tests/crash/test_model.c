/*
 * The store against a model of it that is too simple to be wrong: per stream a list of events, how
 * many of them are committed, and where consumers stand. Random steps (append, commit, commits that
 * fail, reads and replays, acknowledgements, retention, orderly ends, kills) go to both, and what
 * the store shows must be what the model says. The seed of each round is printed; a round follows
 * from its seed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/metrics.h"
#include "config/read.h"
#include "dice.h"
#include "hold_vfs.h"
#include "specimen.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

enum {
    STREAMS = 3,
    CONSUMERS = 2,
    EVENTS_MAX = 1 << 22,
    ROUND_STEPS = 10000,
    TRIED_MAX = 256,
    TROUBLE = 99
};

/* The last one has no consumer. */
static const char *const names[STREAMS] = {"events", "small", "free"};
static const char *const consumers[CONSUMERS] = {"cloud", "archive"};
static const unsigned consumer_streams[CONSUMERS] = {2, 1};
static const char settings[] =
    "{\"streams\": {\"events\": {\"max_bytes\": \"256KiB\", \"max_age\": \"30m\"},"
    " \"small\": {\"max_bytes\": \"64KiB\", \"when_full\": \"reject\"},"
    " \"free\": {\"max_bytes\": \"128KiB\", \"max_age\": \"0s\"}}}";

struct model_stream {
    struct bytes events;              /* struct specimen by offset */
    uint64_t first, committed, next;  /* next: of the open batch */
    uint64_t cursor[CONSUMERS];       /* as acknowledged */
    uint64_t cursor_saved[CONSUMERS]; /* as committed */
    uint32_t id;
};

struct model {
    uint64_t seed, step;
    struct dice dice;
    struct model_stream streams[STREAMS];
    struct store_config config;
    struct store *store;
    struct store_reader *reader;
    struct range_feed *feeds[CONSUMERS];
    char base[256], directory[300];
    unsigned directories;
    uint32_t serial;
    unsigned tried_count; /* commits that failed since the last that did not */
    struct {
        uint64_t next[STREAMS], cursor[STREAMS][CONSUMERS];
    } tried[TRIED_MAX];
};

static uint64_t steps_of[12];
static int64_t now_us;

static int64_t model_now(void *data)
{
    (void)data;
    return now_us;
}

static bool model_synced(void *data)
{
    (void)data;
    return true;
}

static const struct clock model_clock = {model_now, model_now, model_synced, NULL};

#define CHECK(m, condition) check((m), (condition), #condition, __LINE__)

static void check(const struct model *m, bool ok, const char *what, int line)
{
    if (ok)
        return;
    printf("BAD seed %" PRIu64 " step %" PRIu64 ": line %d: %s\n", m->seed, m->step, line, what);
    exit(1);
}

static const struct specimen *event_at(const struct model_stream *s, uint64_t offset)
{
    return (const struct specimen *)(const void *)s->events.data + offset;
}

static bool has_cursor(unsigned consumer, unsigned stream)
{
    return stream < consumer_streams[consumer];
}

static void attach(struct model *m, unsigned consumer)
{
    CHECK(m, store_attach(m->store, m->feeds[consumer]) == 0);
    for (unsigned i = 0; i < consumer_streams[consumer]; i++) {
        struct range *range = &m->feeds[consumer]->ranges[i];
        CHECK(m, range->stream == m->streams[i].id);
        CHECK(m, range->start_offset == m->streams[i].cursor[consumer]);
        CHECK(m, atomic_load(&range->head_offset) == m->streams[i].committed);
    }
}

static void model_open(struct model *m)
{
    struct error error = ERROR_INIT;
    const struct store_options options = {
        .data_dir = m->directory, .config = &m->config, .clock = &model_clock};
    CHECK(m, store_new(&options, &m->store) == 0);
    CHECK(m, store_open(m->store, &error) == 0);
    for (unsigned i = 0; i < STREAMS; i++)
        CHECK(m, store_stream(m->store, names[i], &m->streams[i].id) == 0);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        CHECK(m, range_feed_new(consumers[i], RANGE_START_OLDEST, names, consumer_streams[i],
                                &m->feeds[i]) == 0);
        attach(m, i);
    }
    CHECK(m, store_reader_open(store_path(m->store), &error, &m->reader) == 0);
}

static void model_close(struct model *m)
{
    m->reader = store_reader_close(m->reader);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        store_detach(m->store, m->feeds[i]);
        m->feeds[i] = range_feed_unref(m->feeds[i]);
    }
    m->store = store_free(m->store);
    for (unsigned i = 0; i < STREAMS; i++)
        m->streams[i].next = m->streams[i].committed; /* what was open is gone */
}

/* How far retention has gone, and that it was allowed to. */
static void follow_retention(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        struct model_stream *s = &m->streams[i];
        struct store_stream_info info;
        CHECK(m, store_read_stream(m->reader, names[i], &info) == 0);
        CHECK(m, info.stream == s->id && info.next_offset == s->committed);
        CHECK(m, info.first_offset >= s->first && info.first_offset <= s->committed);
        for (unsigned c = 0; c < CONSUMERS; c++)
            CHECK(m, !has_cursor(c, i) || info.first_offset == s->first ||
                         info.first_offset <= s->cursor_saved[c]);
        s->first = info.first_offset;
    }
}

static void check_segment(struct model *m, unsigned stream, const struct segment *segment,
                          uint64_t from)
{
    const struct model_stream *s = &m->streams[stream];
    struct segment_iterator it;
    struct event event;
    uint64_t offset, expected = from > segment->base_offset ? from : segment->base_offset;
    CHECK(m, segment->stream == s->id && segment_end_offset(segment) <= s->committed);
    segment_iterator_init(&it, segment, expected);
    int r;
    while (!(r = segment_next(&it, &event, &offset))) {
        CHECK(m, offset == expected++);
        CHECK(m, specimen_is(event_at(s, offset), &event));
    }
    CHECK(m, r == SEGMENT_END && expected == segment_end_offset(segment));
}

/* What one read at an offset yields; where the next one goes. */
static uint64_t read_at(struct model *m, unsigned stream, uint64_t offset)
{
    const struct model_stream *s = &m->streams[stream];
    struct segment *segment;
    uint64_t skip;
    int r = store_read(m->reader, s->id, offset, &segment, &skip);
    if (offset >= s->committed || s->first == s->committed) {
        CHECK(m, r == STORE_READ_END);
        return s->committed;
    }
    CHECK(m, r == 0);
    if (offset < s->first)
        CHECK(m, segment->base_offset == s->first);
    else
        CHECK(m, segment->base_offset <= offset && segment_end_offset(segment) > offset);
    check_segment(m, stream, segment, offset);
    uint64_t end = segment_end_offset(segment);
    segment_unref(segment);
    return end;
}

static void replay(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++)
        for (uint64_t offset = 0; offset < m->streams[i].committed;)
            offset = read_at(m, i, offset);
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
        /* Only a stream that somebody is behind in can be full. */
        CHECK(m, stream != STREAMS - 1);
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

static void save_cursors(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++)
        memcpy(m->streams[i].cursor_saved, m->streams[i].cursor, sizeof(m->streams[i].cursor));
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
        CHECK(m, i < STREAMS && has_cursor(0, i) && segment->base_offset == at[i]);
        check_segment(m, i, segment, at[i]);
        at[i] = segment_end_offset(segment);
        segment_unref(segment);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        CHECK(m, at[i] == (has_cursor(0, i) ? m->streams[i].committed : before[i]));
}

static void commit(struct model *m)
{
    uint64_t before[STREAMS];
    CHECK(m, store_open_events(m->store) == open_events(m));
    CHECK(m, store_commit(m->store) == 0);
    CHECK(m, store_open_events(m->store) == 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        before[i] = m->streams[i].committed;
        m->streams[i].committed = m->streams[i].next;
    }
    save_cursors(m);
    m->tried_count = 0;
    check_committed(m, before);
    follow_retention(m);
}

static void fail_to_commit(struct model *m)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC};
    size_t open = open_events(m);
    bool fails = open || moves_wait(m);
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
    }
    CHECK(m, store_open_events(m->store) == open);
    CHECK(m, store_committed_next(m->store) == NULL);
    follow_retention(m);
}

static void acknowledge(struct model *m)
{
    unsigned consumer = (unsigned)dice_below(&m->dice, CONSUMERS);
    unsigned stream = (unsigned)dice_below(&m->dice, consumer_streams[consumer]);
    struct model_stream *s = &m->streams[stream];
    uint64_t ahead = s->committed - s->cursor[consumer];
    if (dice_one_in(&m->dice, 8)) { /* backwards counts for nothing */
        store_move_cursor(m->store, m->feeds[consumer], stream,
                          dice_below(&m->dice, s->cursor[consumer] + 1));
        return;
    }
    s->cursor[consumer] += dice_one_in(&m->dice, 2) ? ahead : dice_below(&m->dice, ahead + 1);
    store_move_cursor(m->store, m->feeds[consumer], stream, s->cursor[consumer]);
    CHECK(m, (store_cursors_due_us(m->store) != INT64_MAX) == moves_wait(m));
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
        CHECK(m, store_read_stream(m->reader, names[i], &info) == 0);
        CHECK(m, info.stored_bytes == taken);
        CHECK(m, metric_get(metric_set_get(METRIC_GROUP_STREAM, names[i], NULL),
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
    follow_retention(m);
    check_accounts(m);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info info;
        const struct model_stream *s = &m->streams[i];
        bool owed = false;
        for (unsigned c = 0; c < CONSUMERS; c++)
            owed = owed || (has_cursor(c, i) && s->cursor_saved[c] < s->committed);
        CHECK(m, store_read_stream(m->reader, names[i], &info) == 0);
        CHECK(m, owed || info.stored_bytes <=
                             (uint64_t)store_config_stream(&m->config, names[i])->max_bytes);
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
    attach(m, consumer);
}

static void restart(struct model *m)
{
    model_close(m);
    save_cursors(m);
    m->tried_count = 0;
    model_open(m);
    follow_retention(m);
}

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

static void look_at_cursors(struct model *m, const char *path, uint64_t cursor[STREAMS][CONSUMERS])
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
            sqlite3_bind_text(row, 1, names[i], -1, SQLITE_STATIC);
            sqlite3_bind_text(row, 2, consumers[c], -1, SQLITE_STATIC);
            bool found = sqlite3_step(row) == SQLITE_ROW;
            cursor[i][c] = found ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
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
    uint64_t next[STREAMS] = {0}, cursor[STREAMS][CONSUMERS];
    snprintf(path, sizeof(path), "%s/%s", m->directory, STORE_FILE_NAME);
    CHECK(m, store_reader_open(path, &error, &reader) == 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        struct store_stream_info info;
        if (!store_read_stream(reader, names[i], &info))
            next[i] = info.next_offset;
    }
    look_at_cursors(m, path, cursor);
    store_reader_close(reader);
    for (unsigned k = 0; k < m->tried_count; k++) {
        if (memcmp(m->tried[k].next, next, sizeof(next)) ||
            memcmp(m->tried[k].cursor, cursor, sizeof(cursor)))
            continue;
        for (unsigned i = 0; i < STREAMS; i++) {
            m->streams[i].committed = m->streams[i].next = next[i];
            memcpy(m->streams[i].cursor, cursor[i], sizeof(cursor[i]));
        }
        save_cursors(m);
        break;
    }
    m->tried_count = 0;
}

/* As after a kill: goes on with what the files hold at this moment. */
static void kill_store(struct model *m)
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
    follow_retention(m);
}

static void read_one(struct model *m)
{
    unsigned stream = (unsigned)dice_below(&m->dice, STREAMS);
    const struct model_stream *s = &m->streams[stream];
    uint64_t offset = dice_one_in(&m->dice, 8)
                          ? dice_below(&m->dice, s->committed + 3)
                          : s->first + dice_below(&m->dice, s->committed - s->first + 1);
    (void)read_at(m, stream, offset);
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
    {"kill", 4, kill_store},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static_assert(KINDS <= sizeof(steps_of) / sizeof(steps_of[0]), "a counter for each kind");

static void one_step(struct model *m)
{
    unsigned at = (unsigned)dice_below(&m->dice, 1000), i = 0;
    while (i + 1 < KINDS && at >= kinds[i].weight)
        at -= kinds[i++].weight;
    now_us += (int64_t)dice_below(&m->dice, 4000000);
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
    now_us = 1000000;
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
        repacked += metric_get(metric_set_get(METRIC_GROUP_STREAM, names[i], NULL),
                               METRIC_STREAM_REPACKED_BATCHES);
    printf("%" PRIu64 " batches re-packed\n", repacked);
    if (!repacked && done >= ROUND_STEPS)
        return TROUBLE;
    printf("%" PRIu64 " model steps, 0 bad\n", done);
    return 0;
}
