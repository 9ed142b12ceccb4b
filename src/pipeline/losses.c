#include "pipeline/losses.h"

#include "base/log.h"
#include "event/notice.h"
#include "store/store.h"

#define RUN_END_US (INT64_C(1) * 1000000)
#define RUN_MAX_US (INT64_C(10) * 1000000)

void losses_init(struct losses *l, struct store *store)
{
    *l = (struct losses){.store = store};
}

static int64_t due_us(const struct loss *run)
{
    int64_t end = run->last_us + RUN_END_US, max = run->first_us + RUN_MAX_US;
    return end < max ? end : max;
}

/* What cannot be stored is logged and counted by store_notice(). */
static void tell(struct losses *l, const struct loss *run)
{
    struct notice notice;
    notice_init(&notice, NOTICE_GAP);
    notice_add_text(&notice, "stream", run->stream);
    notice_add_null(&notice, "from");
    notice_add_null(&notice, "to");
    notice_add_number(&notice, "count", run->events);
    notice_add_text(&notice, "reason", run->reason);
    (void)store_notice(l->store, &notice);
    notice_deinit(&notice);
    log_warn("pipeline", "gap: events were not stored", "stream=%s count=%llu reason=%s",
             run->stream, (unsigned long long)run->events, run->reason);
}

void losses_tell(struct losses *l, int64_t now_us)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < l->count; i++) {
        if (due_us(&l->runs[i]) <= now_us)
            tell(l, &l->runs[i]);
        else
            l->runs[kept++] = l->runs[i];
    }
    l->count = kept;
}

void losses_add(struct losses *l, const char *stream, const char *reason, int64_t now_us)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct loss *run = &l->runs[i];
        if (run->stream != stream || run->reason != reason)
            continue;
        run->events++;
        run->last_us = now_us;
        return;
    }
    if (l->count == LOSSES_MAX)
        losses_tell(l, INT64_MAX);
    l->runs[l->count++] = (struct loss){
        .stream = stream, .reason = reason, .events = 1, .first_us = now_us, .last_us = now_us};
}

int64_t losses_due_us(const struct losses *l)
{
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < l->count; i++) {
        int64_t due = due_us(&l->runs[i]);
        first = due < first ? due : first;
    }
    return first;
}
