#include "listener/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/ingest.h"
#include "listener/listener.h"
#include "listener/loop.h"

static void set_state(struct conn *conn, enum conn_state state)
{
    static const bool legal[][CONN_CLOSED + 1] = {
        [CONN_NEW] = {[CONN_CONNECT] = true, [CONN_CLOSED] = true},
        [CONN_CONNECT] = {[CONN_OPEN] = true, [CONN_DRAIN] = true, [CONN_CLOSED] = true},
        [CONN_OPEN] = {[CONN_DRAIN] = true, [CONN_CLOSED] = true},
        [CONN_DRAIN] = {[CONN_CLOSED] = true},
        [CONN_CLOSED] = {false},
    };
    assert(legal[conn->state][state]);
    (void)legal;
    conn->state = state;
}

static void mark_dirty(struct conn *conn)
{
    conn_list_add(&conn->edge->lists[CONN_LIST_DIRTY], conn, CONN_LIST_DIRTY);
    edge_request_round_end(conn->edge);
}

static void leave_pause(struct conn *conn)
{
    if (!conn_listed(conn, CONN_LIST_PAUSED))
        return;
    conn_list_remove(&conn->edge->lists[CONN_LIST_PAUSED], conn, CONN_LIST_PAUSED);
    metric_sub(conn->listener->metrics, METRIC_CONNECTIONS_PAUSED, 1);
}

static void drop_partial(struct conn *conn)
{
    conn->edge->partial_bytes -= conn->partial.cap;
    bytes_deinit(&conn->partial);
}

/* Counts the end, publishes the will, gives the client id free. */
static void finish(struct conn *conn, enum conn_end end)
{
    static const enum metric metrics[] = {
        [CONN_END_CLIENT] = METRIC_CONNECTIONS_CLOSED_CLIENT,
        [CONN_END_REFUSED] = METRIC_CONNECTIONS_REFUSED,
        [CONN_END_ERROR] = METRIC_CONNECTIONS_CLOSED_ERROR,
        [CONN_END_KEEP_ALIVE] = METRIC_CONNECTIONS_CLOSED_KEEP_ALIVE,
        [CONN_END_TAKEOVER] = METRIC_CONNECTIONS_CLOSED_TAKEOVER,
        [CONN_END_SHUTDOWN] = METRIC_CONNECTIONS_CLOSED_SHUTDOWN,
    };
    struct session_turn turn = {.out = &conn->out, .scratch = &conn->edge->scratch};
    metric_add(conn->listener->metrics, metrics[end], 1);
    conn->end = end;
    if (intake_batch(&conn->edge->intake, &turn.batch))
        turn.batch = NULL;
    if (session_end(&conn->session, &turn))
        log_error("listener", "will of a client lost: out of memory", "listener=%s client=%s",
                  conn->listener->name, LOG_QUOTE(session_client(&conn->session)));
    listener_count(conn->listener, &turn);
    edge_request_round_end(conn->edge);
    log_debug("listener", "client gone", "listener=%s client=%s peer=%s", conn->listener->name,
              LOG_QUOTE(session_client(&conn->session)), conn->peer);
}

/* Where there is no time to linger: takes what has come so far out of the socket, so that closing
 * does not reset it. */
static void swallow(struct conn *conn)
{
    enum { ROUNDS = 16 };
    for (unsigned i = 0; i < ROUNDS; i++)
        if (recv(conn->fd, conn->edge->receive, EDGE_RECEIVE_BYTES, 0) <= 0)
            break;
}

void conn_close(struct conn *conn)
{
    struct edge *edge = conn->edge;
    if (conn->state != CONN_DRAIN)
        finish(conn, CONN_END_CLIENT);
    else if (conn->end == CONN_END_SHUTDOWN)
        swallow(conn);
    set_state(conn, CONN_CLOSED);
    leave_pause(conn);
    conn_list_remove(&edge->lists[CONN_LIST_DIRTY], conn, CONN_LIST_DIRTY);
    conn_table_remove(&edge->table, conn->handle);
    metric_sub(conn->listener->metrics, METRIC_CONNECTIONS, 1);
    conn->listener->connections--;
    loop_io_free(conn->io);
    close(conn->fd);
    session_deinit(&conn->session);
    drop_partial(conn);
    bytes_deinit(&conn->out);
    free(conn);
}

