#include "gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "gateway_audit.h"
#include "gateway_config.h"
#include "gateway_reload.h"
#include "gateway_uplinks.h"
#include "heap.h"
#include "listener/edge.h"
#include "listener/loop.h"
#include "pipeline/pipeline.h"
#include "route/route.h"
#include "sluice/version.h"
#include "store/store.h"
#include "supervisor.h"

enum {
    TICK_US = 20 * 1000,              /* while shutting down */
    UPLINK_STOP_MAX_US = 5000 * 1000, /* for the last acknowledgements of the upstreams */
    RECEIPTS_MAX_US = 5000 * 1000,    /* for the last commit and its acknowledgements */
    CURSOR_INTERVAL_US = 1000 * 1000, /* how far a crash may set the upstreams back */
    MEMORY_US = 5000 * 1000,          /* between looks at the heap, and at the store's health */
    SIGNALS = 3
};

#define BEAR_DAMAGE_US (INT64_C(60) * 1000000)
#define BEAR_DAMAGE_MAX_US (INT64_C(3600) * 1000000)

/* The shutdown, in order. Each step goes on when its condition holds or its time is over. */
enum gateway_stage {
    GATEWAY_RUNNING,
    GATEWAY_STOPPING_UPLINKS, /* nothing is read any more; upstreams give their last answers */
    GATEWAY_STOPPING_EVENTS,  /* what was received is committed and acknowledged */
    GATEWAY_STOPPED
};

struct gateway {
    struct gateway_config_snapshot *startup; /* what needs a restart is still as it was here */
    struct gateway_config_snapshot *config;  /* in force */
    struct loop *loop;
    struct store *store;
    struct route *route;
    struct pipeline *pipeline;
    struct edge *edge;
    struct gateway_uplinks *uplinks;
    struct admin *admin;
    struct loop_signal *signals[SIGNALS];
    struct loop_timer *tick, *watchdog, *memory;
    uint64_t commits_seen; /* when memory was last given back */
    enum gateway_stage stage;
    bool restart; /* when stopped */
    int64_t stage_since_us, started_us, config_loaded_us;
    int64_t bear_damage_us; /* see gateway_set_restarts() */
    struct gateway_restart_keys restart_keys;
    char data_dir[GATEWAY_PATH_MAX_BYTES];
    char admin_socket[GATEWAY_PATH_MAX_BYTES];
    char epoch[STORE_EPOCH_BYTES]; /* as last asked for by gateway_info() */
};

static void gateway_info(void *data, struct admin_info *ret)
{
    struct gateway *g = data;
    bool open = pipeline_store_open(g->pipeline);
    if (open)
        store_epoch_now(g->store, g->epoch);
    *ret = (struct admin_info){
        .state = g->stage == GATEWAY_RUNNING ? ADMIN_RUNNING : ADMIN_STOPPING,
        .version = SLUICE_VERSION,
        .gateway_id = open ? store_gateway_id(g->store) : g->startup->value.gateway.id,
        .epoch = open ? g->epoch : NULL,
        .now_us = clock_now(&clock_system).wall_us,
        .uptime_us = clock_monotonic_us(&clock_system) - g->started_us,
        .config_file = g->config->path,
        .config_loaded_us = g->config_loaded_us,
        .restart_keys = (const char *const *)g->restart_keys.paths,
        .restart_key_count = g->restart_keys.count,
    };
}

/* What is wrong with the store decides whether the gateway may start. */
static int gateway_open_store(struct gateway *g, struct error *error)
{
    const struct gateway_config *config = &g->config->value;
    const struct store_options options = {
        .data_dir = g->data_dir,
        .gateway_id = config->gateway.id,
        .config = &config->store,
        .clock = &clock_system,
        .background_checkpoints = true,
        .cursor_interval_us = CURSOR_INTERVAL_US,
    };
    int r = store_new(&options, &g->store);
    if (r)
        return GATEWAY_EXIT_FAILED;
    r = store_open(g->store, error);
    if (r == 0)
        return GATEWAY_EXIT_OK;
    if (r == STORE_LOCKED)
        return GATEWAY_EXIT_FAILED;
    if (r > 0)
        return GATEWAY_EXIT_CONFIG;
    log_error("gateway", "starting without a store: nothing is acknowledged until it can be opened",
              "where=\"%s\" what=\"%s\" fix=\"%s\"", error->where, error->what, error->mend);
    metric_put(metric_process(), METRIC_STORE_DEGRADED, 1);
    return GATEWAY_EXIT_OK;
}

