#include "pipeline/alarms.h"

#include <stddef.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/metrics.h"
#include "event/notice.h"
#include "store/store.h"

enum { DISK_MARGIN_PERCENT = 5 };
#define LOOK_US (INT64_C(5) * 1000000)
#define STORE_RAISED_AFTER_US (INT64_C(5) * 1000000)

/* clang-format off */
static const struct config_key alarms_keys[] = {
    {"disk_fill_percent", CONFIG_FIELD(INT, struct alarms_config, disk_fill_percent),
     .default_text = "90", .max = 100, .unit = "percent", .reloadable = true,
     .help = "Alarm when disk.max_bytes, or the file system of the store, is filled beyond this. "
             "0: never."},
    {"lag", CONFIG_FIELD(DURATION, struct alarms_config, lag_us), .default_text = "1h",
     .reloadable = true,
     .help = "Alarm when the oldest event not yet sent to an upstream has waited longer than this, "
             "counted while the gateway runs. 0: never."},
};
const struct config_section alarms_section = {
    "alarms", CONFIG_KEYS(alarms_keys), .size = sizeof(struct alarms_config)};
/* clang-format on */

void alarms_init(struct alarms *a, const struct alarms_config *config, struct store *store)
{
    *a = (struct alarms){.config = config, .store = store};
}

struct detail {
    const char *name;
    const char *text; /* or a number */
    uint64_t number;
};

static void tell(struct alarms *a, const char *subject, bool raised, const struct detail *details,
                 unsigned count)
{
    struct notice notice;
    notice_init(&notice, NOTICE_ALARM);
    notice_add_text(&notice, "subject", subject);
    notice_add_bool(&notice, "raised", raised);
    for (unsigned i = 0; i < count; i++) {
        if (details[i].text)
            notice_add_text(&notice, details[i].name, details[i].text);
        else
            notice_add_number(&notice, details[i].name, details[i].number);
    }
    if (raised)
        log_warn("pipeline", "alarm", "alarm=%.*s}", SLICE_PRINT(bytes_slice(&notice.json)));
    else
        log_info("pipeline", "alarm is over", "alarm=%.*s}",
                 SLICE_PRINT(bytes_slice(&notice.json)));
    (void)store_notice(a->store, &notice); /* logged and counted there if it fails */
    notice_deinit(&notice);
}

static void look_at_store(struct alarms *a, int64_t now_us, bool taking)
{
    if (taking) {
        const struct detail detail = {"seconds", NULL, (uint64_t)(now_us - a->failed_us) / 1000000};
        if (a->store_raised)
            tell(a, "store", false, &detail, 1);
        a->store_raised = false;
        a->failed_us = 0;
        return;
    }
    if (!a->failed_us)
        a->failed_us = now_us;
    if (a->store_raised || now_us - a->failed_us < STORE_RAISED_AFTER_US)
        return;
    const char *state = metric_set_get_state(metric_process());
    const struct detail detail = {"state", state ? state : "unknown", 0};
    tell(a, "store", true, &detail, 1);
    a->store_raised = true;
}

/* Per cent of the space that is used, of the quota or the file system, whichever is fuller. */
static uint64_t disk_fill(const struct alarms *a)
{
    uint64_t fill = 0, quota = store_disk_max_bytes(a->store);
    uint64_t used = metric_get(metric_process(), METRIC_STORE_USED_BYTES) +
                    metric_get(metric_process(), METRIC_STORE_WAL_BYTES) +
                    metric_get(metric_process(), METRIC_STORE_SHM_BYTES);
    struct statvfs fs;
    if (statvfs(store_path(a->store), &fs) == 0 && fs.f_blocks)
        fill = 100 - (uint64_t)fs.f_bavail * 100 / fs.f_blocks;
    return quota && used * 100 / quota > fill ? used * 100 / quota : fill;
}

static void look_at_disk(struct alarms *a)
{
    uint64_t limit = (uint64_t)a->config->disk_fill_percent;
    uint64_t fill = limit ? disk_fill(a) : 0;
    bool raise = limit && fill >= limit;
    bool over = fill + DISK_MARGIN_PERCENT <= limit || !limit;
    if (a->disk_raised ? !over : !raise)
        return;
    a->disk_raised = raise;
    const struct detail detail = {"fill_percent", NULL, fill};
    tell(a, "disk", raise, &detail, 1);
}

/* NULL: there are too many. */
static struct alarms_range *find_range(struct alarms *a, const struct metric_set *set)
{
    for (unsigned i = 0; i < a->range_count; i++)
        if (a->ranges[i].set == set)
            return &a->ranges[i];
    if (a->range_count == ALARMS_RANGES_MAX)
        return NULL;
    struct alarms_range *range = &a->ranges[a->range_count++];
    *range = (struct alarms_range){.set = set};
    return range;
}

/* How long the oldest event not yet sent has waited, to LOOK_US. The mark stands at what was the
 * end of the stream at a time: until it is passed something is as old as it is, and when it is
 * passed that is how far behind the upstream was. */
static int64_t age_of(struct alarms_range *r, int64_t now_us)
{
    uint64_t next = metric_get(r->set, METRIC_RANGE_NEXT_OFFSET);
    uint64_t lag = metric_get(r->set, METRIC_RANGE_LAG_EVENTS);
    if (!lag || !r->mark_us || next >= r->mark_offset) {
        r->passed_us = lag && r->mark_us ? now_us - r->mark_us : 0;
        r->mark_offset = next + lag;
        r->mark_us = now_us;
    }
    int64_t age_us = now_us - r->mark_us;
    return age_us > r->passed_us ? age_us : r->passed_us;
}

static void look_at_range(struct alarms *a, const struct metric_set *set, int64_t now_us)
{
    struct alarms_range *r = find_range(a, set);
    if (!r)
        return;
    int64_t age_us = age_of(r, now_us), limit_us = a->config->lag_us;
    bool raise = limit_us && age_us > limit_us;
    bool over = age_us <= limit_us / 2 || !limit_us;
    if (r->raised ? !over : !raise)
        return;
    r->raised = raise;
    const struct detail details[] = {
        {"upstream", metric_set_label(set, 0), 0},
        {"stream", metric_set_label(set, 1), 0},
        {"lag_seconds", NULL, (uint64_t)age_us / 1000000},
        {"lag_events", NULL, metric_get(set, METRIC_RANGE_LAG_EVENTS)},
    };
    tell(a, "lag", raise, details, sizeof(details) / sizeof(details[0]));
}

void alarms_look(struct alarms *a, int64_t now_us, bool taking)
{
    if (now_us < a->due_us)
        return;
    a->due_us = now_us + LOOK_US;
    look_at_store(a, now_us, taking);
    look_at_disk(a);
    for (const struct metric_set *range = metric_set_next(NULL, METRIC_GROUP_RANGE); range;
         range = metric_set_next(range, METRIC_GROUP_RANGE))
        look_at_range(a, range, now_us);
}
