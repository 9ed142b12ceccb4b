#include "pipeline/pipeline.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/ingest.h"
#include "pipeline/consumers.h"
#include "pipeline/item_list.h"
#include "pipeline/judge.h"
#include "pipeline/letters.h"
#include "store/range.h"
#include "store/store.h"

enum {
    RETRY_US = 1000 * 1000, /* between attempts to open, to commit, or to append to a full stream */
    RETRY_FIRST_US = 50 * 1000
};

enum pipeline_state { PIPELINE_CLOSED, PIPELINE_OK, PIPELINE_FULL, PIPELINE_DEGRADED };

struct pipeline {
    struct queue queue;
    struct store *store;
    const struct clock *clock;
    struct group_limits limits;
    struct group group; /* appended and not committed */
    enum pipeline_state state;
    int64_t retry_us; /* monotonic time of the next attempt; meaningful unless OK */
    bool maintain;    /* the store said there is more to do */
    bool stopping;
    struct item_list waiting;  /* received, not yet appended */
    struct item_list appended; /* appended, not yet committed */
    struct consumers consumers;
    struct letters letters;
    struct judge judge;
    atomic_bool store_open;    /* set once, after the open */
    atomic_bool store_damaged; /* set once */
    pthread_t thread;
    bool started;
};

int pipeline_new(const struct pipeline_options *options, struct pipeline **ret)
{
    struct pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->store = options->store;
    atomic_init(&p->store_open, store_is_open(options->store));
    atomic_init(&p->store_damaged, false);
    p->clock = options->clock;
    p->limits = options->limits;
    item_list_init(&p->waiting);
    item_list_init(&p->appended);
    consumers_init(&p->consumers, options->store);
    letters_init(&p->letters, options->store, options->alarms);
    judge_init(&p->judge, options->store, options->route, &p->letters.losses, options->clock);
    /* SIZE_MAX: what can be in the queue is bounded by its pushers, see pipeline_queue(). */
    int r = queue_init(&p->queue, SIZE_MAX);
    if (r) {
        free(p);
        return result_trace(r);
    }
    *ret = p;
    return 0;
}

struct pipeline *pipeline_free(struct pipeline *p)
{
    if (!p)
        return NULL;
    assert(!p->started);
    item_list_free(&p->waiting);
    item_list_free(&p->appended);
    consumers_deinit(&p->consumers);
    letters_deinit(&p->letters);
    queue_deinit(&p->queue);
    free(p);
    return NULL;
}

struct queue *pipeline_queue(struct pipeline *p)
{
    return &p->queue;
}

static void pipeline_set_state(struct pipeline *p, enum pipeline_state state)
{
    static const char *const names[] = {"closed", "ok", "full", "degraded"};
    static const bool legal[4][4] = {
        [PIPELINE_CLOSED] = {[PIPELINE_OK] = true},
        [PIPELINE_OK] = {[PIPELINE_FULL] = true, [PIPELINE_DEGRADED] = true},
        [PIPELINE_FULL] = {[PIPELINE_OK] = true, [PIPELINE_DEGRADED] = true},
        [PIPELINE_DEGRADED] = {[PIPELINE_OK] = true},
    };
    if (state == p->state)
        return;
    assert(legal[p->state][state]);
    if (state == PIPELINE_OK)
        log_info("pipeline", "store takes events", "state=ok was=%s", names[p->state]);
    else
        log_warn("pipeline", "store takes no events: nothing is acknowledged", "state=%s was=%s",
                 names[state], names[p->state]);
    p->state = state;
    metric_set_state(metric_process(), names[state]);
    metric_put(metric_process(), METRIC_STORE_DEGRADED,
               state == PIPELINE_CLOSED || state == PIPELINE_DEGRADED);
}

static void pipeline_settings_apply(struct pipeline *p, struct queue_item *item)
{
    struct pipeline_settings *settings = (struct pipeline_settings *)item;
    p->limits = settings->limits;
    store_reconfigure(p->store, settings->store_config);
    p->letters.alarms.config = settings->alarms;
    item->free(item);
}

