#include "pipeline/judge.h"

#include "admit/admit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/event.h"
#include "event/ingest.h"
#include "pipeline/losses.h"
#include "store/store.h"

/* Of gap records; compared by pointer. */
static const char reason_qos0_full[] = "qos0_full";
static const char reason_rejected[] = "rejected_full";
static const char reason_too_large[] = "too_large";

void judge_init(struct judge *j, struct store *store, struct route *route, struct losses *losses,
                const struct clock *clock)
{
    *j = (struct judge){.store = store, .route = route, .losses = losses, .clock = clock};
}

int judge_open(struct judge *j)
{
    for (unsigned i = 0; i < route_stream_count(j->route); i++) {
        int r = store_stream(j->store, route_stream_name(j->route, i), &j->streams[i]);
        if (r)
            return result_fold(r);
    }
    return 0;
}

/* An event that will not be stored: counted, and told by a gap record. */
static void lose(struct judge *j, struct ingest_record *record, unsigned stream, const char *reason,
                 enum metric metric, enum ingest_outcome outcome)
{
    losses_add(j->losses, route_stream_name(j->route, stream), reason,
               clock_monotonic_us(j->clock));
    metric_add(metric_process(), metric, 1);
    record->outcome = (uint8_t)outcome;
}

/* What becomes of an event that stream has no room for. STORE_FULL: it has to wait. 0: decided. */
static int apply_full_policy(struct judge *j, struct ingest_record *record, unsigned stream)
{
    enum store_when_full policy = store_when_full(j->store, j->streams[stream]);
    /* There is no room beside what is open; once that is committed it may be dropped. */
    if (policy == STORE_WHEN_FULL_DROP_OLDEST && store_open_events(j->store))
        return STORE_FULL;
    if (record->qos == 0) { /* design, section 14: dropped and counted */
        lose(j, record, stream, reason_qos0_full, METRIC_EVENTS_DROPPED_QOS0_FULL, INGEST_TAKEN);
        return 0;
    }
    if (policy != STORE_WHEN_FULL_REJECT)
        return STORE_FULL;
    lose(j, record, stream, reason_rejected, METRIC_EVENTS_REJECTED_FULL, INGEST_FULL);
    return 0;
}

/* Appends one output. 0: it is in the open batch. Else the event goes no further, or waits: *ret_r
 * is what judge_event() has to return. */
static bool append_output(struct judge *j, struct ingest_record *record,
                          const struct route_output *output, int *ret_r)
{
    uint64_t offset;
    int r = store_append(j->store, j->streams[output->stream], &output->event, &offset);
    if (r == 0)
        return true;
    if (r == STORE_FULL) {
        r = apply_full_policy(j, record, output->stream);
    } else if (r == STORE_TOO_LARGE) {
        log_warn("pipeline", "event dropped: larger than its stream can hold",
                 "stream=%s topic=%s payload_bytes=%zu",
                 route_stream_name(j->route, output->stream), LOG_QUOTE(output->event.topic),
                 output->event.payload.len);
        lose(j, record, output->stream, reason_too_large, METRIC_EVENTS_DROPPED_TOO_LARGE,
             INGEST_TOO_LARGE);
        r = 0;
    }
    *ret_r = r;
    return false;
}

/* Containment point of admission and routing. 0: the outcome of the event is written. STORE_FULL:
 * it has to wait for room. -errno. */
static int judge_event(struct judge *j, const struct ingest_batch *batch,
                       struct ingest_record *record)
{
    struct event event;
    ingest_record_event(batch, record, &event);
    switch (admit_event(&event)) {
    case ADMIT_ACCEPT:
        break;
    }
    struct route_output outputs[ROUTE_OUTPUTS_MAX];
    unsigned count = route_event(j->route, &event, outputs);
    int r = 0;
    while (j->output < count && append_output(j, record, &outputs[j->output], &r))
        j->output++;
    if (r)
        return result_trace(r);
    if (j->output == count)
        record->outcome = INGEST_STORED;
    j->output = 0;
    return 0;
}

int judge_batch(struct judge *j, struct ingest_batch *batch)
{
    uint64_t admitted = 0;
    int r = 0;
    store_time(j->store, &batch->received);
    for (;;) {
        size_t next = j->position;
        struct ingest_record *record = ingest_batch_next(batch, &next);
        if (!record || (r = judge_event(j, batch, record)))
            break;
        admitted++;
        j->position = next;
    }
    metric_add(metric_process(), METRIC_EVENTS_ADMITTED, admitted);
    if (!r)
        j->position = 0;
    return r;
}
