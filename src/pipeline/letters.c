#include "pipeline/letters.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/attribute.h"
#include "event/ingest.h"
#include "event/letter.h"
#include "store/store.h"
#include "store/store_config.h"

void letters_init(struct letters *l, struct store *store, const struct clock *clock,
                  const struct alarms_config *alarms)
{
    l->store = store;
    item_list_init(&l->waiting);
    losses_init(&l->losses, store);
    l->audit = (struct audit){.known = false};
    alarms_init(&l->alarms, alarms, store, clock);
    l->scratch = (struct bytes)BYTES_INIT(EVENT_ATTRIBUTES_MAX_BYTES);
}

void letters_deinit(struct letters *l)
{
    item_list_free(&l->waiting);
    bytes_deinit(&l->scratch);
}

void letters_take(struct letters *l, struct queue_item *item)
{
    item_list_add(&l->waiting, item);
}

static void write_dead_letter(struct letters *l, const struct dead_letter *letter)
{
    char topic[NOTICE_TOPIC_MAX_BYTES];
    uint32_t stream = 0;
    uint64_t offset;
    struct event event;
    int r = store_stream(l->store, STORE_STREAM_DEAD_LETTERS, &stream);
    if (!r)
        r = dead_letter_event(letter, store_gateway_id(l->store), topic, &l->scratch, &event);
    if (!r)
        r = store_append(l->store, stream, &event, &offset);
    bytes_reset(&l->scratch, 4096);
    if (!r) {
        metric_add(metric_process(), METRIC_DEAD_LETTERS, 1);
        return;
    }
    /* It stays in its own stream until retention takes it; that it could not be kept aside is
     * told. */
    metric_add(metric_process(), METRIC_NOTICES_LOST, 1);
    log_error("pipeline", "a dead letter could not be stored",
              "stream=%s offset=%llu reason=\"%s\" result=%d", letter->stream,
              (unsigned long long)letter->offset, letter->reason, r);
}

void letters_write(struct letters *l, int64_t now_us, bool taking, bool all)
{
    for (struct queue_item *item; (item = item_list_take(&l->waiting)); item->free(item)) {
        if (item->kind == INGEST_DEAD_LETTER) {
            write_dead_letter(l, (const struct dead_letter *)item);
            continue;
        }
        struct notice *notice = &((struct notice_item *)item)->notice;
        if (notice->kind == NOTICE_AUDIT)
            audit_add(&l->audit, l->store, notice);
        else
            (void)store_notice(l->store, notice);
    }
    losses_tell(&l->losses, all ? INT64_MAX : now_us);
    alarms_look(&l->alarms, now_us, taking);
}

int64_t letters_due_us(const struct letters *l)
{
    int64_t losses = losses_due_us(&l->losses);
    return losses < l->alarms.due_us ? losses : l->alarms.due_us;
}