static int gateway_build(struct gateway *g, struct error *error)
{
    const struct gateway_config *config = &g->config->value;
    int r = route_new(&g->route);
    if (r)
        return r;
    const struct pipeline_options pipeline_options = {
        .store = g->store,
        .route = g->route,
        .clock = &clock_system,
        .limits = gateway_group_limits(config),
        .alarms = &config->alarms,
    };
    if ((r = pipeline_new(&pipeline_options, &g->pipeline)) || (r = loop_new(&g->loop)))
        return r;
    const struct edge_options edge_options = {
        .loop = g->loop,
        .pipeline = pipeline_queue(g->pipeline),
        .clock = &clock_system,
        .in_flight_max_bytes = (size_t)config->gateway.in_flight_max_bytes,
    };
    if ((r = edge_new(&edge_options, &g->edge)))
        return r;
    CONFIG_EACH(listener, config->listeners)
    {
        if ((r = edge_listen(g->edge, listener, error)))
            return r;
    }
    const struct admin_options admin_options = {
        .event_base = loop_base(g->loop),
        .config = &config->admin,
        .default_socket = g->admin_socket,
        .info = gateway_info,
        .data = g,
    };
    if ((r = admin_new(&admin_options, &g->admin)) || (r = admin_start(g->admin, error)))
        return r;
    return gateway_uplinks_new(pipeline_queue(g->pipeline), &g->uplinks);
}

int gateway_new(const char *config_path, struct error *error, struct gateway **ret)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g)
        return GATEWAY_EXIT_FAILED;
    g->started_us = clock_monotonic_us(&clock_system);
    metric_put(metric_process(), METRIC_START_TIME,
               (uint64_t)(clock_now(&clock_system).wall_us / 1000000));
    int r = gateway_config_load(config_path, error, &g->config);
    if (!r)
        r = gateway_config_data_dir(&g->config->value, error, g->data_dir);
    if (!r)
        r = gateway_config_admin_socket(&g->config->value, error, g->admin_socket);
    if (r) {
        gateway_free(g);
        return GATEWAY_EXIT_CONFIG;
    }
    g->startup = gateway_config_ref(g->config);
    g->config_loaded_us = clock_now(&clock_system).wall_us;
    log_set_level((enum log_level)g->config->value.log.level);
    r = gateway_open_store(g, error);
    if (r == GATEWAY_EXIT_OK && gateway_build(g, error))
        r = GATEWAY_EXIT_FAILED;
    if (r != GATEWAY_EXIT_OK) {
        if (!error->what[0])
            error_what(error, "out of memory while starting");
        gateway_free(g);
        return r;
    }
    *ret = g;
    return GATEWAY_EXIT_OK;
}

/* SIGHUP: the new configuration is validated whole, then taken over as one, or refused. */
static void gateway_reload(void *data)
{
    struct gateway *g = data;
    struct error error = ERROR_INIT;
    struct gateway_config_snapshot *next = NULL;
    if (g->stage != GATEWAY_RUNNING)
        return;
    supervisor_notify("RELOADING=1");
    int r = gateway_config_load(g->config->path, &error, &next);
    if (r) {
        log_error("gateway", "reload refused, the old configuration stays",
                  "where=\"%s\" what=\"%s\" fix=\"%s\"", error.where, error.what, error.mend);
        metric_add(metric_process(), METRIC_RELOADS_REFUSED, 1);
        gateway_audit(pipeline_queue(g->pipeline), "signal", "reload", "refused", error.what);
        supervisor_notify("READY=1");
        return;
    }
    gateway_restart_keys_find(&g->restart_keys, &g->startup->value, &next->value);
    log_set_level((enum log_level)next->value.log.level);
    edge_reconfigure(g->edge, next->value.listeners.items, next->value.listeners.count);
    gateway_uplinks_apply(g->uplinks, next);
    r = gateway_settings_push(pipeline_queue(g->pipeline), g->config, next);
    if (r) { /* the store keeps the settings it has, so they must stay */
        log_error("gateway", "reload: out of memory, commit and stream limits stay", "");
        (void)gateway_config_ref(g->config);
    }
    gateway_config_unref(g->config);
    g->config = next;
    g->config_loaded_us = clock_now(&clock_system).wall_us;
    metric_add(metric_process(), METRIC_RELOADS_OK, 1);
    gateway_audit(pipeline_queue(g->pipeline), "signal", "reload", "ok", next->path);
    log_info("gateway", "configuration reloaded", "file=\"%s\" restart_required=%zu",
             next->path ? next->path : "", g->restart_keys.count);
    supervisor_notify("READY=1");
}

