#ifndef SLUICE_LISTENER_INTAKE_H
#define SLUICE_LISTENER_INTAKE_H
/*
 * struct intake: the way of events from the edge to the pipeline and the measure of what is on it.
 * Holds the batch being filled, a few empty ones for use again, and the number of bytes that were
 * pushed and have not come back. Edge thread.
 */
#include <stdbool.h>
#include <stddef.h>

struct clock;
struct ingest_batch;
struct queue;

enum { INTAKE_POOL_MAX = 16 };

struct intake {
    struct queue *pipeline;
    struct queue *reply;
    const struct clock *clock;
    struct ingest_batch *open; /* NULL, or being filled */
    struct ingest_batch *pool[INTAKE_POOL_MAX];
    size_t pooled;
    size_t in_flight;     /* bytes pushed and not yet returned */
    size_t max_in_flight; /* bytes: high mark; half of it is the low mark */
    bool blocked;         /* the queue did not take the open batch: push again later */
};

/* Batches pushed must have been returned or freed by queue_deinit() of reply. */
void intake_deinit(struct intake *intake);

/* The open batch, stamped with the time when it was opened. 0 or -ENOMEM. Valid until the next
 * intake_push(). */
int intake_batch(struct intake *intake, struct ingest_batch **ret);

/* Whether the open batch has reached the size at which it should be pushed without waiting for the
 * end of the round. */
bool intake_due(const struct intake *intake);

/* Gives the open batch, if there is anything in it, to the pipeline. 0; QUEUE_FULL: it stays open
 * and blocked is set; QUEUE_CLOSED: it was dropped, unacknowledged, and counts for nothing. */
int intake_push(struct intake *intake);

/* Takes a batch back that was answered. */
void intake_return(struct intake *intake, struct ingest_batch *batch);

/* Bytes on the way, the open batch included. */
size_t intake_bytes(const struct intake *intake);

/* At or above the high mark, or blocked: stop reading. */
bool intake_full(const struct intake *intake);
/* Below the low mark: reading may go on. */
bool intake_low(const struct intake *intake);

#endif
