#include "listener/edge.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/ingest.h"
#include "listener/bind.h"
#include "listener/conn.h"
#include "listener/internal.h"
#include "listener/listener.h"
#include "listener/loop.h"

enum { SWEEP_US = 1000000, RETRY_US = 10000, PARTIAL_PACKETS = 4, SCRATCH_KEEP_BYTES = 64 * 1024 };

void edge_request_round_end(struct edge *edge)
{
    loop_deferred_request(edge->round_end);
}

void edge_push(struct edge *edge)
{
    if (intake_push(&edge->intake) == QUEUE_FULL)
        loop_timer_start(edge->retry, RETRY_US);
}

void edge_push_due(struct edge *edge)
{
    if (!edge->intake.blocked && intake_due(&edge->intake))
        edge_push(edge);
    else
        edge_request_round_end(edge);
}

static void resume_if_low(struct edge *edge)
{
    if (edge->stopped || !intake_low(&edge->intake))
        return;
    while (edge->lists[CONN_LIST_PAUSED].first)
        conn_resume(edge->lists[CONN_LIST_PAUSED].first);
}

static void flush_dirty(struct edge *edge)
{
    struct conn *conn;
    while ((conn = edge->lists[CONN_LIST_DIRTY].first))
        conn_flush(conn); /* takes it off the list */
}

static void on_round_end(void *data)
{
    struct edge *edge = data;
    if (!edge->intake.blocked)
        edge_push(edge);
    flush_dirty(edge);
    resume_if_low(edge);
}

static void on_retry(void *data)
{
    struct edge *edge = data;
    edge_push(edge);
    resume_if_low(edge);
}

/* The sender of an event that is stored has gone: nobody to tell. It will send it again. */
static void count_gone(struct edge *edge, const struct ingest_record *record)
{
    unsigned listener = conn_handle_listener(record->connection);
    bool stored = record->outcome == INGEST_STORED || record->outcome == INGEST_TAKEN;
    if (record->packet_id && stored && listener < edge->listener_count)
        metric_add(edge->listeners[listener]->metrics, METRIC_EVENTS_UNACKNOWLEDGED_GONE, 1);
}

/* Step 12 of the straight line: the acknowledgements of one batch, in its order. */
static void listener_take_receipts(struct edge *edge, struct ingest_batch *batch)
{
    struct session_turn turn = {.scratch = &edge->scratch};
    struct listener *listener = NULL;
    struct ingest_record *record;
    size_t position = 0;
    while ((record = ingest_batch_next(batch, &position))) {
        if (record->connection == 0) /* a will */
            continue;
        struct conn *conn = conn_table_get(&edge->table, record->connection);
        if (!conn || conn->session.state != SESSION_OPEN) {
            count_gone(edge, record);
            continue;
        }
        if (conn->listener != listener && listener)
            listener_count(listener, &turn);
        listener = conn->listener;
        conn_receive_receipt(conn, record, &turn);
    }
    if (listener)
        listener_count(listener, &turn);
}

static void on_receipts(void *data)
{
    struct edge *edge = data;
    struct queue_item *item = queue_take_all(&edge->receipts);
    while (item) {
        struct queue_item *next = item->next;
        struct ingest_batch *batch = (struct ingest_batch *)(void *)item;
        listener_take_receipts(edge, batch);
        intake_return(&edge->intake, batch);
        item = next;
    }
    edge_request_round_end(edge);
}

void edge_sweep(struct edge *edge)
{
    int64_t now = clock_monotonic_us(edge->clock);
    uint32_t position = 0;
    struct conn *conn;
    while ((conn = conn_table_next(&edge->table, &position)))
        if (!edge->stopped || conn->state == CONN_DRAIN) {
            conn_check_time(conn, now);
            edge_push_due(edge); /* wills */
        }
    bytes_reset(&edge->scratch, SCRATCH_KEEP_BYTES);
}

static void on_sweep(void *data)
{
    struct edge *edge = data;
    edge_sweep(edge);
    loop_timer_start(edge->sweep, SWEEP_US);
}

static int start(struct edge *edge)
{
    edge->receive = malloc(EDGE_JOIN_MAX_BYTES + EDGE_RECEIVE_BYTES);
    if (!edge->receive)
        return result_origin(-ENOMEM);
    int r = session_registry_init(&edge->registry);
    if (!r)
        r = loop_io_new(edge->loop, edge->receipts.event_fd, on_receipts, NULL, edge,
                        &edge->receipts_io);
    if (!r)
        r = loop_io_want_read(edge->receipts_io, true);
    if (!r)
        r = loop_deferred_new(edge->loop, on_round_end, edge, &edge->round_end);
    if (!r)
        r = loop_timer_new(edge->loop, on_retry, edge, &edge->retry);
    if (!r)
        r = loop_timer_new(edge->loop, on_sweep, edge, &edge->sweep);
    return r ? r : loop_timer_start(edge->sweep, SWEEP_US);
}

