#ifndef SLUICE_EVENT_LETTER_H
#define SLUICE_EVENT_LETTER_H
/*
 * What other threads ask the pipeline to write down for the gateway itself: notices, and dead
 * letters, which are events that were given up, kept with the reason in stream "$dlq". Both are
 * items of the pipeline's queue; the queue owns them once pushed.
 *
 * A dead letter keeps payload, device, type, content type, times and user properties of its event.
 * Its topic is "sluice/<gateway id>/dlq", since under its own it would be taken for a message of
 * the device; the CloudEvents extension attributes say the rest:
 *
 *   originid       <stream>/<offset> of the event
 *   origintopic    its topic
 *   deadreason     why it was given up
 *   deadupstream   who would not have it (left out if nobody in particular)
 */
#include <stdint.h>

#include "base/queue.h"
#include "event/event.h"
#include "event/notice.h"

enum { LETTER_STREAM_MAX_BYTES = 256, LETTER_UPSTREAM_MAX_BYTES = 128 };

/* kind INGEST_NOTICE. */
struct notice_item {
    struct queue_item item;
    struct notice notice; /* filled, not finished */
};

/* An empty notice on its way. -ENOMEM. Owned by the caller until pushed; item.free frees it. */
int notice_item_new(enum notice_kind kind, struct notice_item **ret);

/* kind INGEST_DEAD_LETTER. */
struct dead_letter {
    struct queue_item item;
    char stream[LETTER_STREAM_MAX_BYTES];
    uint64_t offset;
    const char *reason;                       /* static */
    char upstream[LETTER_UPSTREAM_MAX_BYTES]; /* "": nobody in particular */
    struct event event;                       /* slices of bytes */
    struct bytes bytes;
};

/* Copies the event. -ENOMEM. Owned like a notice_item. reason must be static; upstream may be NULL.
 */
int dead_letter_new(const struct event *event, const char *stream, uint64_t offset,
                    const char *reason, const char *upstream, struct dead_letter **ret);

/* The event to be stored in "$dlq". Its slices live as long as the letter, topic (filled here) and
 * attributes (reset and filled here). 0, BYTES_FULL, -ENOMEM. */
int dead_letter_event(const struct dead_letter *letter, const char *gateway_id,
                      char topic[NOTICE_TOPIC_MAX_BYTES], struct bytes *attributes,
                      struct event *ret);

#endif
