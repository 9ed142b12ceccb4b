#include "uplink/lane.h"

#include <assert.h>
#include <stddef.h>

static struct lane_slot *slot_at(struct lane *lane, unsigned i)
{
    return &lane->slots[(lane->first + i) % LANE_SLOTS];
}

void lane_init(struct lane *lane, uint64_t cursor)
{
    *lane = (struct lane){.cursor = cursor, .next = cursor};
}

static const struct lane_slot *first_waiting(const struct lane *lane)
{
    for (unsigned i = 0; lane->waiting && i < lane->used; i++) {
        const struct lane_slot *s = &lane->slots[(lane->first + i) % LANE_SLOTS];
        if (s->state == LANE_WAITING)
            return s;
    }
    return NULL;
}

bool lane_wants(const struct lane *lane, uint64_t head, uint64_t *ret_offset)
{
    const struct lane_slot *waiting = first_waiting(lane);
    if (waiting) {
        *ret_offset = waiting->offset;
        return true;
    }
    if (lane->next >= head || lane->used == LANE_SLOTS)
        return false;
    *ret_offset = lane->next;
    return true;
}

/* Moves the cursor over what is done at the front. */
static void advance(struct lane *lane)
{
    while (lane->used && slot_at(lane, 0)->state == LANE_DONE) {
        struct lane_slot *s = slot_at(lane, 0);
        lane->cursor = s->end;
        lane->acknowledged += s->counts;
        lane->first = (lane->first + 1) % LANE_SLOTS;
        lane->used--;
    }
    assert(lane->used || lane->cursor == lane->next);
}

/* The slot of the offset that lane_wants() named: the waiting one, or a new one up to end. */
static struct lane_slot *take(struct lane *lane, uint64_t offset, uint64_t end)
{
    struct lane_slot *s = (struct lane_slot *)first_waiting(lane);
    if (s) {
        assert(s->offset == offset && end == offset + 1);
        lane->waiting--;
        return s;
    }
    assert(offset == lane->next && end > offset && lane->used < LANE_SLOTS);
    s = slot_at(lane, lane->used++);
    *s = (struct lane_slot){.offset = offset, .end = end};
    lane->next = end;
    return s;
}

unsigned lane_sent(struct lane *lane, uint64_t offset)
{
    struct lane_slot *s = take(lane, offset, offset + 1);
    s->state = LANE_SENT;
    lane->sent++;
    return (unsigned)(s - lane->slots);
}

void lane_skip(struct lane *lane, uint64_t offset, uint64_t end)
{
    take(lane, offset, end)->state = LANE_DONE;
    advance(lane);
}

static struct lane_slot *sent_slot(struct lane *lane, unsigned slot)
{
    unsigned i = (slot - lane->first) % LANE_SLOTS;
    if (slot >= LANE_SLOTS || i >= lane->used || lane->slots[slot].state != LANE_SENT)
        return NULL;
    return &lane->slots[slot];
}

bool lane_acknowledge(struct lane *lane, unsigned slot)
{
    struct lane_slot *s = sent_slot(lane, slot);
    if (!s)
        return false;
    s->state = LANE_DONE;
    s->counts = true;
    lane->sent--;
    advance(lane);
    return true;
}

static void await(struct lane *lane, struct lane_slot *s)
{
    s->state = LANE_WAITING;
    lane->sent--;
    lane->waiting++;
}

bool lane_refuse(struct lane *lane, unsigned slot, bool blame)
{
    struct lane_slot *s = sent_slot(lane, slot);
    if (!s)
        return false;
    await(lane, s);
    if (blame && s->attempts < UINT8_MAX)
        s->attempts++;
    return true;
}

void lane_withdraw(struct lane *lane, unsigned slot)
{
    struct lane_slot *s = sent_slot(lane, slot);
    assert(s);
    await(lane, s);
}

unsigned lane_attempts(const struct lane *lane, uint64_t offset)
{
    const struct lane_slot *s = first_waiting(lane);
    return s && s->offset == offset ? s->attempts : 0;
}

void lane_lose(struct lane *lane)
{
    for (unsigned i = 0; i < lane->used; i++)
        if (slot_at(lane, i)->state == LANE_SENT)
            await(lane, slot_at(lane, i));
    assert(lane->sent == 0);
}