int edge_new(const struct edge_options *options, struct edge **ret)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (!edge)
        return result_origin(-ENOMEM);
    /* Without a bound of its own: what comes back is what was in flight, which is bounded. */
    int r = queue_init(&edge->receipts, SIZE_MAX);
    if (r) {
        free(edge);
        return result_trace(r);
    }
    size_t maximum = options->in_flight_max_bytes;
    edge->loop = options->loop;
    edge->clock = options->clock;
    edge->table = (struct conn_table)CONN_TABLE_INIT;
    edge->scratch = (struct bytes)SESSION_SCRATCH_INIT;
    edge->intake = (struct intake){
        .pipeline = options->pipeline,
        .reply = &edge->receipts,
        .clock = options->clock,
        .max_in_flight = maximum ? maximum : EDGE_IN_FLIGHT_DEFAULT_BYTES,
    };
    edge->partial_max_bytes = edge->intake.max_in_flight;
    for (size_t i = 0; i < CONN_LIST_COUNT; i++)
        conn_list_init(&edge->lists[i]);
    r = start(edge);
    if (r) {
        edge_free(edge);
        return result_trace(r);
    }
    *ret = edge;
    return 0;
}

/* Unfinished packets may take the mark and a few of the largest packets on top. */
static void allow_partial(struct edge *edge, const struct session_limits *limits)
{
    size_t bytes = edge->intake.max_in_flight + PARTIAL_PACKETS * (size_t)limits->max_packet_bytes;
    if (bytes > edge->partial_max_bytes)
        edge->partial_max_bytes = bytes;
}

int edge_listen(struct edge *edge, const struct listener_config *config, struct error *error)
{
    if (edge->listener_count == LISTENERS_MAX) {
        error_what(error, "more than %d listeners", (int)LISTENERS_MAX);
        error_mend(error, "remove some");
        return result_origin(-ENOSPC);
    }
    struct listener **at = &edge->listeners[edge->listener_count];
    int r = listener_new(edge, config, (unsigned)edge->listener_count, error, at);
    if (r)
        return result_trace(r);
    edge->listener_count++;
    allow_partial(edge, &(*at)->limits);
    log_info("listener", "listening", "listener=%s address=%s port=%u", (*at)->name,
             config->bind.host, bind_port((*at)->sockets[0].fd));
    return 0;
}

static struct listener *find(const struct edge *edge, const char *name)
{
    for (size_t i = 0; i < edge->listener_count; i++)
        if (strcmp(edge->listeners[i]->name, name) == 0)
            return edge->listeners[i];
    return NULL;
}

uint16_t edge_port(const struct edge *edge, const char *listener)
{
    const struct listener *found = find(edge, listener);
    return found && found->socket_count ? bind_port(found->sockets[0].fd) : 0;
}

void edge_reconfigure(struct edge *edge, const struct listener_config *configs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[LISTENER_NAME_MAX_BYTES];
        listener_config_name(&configs[i], name);
        struct listener *listener = find(edge, name);
        if (!listener)
            continue;
        listener_configure(listener, &configs[i]);
        allow_partial(edge, &listener->limits);
    }
}

void edge_stop_reading(struct edge *edge)
{
    uint32_t position = 0;
    struct conn *conn;
    edge->stopped = true;
    for (size_t i = 0; i < edge->listener_count; i++)
        listener_stop(edge->listeners[i]);
    while ((conn = conn_table_next(&edge->table, &position)))
        conn_stop_reading(conn);
    edge_push(edge);
}

size_t edge_in_flight(const struct edge *edge)
{
    return intake_bytes(&edge->intake);
}

void edge_shutdown(struct edge *edge)
{
    uint32_t position = 0;
    struct conn *conn;
    edge_stop_reading(edge);
    while ((conn = conn_table_next(&edge->table, &position))) {
        conn_goodbye(conn, MQTT_SERVER_SHUTTING_DOWN, NULL, CONN_END_SHUTDOWN);
        edge_push_due(edge); /* wills */
    }
    flush_dirty(edge);
    position = 0;
    while ((conn = conn_table_next(&edge->table, &position)))
        conn_close(conn);
    edge_push(edge); /* the wills */
}

struct edge *edge_free(struct edge *edge)
{
    uint32_t position = 0;
    struct conn *conn;
    if (!edge)
        return NULL;
    while ((conn = conn_table_next(&edge->table, &position)))
        conn_close(conn);
    while (edge->listener_count)
        listener_free(edge->listeners[--edge->listener_count]);
    loop_io_free(edge->receipts_io);
    loop_deferred_free(edge->round_end);
    loop_timer_free(edge->retry);
    loop_timer_free(edge->sweep);
    intake_deinit(&edge->intake);
    queue_deinit(&edge->receipts);
    session_registry_deinit(&edge->registry);
    conn_table_deinit(&edge->table);
    bytes_deinit(&edge->scratch);
    free(edge->receive);
    free(edge);
    return NULL;
}
