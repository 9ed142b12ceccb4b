#include "admin/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "admin/info.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "json/document.h"

enum { MILLION = 1000000, NUMBER_MAX_BYTES = 32 };

/* Where the sets of a group stand in the document, and whether they have a state. */
static const struct {
    const char *name; /* NULL: below another group */
    bool has_state;
} groups[METRIC_GROUP_COUNT] = {
    [METRIC_GROUP_LISTENER] = {"listeners", false},
    [METRIC_GROUP_STREAM] = {"streams", false},
    [METRIC_GROUP_UPSTREAM] = {"upstreams", true},
};

static bool degraded(void)
{
    return metric_get(metric_process(), METRIC_STORE_DEGRADED) != 0;
}

const char *status_state(const struct admin_info *info)
{
    switch (info->state) {
    case ADMIN_STARTING:
        return "starting";
    case ADMIN_RUNNING:
        return degraded() ? "degraded" : "running";
    case ADMIN_STOPPING:
        return "stopping";
    }
    return "unknown";
}

bool status_ready(const struct admin_info *info)
{
    return info->state == ADMIN_RUNNING && !degraded();
}

const char *status_trouble(const struct admin_info *info)
{
    const char *trouble = metric_set_get_trouble(metric_process());
    if (trouble || status_ready(info))
        return trouble;
    switch (info->state) {
    case ADMIN_STARTING:
        return "the gateway is starting";
    case ADMIN_RUNNING:
        return "the store cannot be written";
    case ADMIN_STOPPING:
        return "the gateway is stopping";
    }
    return NULL;
}

/* All below return whether there was memory. cJSON keeps numbers as doubles; as raw text 64 bits
 * stay exact. */

static bool add_text(cJSON *object, const char *name, const char *value)
{
    return value ? cJSON_AddStringToObject(object, name, value) != NULL
                 : cJSON_AddNullToObject(object, name) != NULL;
}

static bool add_number(cJSON *object, const char *name, enum metric_type type, uint64_t value)
{
    char text[NUMBER_MAX_BYTES];
    if (type == METRIC_SECONDS_COUNTER || type == METRIC_FRACTION_GAUGE)
        snprintf(text, sizeof text, "%" PRIu64 ".%06" PRIu64, value / MILLION, value % MILLION);
    else
        snprintf(text, sizeof text, "%" PRIu64, value);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

static bool add_metrics(cJSON *object, const struct metric_set *set, enum metric_group group)
{
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metrics_table[m];
        if (row->group == group && !add_number(object, row->field, row->type, metric_get(set, m)))
            return false;
    }
    return true;
}

/* The object of that name in parent, made if there is none. NULL without memory. */
static cJSON *child(cJSON *parent, const char *name)
{
    cJSON *found = cJSON_GetObjectItemCaseSensitive(parent, name);
    return found ? found : cJSON_AddObjectToObject(parent, name);
}

static bool add_group(cJSON *root, enum metric_group group)
{
    cJSON *all = cJSON_AddObjectToObject(root, groups[group].name);
    if (!all)
        return false;
    for (const struct metric_set *set = NULL; (set = metric_set_next(set, group));) {
        const char *label = metric_set_label(set, 0);
        cJSON *object = child(all, label ? label : "");
        if (!object)
            return false;
        if (groups[group].has_state && (!add_text(object, "state", metric_set_get_state(set)) ||
                                        !add_text(object, "trouble", metric_set_get_trouble(set))))
            return false;
        if (!add_metrics(object, set, group))
            return false;
    }
    return true;
}

/* How long the oldest event not yet acknowledged has waited; 0 where none waits. */
static bool add_lag(cJSON *range, const struct admin_info *info, const struct metric_set *set)
{
    int64_t since_us = (int64_t)metric_get(set, METRIC_RANGE_OLDEST_UNSENT);
    uint64_t lag_us = since_us && info->now_us > since_us ? (uint64_t)(info->now_us - since_us) : 0;
    return add_number(range, "lag_seconds", METRIC_FRACTION_GAUGE, lag_us);
}

/* Ranges stand below their upstream. */
static bool add_ranges(cJSON *root, const struct admin_info *info)
{
    cJSON *upstreams = child(root, groups[METRIC_GROUP_UPSTREAM].name);
    for (const struct metric_set *set = NULL;
         upstreams && (set = metric_set_next(set, METRIC_GROUP_RANGE));) {
        const char *upstream = metric_set_label(set, 0), *stream = metric_set_label(set, 1);
        cJSON *object = child(upstreams, upstream ? upstream : "");
        cJSON *streams = object ? child(object, "streams") : NULL;
        cJSON *range = streams ? child(streams, stream ? stream : "") : NULL;
        if (!range || !add_metrics(range, set, METRIC_GROUP_RANGE) || !add_lag(range, info, set))
            return false;
    }
    return upstreams != NULL;
}

static bool add_config(cJSON *root, const struct admin_info *info)
{
    char loaded[CLOCK_TEXT_MAX];
    clock_format(info->config_loaded_us, loaded);
    cJSON *config = cJSON_AddObjectToObject(root, "config");
    if (!config || !add_text(config, "file", info->config_file) ||
        !add_text(config, "loaded_at", loaded))
        return false;
    cJSON *keys = cJSON_AddArrayToObject(config, "restart_required");
    for (size_t i = 0; keys && i < info->restart_key_count && i < ADMIN_RESTART_KEYS_MAX; i++) {
        cJSON *key = cJSON_CreateString(info->restart_keys[i]);
        if (!key)
            return false;
        cJSON_AddItemToArray(keys, key);
    }
    return keys != NULL;
}

static bool fill(cJSON *root, const struct admin_info *info)
{
    uint64_t uptime_us = info->uptime_us > 0 ? (uint64_t)info->uptime_us : 0;
    if (!add_text(root, "version", info->version) || !add_text(root, "gateway", info->gateway_id) ||
        !add_text(root, "epoch", info->epoch) ||
        !add_number(root, "uptime_seconds", METRIC_SECONDS_COUNTER, uptime_us) ||
        !add_text(root, "state", status_state(info)) ||
        !add_text(root, "trouble", status_trouble(info)) || !add_config(root, info))
        return false;
    cJSON *store = cJSON_AddObjectToObject(root, "store");
    if (!store || !add_metrics(store, metric_process(), METRIC_GROUP_PROCESS))
        return false;
    for (enum metric_group group = 0; group < METRIC_GROUP_COUNT; group++)
        if (groups[group].name && !add_group(root, group))
            return false;
    return add_ranges(root, info);
}

int status_write(const struct admin_info *info, struct bytes *out)
{
    int r = -ENOMEM;
    cJSON *root = cJSON_CreateObject();
    char *text = NULL;
    if (root && fill(root, info))
        text = cJSON_PrintUnformatted(root);
    if (text)
        r = bytes_append(out, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(root);
    return r;
}
