#include "gateway_uplinks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "config/diff.h"
#include "event/ingest.h"
#include "gateway_config.h"
#include "store/range.h"
#include "uplink/uplink.h"

/* An upstream whose thread runs or ends. */
struct slot {
    struct gateway_config_snapshot *config; /* holds upstream; NULL: the slot is free */
    const struct upstream_config *upstream;
    struct range_feed *feed;
    struct uplink *uplink;
    bool ending;
};

/* Twice: while a reload replaces all of them, old and new exist. */
enum { SLOTS = 2 * UPSTREAMS_MAX };

struct gateway_uplinks {
    struct queue *pipeline;
    struct gateway_config_snapshot *wanted;
    struct slot slots[SLOTS];
    bool stopping;
};

int gateway_uplinks_new(struct queue *pipeline, struct gateway_uplinks **ret)
{
    struct gateway_uplinks *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->pipeline = pipeline;
    *ret = u;
    return 0;
}

static int push_attach(struct gateway_uplinks *u, struct range_feed *feed, enum ingest_kind kind)
{
    struct queue_item *item = NULL;
    int r = range_attach_new(feed, (int)kind, &item);
    if (!r && (r = queue_push(u->pipeline, &item)))
        item->free(item);
    return r;
}

static void slot_clear(struct gateway_uplinks *u, struct slot *slot)
{
    slot->uplink = uplink_free(slot->uplink);
    if (slot->feed && push_attach(u, slot->feed, INGEST_DETACH))
        log_error("gateway", "upstream stays attached: out of memory", "upstream=%s",
                  slot->upstream->name);
    slot->feed = range_feed_unref(slot->feed);
    slot->config = gateway_config_unref(slot->config);
    slot->upstream = NULL;
    slot->ending = false;
}

static struct slot *slot_find(struct gateway_uplinks *u, const char *name)
{
    for (int i = 0; i < SLOTS; i++)
        if (u->slots[i].config && strcmp(u->slots[i].upstream->name, name) == 0)
            return &u->slots[i];
    return NULL;
}

static void slot_start(struct gateway_uplinks *u, const struct upstream_config *upstream)
{
    struct slot *slot = NULL;
    for (int i = 0; i < SLOTS && !slot; i++)
        if (!u->slots[i].config)
            slot = &u->slots[i];
    if (!slot) /* UPSTREAMS_MAX is checked by the configuration; the rest are still ending */
        return;
    slot->config = gateway_config_ref(u->wanted);
    slot->upstream = upstream;
    int r = range_feed_new(upstream->name, upstream->start,
                           (const char *const *)upstream->streams.items,
                           (unsigned)upstream->streams.count, &slot->feed);
    const struct uplink_options options = {
        .config = upstream, .feed = slot->feed, .pipeline = u->pipeline, .clock = &clock_system};
    if (!r)
        r = uplink_new(&options, &slot->uplink);
    if (!r)
        r = push_attach(u, slot->feed, INGEST_ATTACH);
    if (!r)
        r = uplink_start(slot->uplink);
    if (r) {
        log_error("gateway", "upstream cannot be started", "upstream=%s errno=%d", upstream->name,
                  -r);
        slot_clear(u, slot);
    }
}

static const struct upstream_config *wanted_find(const struct gateway_config_snapshot *config,
                                                 const char *name)
{
    CONFIG_EACH(upstream, config->value.upstreams)
    {
        if (strcmp(upstream->name, name) == 0)
            return upstream;
    }
    return NULL;
}

void gateway_uplinks_apply(struct gateway_uplinks *u, struct gateway_config_snapshot *config)
{
    struct gateway_config_snapshot *before = u->wanted;
    u->wanted = gateway_config_ref(config);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &u->slots[i];
        if (!slot->config || slot->ending)
            continue;
        const struct upstream_config *next = wanted_find(config, slot->upstream->name);
        if (next && config_diff(&upstream_section, slot->upstream, next, NULL, NULL) == 0)
            continue;
        uplink_request_stop(slot->uplink);
        slot->ending = true;
    }
    gateway_config_unref(before);
    gateway_uplinks_tend(u);
}

bool gateway_uplinks_tend(struct gateway_uplinks *u)
{
    bool more = false;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *slot = &u->slots[i];
        if (!slot->config || !slot->ending)
            continue;
        if (uplink_stopped(slot->uplink))
            slot_clear(u, slot);
        else
            more = true;
    }
    if (u->stopping || !u->wanted)
        return more;
    CONFIG_EACH(upstream, u->wanted->value.upstreams)
    {
        if (!slot_find(u, upstream->name))
            slot_start(u, upstream);
    }
    return more;
}

void gateway_uplinks_request_stop(struct gateway_uplinks *u)
{
    u->stopping = true;
    for (int i = 0; i < SLOTS; i++)
        if (u->slots[i].config)
            uplink_request_stop(u->slots[i].uplink);
}

bool gateway_uplinks_stopped(const struct gateway_uplinks *u)
{
    for (int i = 0; i < SLOTS; i++)
        if (u->slots[i].config && !uplink_stopped(u->slots[i].uplink))
            return false;
    return true;
}

void gateway_uplinks_join(struct gateway_uplinks *u)
{
    u->stopping = true;
    for (int i = 0; i < SLOTS; i++)
        if (u->slots[i].config)
            u->slots[i].uplink = uplink_free(u->slots[i].uplink);
}

struct gateway_uplinks *gateway_uplinks_free(struct gateway_uplinks *u)
{
    if (!u)
        return NULL;
    gateway_uplinks_join(u);
    for (int i = 0; i < SLOTS; i++) {
        range_feed_unref(u->slots[i].feed);
        gateway_config_unref(u->slots[i].config);
    }
    gateway_config_unref(u->wanted);
    free(u);
    return NULL;
}