/* CLOSED -> OK, if the store can be opened now. */
static void pipeline_open(struct pipeline *p, int64_t now_us)
{
    if (!store_is_open(p->store)) {
        struct error error = ERROR_INIT;
        int r = store_open(p->store, &error);
        if (r) {
            log_error("pipeline", "store cannot be opened", "where=\"%s\" what=\"%s\" fix=\"%s\"",
                      error.where, error.what, error.mend);
            p->retry_us = now_us + RETRY_US;
            return;
        }
        atomic_store_explicit(&p->store_open, true, memory_order_release);
    }
    if (judge_open(&p->judge)) {
        p->retry_us = now_us + RETRY_US;
        return;
    }
    pipeline_set_state(p, PIPELINE_OK);
    consumers_retry(&p->consumers);
}

/* Takes up what the store holds uncommitted. */
static void pipeline_gather(struct pipeline *p)
{
    if (!p->group.events && store_open_events(p->store))
        p->group.first_us = clock_monotonic_us(p->clock);
    p->group.events = store_open_events(p->store);
    p->group.bytes = store_open_bytes(p->store);
}

/* The limits in force: the write budget may ask for more delay. */
static struct group_limits pipeline_limits(const struct pipeline *p)
{
    struct group_limits limits = p->limits;
    int64_t delay_us = store_commit_delay_us(p->store);
    if (delay_us > limits.max_delay_us)
        limits.max_delay_us = delay_us;
    return limits;
}

static bool pipeline_group_due(const struct pipeline *p, int64_t now_us)
{
    const struct group_limits limits = pipeline_limits(p);
    return group_due(&p->group, &limits, now_us, !p->waiting.first);
}

/* Hands a batch back to whoever pushed it. */
static void pipeline_answer(struct queue_item *item)
{
    struct ingest_batch *batch = (struct ingest_batch *)item;
    if (queue_push(batch->reply, &item))
        ingest_batch_free(batch); /* its owner has gone */
}

/* Containment point of the store. ★ then, and only then, the receipts. */
static void pipeline_commit(struct pipeline *p, int64_t now_us)
{
    int r = store_commit(p->store);
    if (r) {
        bool first = p->state != PIPELINE_DEGRADED;
        pipeline_set_state(p, PIPELINE_DEGRADED);
        p->retry_us = now_us + (first ? RETRY_FIRST_US : RETRY_US);
        return;
    }
    p->group = (struct group){.events = 0};
    consumers_publish(&p->consumers);
    for (struct queue_item *item; (item = item_list_take(&p->appended));)
        pipeline_answer(item);
    if (p->state == PIPELINE_DEGRADED)
        pipeline_set_state(p, PIPELINE_OK);
    p->maintain = true;
}

/* A stream is full in the middle of a batch: what was judged goes on to its commit and its
 * answers, the rest waits. Room may be had by maintenance alone, which nothing else may bring about
 * now; asked for once a second, since it is no reason to go round without a pause. */
static void pipeline_hold(struct pipeline *p, struct ingest_batch *batch, int64_t now_us)
{
    struct ingest_batch *rest = NULL;
    if (p->state != PIPELINE_FULL || now_us >= p->retry_us) {
        p->retry_us = now_us + RETRY_US;
        p->maintain = true;
    }
    pipeline_set_state(p, PIPELINE_FULL);
    if (p->judge.position == 0 || ingest_batch_split(batch, p->judge.position, &rest))
        return; /* without memory to split it, all of it waits */
    item_list_take(&p->waiting);
    item_list_add(&p->appended, &batch->item);
    item_list_put_back(&p->waiting, &rest->item);
    p->judge.position = 0;
}

