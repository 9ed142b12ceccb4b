#include "listener/listener.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "listener/bind.h"
#include "listener/conn.h"
#include "listener/internal.h"
#include "listener/loop.h"

static int want_accept(struct listener *listener, bool want)
{
    int r = 0;
    for (size_t i = 0; i < listener->socket_count && !r; i++)
        r = loop_io_want_read(listener->sockets[i].io, want);
    return r;
}

/* The system is short of something: leave the connections in the backlog for a while. */
static void pause_accepting(struct listener *listener, int r)
{
    log_error("listener", "cannot accept connections", "listener=%s error=\"%s\" retry_s=1",
              listener->name, strerror(-r));
    metric_set_trouble(listener->metrics, "cannot accept: out of descriptors or memory");
    want_accept(listener, false);
    if (loop_timer_start(listener->retry, LISTENER_RETRY_US))
        want_accept(listener, true);
}

static void on_retry(void *data)
{
    struct listener *listener = data;
    metric_set_trouble(listener->metrics, NULL);
    want_accept(listener, true);
}

/* Whether accept failed for this one connection only; the next may be fine [accept(2)]. */
static bool passing(int error)
{
    static const int errors[] = {ECONNABORTED, EINTR,  EPROTO,       ENETDOWN,   ENOPROTOOPT,
                                 EHOSTDOWN,    ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

static void admit(struct listener *listener, int fd, const struct sockaddr *address)
{
    const int one = 1;
    char peer[CONN_PEER_MAX_BYTES];
    bind_format(address, peer, sizeof peer);
    metric_add(listener->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
    if (listener->connections >= (size_t)listener->max_connections) {
        log_warn("listener", "connection refused: max_connections", "listener=%s peer=%s max=%lld",
                 listener->name, peer, (long long)listener->max_connections);
        metric_add(listener->metrics, METRIC_CONNECTIONS_REFUSED, 1);
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int r = conn_open(listener->edge, listener, fd, peer);
    if (r) {
        log_error("listener", "connection lost", "listener=%s peer=%s error=\"%s\"", listener->name,
                  peer, strerror(-r));
        metric_add(listener->metrics, METRIC_CONNECTIONS_REFUSED, 1);
    }
}

/* The containment point of accept. */
static void listener_dispatch(void *data)
{
    struct listener_socket *socket = data;
    for (unsigned i = 0; i < LISTENER_ACCEPT_MAX; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof address;
        int fd =
            accept4(socket->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(socket->listener, fd, (const struct sockaddr *)&address);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!passing(errno)) {
            pause_accepting(socket->listener, -errno);
            return;
        }
    }
}

void listener_configure(struct listener *listener, const struct listener_config *config)
{
    listener_config_limits(config, &listener->limits);
    listener->max_connections = config->max_connections;
    listener->connect_timeout_us = config->connect_timeout_us;
}

static int open_sockets(struct listener *listener, const struct config_address *address,
                        struct error *error)
{
    int fds[LISTENER_SOCKETS_MAX];
    size_t count = 0;
    int r = bind_listen(address, LISTENER_BACKLOG, error, fds, LISTENER_SOCKETS_MAX, &count);
    if (r)
        return result_trace(r);
    for (size_t i = 0; i < count; i++)
        listener->sockets[i] = (struct listener_socket){.listener = listener, .fd = fds[i]};
    listener->socket_count = count;
    for (size_t i = 0; i < count && !r; i++)
        r = loop_io_new(listener->edge->loop, fds[i], listener_dispatch, NULL,
                        &listener->sockets[i], &listener->sockets[i].io);
    if (!r)
        r = loop_timer_new(listener->edge->loop, on_retry, listener, &listener->retry);
    if (!r)
        r = want_accept(listener, true);
    if (r)
        error_what(error, "cannot watch the listening socket: %s", strerror(-r));
    return r ? result_trace(r) : 0;
}

int listener_new(struct edge *edge, const struct listener_config *config, unsigned index,
                 struct error *error, struct listener **ret)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        error_what(error, "out of memory");
        return result_origin(-ENOMEM);
    }
    listener->edge = edge;
    listener->index = index;
    listener_config_name(config, listener->name);
    listener_configure(listener, config);
    error_where(error, "listener %s", listener->name);
    int r = open_sockets(listener, &config->bind, error);
    if (r) {
        listener_free(listener);
        return result_trace(r);
    }
    listener->metrics = metric_set_get(METRIC_GROUP_LISTENER, listener->name, NULL);
    *ret = listener;
    return 0;
}

void listener_stop(struct listener *listener)
{
    for (size_t i = 0; i < listener->socket_count; i++) {
        loop_io_free(listener->sockets[i].io);
        close(listener->sockets[i].fd);
    }
    listener->socket_count = 0;
    listener->retry = loop_timer_free(listener->retry);
}

struct listener *listener_free(struct listener *listener)
{
    if (listener) {
        assert(listener->connections == 0);
        listener_stop(listener);
        free(listener);
    }
    return NULL;
}

void listener_count(struct listener *listener, struct session_turn *turn)
{
    const struct {
        enum metric metric;
        uint64_t *n;
    } counters[] = {
        {METRIC_EVENTS_RECEIVED_QOS0, &turn->received_qos0},
        {METRIC_EVENTS_RECEIVED_QOS1, &turn->received_qos1},
        {METRIC_EVENTS_ACKNOWLEDGED, &turn->acknowledged},
        {METRIC_PUBLISH_REFUSED, &turn->refused},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        if (*counters[i].n) {
            metric_add(listener->metrics, counters[i].metric, *counters[i].n);
            *counters[i].n = 0;
        }
}
