#ifndef SLUICE_TESTS_LISTENER_RIG_H
#define SLUICE_TESTS_LISTENER_RIG_H
/* An edge on a real loopback port, a pipeline played by the test (a queue it answers by hand), a
 * clock it sets, and clients that are plain sockets. One thread: the loop runs while a condition is
 * waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/queue.h"
#include "config/read.h"
#include "event/ingest.h"
#include "listener/conn.h"
#include "listener/edge.h"
#include "listener/internal.h"
#include "listener/listener_config.h"
#include "listener/loop.h"

enum { RIG_DEADLINE_S = 10, RIG_QUIET_ROUNDS = 20, RIG_RECEIVED_MAX = 1 << 16 };

struct rig {
    struct loop *loop;
    struct edge *edge;
    struct queue pipeline;
    int64_t now_us;
    struct clock clock;
    struct metric_set *metrics;
    struct queue_item *taken; /* batches the pipeline holds, oldest first */
    struct queue_item **taken_last;
    char name[32];
};

static inline int64_t rig_clock_read(void *data)
{
    return ((struct rig *)data)->now_us;
}

static inline bool rig_clock_synced(void *data)
{
    (void)data;
    return true;
}

/* more: further keys of the listener ("\"receive_maximum\": 2"); "" for none. */
static inline void rig_init(struct rig *rig, size_t in_flight_max, size_t queue_max,
                            const char *more)
{
    static unsigned number; /* metrics live as long as the process: a name for each rig */
    char text[512];
    struct listener_config config;
    struct error error = ERROR_INIT;
    *rig = (struct rig){.now_us = INT64_C(1000000000)};
    rig->clock = (struct clock){.monotonic_us = rig_clock_read,
                                .wall_us = rig_clock_read,
                                .synced = rig_clock_synced,
                                .data = rig};
    rig->taken_last = &rig->taken;
    snprintf(rig->name, sizeof rig->name, "rig-%u", number++);
    snprintf(text, sizeof text,
             "{\"name\": \"%s\", \"bind\": \"127.0.0.1:0\", \"anonymous\": true%s%s}", rig->name,
             more[0] ? ", " : "", more);
    assert_int_equal(config_read_text(&listener_section, text, &error, &config), 0);
    assert_int_equal(queue_init(&rig->pipeline, queue_max), 0);
    assert_int_equal(loop_new(&rig->loop), 0);
    const struct edge_options options = {.loop = rig->loop,
                                         .pipeline = &rig->pipeline,
                                         .clock = &rig->clock,
                                         .in_flight_max_bytes = in_flight_max};
    assert_int_equal(edge_new(&options, &rig->edge), 0);
    assert_int_equal(edge_listen(rig->edge, &config, &error), 0);
    config_section_deinit(&listener_section, &config);
    rig->metrics = metric_set_get(METRIC_GROUP_LISTENER, rig->name, NULL);
}

static inline void rig_deinit(struct rig *rig)
{
    rig->edge = edge_free(rig->edge);
    rig->loop = loop_free(rig->loop);
    while (rig->taken) {
        struct queue_item *item = rig->taken;
        rig->taken = item->next;
        item->free(item);
    }
    queue_deinit(&rig->pipeline);
}

/* What the pipeline's thread would do on its own: takes what is queued and holds it. */
static inline void rig_take(struct rig *rig)
{
    *rig->taken_last = queue_take_all(&rig->pipeline);
    while (*rig->taken_last)
        rig->taken_last = &(*rig->taken_last)->next;
}

static inline void rig_round(struct rig *rig)
{
    assert_int_equal(loop_run_once(rig->loop, 2000), 0);
}

static inline int64_t rig_real_us(void)
{
    return clock_monotonic_us(&clock_system);
}