/* Appends and commits what waits, in groups. */
static void pipeline_work(struct pipeline *p)
{
    int64_t now_us = clock_monotonic_us(p->clock);
    while ((p->state == PIPELINE_OK || p->state == PIPELINE_FULL) && p->waiting.first) {
        struct ingest_batch *batch = (struct ingest_batch *)p->waiting.first;
        int r = judge_batch(&p->judge, batch);
        pipeline_gather(p);
        if (r == STORE_FULL) {
            pipeline_hold(p, batch, now_us);
            break;
        }
        if (r < 0) { /* no memory: what is appended is committed, the rest tried again */
            pipeline_set_state(p, PIPELINE_DEGRADED);
            p->retry_us = now_us + RETRY_US;
            break;
        }
        pipeline_set_state(p, PIPELINE_OK);
        item_list_add(&p->appended, item_list_take(&p->waiting));
        now_us = clock_monotonic_us(p->clock);
        if (pipeline_group_due(p, now_us))
            pipeline_commit(p, now_us);
    }
    /* Events that a full stream let through, and batches without any (all dropped). */
    bool stuck = p->state == PIPELINE_FULL || p->stopping;
    bool answers_only = p->appended.first && !p->group.events;
    if (p->state == PIPELINE_DEGRADED || p->state == PIPELINE_CLOSED)
        return;
    if (answers_only || pipeline_group_due(p, now_us) || (stuck && p->group.events) ||
        now_us >= store_cursors_due_us(p->store) ||
        (p->stopping && store_cursors_due_us(p->store) != INT64_MAX))
        pipeline_commit(p, now_us);
}

/* What the gateway itself has to tell, and cursor moves, in the order in which they were posted. In
 * between it is committed, so that a flood of dead letters takes no more memory than one of events;
 * while that fails the rest waits, and upstreams post no more dead letters. */
static void pipeline_write_letters(struct pipeline *p)
{
    if (p->state == PIPELINE_CLOSED)
        return;
    while (letters_write(&p->letters, (size_t)p->limits.max_bytes) && p->state != PIPELINE_DEGRADED)
        pipeline_commit(p, clock_monotonic_us(p->clock));
    letters_look(&p->letters, clock_monotonic_us(p->clock), p->state == PIPELINE_OK, p->stopping);
    pipeline_gather(p);
}

/* Sorts what the queue holds: events wait in order, everything else is done at once. */
static void pipeline_take(struct pipeline *p)
{
    struct queue_item *item = queue_take_all(&p->queue);
    for (struct queue_item *next; item; item = next) {
        next = item->next;
        switch ((enum ingest_kind)item->kind) {
        case INGEST_BATCH:
            item_list_add(&p->waiting, item);
            break;
        case INGEST_CURSOR:
            letters_take(&p->letters, item);
            p->maintain = true; /* what was sent may be evicted now */
            break;
        case INGEST_ATTACH:
            consumers_attach(&p->consumers, item);
            break;
        case INGEST_DETACH:
            pipeline_write_letters(p); /* its last cursor moves */
            consumers_detach(&p->consumers, item);
            break;
        case INGEST_NOTICE:
        case INGEST_DEAD_LETTER:
            letters_take(&p->letters, item);
            break;
        case INGEST_SETTINGS:
            pipeline_settings_apply(p, item);
            break;
        case INGEST_STOP:
            p->stopping = true;
            item->free(item);
            break;
        }
    }
}

/* Tries again what did not work, when it is time. */
static void pipeline_retry(struct pipeline *p)
{
    int64_t now_us = clock_monotonic_us(p->clock);
    switch (p->state) {
    case PIPELINE_OK:
        if (p->consumers.waiting.first && now_us >= p->retry_us) {
            p->retry_us = now_us + RETRY_US;
            consumers_retry(&p->consumers);
        }
        break;
    case PIPELINE_CLOSED:
        if (now_us >= p->retry_us || p->stopping)
            pipeline_open(p, now_us);
        break;
    case PIPELINE_FULL: /* pipeline_work() looks for room at every wake-up: a cursor may have moved
                         */
        break;
    case PIPELINE_DEGRADED:
        if (now_us >= p->retry_us || p->stopping)
            pipeline_commit(p, now_us);
        break;
    }
}

