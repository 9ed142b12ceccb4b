#include "gateway_reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/queue.h"
#include "config/diff.h"
#include "event/ingest.h"
#include "gateway_config.h"
#include "pipeline/pipeline.h"

void gateway_restart_keys_clear(struct gateway_restart_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->paths[i]);
    keys->count = 0;
}

static void restart_key_add(void *data, const struct config_change *change)
{
    struct gateway_restart_keys *keys = data;
    if (change->reloadable)
        return;
    log_warn("gateway", "changed, but takes effect only after a restart", "key=\"%s\"",
             change->path);
    if (keys->count < GATEWAY_RESTART_KEYS_MAX && (keys->paths[keys->count] = strdup(change->path)))
        keys->count++;
}

void gateway_restart_keys_find(struct gateway_restart_keys *keys,
                               const struct gateway_config *startup,
                               const struct gateway_config *next)
{
    gateway_restart_keys_clear(keys);
    config_diff(&gateway_config_section, startup, next, restart_key_add, keys);
}

struct group_limits gateway_group_limits(const struct gateway_config *config)
{
    return (struct group_limits){
        .max_delay_us = config->store.commit.max_delay_us,
        .max_events = (size_t)config->store.commit.max_events,
        .max_bytes = (size_t)config->store.commit.max_bytes,
    };
}

/* New settings hold the snapshot they replace until they are applied; the one they point into is
 * held by the gateway until it is replaced in turn. */
struct held_settings {
    struct pipeline_settings settings;
    struct gateway_config_snapshot *replaced;
};

static void settings_free(struct queue_item *item)
{
    struct held_settings *settings = (struct held_settings *)item;
    gateway_config_unref(settings->replaced);
    free(settings);
}

int gateway_settings_push(struct queue *pipeline, struct gateway_config_snapshot *replaced,
                          const struct gateway_config_snapshot *config)
{
    struct held_settings *settings = calloc(1, sizeof *settings);
    if (!settings)
        return -ENOMEM;
    *settings = (struct held_settings){
        .settings =
            {
                .item = {.kind = INGEST_SETTINGS, .bytes = sizeof *settings, .free = settings_free},
                .limits = gateway_group_limits(&config->value),
                .store_config = &config->value.store,
                .alarms = &config->value.alarms,
            },
        .replaced = gateway_config_ref(replaced),
    };
    struct queue_item *item = &settings->settings.item;
    int r = queue_push(pipeline, &item);
    if (r)
        settings_free(item);
    return r;
}
