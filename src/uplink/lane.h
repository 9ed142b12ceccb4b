#ifndef SLUICE_UPLINK_LANE_H
#define SLUICE_UPLINK_LANE_H
/*
 * What of one range is still to be sent, is on its way, or is done. The range advances over the
 * longest done prefix only (design: uplink):
 *
 *      cursor                                     next             head
 *   ------|======|======|......|======|......|------|---------------|
 *    done   SENT   SENT   DONE   SENT   DONE   never sent, to be read
 *
 * The events between cursor and next stand in a ring of LANE_SLOTS slots in order of their offsets.
 * After a loss of the connection those that are SENT turn WAITING and go out again, in order and
 * before anything new; those that are DONE do not. Offsets that no longer exist enter as DONE.
 * Pure; one thread.
 */
#include <stdbool.h>
#include <stdint.h>

enum { LANE_SLOTS = 256 /* power of two, more than the largest window */ };

enum lane_slot_state {
    LANE_WAITING, /* to be sent (again) */
    LANE_SENT,    /* on its way on this connection */
    LANE_DONE     /* acknowledged, skipped or gone */
};

struct lane_slot {
    uint64_t offset, end; /* one event, or a gap of several offsets */
    uint8_t state;        /* enum lane_slot_state */
    uint8_t attempts;     /* how often the server has refused it */
    bool counts;          /* acknowledged, to be counted when the cursor passes it */
};

struct lane {
    uint64_t cursor;       /* everything below is done */
    uint64_t next;         /* the first offset that was never given out */
    uint64_t acknowledged; /* events acknowledged below cursor, ever */
    unsigned first, used;  /* ring */
    unsigned sent, waiting;
    struct lane_slot slots[LANE_SLOTS];
};

void lane_init(struct lane *lane, uint64_t cursor);

/* The offset to be sent next: the first WAITING one, else next if it lies below head and there is
 * a slot. false: nothing to send. */
bool lane_wants(const struct lane *lane, uint64_t head, uint64_t *ret_offset);

/* The event that lane_wants() named was handed to the client. Returns its slot, by which the answer
 * is known. */
unsigned lane_sent(struct lane *lane, uint64_t offset);

/* [offset, end) will not be sent, where lane_wants() named offset: gone, damaged or given up. end
 * beyond one event is allowed only for offsets never sent. */
void lane_skip(struct lane *lane, uint64_t offset, uint64_t end);

/* The answers to a SENT slot; false if the slot is not SENT (an answer that no longer matters). */
bool lane_acknowledge(struct lane *lane, unsigned slot);
/* Turns WAITING; blame: the attempt counts against the event. */
bool lane_refuse(struct lane *lane, unsigned slot, bool blame);

/* It was not handed over after all: turns WAITING. */
void lane_withdraw(struct lane *lane, unsigned slot);

/* How often the WAITING event that lane_wants() names was refused; 0 for one never sent. */
unsigned lane_attempts(const struct lane *lane, uint64_t offset);

/* The connection is gone: everything SENT turns WAITING. */
void lane_lose(struct lane *lane);

#endif
