/*
 * Sending. The streams of an upstream take turns, one message each, until the window is full. Each
 * keeps its own order (lane.h); a refused message holds back what comes after it in its stream
 * until it has got through or was given up.
 */
#include "uplink/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/event.h"
#include "event/letter.h"

enum { REASON_QUOTA_EXCEEDED = 0x97 };

void sender_attach(struct uplink *u)
{
    u->count = u->feed->count;
    for (unsigned i = 0; i < u->count; i++) {
        struct uplink_range *r = &u->ranges[i];
        r->range = &u->feed->ranges[i];
        lane_init(&r->lane, r->range->start_offset);
        supply_init(&r->supply, r->range->stream);
        r->posted_cursor = r->range->start_offset;
        r->shown_cursor = r->range->start_offset;
    }
}

void sender_take_segment(struct uplink *u, unsigned range, struct segment *segment)
{
    if (u->state == UPLINK_UP && range < u->count)
        supply_push(&u->ranges[range].supply, segment, u->ranges[range].lane.next);
    else
        segment_unref(segment); /* the store has it; an outage must not cost memory */
}

static uint64_t head_of(const struct uplink_range *r)
{
    return atomic_load(&r->range->head_offset);
}

bool sender_switch_live(struct uplink *u)
{
    bool again = false;
    for (unsigned i = 0; i < u->count; i++) {
        struct uplink_range *r = &u->ranges[i];
        if (u->state != UPLINK_UP)
            r->seen_head = head_of(r);
        bool live = !supply_behind(&r->supply, r->lane.next, r->seen_head);
        again |= range_live_set(r->range, live, r->seen_head);
    }
    return again;
}

/* Passes [offset, end) over. What was handed out before is passed over one by one. */
static void skip(struct uplink *u, struct uplink_range *r, uint64_t offset, uint64_t end,
                 const char *why)
{
    log_error("uplink", "events not forwarded",
              "upstream=%s stream=%s from=%" PRIu64 " to=%" PRIu64 " reason=\"%s\"",
              u->config->name, r->range->stream_name, offset, end - 1, why);
    metric_add(u->metrics, METRIC_UPSTREAM_SKIPPED_EVENTS, end - offset);
    lane_skip(&r->lane, offset, end);
}

/* What the gateway has to tell about itself is not told about in turn: it would go on for ever. */
static bool own_stream(const struct uplink_range *r)
{
    return r->range->stream_name[0] == '$';
}

enum send_outcome { SEND_NOTHING = 1, SEND_FULL, SEND_LOST };

/* Whether what is posted now would pile up: the pipeline is behind, or cannot write it. */
static bool must_wait(struct uplink *u, struct uplink_range *r)
{
    if (!metric_get(metric_process(), METRIC_STORE_DEGRADED) &&
        queue_bytes(u->pipeline) < UPLINK_LETTERS_MAX_BYTES)
        return false;
    r->pause_us = clock_monotonic_us(u->clock) + UPLINK_LETTERS_PAUSE_US;
    return true;
}

static int post(struct uplink *u, struct queue_item *item)
{
    int r = queue_push(u->pipeline, &item);
    if (item)
        item->free(item);
    return r == QUEUE_CLOSED ? 0 : r;
}

/* An event that this upstream will never take: kept as a dead letter, then passed over. The letter
 * goes through the pipeline's queue before the cursor moves beyond the event, so both are in one
 * commit or the cursor comes later. 0; SEND_NOTHING (later) or -errno: nothing was passed over. */
static int bury(struct uplink *u, struct uplink_range *r, const struct event *event,
                uint64_t offset, const char *why)
{
    struct dead_letter *letter = NULL;
    if (!own_stream(r) && must_wait(u, r))
        return SEND_NOTHING;
    int result = own_stream(r) ? 0
                               : dead_letter_new(event, r->range->stream_name, offset, why,
                                                 u->config->name, &letter);
    if (!result && letter)
        result = post(u, &letter->item);
    if (result)
        return result_trace(result);
    skip(u, r, offset, offset + 1, why);
    return 0;
}

