/*
 * The thread of one upstream.
 *
 *            attached            connected           stop
 *     DOWN ───────────► CONNECT ───────────► UP ────────────► DRAIN
 *      ▲ ▲               │  ▲ │ refused,      │ lost            │ all acknowledged,
 *      │ │ stop          │  │ │ timed out     │                 │ lost, deadline
 *      │ └───────────────┘  │ ▼               ▼                 │
 *      │      stop          BACKOFF ◄─────────┘                 │
 *      ├───────────────────────┘                                │
 *      └────────────────────────────────────────────────────────┘
 *
 * A round: sleep until an item comes or something is due, take the items, look at the connection,
 * book answers, fill the window, post cursor moves. Failures of the client, the store and the
 * network end here (house: containment): they are logged, counted and tried again.
 */
#include "uplink/uplink.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "uplink/internal.h"

/* Paho has its own timer for the connection; this one is for the case that it forgets. */
#define CONNECT_GRACE_US INT64_C(3000000)
#define OUTAGE_LOG_US INT64_C(60000000)

static const char *const state_names[] = {[UPLINK_DOWN] = "down",
                                          [UPLINK_CONNECT] = "connecting",
                                          [UPLINK_UP] = "up",
                                          [UPLINK_DRAIN] = "draining",
                                          [UPLINK_BACKOFF] = "waiting"};

static const bool legal[5][5] = {
    [UPLINK_DOWN] = {[UPLINK_CONNECT] = true},
    [UPLINK_CONNECT] = {[UPLINK_UP] = true, [UPLINK_BACKOFF] = true, [UPLINK_DOWN] = true},
    [UPLINK_UP] = {[UPLINK_DRAIN] = true, [UPLINK_BACKOFF] = true},
    [UPLINK_DRAIN] = {[UPLINK_DOWN] = true},
    [UPLINK_BACKOFF] = {[UPLINK_CONNECT] = true, [UPLINK_DOWN] = true},
};

static void uplink_set_state(struct uplink *u, enum uplink_state state)
{
    assert(legal[u->state][state]);
    log_debug("uplink", "state", "upstream=%s from=%s to=%s", u->config->name,
              state_names[u->state], state_names[state]);
    u->state = state;
    metric_set_state(u->metrics, state_names[state]);
    metric_put(u->metrics, METRIC_UPSTREAM_CONNECTED, state == UPLINK_UP || state == UPLINK_DRAIN);
}