/* Runs the loop until the condition holds; fails after the deadline. */
#define rig_until(rig, condition)                                                                  \
    do {                                                                                           \
        int64_t until_end = rig_real_us() + RIG_DEADLINE_S * INT64_C(1000000);                     \
        while (!(condition)) {                                                                     \
            if (rig_real_us() > until_end)                                                         \
                fail_msg("waited in vain for: %s", #condition);                                    \
            rig_round(rig);                                                                        \
        }                                                                                          \
    } while (0)

/* Lets everything happen that is due, to show that something does not. */
static inline void rig_quiet(struct rig *rig)
{
    for (unsigned i = 0; i < RIG_QUIET_ROUNDS; i++)
        rig_round(rig);
}

/* Events the pipeline holds. */
static inline unsigned rig_held(struct rig *rig)
{
    unsigned n = 0;
    rig_take(rig);
    for (struct queue_item *item = rig->taken; item; item = item->next)
        n += ((struct ingest_batch *)(void *)item)->count;
    return n;
}

/* Answers the oldest batch. */
static inline void rig_answer_one(struct rig *rig, enum ingest_outcome outcome)
{
    struct queue_item *item = rig->taken;
    struct ingest_batch *batch = (struct ingest_batch *)(void *)item;
    struct ingest_record *record;
    size_t position = 0;
    assert_non_null(item);
    rig->taken = item->next;
    if (!rig->taken)
        rig->taken_last = &rig->taken;
    item->next = NULL;
    while ((record = ingest_batch_next(batch, &position)))
        record->outcome = (uint8_t)outcome;
    assert_int_equal(queue_push(batch->reply, &item), 0);
}

static inline void rig_answer_all(struct rig *rig)
{
    rig_take(rig);
    while (rig->taken)
        rig_answer_one(rig, INGEST_STORED);
}

static inline uint64_t rig_metric(const struct rig *rig, enum metric metric)
{
    return metric_get(rig->metrics, metric);
}

/* --- clients --------------------------------------------------------------------------------- */

struct peer {
    struct rig *rig;
    int fd;
    uint8_t got[RIG_RECEIVED_MAX];
    size_t len;
    bool ended; /* the gateway closed */
};

static inline int peer_socket(const struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(edge_port(rig->edge, rig->name)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline struct peer *peer_new(struct rig *rig)
{
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->rig = rig;
    peer->fd = peer_socket(rig);
    return peer;
}

static inline void peer_free(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    free(peer);
}

static inline void peer_send(struct peer *peer, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len) {
        ssize_t n = send(peer->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            rig_round(peer->rig);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

/* Reads what is there; the number of bytes not yet consumed. */
static inline size_t peer_poll(struct peer *peer)
{
    while (!peer->ended && peer->len < sizeof peer->got) {
        ssize_t n =
            recv(peer->fd, peer->got + peer->len, sizeof peer->got - peer->len, MSG_DONTWAIT);
        if (n > 0)
            peer->len += (size_t)n;
        else if (n == 0 || errno != EAGAIN)
            peer->ended = true;
        else
            break;
    }
    return peer->len;
}

static inline void peer_expect(struct peer *peer, const void *data, size_t len)
{
    rig_until(peer->rig, peer_poll(peer) >= len || peer->ended);
    assert_true(peer->len >= len);
    assert_memory_equal(peer->got, data, len);
    peer->len -= len;
    memmove(peer->got, peer->got + len, peer->len);
}

#define peer_expect_literal(peer, text) peer_expect(peer, text, sizeof(text) - 1)

/* A 5.0 DISCONNECT with this reason (and perhaps a Reason String), then the end. */
static inline void peer_expect_goodbye(struct peer *peer, unsigned reason)
{
    rig_until(peer->rig, (peer_poll(peer), peer->ended));
    assert_true(peer->len >= 3);
    assert_int_equal(peer->got[0], 0xe0);
    assert_int_equal(peer->got[1], peer->len - 2);
    assert_int_equal(peer->got[2], reason);
}

static inline void peer_expect_end(struct peer *peer)
{
    rig_until(peer->rig, (peer_poll(peer), peer->ended));
    assert_int_equal(peer->len, 0);
}

static inline size_t make_connect(uint8_t *out, unsigned level, const char *id, unsigned keep_alive)
{
    size_t n = strlen(id);
    uint8_t head[] = {0x10,
                      0,
                      0,
                      4,
                      'M',
                      'Q',
                      'T',
                      'T',
                      (uint8_t)level,
                      2,
                      (uint8_t)(keep_alive >> 8),
                      (uint8_t)keep_alive};
    size_t at = sizeof head;
    memcpy(out, head, sizeof head);
    if (level == 5)
        out[at++] = 0;
    out[at++] = 0;
    out[at++] = (uint8_t)n;
    memcpy(out + at, id, n);
    at += n;
    out[1] = (uint8_t)(at - 2);
    return at;
}

/* QoS 1 with this id, or QoS 0 with id 0; short topic and payload only. */
static inline size_t make_publish(uint8_t *out, unsigned level, unsigned id, const char *topic,
                                  const char *payload)
{
    size_t t = strlen(topic), p = strlen(payload), at = 0;
    out[at++] = id ? 0x32 : 0x30;
    at++;
    out[at++] = 0;
    out[at++] = (uint8_t)t;
    memcpy(out + at, topic, t);
    at += t;
    if (id) {
        out[at++] = (uint8_t)(id >> 8);
        out[at++] = (uint8_t)id;
    }
    if (level == 5)
        out[at++] = 0;
    memcpy(out + at, payload, p);
    at += p;
    assert_true(at - 2 < 128);
    out[1] = (uint8_t)(at - 2);
    return at;
}

/* Skips a CONNACK of either level. */
static inline void peer_expect_connack(struct peer *peer)
{
    rig_until(peer->rig, peer_poll(peer) >= 4 && peer->len >= peer->got[1] + 2u);
    size_t n = peer->got[1] + 2u;
    assert_int_equal(peer->got[0], 0x20);
    assert_int_equal(peer->got[3], 0);
    peer->len -= n;
    memmove(peer->got, peer->got + n, peer->len);
}

static inline struct peer *peer_open(struct rig *rig, unsigned level, const char *id,
                                     unsigned keep_alive)
{
    uint8_t packet[128];
    struct peer *peer = peer_new(rig);
    peer_send(peer, packet, make_connect(packet, level, id, keep_alive));
    peer_expect_connack(peer);
    return peer;
}

static inline void peer_publish(struct peer *peer, unsigned level, unsigned id)
{
    uint8_t packet[128];
    peer_send(peer, packet, make_publish(packet, level, id, "t", "payload"));
}

#endif