static void gateway_set_stage(struct gateway *g, enum gateway_stage stage)
{
    g->stage = stage;
    g->stage_since_us = clock_monotonic_us(&clock_system);
}

static void gateway_begin_stop(struct gateway *g)
{
    edge_stop_reading(g->edge);
    gateway_uplinks_request_stop(g->uplinks);
    gateway_set_stage(g, GATEWAY_STOPPING_UPLINKS);
    (void)loop_timer_start(g->tick, 0);
}

/* SIGTERM, SIGINT; the second one does not wait for anything. */
static void gateway_stop(void *data)
{
    struct gateway *g = data;
    if (g->restart) { /* it was stopping already, for another reason */
        g->restart = false;
        return;
    }
    if (g->stage != GATEWAY_RUNNING) {
        log_warn("gateway", "second signal: stopping at once", "");
        loop_break(g->loop);
        return;
    }
    log_info("gateway", "stopping", "");
    supervisor_notify("STOPPING=1");
    gateway_begin_stop(g);
}

void gateway_set_restarts(struct gateway *g, unsigned restarts)
{
    g->bear_damage_us = restarts ? BEAR_DAMAGE_US : 0;
    for (; restarts > 1 && g->bear_damage_us < BEAR_DAMAGE_MAX_US; restarts--)
        g->bear_damage_us *= 2;
}

/* A damaged store is salvaged by opening it, which is done by the next gateway. What was not
 * acknowledged stays with its senders. */
static void gateway_look_for_damage(struct gateway *g)
{
    int64_t run_us = clock_monotonic_us(&clock_system) - g->started_us;
    if (g->stage != GATEWAY_RUNNING || !pipeline_store_damaged(g->pipeline) ||
        run_us < g->bear_damage_us)
        return;
    log_error("gateway", "the store is damaged: starting anew to salvage it", "data_dir=\"%s\"",
              g->data_dir);
    g->restart = true;
    gateway_begin_stop(g);
}

/* Drives the stages of the shutdown; while running it replaces upstreams that a reload changed. */
static void gateway_tick(void *data)
{
    struct gateway *g = data;
    int64_t in_stage_us = clock_monotonic_us(&clock_system) - g->stage_since_us;
    bool again = true;
    switch (g->stage) {
    case GATEWAY_RUNNING:
        again = gateway_uplinks_tend(g->uplinks);
        break;
    case GATEWAY_STOPPING_UPLINKS:
        if (!gateway_uplinks_stopped(g->uplinks) && in_stage_us < UPLINK_STOP_MAX_US)
            break;
        gateway_set_stage(g, GATEWAY_STOPPING_EVENTS);
        break;
    case GATEWAY_STOPPING_EVENTS:
        if (edge_in_flight(g->edge) && in_stage_us < RECEIPTS_MAX_US)
            break;
        edge_shutdown(g->edge);
        gateway_set_stage(g, GATEWAY_STOPPED);
        loop_break(g->loop);
        again = false;
        break;
    case GATEWAY_STOPPED:
        again = false;
        break;
    }
    if (again)
        (void)loop_timer_start(g->tick, TICK_US);
}

static void gateway_watchdog(void *data)
{
    struct gateway *g = data;
    supervisor_notify("WATCHDOG=1");
    (void)loop_timer_start(g->watchdog, supervisor_watchdog_interval_us());
}