static unsigned whole_seconds(int64_t us)
{
    return (unsigned)((us + 999999) / 1000000);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Logs the first failure of an outage and then one a minute. */
static void tell(struct uplink *u, int64_t now_us, const char *what, const char *trouble,
                 int reason, const char *text)
{
    metric_set_trouble(u->metrics, trouble);
    if (u->told_us && now_us - u->told_us < OUTAGE_LOG_US)
        return;
    u->told_us = now_us;
    struct slice said = slice_string(text);
    log_warn("uplink", what, "upstream=%s host=%s port=%u problem=\"%s\" reason=0x%02x text=%s",
             u->config->name, u->target.host, u->target.port, trouble, (unsigned)reason,
             LOG_QUOTE(said));
}

static void back_off(struct uplink *u, int64_t now_us)
{
    u->client = client_close(u->client);
    sender_lose(u);
    u->wake_us = now_us + backoff_down(&u->backoff, now_us);
    uplink_set_state(u, UPLINK_BACKOFF);
}

static void connect_failed(struct uplink *u, int64_t now_us, const char *trouble, int reason,
                           const char *text)
{
    metric_add(u->metrics, METRIC_UPSTREAM_CONNECT_FAILURES, 1);
    tell(u, now_us, "the upstream cannot be connected", trouble, reason, text);
    back_off(u, now_us);
}

static void connection_lost(struct uplink *u, int64_t now_us, const char *trouble)
{
    char text[CLIENT_REASON_MAX_BYTES];
    int reason = client_get_reason(u->client, text);
    metric_add(u->metrics, METRIC_UPSTREAM_DISCONNECTS, 1);
    tell(u, now_us, "the upstream is gone", trouble, reason, text);
    back_off(u, now_us);
}

/* ---- leaving DOWN and BACKOFF ---- */

static bool open_reader(struct uplink *u)
{
    struct error error = ERROR_INIT;
    if (!u->reader && store_reader_open(u->feed->database_path, &error, &u->reader)) {
        log_error("uplink", "the store cannot be opened for reading",
                  "upstream=%s path=%s problem=\"%s\"", u->config->name, u->feed->database_path,
                  error.what);
        metric_set_trouble(u->metrics, "the store cannot be opened for reading");
        return false;
    }
    return true;
}

static void start_connecting(struct uplink *u, int64_t now_us)
{
    const struct upstream_config *c = u->config;
    if (!open_reader(u)) {
        u->wake_us = now_us + UPLINK_STORE_RETRY_US;
        return;
    }
    struct client_options options = {.host = u->target.host,
                                     .port = u->target.port,
                                     .mqtt5 = u->mqtt5,
                                     .client_id = c->client_id ? c->client_id : u->client_id,
                                     .username = c->username,
                                     .password = c->password,
                                     .keep_alive_s = whole_seconds(c->keep_alive_us),
                                     .connect_timeout_s = whole_seconds(c->connect_timeout_us),
                                     .window = (unsigned)c->window,
                                     .wake = &u->feed->queue};
    if (u->limits.keep_alive_s && u->limits.keep_alive_s < options.keep_alive_s)
        options.keep_alive_s = u->limits.keep_alive_s; /* what the server asked for last time */
    uplink_set_state(u, UPLINK_CONNECT);
    u->wake_us = now_us + c->connect_timeout_us + CONNECT_GRACE_US;
    if (client_open(&options, &u->client))
        connect_failed(u, now_us, "the client library does not start", 0, "");
}

/* ---- CONNECT ---- */

static void connected(struct uplink *u, int64_t now_us)
{
    if (u->limits.maximum_qos < 1) {
        connect_failed(u, now_us, "the upstream takes no QoS 1, so nothing would be certain", 0,
                       "Maximum QoS 0");
        return;
    }
    u->window = (unsigned)u->config->window;
    if (u->limits.receive_maximum < u->window)
        u->window = u->limits.receive_maximum;
    backoff_up(&u->backoff, now_us);
    u->told_us = 0;
    u->progress_us = now_us;
    metric_add(u->metrics, METRIC_UPSTREAM_CONNECTS, 1);
    metric_put(u->metrics, METRIC_UPSTREAM_WINDOW, u->window);
    metric_set_trouble(u->metrics, NULL);
    uplink_set_state(u, UPLINK_UP);
    log_info("uplink", "connected to the upstream",
             "upstream=%s host=%s port=%u protocol=%s window=%u", u->config->name, u->target.host,
             u->target.port, u->mqtt5 ? "5.0" : "3.1.1", u->window);
}

static void step_connect(struct uplink *u, int64_t now_us)
{
    char text[CLIENT_REASON_MAX_BYTES];
    int reason = client_get_reason(u->client, text);
    switch (client_get_state(u->client, &u->limits)) {
    case CLIENT_CONNECTING:
        if (now_us >= u->wake_us)
            connect_failed(u, now_us, "the upstream does not answer", 0, "timed out");
        return;
    case CLIENT_CONNECTED:
        connected(u, now_us);
        return;
    case CLIENT_VERSION_REFUSED:
        if (u->mqtt5 && u->config->protocol == UPSTREAM_PROTOCOL_AUTO) {
            log_info("uplink", "the upstream knows no MQTT 5.0, going on with 3.1.1", "upstream=%s",
                     u->config->name);
            u->mqtt5 = false;
            back_off(u, now_us);
            return;
        }
        connect_failed(u, now_us, "the upstream does not speak this version of MQTT", reason, text);
        return;
    case CLIENT_REFUSED:
        connect_failed(u, now_us, "the upstream refuses the connection", reason, text);
        return;
    case CLIENT_UNREACHABLE:
    case CLIENT_LOST:
        connect_failed(u, now_us, "the upstream cannot be reached", reason, text);
        return;
    }
}

/* ---- UP and DRAIN ---- */

static void finish(struct uplink *u)
{
    u->client = client_close(u->client);
    sender_lose(u);
    uplink_set_state(u, UPLINK_DOWN);
}

static void step_up(struct uplink *u, int64_t now_us)
{
    enum client_state client = client_get_state(u->client, NULL);
    int r = sender_take_answers(u, now_us); /* also those that came before the connection went */
    if (client != CLIENT_CONNECTED || r == SENDER_LOST) {
        connection_lost(u, now_us, "the connection was lost");
        return;
    }
    if (client_in_flight(u->client) && now_us - u->progress_us >= u->config->ack_timeout_us) {
        connection_lost(u, now_us, "the upstream acknowledges nothing");
        return;
    }
    if (sender_fill(u, now_us) == SENDER_LOST)
        connection_lost(u, now_us, "the connection was lost");
}

static void step_drain(struct uplink *u, int64_t now_us)
{
    enum client_state client = client_get_state(u->client, NULL);
    int r = sender_take_answers(u, now_us);
    if (client != CLIENT_CONNECTED || r == SENDER_LOST || client_in_flight(u->client) == 0 ||
        now_us >= u->wake_us)
        finish(u);
}

/* ---- the thread ---- */

static void attach(struct uplink *u)
{
    if (u->attached)
        return;
    sender_attach(u);
    snprintf(u->client_id, sizeof(u->client_id), "sluice-%s-%s", u->feed->gateway_id,
             u->config->name);
    u->attached = true;
}

static void take_items(struct uplink *u)
{
    struct queue_item *next;
    for (struct queue_item *item = queue_take_all(&u->feed->queue); item; item = next) {
        next = item->next;
        switch ((enum range_feed_kind)item->kind) {
        case RANGE_ATTACHED:
            attach(u);
            break;
        case RANGE_SEGMENT: {
            struct range_segment *s = (struct range_segment *)item;
            sender_take_segment(u, s->range, segment_ref(s->segment));
            break;
        }
        case RANGE_STOP:
            atomic_store(&u->stop_requested, true);
            break;
        case RANGE_CLIENT: /* a wake-up: the round looks at the client in any case */
            break;
        }
        item->free(item);
    }
}

/* What a request to stop means for the state. */
static void step_stop(struct uplink *u, int64_t now_us)
{
    switch (u->state) {
    case UPLINK_UP:
        u->wake_us = now_us + u->config->drain_timeout_us;
        uplink_set_state(u, UPLINK_DRAIN);
        break;
    case UPLINK_CONNECT:
    case UPLINK_BACKOFF:
        finish(u);
        break;
    case UPLINK_DOWN:
    case UPLINK_DRAIN:
        break;
    }
}

static void step(struct uplink *u, int64_t now_us, bool stop)
{
    if (u->client)
        client_attend(u->client);
    if (stop)
        step_stop(u, now_us);
    switch (u->state) {
    case UPLINK_DOWN:
    case UPLINK_BACKOFF:
        if (!stop && u->attached && now_us >= u->wake_us)
            start_connecting(u, now_us);
        break;
    case UPLINK_CONNECT:
        step_connect(u, now_us);
        if (u->state == UPLINK_UP)
            step_up(u, now_us);
        break;
    case UPLINK_UP:
        step_up(u, now_us);
        break;
    case UPLINK_DRAIN:
        step_drain(u, now_us);
        break;
    }
}

static int sleep_ms(struct uplink *u, int64_t now_us)
{
    int64_t until = sender_next_us(u, now_us);
    if (u->state != UPLINK_UP && (u->state != UPLINK_DOWN || u->attached))
        until = earlier(until, u->wake_us);
    if (u->state == UPLINK_UP && client_in_flight(u->client))
        until = earlier(until, u->progress_us + u->config->ack_timeout_us);
    int ms = until <= now_us ? 0 : (int)((until - now_us + 999) / 1000);
    int rest_ms = u->client ? client_rest_ms(u->client) : -1;
    return rest_ms >= 0 && rest_ms < ms ? rest_ms : ms;
}

/* Ends with everything posted, or drain_timeout after it was asked to. */
static void uplink_run(struct uplink *u)
{
    int64_t stop_us = 0;
    for (;;) {
        take_items(u);
        int64_t now_us = clock_monotonic_us(u->clock);
        bool stop = atomic_load(&u->stop_requested);
        if (stop && !stop_us)
            stop_us = now_us;
        step(u, now_us, stop);
        bool posted = sender_post_cursors(u, now_us, stop);
        sender_update_metrics(u);
        bool again = sender_switch_live(u);
        bool late = stop && now_us - stop_us >= u->config->drain_timeout_us;
        if (stop && u->state == UPLINK_DOWN && (posted || late))
            return;
        if (!again)
            queue_wait(&u->feed->queue, stop && u->state == UPLINK_DOWN ? 10 : sleep_ms(u, now_us));
    }
}

static void *thread_main(void *data)
{
    struct uplink *u = data;
    sigset_t all; /* signals are the main thread's; Paho's threads inherit this */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_setname_np(pthread_self(), "uplink");
    uplink_run(u);
    u->reader = store_reader_close(u->reader);
    atomic_store(&u->stopped, true);
    return NULL;
}

/* ---- the gateway's thread ---- */

void uplink_library_init(void)
{
    client_library_init();
}

int uplink_new(const struct uplink_options *options, struct uplink **ret)
{
    struct uplink *u = calloc(1, sizeof(*u));
    if (!u)
        return result_origin(-ENOMEM);
    u->config = options->config;
    u->pipeline = options->pipeline;
    u->clock = options->clock ? options->clock : &clock_system;
    u->mqtt5 = u->config->protocol != UPSTREAM_PROTOCOL_3_1_1;
    u->envelope = (struct envelope)ENVELOPE_INIT;
    uint64_t seed = (uint64_t)clock_monotonic_us(u->clock);
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
        seed ^= (uintptr_t)u; /* early at boot: spread less well rather than wait */
    backoff_init(&u->backoff, u->config->reconnect_min_us, seed);
    u->metrics = metric_set_get(METRIC_GROUP_UPSTREAM, u->config->name, NULL);
    int r = u->metrics ? 0 : result_origin(-ENOMEM);
    if (!r)
        r = upstream_url_parse(u->config->url, NULL, &u->target);
    if (!r)
        r = topic_template_parse(u->config->topic, NULL, &u->topic);
    if (r) {
        free(u);
        return r;
    }
    metric_set_state(u->metrics, state_names[UPLINK_DOWN]);
    u->feed = range_feed_ref(options->feed);
    *ret = u;
    return 0;
}

int uplink_start(struct uplink *uplink)
{
    int r = pthread_create(&uplink->thread, NULL, thread_main, uplink);
    if (r)
        return result_origin(-r);
    uplink->started = true;
    return 0;
}

void uplink_request_stop(struct uplink *uplink)
{
    atomic_store(&uplink->stop_requested, true);
    /* Only a wake-up; if there is no memory for it the thread notices within UPLINK_TICK_US. */
    (void)range_feed_notify(uplink->feed, RANGE_STOP);
}

bool uplink_stopped(struct uplink *uplink)
{
    return !uplink->started || atomic_load(&uplink->stopped);
}

struct uplink *uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return NULL;
    if (uplink->started) {
        if (!uplink_stopped(uplink))
            uplink_request_stop(uplink);
        pthread_join(uplink->thread, NULL);
    }
    sender_deinit(uplink);
    range_feed_unref(uplink->feed);
    free(uplink);
    return NULL;
}