/* From here on only what is in conn->out is written; what still comes is thrown away until the peer
 * closes, since closing a socket with unread bytes would reset it and could take the last packet
 * from the peer. */
static void drain(struct conn *conn, enum conn_end end)
{
    finish(conn, end);
    set_state(conn, CONN_DRAIN);
    leave_pause(conn);
    drop_partial(conn);
    conn->deadline_us = clock_monotonic_us(conn->edge->clock) + CONN_DRAIN_US;
    loop_io_want_read(conn->io, true);
    mark_dirty(conn);
}

void conn_goodbye(struct conn *conn, enum mqtt_reason reason, const char *detail, enum conn_end end)
{
    if (conn->state == CONN_DRAIN)
        return;
    int r = session_goodbye(&conn->session, reason, detail, &conn->out);
    if (r)
        log_warn("listener", "no goodbye to a client", "peer=%s error=\"%s\"", conn->peer,
                 strerror(-r));
    drain(conn, end);
}

static void complain(const struct conn *conn, const char *what, const struct session_turn *turn)
{
    log_warn("listener", what, "listener=%s client=%s peer=%s reason=0x%02x why=\"%s\"",
             conn->listener->name, LOG_QUOTE(session_client(&conn->session)), conn->peer,
             (unsigned)turn->reason,
             turn->detail ? turn->detail : mqtt_reason_name((uint8_t)turn->reason));
}

/* The containment point: whatever a session or the codec said becomes the fate of the connection,
 * which may be gone afterwards. */
static void conn_settle(struct conn *conn, int r, const struct session_turn *turn)
{
    if (r == 0 && conn->out.len > CONN_OUT_MAX_BYTES) {
        log_warn("listener", "client does not read its answers", "listener=%s client=%s peer=%s",
                 conn->listener->name, LOG_QUOTE(session_client(&conn->session)), conn->peer);
        drain(conn, CONN_END_ERROR);
        conn_close(conn);
        return;
    }
    if (r == 0) {
        if (conn->out.len)
            mark_dirty(conn);
        return;
    }
    if (r < 0) {
        log_error("listener", "connection given up", "listener=%s peer=%s error=\"%s\"",
                  conn->listener->name, conn->peer, strerror(-r));
        conn_goodbye(conn, MQTT_UNSPECIFIED_ERROR, NULL, CONN_END_ERROR);
        return;
    }
    switch ((enum session_outcome)r) {
    case SESSION_DISCONNECTED:
        drain(conn, CONN_END_CLIENT);
        break;
    case SESSION_REFUSED:
        complain(conn, "client refused", turn);
        drain(conn, CONN_END_REFUSED);
        break;
    case SESSION_FAULT:
        complain(conn, "client disconnected", turn);
        drain(conn, CONN_END_ERROR);
        break;
    }
}

/* CONNECT was accepted. */
static void opened(struct conn *conn, struct session_turn *turn)
{
    set_state(conn, CONN_OPEN);
    log_debug("listener", "client connected", "listener=%s client=%s peer=%s level=%d",
              conn->listener->name, LOG_QUOTE(session_client(&conn->session)), conn->peer,
              (int)conn->session.out.level);
    if (!turn->taken_over)
        return;
    struct conn *other =
        (struct conn *)(void *)((char *)turn->taken_over - offsetof(struct conn, session));
    turn->taken_over = NULL;
    conn_goodbye(other, MQTT_SESSION_TAKEN_OVER, NULL, CONN_END_TAKEOVER);
}