/* Events that the store has lost: a gap record, unless it was written when they were. */
static int pass_hole(struct uplink *u, struct uplink_range *r, uint64_t offset, uint64_t end,
                     bool damaged)
{
    if (offset < r->lane.next)
        end = offset + 1;
    struct notice_item *gap = NULL;
    if (damaged && !own_stream(r) && must_wait(u, r))
        return SEND_NOTHING;
    int result = damaged && !own_stream(r) ? notice_item_new(NOTICE_GAP, &gap) : 0;
    if (gap) {
        notice_add_text(&gap->notice, "stream", r->range->stream_name);
        notice_add_number(&gap->notice, "from", offset);
        notice_add_number(&gap->notice, "to", end);
        notice_add_number(&gap->notice, "count", end - offset);
        notice_add_text(&gap->notice, "reason", "damaged");
        notice_add_text(&gap->notice, "upstream", u->config->name);
        result = post(u, &gap->item);
    }
    if (result)
        return result_trace(result);
    skip(u, r, offset, end,
         damaged ? "damaged in the store" : "removed before they were forwarded");
    return 0;
}

static void pause_after_refusal(struct uplink_range *r, int64_t now_us)
{
    int64_t pause = UPLINK_REFUSED_MAX_US;
    if (r->refusals < 6)
        pause = UPLINK_REFUSED_MIN_US << r->refusals;
    r->refusals++;
    r->pause_us = now_us + pause;
}

/* The CloudEvents source under which an event of epoch goes out, replayed or not. */
static const char *source_of(struct uplink *u, const char *epoch)
{
    if (strcmp(u->source_epoch, epoch) != 0) {
        snprintf(u->source_epoch, sizeof(u->source_epoch), "%s", epoch);
        id_source(u->feed->gateway_id, epoch, u->source);
    }
    return u->source;
}

/* Encodes and hands over one event. 0: sent or passed over. */
static int send_event(struct uplink *u, unsigned index, const struct event *event, uint64_t offset)
{
    struct uplink_range *r = &u->ranges[index];
    struct envelope_rules rules = {.envelope = u->config->envelope,
                                   .mqtt5 = u->mqtt5,
                                   .topic = &u->topic,
                                   .gateway = u->feed->gateway_id,
                                   .source = source_of(u, supply_epoch(&r->supply)),
                                   .stream = r->range->stream_name};
    int outcome = envelope_encode(&u->envelope, &rules, event, offset);
    if (outcome == -ENOMEM)
        return result_trace(outcome);
    const char *why =
        outcome == ENVELOPE_TOPIC_INVALID ? "topic cannot be published"
        : outcome == ENVELOPE_TOO_LARGE   ? "larger than an MQTT packet can be"
        : outcome                         ? "attributes damaged"
        : envelope_packet_bytes(&u->envelope, u->mqtt5) > u->limits.maximum_packet_bytes
            ? "larger than the upstream takes"
            : NULL;
    if (why)
        return bury(u, r, event, offset, why);
    unsigned slot = lane_sent(&r->lane, offset);
    r->weights[slot].record_bytes = r->supply.event_bytes;
    r->weights[slot].received_us = event->received_us;
    r->weights[slot].payload_bytes = (uint32_t)event->payload.len;
    int sent = client_send(u->client, &u->envelope, index, slot);
    if (sent == 0) {
        metric_add(u->metrics, METRIC_UPSTREAM_SENT_MESSAGES, 1);
        return 0;
    }
    lane_withdraw(&r->lane, slot);
    if (sent == CLIENT_UNSENDABLE)
        return bury(u, r, event, offset, "refused by the client library");
    return sent == CLIENT_BUSY ? SEND_FULL : sent == CLIENT_GONE ? SEND_LOST : sent;
}

/* 0 if posted; a queue outcome or -ENOMEM: try again later. */
static int post_cursor(struct uplink *u, unsigned index)
{
    struct uplink_range *r = &u->ranges[index];
    struct queue_item *item = NULL;
    int result = range_cursor_move_new(u->feed, index, r->lane.cursor,
                                       r->lane.acknowledged - r->posted_acknowledged, &item);
    if (result)
        return result;
    result = queue_push(u->pipeline, &item);
    if (item)
        item->free(item);
    return result;
}

/* Pages of the database cannot be read, and will not be until the gateway salvages it. The pipeline
 * learns of it by a cursor move, which wakes it up. */
static void report_damage(struct uplink *u, unsigned index)
{
    atomic_store(&u->feed->damaged, true);
    (void)post_cursor(u, index);
}