static int pipeline_timeout_ms(const struct pipeline *p)
{
    int64_t due_us = INT64_MAX;
    if (p->state != PIPELINE_OK || p->consumers.waiting.first)
        due_us = p->retry_us;
    if (p->state != PIPELINE_CLOSED && letters_due_us(&p->letters) < due_us)
        due_us = letters_due_us(&p->letters);
    if (p->state == PIPELINE_OK || p->state == PIPELINE_FULL) {
        const struct group_limits limits = pipeline_limits(p);
        int64_t group_us = group_due_us(&p->group, &limits);
        int64_t cursors_us = store_cursors_due_us(p->store);
        due_us = group_us < due_us ? group_us : due_us;
        due_us = cursors_us < due_us ? cursors_us : due_us;
    }
    if (due_us == INT64_MAX)
        return -1;
    int64_t wait_us = due_us - clock_monotonic_us(p->clock);
    if (wait_us <= 0)
        return 0;
    return wait_us > 60 * INT64_C(1000000) ? 60 * 1000 : (int)((wait_us + 999) / 1000);
}

static void pipeline_maintain(struct pipeline *p)
{
    if (!p->maintain || p->state == PIPELINE_CLOSED)
        return;
    int r = store_maintain(p->store, &p->maintain);
    if (!r && !p->maintain && !p->waiting.first && !queue_bytes(&p->queue))
        r = store_repack(p->store, &p->maintain);
    if (r) {
        log_warn("pipeline", "store maintenance failed, tried again later", "errno=%d", -r);
        p->maintain = false;
    }
    if (p->state == PIPELINE_FULL) /* perhaps there is room now */
        pipeline_work(p);
}

static void pipeline_look_for_damage(struct pipeline *p)
{
    if (p->state != PIPELINE_CLOSED && store_needs_salvage(p->store))
        atomic_store_explicit(&p->store_damaged, true, memory_order_release);
}

static void *pipeline_run(void *argument)
{
    struct pipeline *p = argument;
    pthread_setname_np(pthread_self(), "pipeline");
    metric_set_state(metric_process(), "closed");
    pipeline_retry(p);
    while (!p->stopping) {
        if (!p->maintain)
            queue_wait(&p->queue, pipeline_timeout_ms(p));
        pipeline_take(p);
        pipeline_retry(p);
        pipeline_write_letters(p);
        pipeline_work(p);
        pipeline_maintain(p);
        pipeline_look_for_damage(p);
    }
    pipeline_take(p);
    pipeline_write_letters(p);
    pipeline_work(p);
    if (p->state != PIPELINE_CLOSED && losses_due_us(&p->letters.losses) != INT64_MAX) {
        pipeline_write_letters(p); /* of events that were lost just now */
        pipeline_work(p);
    }
    if (p->appended.first || p->waiting.first)
        log_warn("pipeline", "stopped with events that could not be stored: not acknowledged", "");
    return NULL;
}

int pipeline_start(struct pipeline *p)
{
    assert(!p->started);
    int r = pthread_create(&p->thread, NULL, pipeline_run, p);
    if (r)
        return result_origin(-r);
    p->started = true;
    return 0;
}

bool pipeline_store_open(const struct pipeline *p)
{
    return atomic_load_explicit(&p->store_open, memory_order_acquire);
}

bool pipeline_store_damaged(const struct pipeline *p)
{
    return atomic_load_explicit(&p->store_damaged, memory_order_acquire);
}

static void stop_free(struct queue_item *item)
{
    free(item);
}

int pipeline_request_stop(struct pipeline *p)
{
    struct queue_item *item = calloc(1, sizeof *item);
    if (!item)
        return -ENOMEM;
    item->kind = INGEST_STOP;
    item->bytes = sizeof *item;
    item->free = stop_free;
    int r = queue_push(&p->queue, &item);
    free(item);
    return result_fold(r);
}

void pipeline_join(struct pipeline *p)
{
    if (!p->started)
        return;
    pthread_join(p->thread, NULL);
    p->started = false;
}