/* Bytes that are no packet. SESSION_FAULT or -ENOMEM. */
static int refuse_bytes(struct conn *conn, enum mqtt_frame_outcome outcome,
                        struct session_turn *turn)
{
    bool large = outcome == MQTT_TOO_LARGE;
    turn->reason = large ? MQTT_PACKET_TOO_LARGE : MQTT_MALFORMED_PACKET;
    turn->detail = large ? "packet larger than Maximum Packet Size [MQTT-3.2.2-15]"
                         : "fixed header is malformed";
    int r = session_goodbye(&conn->session, turn->reason, turn->detail, &conn->out);
    return r ? r : SESSION_FAULT;
}

/* Every complete packet of in. Results of session_receive(), with the bytes used. */
static int conn_dispatch(struct conn *conn, struct slice in, struct session_turn *turn,
                         size_t *ret_consumed)
{
    struct mqtt_frame frame;
    int r = 0;
    size_t at = 0;
    while (r == 0 && at < in.len) {
        int f = mqtt_frame_next(slice_make(in.data + at, in.len - at),
                                session_packet_max(&conn->session), &frame);
        if (f == MQTT_NEED_MORE)
            break;
        if (f) {
            r = refuse_bytes(conn, (enum mqtt_frame_outcome)f, turn);
            break;
        }
        r = session_receive(&conn->session, &frame, turn);
        at += frame.consumed;
        if (r == 0 && conn->state == CONN_CONNECT)
            opened(conn, turn);
    }
    *ret_consumed = at;
    return r;
}

static const char too_many[] = "too many large packets are being received at the same time";

/* Ends the connection with the largest unfinished packet, if it is larger than size bytes: ordinary
 * packets pass while others hold what there is with large ones. Whether there was one. */
static bool evict_largest(struct edge *edge, size_t size)
{
    struct conn *largest = NULL, *conn;
    uint32_t position = 0;
    while ((conn = conn_table_next(&edge->table, &position)))
        if (conn->partial.cap > (largest ? largest->partial.cap : size))
            largest = conn;
    if (!largest)
        return false;
    log_warn("listener", "client disconnected",
             "listener=%s client=%s peer=%s reason=0x%02x why=\"%s\"", largest->listener->name,
             LOG_QUOTE(session_client(&largest->session)), largest->peer,
             (unsigned)MQTT_QUOTA_EXCEEDED, too_many);
    conn_goodbye(largest, MQTT_QUOTA_EXCEEDED, too_many, CONN_END_ERROR);
    return true;
}

/* Keeps the beginning of the next packet. 0 or -ENOMEM; SESSION_FAULT if all unfinished packets
 * together take too much memory. */
static int keep_rest(struct conn *conn, struct slice in, size_t consumed, struct session_turn *turn)
{
    struct edge *edge = conn->edge;
    size_t before = conn->partial.cap;
    int r = 0;
    if (in.data == edge->receive) {
        bytes_reset(&conn->partial, CONN_KEEP_BYTES);
        r = bytes_append(&conn->partial, in.data + consumed, in.len - consumed);
    } else if (consumed) { /* it was in conn->partial, alone */
        bytes_reset(&conn->partial, CONN_KEEP_BYTES);
    }
    edge->partial_bytes = edge->partial_bytes - before + conn->partial.cap;
    if (r)
        return result_fold(r);
    if (conn->partial.cap <= CONN_KEEP_BYTES || edge->partial_bytes <= edge->partial_max_bytes)
        return 0;
    if (conn->partial.cap <= EDGE_JOIN_MAX_BYTES && evict_largest(edge, EDGE_JOIN_MAX_BYTES))
        return 0;
    turn->reason = MQTT_QUOTA_EXCEEDED;
    turn->detail = too_many;
    r = session_goodbye(&conn->session, turn->reason, turn->detail, &conn->out);
    return r ? r : SESSION_FAULT;
}

