#include "gateway_audit.h"

#include "base/log.h"
#include "base/queue.h"
#include "event/letter.h"
#include "sluice/version.h"

void gateway_audit(struct queue *pipeline, const char *actor, const char *action,
                   const char *result, const char *detail)
{
    struct notice_item *record = NULL;
    int r = notice_item_new(NOTICE_AUDIT, &record);
    if (!r) {
        notice_add_text(&record->notice, "actor", actor);
        notice_add_text(&record->notice, "action", action);
        notice_add_text(&record->notice, "result", result);
        if (detail)
            notice_add_text(&record->notice, "detail", detail);
        notice_add_text(&record->notice, "version", SLUICE_VERSION);
        struct queue_item *item = &record->item;
        r = queue_push(pipeline, &item);
        if (item)
            item->free(item);
    }
    if (r)
        log_error("gateway", "audit record lost", "action=%s result=%s", action, result);
}
