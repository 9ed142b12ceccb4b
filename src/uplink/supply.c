#include "uplink/supply.h"

#include <assert.h>
#include <errno.h>

#include "base/result.h"

void supply_init(struct supply *s, uint32_t stream)
{
    *s = (struct supply){.stream = stream, .event_offset = UINT64_MAX};
}

void supply_deinit(struct supply *s)
{
    supply_clear(s);
}

static size_t cost(const struct segment *segment)
{
    return sizeof(*segment) + segment->records.cap;
}

static struct segment *take_live(struct supply *s)
{
    struct segment *segment = s->live[s->live_first];
    s->live[s->live_first] = NULL;
    s->live_first = (s->live_first + 1) % SUPPLY_LIVE_MAX;
    s->live_count--;
    s->live_bytes -= cost(segment);
    return segment;
}

static void drop_current(struct supply *s)
{
    s->current = segment_unref(s->current);
    s->event_offset = UINT64_MAX;
}

void supply_clear(struct supply *s)
{
    drop_current(s);
    while (s->live_count)
        segment_unref(take_live(s));
}

uint64_t supply_end(const struct supply *s, uint64_t next)
{
    const struct segment *last =
        s->live_count ? s->live[(s->live_first + s->live_count - 1) % SUPPLY_LIVE_MAX] : s->current;
    return last && segment_end_offset(last) > next ? segment_end_offset(last) : next;
}

bool supply_behind(const struct supply *s, uint64_t next, uint64_t head)
{
    return supply_end(s, next) < head && s->empty_head != head;
}

void supply_push(struct supply *s, struct segment *segment, uint64_t next)
{
    bool room = !s->live_count || (s->live_count < SUPPLY_LIVE_MAX &&
                                   s->live_bytes + cost(segment) <= SUPPLY_LIVE_MAX_BYTES);
    if (!room || segment->base_offset != supply_end(s, next)) {
        segment_unref(segment);
        return;
    }
    s->live[(s->live_first + s->live_count) % SUPPLY_LIVE_MAX] = segment;
    s->live_count++;
    s->live_bytes += cost(segment);
}

static bool holds(const struct segment *segment, uint64_t offset)
{
    return segment->base_offset <= offset && offset < segment_end_offset(segment);
}

static void set_current(struct supply *s, struct segment *segment, uint64_t offset)
{
    drop_current(s);
    s->current = segment;
    segment_iterator_init(&s->it, segment, offset);
}

/* The event at offset from the current batch: the one just looked at, the next one, or by a walk
 * from the start of the batch. */
static int get_from_current(struct supply *s, uint64_t offset)
{
    if (s->event_offset == offset)
        return 0;
    if (s->it.next_offset != offset)
        segment_iterator_init(&s->it, s->current, offset);
    uint64_t bytes = segment_iterator_bytes(&s->it), found = 0;
    s->event_offset = UINT64_MAX; /* segment_next() may leave the event half written */
    int r = segment_next(&s->it, &s->event, &found);
    if (r == SEGMENT_END || (r == 0 && found != offset))
        return result_origin(-EBADMSG); /* the batch said that it held the offset */
    if (r)
        return r;
    s->event_offset = offset;
    s->event_bytes = bytes;
    return 0;
}

/* Makes the batch with offset current. 0 or an outcome of supply_get(). */
static int find(struct supply *s, struct store_reader *reader, uint64_t offset, uint64_t head,
                uint64_t *ret_skip_to)
{
    while (s->live_count && segment_end_offset(s->live[s->live_first]) <= offset)
        segment_unref(take_live(s));
    if (s->live_count && holds(s->live[s->live_first], offset)) {
        set_current(s, take_live(s), offset);
        return 0;
    }
    if (offset >= head || s->empty_head == head)
        return SUPPLY_NONE;
    struct segment *segment = NULL;
    uint64_t skip_to = 0;
    s->reads++;
    int r = store_read(reader, s->stream, offset, &segment, &skip_to);
    if (r == STORE_READ_END) {
        /* Retention has emptied the stream; there will be more when head moves on. */
        s->empty_head = head;
        return SUPPLY_NONE;
    }
    if (r == STORE_READ_DAMAGED) {
        *ret_skip_to = skip_to;
        return skip_to > offset ? SUPPLY_DAMAGED : result_origin(-EBADMSG);
    }
    if (r)
        return result_trace(r);
    set_current(s, segment, offset);
    if (segment->base_offset > offset) {
        *ret_skip_to = segment->base_offset;
        return SUPPLY_GONE;
    }
    return 0;
}

int supply_get(struct supply *s, struct store_reader *reader, uint64_t offset, uint64_t head,
               const struct event **ret, uint64_t *ret_skip_to)
{
    if (!s->current || !holds(s->current, offset)) {
        int r = find(s, reader, offset, head, ret_skip_to);
        if (r)
            return r;
    }
    int r = get_from_current(s, offset);
    if (r == -EBADMSG) {
        /* A batch that passed its CRC and still cannot be read will not get better. */
        *ret_skip_to = segment_end_offset(s->current);
        drop_current(s);
        return SUPPLY_DAMAGED;
    }
    if (r)
        return r;
    *ret = &s->event;
    return 0;
}

const char *supply_epoch(const struct supply *s)
{
    assert(s->current && s->event_offset != UINT64_MAX);
    return s->current->epoch;
}
