/* Whether an image keeps what a history promised. */
#include "life.h"

#include "gap_reader.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "specimen.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"

static char why[LIFE_WHY_MAX_BYTES];

__attribute__((format(printf, 1, 2))) static bool bad(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    return false;
}

/* Everything of a stream that can be read, one after the other and as it was appended. */
static bool read_stream(const struct history *h, size_t position, struct store_reader *reader,
                        unsigned which, struct state *state)
{
    struct store_stream_info info;
    int r = store_read_stream(reader, life_streams[which], &info);
    state->first[which] = state->next[which] = 0;
    if (r == -ENOENT)
        return true;
    if (r)
        return bad("stream %s: %s", life_streams[which], strerror(-r));
    state->first[which] = info.first_offset;
    state->next[which] = info.next_offset;
    const struct specimen *events = (const struct specimen *)(const void *)h->events[which].data;
    bool times_known = h->durability == STORE_DURABILITY_POWER && position >= h->synced_end;
    uint64_t known = h->events[which].len / sizeof(*events), offset = info.first_offset, skip;
    struct segment *segment;
    while (!(r = store_read(reader, info.stream, offset, &segment, &skip))) {
        struct segment_iterator it;
        struct event event;
        uint64_t at;
        segment_iterator_init(&it, segment, offset);
        while ((r = segment_next(&it, &event, &at)) == 0) {
            if (at != offset || at >= known || !specimen_is(&events[at], &event) ||
                (times_known && event.quality == CLOCK_UNSYNCED && events[at].boot == h->boot))
                break;
            offset++;
        }
        segment_unref(segment);
        if (r != SEGMENT_END)
            return bad("stream %s: at %llu is not what was appended (%d)", life_streams[which],
                       (unsigned long long)offset, r);
    }
    if (r != STORE_READ_END || offset != info.next_offset)
        return bad("stream %s: ends at %llu of %llu (%d)", life_streams[which],
                   (unsigned long long)offset, (unsigned long long)info.next_offset, r);
    return true;
}

static bool read_cursors(struct store *store, struct state *state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct range_feed *feed;
        int r = range_feed_new(life_consumers[i], RANGE_START_OLDEST, life_streams,
                               life_consumer_streams[i], &feed);
        if (r)
            return bad("feed: %s", strerror(-r));
        r = store_attach(store, feed);
        for (unsigned k = 0; !r && k < feed->count; k++)
            state->cursor[n++] = feed->ranges[k].start_offset;
        store_detach(store, feed);
        range_feed_unref(feed);
        if (r)
            return bad("consumer %s: %s", life_consumers[i], strerror(-r));
    }
    return true;
}

static bool read_backlog(struct store_reader *reader, struct state *state)
{
    struct store_range_info range;
    int64_t id = 0;
    int r;
    while (!(r = store_read_next_range(reader, &id, &range))) {
        if (range.end_offset == UINT64_MAX)
            continue;
        if (state->backlog.id)
            return bad("ranges %lld and %lld", (long long)state->backlog.id, (long long)id);
        state->backlog = (struct backlog){id, range.next_offset, range.end_offset};
    }
    return r == STORE_READ_END ? true : bad("ranges cannot be read (%d)", r);
}

/* Appending goes on where the stream ended. */
static bool go_on(struct store *store, const struct state *state)
{
    struct specimen specimen = {.serial = 1, .bytes = 10};
    struct event event = specimen_event(&specimen);
    for (unsigned i = 0; i < LIFE_STREAMS; i++) {
        uint32_t id;
        uint64_t offset;
        int r = store_stream(store, life_streams[i], &id);
        if (!r)
            r = store_append(store, id, &event, &offset);
        if (r == STORE_FULL)
            continue;
        if (r || offset != state->next[i])
            return bad("stream %s: goes on at %llu, not at %llu (%d)", life_streams[i],
                       r ? 0 : (unsigned long long)offset, (unsigned long long)state->next[i], r);
    }
    int r = store_commit(store);
    return r ? bad("commit: %s", strerror(-r)) : true;
}

