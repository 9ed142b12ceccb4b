#ifndef SLUICE_UPLINK_SUPPLY_H
#define SLUICE_UPLINK_SUPPLY_H
/*
 * Where the events of one range come from: the batches just committed, kept as long as they are
 * what is sent next and within SUPPLY_LIVE_MAX_BYTES; else the store. Behind a backlog nothing is
 * kept: by the time it would be sent it is read like the rest. Who asks names an offset and does
 * not see the difference. One thread, the uplink's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"
#include "store/read.h"

enum {
    SUPPLY_LIVE_MAX = 128,              /* batches */
    SUPPLY_LIVE_MAX_BYTES = 256 * 1024, /* bytes of them, but for one batch of any size */
    SUPPLY_EPOCH_BYTES = sizeof(((struct segment *)0)->epoch)
};

struct supply {
    uint32_t stream;
    struct segment *current;               /* the event below comes from it; owned reference */
    struct segment_iterator it;            /* over current */
    struct event event;                    /* the last one taken off it */
    uint64_t event_offset;                 /* UINT64_MAX: none */
    uint64_t event_bytes;                  /* record bytes of the stream before it */
    struct segment *live[SUPPLY_LIVE_MAX]; /* ring, rising offsets; owned references */
    unsigned live_first, live_count;
    size_t live_bytes;
    uint64_t empty_head; /* the store held nothing more when head was this; 0: not known */
    uint64_t reads;      /* calls of store_read() since init */
};

void supply_init(struct supply *s, uint32_t stream);
void supply_deinit(struct supply *s);

/* The end of what is in memory and comes next, where next is the first offset never asked for. */
uint64_t supply_end(const struct supply *s, uint64_t next);

/* Takes over one reference to a batch just committed; dropped at once if there is no room or it
 * does not begin at supply_end(). */
void supply_push(struct supply *s, struct segment *segment, uint64_t next);

/* Whether the store holds what comes next and is not in memory. */
bool supply_behind(const struct supply *s, uint64_t next, uint64_t head);

/* Drops every batch kept. The event of the last supply_get() is no longer valid. */
void supply_clear(struct supply *s);

/* The event at offset. *ret points into the supply and lives until the next call. reader may be
 * NULL only if the store is never needed (tests). Outcomes: */
enum supply_outcome {
    SUPPLY_NONE = 1,   /* nothing there yet */
    SUPPLY_GONE = 2,   /* removed by retention: the next event is *ret_skip_to */
    SUPPLY_DAMAGED = 3 /* unreadable up to *ret_skip_to */
};
int supply_get(struct supply *s, struct store_reader *reader, uint64_t offset, uint64_t head,
               const struct event **ret, uint64_t *ret_skip_to);

/* The epoch that the event just got belongs to. Lives as long as the event. */
const char *supply_epoch(const struct supply *s);

#endif