/* One step of one stream: a message, or something passed over. */
static int send_one(struct uplink *u, unsigned index, int64_t now_us)
{
    struct uplink_range *r = &u->ranges[index];
    uint64_t head = r->seen_head = head_of(r), offset, skip_to = 0;
    if (r->pause_us > now_us || !lane_wants(&r->lane, head, &offset))
        return SEND_NOTHING;
    const struct event *event;
    int found = supply_get(&r->supply, u->reader, offset, head, &event, &skip_to);
    switch (found) {
    case 0:
        if (lane_attempts(&r->lane, offset) >= UPLINK_ATTEMPTS_MAX)
            return bury(u, r, event, offset, "refused by the upstream");
        return send_event(u, index, event, offset);
    case SUPPLY_NONE:
        return SEND_NOTHING;
    case SUPPLY_GONE:
        return pass_hole(u, r, offset, skip_to, false);
    case SUPPLY_DAMAGED:
        return pass_hole(u, r, offset, skip_to, true);
    default:
        return found < 0 ? found : result_origin(-EIO);
    }
}

int sender_fill(struct uplink *u, int64_t now_us)
{
    unsigned idle = 0; /* streams in a row that had nothing */
    unsigned in_flight = client_in_flight(u->client);
    if (in_flight == 0)
        u->progress_us = now_us;
    for (unsigned i = 0; i < u->count; i++)
        u->ranges[i].seen_head = head_of(&u->ranges[i]);
    while (idle < u->count && client_in_flight(u->client) < u->window) {
        unsigned index = u->turn;
        u->turn = (u->turn + 1) % u->count;
        int r = send_one(u, index, now_us);
        if (r == SEND_LOST)
            return SENDER_LOST;
        if (r == SEND_FULL)
            break;
        if (r < 0) {
            log_error("uplink", "events cannot be read for forwarding",
                      "upstream=%s stream=%s error=%d", u->config->name,
                      u->ranges[index].range->stream_name, r);
            metric_set_trouble(u->metrics, "events cannot be read from the store");
            u->ranges[index].pause_us = now_us + UPLINK_STORE_RETRY_US;
            if (r == -EBADMSG)
                report_damage(u, index);
        }
        idle = r ? idle + 1 : 0;
    }
    return 0;
}

static void book_refusal(struct uplink *u, const struct client_answer *a, int64_t now_us)
{
    struct uplink_range *r = &u->ranges[a->lane];
    bool quota = a->reason == REASON_QUOTA_EXCEEDED;
    if (!lane_refuse(&r->lane, a->slot, !quota))
        return;
    metric_add(u->metrics, METRIC_UPSTREAM_SEND_FAILURES, 1);
    log_warn("uplink", "the upstream refused an event",
             "upstream=%s stream=%s offset=%" PRIu64 " reason=0x%02x", u->config->name,
             r->range->stream_name, r->lane.slots[a->slot].offset, a->reason);
    if (r->pause_us <= now_us)
        pause_after_refusal(r, now_us);
    for (unsigned i = 0; quota && i < u->count; i++)
        if (u->ranges[i].pause_us < r->pause_us)
            u->ranges[i].pause_us = r->pause_us; /* a quota is the client's, not the stream's */
}

int sender_take_answers(struct uplink *u, int64_t now_us)
{
    struct client_answer a;
    uint64_t events = 0, payload_bytes = 0;
    bool lost = false;
    while (client_next_answer(u->client, &a)) {
        u->progress_us = now_us;
        struct uplink_range *r = &u->ranges[a.lane];
        if (a.reason == CLIENT_NOT_SENT) {
            lost = true;
        } else if (a.reason >= 0x80) {
            book_refusal(u, &a, now_us);
        } else if (lane_acknowledge(&r->lane, a.slot)) {
            r->refusals = 0;
            events++;
            payload_bytes += r->weights[a.slot].payload_bytes;
        }
    }
    if (events) {
        metric_add(u->metrics, METRIC_UPSTREAM_FORWARDED_EVENTS, events);
        metric_add(u->metrics, METRIC_UPSTREAM_FORWARDED_BYTES, payload_bytes);
    }
    return lost ? SENDER_LOST : 0;
}

void sender_lose(struct uplink *u)
{
    for (unsigned i = 0; i < u->count; i++) {
        lane_lose(&u->ranges[i].lane);
        supply_clear(&u->ranges[i].supply);
        u->ranges[i].pause_us = 0;
    }
}