static void take_bytes(struct conn *conn, struct slice in)
{
    struct edge *edge = conn->edge;
    struct session_turn turn = {.out = &conn->out, .scratch = &edge->scratch};
    size_t consumed = 0;
    int r = intake_batch(&edge->intake, &turn.batch);
    if (!r)
        r = conn_dispatch(conn, in, &turn, &consumed);
    if (!r)
        r = keep_rest(conn, in, consumed, &turn);
    listener_count(conn->listener, &turn);
    edge_push_due(edge);
    conn_settle(conn, r, &turn);
}

/* Reads once what is there. Unfinished packets of ordinary size are put before it in the shared
 * buffer; a large one is read into its own, exactly to its end, which grows as bytes come and not
 * by what the peer announces. Bytes read, 0 at the end of the stream, -errno. */
static ssize_t read_some(struct conn *conn, struct slice *ret)
{
    struct bytes *partial = &conn->partial;
    uint8_t *shared = conn->edge->receive;
    if (partial->len <= EDGE_JOIN_MAX_BYTES) {
        if (partial->len)
            memcpy(shared, partial->data, partial->len);
        ssize_t n = recv(conn->fd, shared + partial->len, EDGE_RECEIVE_BYTES, 0);
        if (n > 0)
            *ret = slice_make(shared, partial->len + (size_t)n);
        return n < 0 ? -errno : n;
    }
    size_t want = mqtt_frame_size(bytes_slice(partial)) - partial->len;
    if (want > EDGE_RECEIVE_BYTES)
        want = EDGE_RECEIVE_BYTES;
    size_t before = partial->cap;
    int r = result_fold(bytes_reserve(partial, want));
    if (r)
        return r;
    conn->edge->partial_bytes += partial->cap - before;
    ssize_t n = recv(conn->fd, partial->data + partial->len, want, 0);
    if (n > 0) {
        partial->len += (size_t)n;
        *ret = bytes_slice(partial);
    }
    return n < 0 ? -errno : n;
}

static void pause_reading(struct conn *conn)
{
    loop_io_want_read(conn->io, false);
    conn_list_add(&conn->edge->lists[CONN_LIST_PAUSED], conn, CONN_LIST_PAUSED);
    metric_add(conn->listener->metrics, METRIC_CONNECTIONS_PAUSED, 1);
}

/* CONN_DRAIN: waiting for the peer to close. */
static void discard(struct conn *conn)
{
    ssize_t n = recv(conn->fd, conn->edge->receive, EDGE_RECEIVE_BYTES, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_close(conn);
}

static void conn_readable(void *data)
{
    struct conn *conn = data;
    struct slice in = SLICE_EMPTY;
    if (conn->state == CONN_DRAIN) {
        discard(conn);
        return;
    }
    if (intake_full(&conn->edge->intake)) {
        pause_reading(conn);
        return;
    }
    ssize_t n = read_some(conn, &in);
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0) { /* closed or lost; without memory for a large packet it is as good as lost */
        struct edge *edge = conn->edge;
        conn_close(conn);
        edge_push_due(edge); /* the will */
        return;
    }
    conn->heard_us = clock_monotonic_us(conn->edge->clock);
    metric_add(conn->listener->metrics, METRIC_RECEIVED_BYTES, (uint64_t)n);
    take_bytes(conn, in);
}

/* Nothing left to write in CONN_DRAIN. A client that said DISCONNECT waits for our close. */
static void drained(struct conn *conn)
{
    if (conn->end == CONN_END_CLIENT || shutdown(conn->fd, SHUT_WR) < 0)
        conn_close(conn);
}

static void want_write(struct conn *conn, bool want)
{
    if (conn->wants_write == want)
        return;
    loop_io_want_write(conn->io, want);
    conn->wants_write = want;
}