/* What a stream is said to take is what its rows take. */
static bool check_accounts(sqlite3 *db, struct store_reader *reader)
{
    bool ok = true;
    for (unsigned i = 0; ok && i < LIFE_STREAMS; i++) {
        struct store_stream_info info;
        sqlite3_stmt *statement = NULL;
        int r = store_read_stream(reader, life_streams[i], &info);
        if (r)
            return r == -ENOENT || bad("stream %s: %s", life_streams[i], strerror(-r));
        ok = sqlite3_prepare_v2(db, "SELECT sum(length(data) + 64) FROM batch WHERE key >> 48 = ?1",
                                -1, &statement, NULL) == SQLITE_OK &&
             sqlite3_bind_int64(statement, 1, info.stream) == SQLITE_OK &&
             sqlite3_step(statement) == SQLITE_ROW;
        uint64_t taken = ok ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
        if (!ok)
            bad("accounts: %s", sqlite3_errmsg(db));
        else if (taken != info.stored_bytes)
            ok = bad("stream %s: takes %llu bytes, said are %llu", life_streams[i],
                     (unsigned long long)taken, (unsigned long long)info.stored_bytes);
        sqlite3_finalize(statement);
    }
    return ok;
}

static bool check_file(const char *path, struct store_reader *reader)
{
    sqlite3 *db;
    sqlite3_stmt *statement = NULL;
    bool ok =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW;
    const char *text = ok ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(db);
    ok = ok && strcmp(text, "ok") == 0;
    if (!ok)
        bad("integrity_check: %s", text);
    sqlite3_finalize(statement);
    ok = ok && check_accounts(db, reader);
    sqlite3_close(db);
    return ok;
}

static void take_gap(void *data, const struct gap_record *record)
{
    uint64_t *told = data;
    if (!strcmp(record->stream, life_streams[LIFE_DROPPING]) &&
        !strcmp(record->upstream, life_consumers[0]) && record->from <= *told && record->to > *told)
        *told = record->to;
}

/* What went before it was sent is told by gap records, without a gap between them. */
static bool read_gaps(struct store_reader *reader, const struct state *state)
{
    uint64_t told = state->cursor[LIFE_DROPPING], offset = 0;
    if (gap_reader_next(reader, &offset, take_gap, &told))
        return bad("gap records cannot be read");
    return told >= state->first[LIFE_DROPPING] ||
           bad("stream %s: begins at %llu, what was not sent is told to %llu",
               life_streams[LIFE_DROPPING], (unsigned long long)state->first[LIFE_DROPPING],
               (unsigned long long)told);
}

static bool read_all(const struct history *h, size_t position, const char *directory, bool thorough,
                     struct state *state)
{
    struct store_config config;
    struct error error = ERROR_INIT;
    struct store *store;
    struct store_reader *reader = NULL;
    life_config(false, h->durability, &config);
    const struct store_options options = {
        .data_dir = directory, .config = &config, .clock = &life_clock, .boot_id = "after"};
    int r = store_new(&options, &store);
    if (!r)
        r = store_open(store, &error);
    bool ok = r ? bad("does not open: %s (%d)", error.what, r) : true;
    if (ok) {
        snprintf(state->epoch, sizeof(state->epoch), "%s", store_epoch(store));
        snprintf(state->gateway_id, sizeof(state->gateway_id), "%s", store_gateway_id(store));
        if (store_reader_open(store_path(store), &error, &reader))
            ok = bad("reader: %s", error.what);
    }
    for (unsigned i = 0; ok && i < LIFE_STREAMS; i++)
        ok = read_stream(h, position, reader, i, state);
    ok = ok && read_cursors(store, state) && read_backlog(reader, state) &&
         read_gaps(reader, state) && go_on(store, state) &&
         (!thorough || check_file(store_path(store), reader));
    store_reader_close(reader);
    store_free(store);
    config_section_deinit(&store_section, &config);
    return ok;
}

/* The identity that was shown before the cut stays, or where it may not, offsets are not given
 * twice under it. */
static bool judge_identity(const struct history *h, size_t position, const struct state *state,
                           const struct attempt *last)
{
    unsigned n = h->opening_count;
    while (n && h->openings[n - 1].end > position)
        n--;
    if (!n)
        return true;
    if (strcmp(h->openings[n - 1].gateway_id, state->gateway_id))
        return bad("gateway id changed");
    bool same = strcmp(h->openings[n - 1].epoch, state->epoch) == 0;
    if (!same && n < h->opening_count && h->openings[n].begin && h->openings[n].begin <= position)
        same = strcmp(h->openings[n].epoch, state->epoch) == 0; /* the one under way */
    if (h->durability == STORE_DURABILITY_POWER)
        return same ? true : bad("epoch changed");
    for (unsigned i = 0; same && i < LIFE_STREAMS; i++)
        if (state->next[i] < last->next[i])
            return bad("stream %s: goes back from %llu to %llu in the same epoch", life_streams[i],
                       (unsigned long long)last->next[i], (unsigned long long)state->next[i]);
    return true;
}

