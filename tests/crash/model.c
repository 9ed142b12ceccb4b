#include "model.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "gap_reader.h"
#include "specimen.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"

const char *const model_streams[STREAMS] = {"drops", "events", "small", "free"};
const char *const model_consumers[CONSUMERS] = {"cloud", "archive"};
const unsigned model_consumer_streams[CONSUMERS] = {3, 2};

int64_t model_now_us;

static int64_t model_now(void *data)
{
    (void)data;
    return model_now_us;
}

static bool model_synced(void *data)
{
    (void)data;
    return true;
}

static const struct clock model_clock = {model_now, model_now, model_synced, NULL};

void model_check(const struct model *m, bool ok, const char *what, int line)
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

bool model_has_cursor(unsigned consumer, unsigned stream)
{
    return stream < model_consumer_streams[consumer];
}

void model_attach(struct model *m, unsigned consumer)
{
    CHECK(m, store_attach(m->store, m->feeds[consumer]) == 0);
    for (unsigned i = 0; i < model_consumer_streams[consumer]; i++) {
        struct range *range = &m->feeds[consumer]->ranges[i];
        CHECK(m, range->stream == m->streams[i].id);
        /* A cursor that a drop passed by may be persisted where it was. */
        uint64_t cursor = m->streams[i].cursor[consumer];
        CHECK(m, latest(range->start_offset, m->streams[i].first) == cursor);
        m->hidden_moves = m->hidden_moves || range->start_offset < cursor;
        CHECK(m, atomic_load(&range->head_offset) == m->streams[i].committed);
    }
}

void model_open(struct model *m)
{
    struct error error = ERROR_INIT;
    const struct store_options options = {
        .data_dir = m->directory, .config = &m->config, .clock = &model_clock};
    m->hidden_moves = false;
    CHECK(m, store_new(&options, &m->store) == 0);
    CHECK(m, store_open(m->store, &error) == 0);
    for (unsigned i = 0; i < STREAMS; i++)
        CHECK(m, store_stream(m->store, model_streams[i], &m->streams[i].id) == 0);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        CHECK(m, range_feed_new(model_consumers[i], RANGE_START_OLDEST, model_streams,
                                model_consumer_streams[i], &m->feeds[i]) == 0);
        model_attach(m, i);
    }
    CHECK(m, store_reader_open(store_path(m->store), &error, &m->reader) == 0);
}

void model_close(struct model *m)
{
    m->reader = store_reader_close(m->reader);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        store_detach(m->store, m->feeds[i]);
        m->feeds[i] = range_feed_unref(m->feeds[i]);
    }
    m->store = store_free(m->store);
    for (unsigned i = 0; i < STREAMS; i++)
        m->streams[i].next = m->streams[i].committed; /* what was open is gone */
    m->own_events = 0;
}

void model_save_cursors(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++)
        memcpy(m->streams[i].cursor_saved, m->streams[i].cursor, sizeof(m->streams[i].cursor));
}

static void take_gap(void *data, const struct gap_record *record)
{
    struct model *m = data;
    unsigned c = 0;
    while (c < CONSUMERS && strcmp(record->upstream, model_consumers[c]))
        c++;
    bool follows = c < CONSUMERS && (!m->gaps[c].any || m->gaps[c].to == record->from ||
                                     (m->inexact && m->gaps[c].to < record->from));
    m->gaps_bad = m->gaps_bad || !follows || strcmp(record->stream, model_streams[DROPPING]) ||
                  strcmp(record->reason, "drop_oldest") || record->from >= record->to ||
                  record->count != record->to - record->from;
    if (m->gaps_bad)
        return;
    m->gaps[c].from = m->gaps[c].any ? m->gaps[c].from : record->from;
    m->gaps[c].to = record->to;
    m->gaps[c].any = true;
}

/* The stream now begins at first: what went and was still owed to a consumer is told, and nothing
 * else is. A record that a failed commit left behind tells of its moment: what was acknowledged
 * since is in it all the same. */
static void follow_drop(struct model *m, uint64_t first)
{
    struct model_stream *s = &m->streams[DROPPING];
    memset(m->gaps, 0, sizeof(m->gaps));
    CHECK(m, gap_reader_next(m->reader, &m->gateway_at, take_gap, m) == 0 && !m->gaps_bad);
    for (unsigned c = 0; c < CONSUMERS; c++) {
        uint64_t from = latest(s->cursor[c], s->first);
        bool lost = from < first;
        if (!m->inexact)
            CHECK(m, m->gaps[c].any == lost && (!lost || m->gaps[c].from == from));
        CHECK(m, !lost || (m->gaps[c].any && m->gaps[c].from <= from && m->gaps[c].to == first));
        s->cursor[c] = latest(s->cursor[c], first);
        m->hidden_moves = m->hidden_moves || s->cursor_saved[c] < first; /* with the next commit */
        s->cursor_saved[c] = latest(s->cursor_saved[c], first);
    }
}

/* How far retention has gone, and that it was allowed to. */
void model_follow(struct model *m)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        struct model_stream *s = &m->streams[i];
        struct store_stream_info info;
        CHECK(m, store_read_stream(m->reader, model_streams[i], &info) == 0);
        CHECK(m, info.stream == s->id && info.next_offset == s->committed);
        CHECK(m, info.first_offset >= s->first && info.first_offset <= s->committed);
        if (i == DROPPING) {
            follow_drop(m, info.first_offset);
            /* What was sent may go beyond max_bytes by an eighth until there is time for it. */
            CHECK(m, info.stored_bytes <= DROPPING_MAX_BYTES + DROPPING_MAX_BYTES / 8);
        }
        for (unsigned c = 0; c < CONSUMERS; c++)
            CHECK(m, !model_has_cursor(c, i) || info.first_offset == s->first ||
                         info.first_offset <= s->cursor_saved[c]);
        s->first = info.first_offset;
        s->stored_bytes = latest(s->stored_bytes, info.stored_bytes);
    }
}

void model_check_segment(struct model *m, unsigned stream, const struct segment *segment,
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
uint64_t model_read(struct model *m, unsigned stream, uint64_t offset)
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
    model_check_segment(m, stream, segment, offset);
    uint64_t end = segment_end_offset(segment);
    segment_unref(segment);
    return end;
}
