#include "listener/intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/ingest.h"

void intake_deinit(struct intake *intake)
{
    if (intake->open && intake->open->count)
        log_error("listener", "events dropped unacknowledged: the pipeline did not take them",
                  "events=%u", intake->open->count);
    intake->open = ingest_batch_free(intake->open);
    while (intake->pooled)
        ingest_batch_free(intake->pool[--intake->pooled]);
}

/* The one returned first: all of them take their turn, and so each gives back in time what a burst
 * made it grow to. */
static struct ingest_batch *take_pooled(struct intake *intake)
{
    struct ingest_batch *batch = intake->pool[0];
    intake->pooled--;
    memmove(intake->pool, intake->pool + 1, intake->pooled * sizeof(intake->pool[0]));
    return batch;
}

int intake_batch(struct intake *intake, struct ingest_batch **ret)
{
    if (!intake->open) {
        int r = 0;
        if (intake->pooled)
            intake->open = take_pooled(intake);
        else
            r = ingest_batch_new(intake->reply, &intake->open);
        if (r)
            return result_trace(r);
    }
    if (intake->open->count == 0)
        intake->open->received = clock_now(intake->clock);
    *ret = intake->open;
    return 0;
}

bool intake_due(const struct intake *intake)
{
    return intake->open && intake->open->bytes.len >= INGEST_BATCH_TARGET_BYTES;
}

static void show(const struct intake *intake)
{
    metric_put(metric_process(), METRIC_INGEST_IN_FLIGHT_BYTES, intake->in_flight);
}

int intake_push(struct intake *intake)
{
    if (!intake->open || intake->open->count == 0)
        return 0;
    size_t bytes = intake->open->item.bytes;
    struct queue_item *item = &intake->open->item;
    int r = queue_push(intake->pipeline, &item);
    intake->blocked = r == QUEUE_FULL;
    if (r == QUEUE_FULL)
        return r;
    if (r == QUEUE_CLOSED) {
        log_error("listener", "events dropped unacknowledged: the pipeline has ended", "events=%u",
                  intake->open->count);
        intake->open = ingest_batch_free(intake->open);
        return r;
    }
    intake->open = NULL; /* the pipeline's now */
    intake->in_flight += bytes;
    show(intake);
    return 0;
}

void intake_return(struct intake *intake, struct ingest_batch *batch)
{
    intake->in_flight -= batch->item.bytes;
    show(intake);
    if (intake->pooled == INTAKE_POOL_MAX) {
        ingest_batch_free(batch);
        return;
    }
    ingest_batch_reset(batch);
    intake->pool[intake->pooled++] = batch;
}

size_t intake_bytes(const struct intake *intake)
{
    bool filled = intake->open && intake->open->count;
    return intake->in_flight + (filled ? intake->open->item.bytes : 0);
}

bool intake_full(const struct intake *intake)
{
    return intake->blocked || intake_bytes(intake) >= intake->max_in_flight;
}

bool intake_low(const struct intake *intake)
{
    return !intake->blocked && intake_bytes(intake) < (intake->max_in_flight + 1) / 2;
}