bool sender_post_cursors(struct uplink *u, int64_t now_us, bool force)
{
    bool all = true;
    for (unsigned i = 0; i < u->count; i++) {
        struct uplink_range *r = &u->ranges[i];
        if (r->lane.cursor == r->posted_cursor)
            continue;
        bool due = force || now_us - r->posted_us >= UPLINK_CURSOR_US ||
                   r->lane.acknowledged - r->posted_acknowledged >= UPLINK_CURSOR_ACKNOWLEDGED;
        int result = due ? post_cursor(u, i) : QUEUE_FULL;
        if (result == QUEUE_CLOSED)
            continue; /* nobody will take it any more */
        if (due)
            r->posted_us = now_us; /* also after a failure: that is what paces the next try */
        if (result) {
            all = false;
            continue;
        }
        r->posted_cursor = r->lane.cursor;
        r->posted_acknowledged = r->lane.acknowledged;
    }
    return all;
}

/* What stands at the cursor of a range. */
struct outlook {
    uint64_t bytes;      /* of the stream before it; UINT64_MAX: not known */
    bool waiting;        /* an event is not yet acknowledged, and known */
    int64_t received_us; /* of that */
};

/* The event at the cursor, or, where that is gone, the next one, is looked up where it is not on
 * its way. */
static struct outlook look_up(struct uplink *u, struct uplink_range *r, uint64_t head)
{
    const struct event *event;
    uint64_t offset = r->lane.cursor;
    int found =
        u->reader ? supply_get(&r->supply, u->reader, offset, head, &event, &offset) : SUPPLY_NONE;
    if (found == SUPPLY_GONE)
        found = supply_get(&r->supply, u->reader, offset, head, &event, &offset);
    struct outlook outlook = {.bytes = UINT64_MAX};
    if (found == 0)
        outlook = (struct outlook){r->supply.event_bytes, true, event->received_us};
    if (u->state != UPLINK_UP)
        supply_clear(&r->supply); /* an outage must not cost memory */
    return outlook;
}

static struct outlook look_at_cursor(struct uplink *u, struct uplink_range *r)
{
    if (r->lane.used)
        return (struct outlook){r->weights[r->lane.first].record_bytes, true,
                                r->weights[r->lane.first].received_us};
    uint64_t head = head_of(r), bytes = atomic_load(&r->range->head_bytes);
    if (r->lane.cursor < head)
        return look_up(u, r, head);
    return (struct outlook){.bytes = head_of(r) == head ? bytes : UINT64_MAX};
}

static void show_range(struct uplink *u, struct uplink_range *r)
{
    /* While connected, what is not on its way yet is about to be, and comes from memory. */
    bool soon = u->state == UPLINK_UP && !r->lane.used;
    bool known = r->shown_bytes && (r->shown_oldest || soon || r->lane.cursor >= head_of(r));
    if (r->lane.cursor == r->shown_cursor && known)
        return;
    struct outlook outlook = look_at_cursor(u, r);
    range_cursor_show(r->range, r->lane.cursor, outlook.bytes);
    range_oldest_show(r->range, outlook.waiting ? outlook.received_us : 0);
    r->shown_cursor = r->lane.cursor;
    r->shown_bytes = outlook.bytes != UINT64_MAX;
    r->shown_oldest = outlook.waiting;
}

void sender_update_metrics(struct uplink *u)
{
    metric_put(u->metrics, METRIC_UPSTREAM_IN_FLIGHT, u->client ? client_in_flight(u->client) : 0);
    for (unsigned i = 0; i < u->count; i++) {
        struct uplink_range *r = &u->ranges[i];
        show_range(u, r);
        if (r->supply.reads != r->reads_counted)
            metric_add(u->metrics, METRIC_UPSTREAM_READS, r->supply.reads - r->reads_counted);
        r->reads_counted = r->supply.reads;
    }
}

int64_t sender_next_us(const struct uplink *u, int64_t now_us)
{
    int64_t next = now_us + UPLINK_TICK_US;
    for (unsigned i = 0; i < u->count; i++) {
        const struct uplink_range *r = &u->ranges[i];
        if (r->pause_us > now_us && r->pause_us < next)
            next = r->pause_us;
        if (r->lane.cursor != r->posted_cursor && r->posted_us + UPLINK_CURSOR_US < next)
            next = r->posted_us + UPLINK_CURSOR_US;
    }
    return next;
}

void sender_deinit(struct uplink *u)
{
    for (unsigned i = 0; i < u->count; i++)
        supply_deinit(&u->ranges[i].supply);
    envelope_deinit(&u->envelope);
}