/* What a burst, a slow disk or a backlog made the heap grow to lies free in its middle afterwards,
 * where free() does not give it back. An idle gateway has nothing to look for. */
static void gateway_give_back_memory(void *data)
{
    struct gateway *g = data;
    uint64_t commits = metric_get(metric_process(), METRIC_COMMITS) +
                       metric_get(metric_process(), METRIC_CURSOR_COMMITS);
    if (commits != g->commits_seen)
        heap_give_back();
    g->commits_seen = commits;
    gateway_look_for_damage(g);
    (void)loop_timer_start(g->memory, MEMORY_US);
}

static void gateway_reload_and_tend(void *data)
{
    struct gateway *g = data;
    gateway_reload(g);
    if (g->stage == GATEWAY_RUNNING)
        (void)loop_timer_start(g->tick, 0);
}

static int gateway_watch(struct gateway *g)
{
    static const struct {
        int number;
        loop_function *function;
    } signals[SIGNALS] = {
        {SIGTERM, gateway_stop}, {SIGINT, gateway_stop}, {SIGHUP, gateway_reload_and_tend}};
    int r = 0;
    for (int i = 0; i < SIGNALS && !r; i++)
        r = loop_signal_new(g->loop, signals[i].number, signals[i].function, g, &g->signals[i]);
    if (r || (r = loop_timer_new(g->loop, gateway_tick, g, &g->tick)) ||
        (r = loop_timer_new(g->loop, gateway_watchdog, g, &g->watchdog)) ||
        (r = loop_timer_new(g->loop, gateway_give_back_memory, g, &g->memory)) ||
        (r = loop_timer_start(g->memory, MEMORY_US)))
        return r;
    int64_t interval_us = supervisor_watchdog_interval_us();
    return interval_us ? loop_timer_start(g->watchdog, interval_us) : 0;
}

int gateway_run(struct gateway *g)
{
    int r = gateway_watch(g);
    if (!r)
        r = pipeline_start(g->pipeline);
    if (r) {
        log_error("gateway", "cannot start", "errno=%d", -r);
        return GATEWAY_EXIT_FAILED;
    }
    gateway_uplinks_apply(g->uplinks, g->config);
    if (g->config->path)
        log_info("gateway", "started", "version=%s data_dir=\"%s\" config=\"%s\"", SLUICE_VERSION,
                 g->data_dir, g->config->path);
    else
        log_info("gateway", "started on defaults", "version=%s data_dir=\"%s\"", SLUICE_VERSION,
                 g->data_dir);
    gateway_audit(pipeline_queue(g->pipeline), "system", "start", "ok", g->config->path);
    supervisor_notify("READY=1");
    r = loop_run(g->loop);
    if (r)
        log_error("gateway", "event loop failed", "errno=%d", -r);

    /* Producers end before the pipeline, the pipeline before what it writes to. */
    gateway_uplinks_join(g->uplinks);
    gateway_audit(pipeline_queue(g->pipeline), "system", "stop", r ? "failed" : "ok", NULL);
    (void)pipeline_request_stop(g->pipeline);
    pipeline_join(g->pipeline);
    log_info("gateway", "stopped", "");
    if (r)
        return GATEWAY_EXIT_FAILED;
    return g->restart ? GATEWAY_EXIT_RESTART : GATEWAY_EXIT_OK;
}

struct gateway *gateway_free(struct gateway *g)
{
    if (!g)
        return NULL;
    if (g->loop) {
        for (int i = 0; i < SIGNALS; i++)
            loop_signal_free(g->signals[i]);
        loop_timer_free(g->tick);
        loop_timer_free(g->watchdog);
        loop_timer_free(g->memory);
    }
    gateway_uplinks_free(g->uplinks);
    admin_free(g->admin);
    edge_free(g->edge);
    pipeline_free(g->pipeline);
    store_free(g->store);
    route_free(g->route);
    loop_free(g->loop);
    gateway_restart_keys_clear(&g->restart_keys);
    gateway_config_unref(g->startup);
    gateway_config_unref(g->config);
    free(g);
    return NULL;
}
