#include "store/notice.h"

#include <errno.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/event.h"
#include "store/epoch.h"
#include "store/internal.h"
#include "store/store.h"

int store_notice(struct store *store, struct notice *notice)
{
    const char *name = notice->kind == NOTICE_AUDIT ? STORE_STREAM_AUDIT : STORE_STREAM_GATEWAY;
    const struct clock_stamp now = clock_now(store->clock);
    store_time(store, &now);
    struct stream *stream = stream_find_name(store, name);
    struct event event;
    int r =
        stream ? notice_finish(notice, store->gateway_id, &now, &event) : result_origin(-ENOENT);
    if (!r)
        r = append_own(store, stream, &event);
    if (!r)
        return 0;
    metric_add(metric_process(), METRIC_NOTICES_LOST, 1);
    log_error("store", "what the gateway has to tell could not be stored", "stream=%s notice=%.*s",
              name, SLICE_PRINT(bytes_slice(&notice->json)));
    return r < 0 ? result_trace(r) : result_origin(-EMSGSIZE);
}

int notice_gap(struct store *store, const struct gap *gap)
{
    struct notice notice;
    notice_init(&notice, NOTICE_GAP);
    notice_add_text(&notice, "stream", gap->stream);
    notice_add_number(&notice, "from", gap->from);
    notice_add_number(&notice, "to", gap->to);
    notice_add_number(&notice, "count", gap->count);
    notice_add_text(&notice, "reason", gap->reason);
    if (gap->upstream)
        notice_add_text(&notice, "upstream", gap->upstream);
    notice_add_text(&notice, "epoch", gap->epoch ? gap->epoch : store->epoch);
    int r = store_notice(store, &notice);
    notice_deinit(&notice);
    log_warn("store", "gap: events are lost to an upstream",
             "stream=%s from=%llu to=%llu count=%llu reason=%s upstream=%s", gap->stream,
             (unsigned long long)gap->from, (unsigned long long)gap->to,
             (unsigned long long)gap->count, gap->reason, gap->upstream ? gap->upstream : "-");
    return r;
}

int notice_epoch(struct store *store, const char *old_epoch, const char *reason)
{
    struct notice notice;
    notice_init(&notice, NOTICE_EPOCH);
    notice_add_text(&notice, "epoch", epoch_waiting(store) ? store->epoch_next : store->epoch);
    notice_add_text(&notice, "previous", old_epoch && old_epoch[0] ? old_epoch : NULL);
    notice_add_text(&notice, "reason", reason);
    int r = store_notice(store, &notice);
    notice_deinit(&notice);
    return r;
}

int notice_clock(struct store *store, int64_t correction_us)
{
    struct notice notice;
    notice_init(&notice, NOTICE_STATE);
    notice_add_text(&notice, "subject", "clock");
    notice_add_text(&notice, "state", "synced");
    notice_add_text(&notice, "was", "unsynced");
    notice_add_integer(&notice, "correction_seconds", correction_us / 1000000);
    int r = store_notice(store, &notice);
    notice_deinit(&notice);
    log_info("store", "the clock is synced: received times of this boot are corrected",
             "correction_seconds=%lld", (long long)(correction_us / 1000000));
    return r;
}