void conn_flush(struct conn *conn)
{
    conn_list_remove(&conn->edge->lists[CONN_LIST_DIRTY], conn, CONN_LIST_DIRTY);
    if (conn->out.len) {
        ssize_t n = send(conn->fd, conn->out.data, conn->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_close(conn);
            return;
        }
        if (n > 0) {
            metric_add(conn->listener->metrics, METRIC_SENT_BYTES, (uint64_t)n);
            bytes_consume(&conn->out, (size_t)n);
        }
    }
    want_write(conn, conn->out.len > 0);
    if (conn->out.len)
        return;
    bytes_reset(&conn->out, CONN_KEEP_BYTES);
    if (conn->state == CONN_DRAIN)
        drained(conn);
}

static void conn_writable(void *data)
{
    conn_flush(data);
}

void conn_receive_receipt(struct conn *conn, const struct ingest_record *record,
                          struct session_turn *turn)
{
    turn->out = &conn->out;
    int r = session_receive_receipt(&conn->session, record, turn);
    if (r || conn->out.len > CONN_OUT_MAX_BYTES)
        conn_settle(conn, r, turn);
    else if (!conn_listed(conn, CONN_LIST_DIRTY) && conn->out.len)
        mark_dirty(conn);
}

void conn_check_time(struct conn *conn, int64_t now_us)
{
    bool late = now_us >= conn->deadline_us;
    bool paused = conn_listed(conn, CONN_LIST_PAUSED); /* then its silence is ours */
    int64_t silence = session_silence_max_us(&conn->session);
    if (conn->state == CONN_DRAIN && late) {
        conn_close(conn);
    } else if (conn->state == CONN_CONNECT && late && !paused) {
        log_warn("listener", "no CONNECT in time", "listener=%s peer=%s", conn->listener->name,
                 conn->peer);
        drain(conn, CONN_END_REFUSED);
        conn_close(conn);
    } else if (conn->state == CONN_OPEN && silence && !paused &&
               now_us - conn->heard_us > silence) {
        conn_goodbye(conn, MQTT_KEEP_ALIVE_TIMEOUT, NULL, CONN_END_KEEP_ALIVE);
    }
}

void conn_resume(struct conn *conn)
{
    int64_t now = clock_monotonic_us(conn->edge->clock);
    if (conn->state == CONN_CONNECT) /* the time it was not read is not its own */
        conn->deadline_us += now - conn->heard_us;
    leave_pause(conn);
    conn->heard_us = now;
    loop_io_want_read(conn->io, true);
}

void conn_stop_reading(struct conn *conn)
{
    leave_pause(conn);
    loop_io_want_read(conn->io, conn->state == CONN_DRAIN);
}

int conn_open(struct edge *edge, struct listener *listener, int fd, const char *peer)
{
    int64_t now = clock_monotonic_us(edge->clock);
    struct conn *conn = calloc(1, sizeof *conn);
    int r = conn ? loop_io_new(edge->loop, fd, conn_readable, conn_writable, conn, &conn->io)
                 : result_origin(-ENOMEM);
    if (!r)
        r = conn_table_add(&edge->table, conn, listener->index, &conn->handle);
    if (r) {
        if (conn)
            loop_io_free(conn->io);
        free(conn);
        close(fd);
        return result_trace(r);
    }
    conn->edge = edge;
    conn->listener = listener;
    conn->fd = fd;
    conn->heard_us = now;
    conn->deadline_us = now + listener->connect_timeout_us;
    conn->partial.max = MQTT_PACKET_MAX_BYTES; /* mqtt_frame_next() holds it to the limits */
    conn->out.max = CONN_OUT_MAX_BYTES + CONN_OUT_BURST_BYTES;
    memcpy(conn->peer, peer, strnlen(peer, sizeof conn->peer - 1));
    session_init(&conn->session, &listener->limits, &edge->registry, conn->handle);
    metric_add(listener->metrics, METRIC_CONNECTIONS, 1);
    listener->connections++;
    set_state(conn, CONN_CONNECT);
    if (loop_io_want_read(conn->io, true)) {
        conn_close(conn);
        return result_trace(-EIO);
    }
    return 0;
}