static bool judge_retention(const struct history *h, size_t position, const struct state *state)
{
    unsigned n = 0;
    while (n + 1 < h->step_count && h->steps[n].end < position)
        n++;
    /* A drop comes with its commit, which may be on the disk though it failed; see read_gaps(). */
    for (unsigned i = 0; i < LIFE_STREAMS; i++)
        if (i != LIFE_DROPPING && state->first[i] > h->steps[n].first[i])
            return bad("stream %s: begins at %llu, retention had gone to %llu", life_streams[i],
                       (unsigned long long)state->first[i],
                       (unsigned long long)h->steps[n].first[i]);
    for (unsigned i = 0; i < LIFE_CURSORS; i++)
        if (i % 2 != LIFE_DROPPING && state->first[i % 2] > state->cursor[i])
            return bad("stream %s: begins at %llu, cursor stands at %llu", life_streams[i % 2],
                       (unsigned long long)state->first[i % 2],
                       (unsigned long long)state->cursor[i]);
    if (state->backlog.id && state->first[0] > state->backlog.next)
        return bad("stream %s: begins at %llu, the backlog at %llu", life_streams[0],
                   (unsigned long long)state->first[0], (unsigned long long)state->backlog.next);
    return true;
}

/* Whether the cursors stand where a commit left them; those that a drop passed by may be persisted
 * anywhere before it. */
static bool same_cursors(const uint64_t cursor[LIFE_CURSORS], const struct state *state)
{
    bool same = true;
    for (unsigned i = 0; i < LIFE_CURSORS; i++) {
        uint64_t first = i % 2 == LIFE_DROPPING ? state->first[LIFE_DROPPING] : 0;
        bool passed = cursor[i] <= first && state->cursor[i] <= first;
        same = same && (passed || cursor[i] == state->cursor[i]);
    }
    return same;
}

static bool same_backlog(const struct backlog *a, const struct backlog *b)
{
    return !a->id == !b->id && a->next == b->next && a->end == b->end;
}

/* All streams and cursors stand where one and the same commit left them: the last acknowledged one
 * or a later one that was begun. */
static bool judge_commits(const struct history *h, size_t position, const struct state *state,
                          const struct attempt **ret_last)
{
    const struct attempt *last = &h->attempts[0], *found = NULL;
    for (unsigned i = 0; i < h->attempt_count; i++)
        if (h->attempts[i].acknowledged && h->attempts[i].end <= position)
            last = &h->attempts[i];
    const struct attempt *a = h->durability == STORE_DURABILITY_POWER ? last : h->attempts;
    for (; !found && a < h->attempts + h->attempt_count && a->begin <= position; a++)
        if (!memcmp(a->next, state->next, sizeof(a->next)) && same_cursors(a->cursor, state) &&
            same_backlog(&a->backlog, &state->backlog))
            found = a;
    *ret_last = last;
    if (found)
        return true;
    const unsigned long long x[] = {state->next[0],     state->next[1],     state->next[2],
                                    state->next[3],     state->cursor[0],   state->cursor[1],
                                    state->cursor[2],   last->next[0],      last->next[1],
                                    last->next[2],      last->next[3],      last->cursor[0],
                                    last->cursor[1],    last->cursor[2],    state->backlog.next,
                                    state->backlog.end, last->backlog.next, last->backlog.end};
    return bad("streams end at %llu %llu %llu %llu, cursors at %llu %llu %llu; acknowledged were"
               " %llu %llu %llu %llu, %llu %llu %llu; the backlog is %llu-%llu, was %llu-%llu",
               x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12],
               x[13], x[14], x[15], x[16], x[17]);
}

const char *history_judge(const struct history *history, size_t position, const char *directory,
                          bool thorough, struct state *ret)
{
    const struct attempt *last;
    *ret = (struct state){.epoch = ""};
    bool ok = read_all(history, position, directory, thorough, ret) &&
              judge_commits(history, position, ret, &last) &&
              judge_identity(history, position, ret, last) &&
              judge_retention(history, position, ret);
    return ok ? NULL : why;
}
