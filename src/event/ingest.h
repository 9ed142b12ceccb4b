#ifndef SLUICE_EVENT_INGEST_H
#define SLUICE_EVENT_INGEST_H
/*
 * The door between those who receive (listener, source) and the pipeline.
 *
 * A struct ingest_batch carries everything decoded in one round of an event loop; it crosses the
 * pipeline's queue as one item and comes back as its own receipt: the pipeline writes an outcome
 * into each record and pushes the batch to batch->reply only after the commit (house: steps 5 and
 * 11). So nothing is allocated or copied for an acknowledgement, and a batch's memory is counted
 * once, from the push until its owner has answered the devices.
 */
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/queue.h"

struct event;

/* The kinds of items in the pipeline's queue. */
enum ingest_kind {
    INGEST_BATCH = 1,   /* struct ingest_batch, from listener and source */
    INGEST_CURSOR,      /* struct range_cursor_move (store/range.h), from an uplink */
    INGEST_ATTACH,      /* struct range_attach (store/range.h): a consumer comes */
    INGEST_DETACH,      /* struct range_attach: a consumer goes */
    INGEST_NOTICE,      /* struct notice_item (event/letter.h): to be written down */
    INGEST_DEAD_LETTER, /* struct dead_letter (event/letter.h), likewise */
    INGEST_SETTINGS,    /* struct pipeline_settings (pipeline/pipeline.h): after a reload */
    INGEST_STOP         /* plain queue_item: commit, answer, end */
};

enum {
    INGEST_BATCH_TARGET_BYTES = 128 * 1024, /* pushed at the latest when it has grown to this */
    INGEST_RECORD_MAX_BYTES = 300 * 1024 * 1024
};

/* What became of an event. Everything but INGEST_STORED is counted by whoever decides it. */
enum ingest_outcome {
    INGEST_PENDING = 0, /* nobody has decided: it must not be acknowledged */
    INGEST_STORED = 1,  /* committed and synced: acknowledge it (QoS 0: nothing to say) */
    INGEST_TAKEN = 2, /* deliberately not stored (rule "drop", QoS 0 while full): acknowledge it */
    INGEST_FULL = 3,  /* when_full "reject": 0x97 on 5.0, close on 3.1.1 */
    INGEST_REFUSED = 4,  /* verdict "refuse": 0x99 on 5.0 */
    INGEST_TOO_LARGE = 5 /* larger than a stream can take: 0x95/0x97 on 5.0, close on 3.1.1 */
};

/* One PUBLISH in a batch: this header, then topic, client, username, content type, attributes,
 * payload, padded to 8 bytes. */
struct ingest_record {
    uint64_t connection;   /* handle of the connection (index and generation), for the answer */
    uint32_t record_bytes; /* of header, data and padding */
    uint32_t payload_len;
    uint32_t attributes_len;
    uint16_t topic_len, client_len, username_len, content_type_len;
    uint16_t packet_id; /* 0 for QoS 0 */
    uint8_t qos;        /* 0..2 */
    uint8_t outcome;    /* enum ingest_outcome, written by the pipeline */
    bool retain, payload_utf8;
    uint8_t protocol_level; /* 4 or 5: which answers are possible */
};

struct ingest_batch {
    struct queue_item item;      /* kind INGEST_BATCH */
    struct queue *reply;         /* where the receipt goes; outlives the batch */
    struct clock_stamp received; /* one reading of the clocks for all */
    uint32_t count;              /* records */
    struct bytes bytes;          /* the records */
};

/* A new, empty batch whose receipt goes to reply. -ENOMEM. Owned by the caller until pushed. */
int ingest_batch_new(struct queue *reply, struct ingest_batch **ret);
struct ingest_batch *
ingest_batch_free(struct ingest_batch *batch); /* NULL accepted; returns NULL */

/* Empties a batch that came back, keeping memory of ordinary size, to use it again. */
void ingest_batch_reset(struct ingest_batch *batch);

/* Copies one event into the batch. Of event: topic, client, username, content_type, attributes,
 * payload, qos, retain and payload_utf8 are used. 0, BYTES_FULL (over INGEST_RECORD_MAX_BYTES),
 * -ENOMEM. The only copy between socket and store. */
int ingest_batch_add(struct ingest_batch *batch, const struct event *event, uint64_t connection,
                     uint16_t packet_id, uint8_t protocol_level);

/* Moves the records from position on into a new batch with the same reply queue and stamp; batch
 * keeps those before it. What both count for (item.bytes) adds up to what batch counted before.
 * -ENOMEM: nothing changed. */
int ingest_batch_split(struct ingest_batch *batch, size_t position, struct ingest_batch **ret);

/* Iteration: *position starts at 0; NULL at the end. The record stays in the batch's memory. */
struct ingest_record *ingest_batch_next(struct ingest_batch *batch, size_t *position);

/* The event of a record as it was received; device and type still empty, received_us and quality
 * from the batch. Slices point into the batch. */
void ingest_record_event(const struct ingest_batch *batch, const struct ingest_record *record,
                         struct event *ret);

#endif
