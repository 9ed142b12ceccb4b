#include "pipeline/letters.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "event/attribute.h"
#include "event/ingest.h"
#include "event/letter.h"
#include "store/range.h"
#include "store/store.h"
#include "store/store_config.h"

void letters_init(struct letters *l, struct store *store, const struct alarms_config *alarms)
{
    l->store = store;
    item_list_init(&l->waiting);
    losses_init(&l->losses, store);
    l->audit = (struct audit){.known = false};
    alarms_init(&l->alarms, alarms, store);
    l->scratch = (struct bytes)BYTES_INIT(EVENT_ATTRIBUTES_MAX_BYTES);
}

void letters_deinit(struct letters *l)
{
    item_list_free(&l->waiting);
    bytes_deinit(&l->scratch);
}

/* Of the cursor moves behind the last letter, the one of the same range as move. */
static struct range_cursor_move *find_move(struct letters *l, const struct range_cursor_move *move)
{
    struct range_cursor_move *found = NULL;
    for (struct queue_item *item = l->waiting.first; item; item = item->next) {
        struct range_cursor_move *other = (struct range_cursor_move *)item;
        if (item->kind != INGEST_CURSOR)
            found = NULL;
        else if (other->feed == move->feed && other->range == move->range)
            found = other;
    }
    return found;
}

void letters_take(struct letters *l, struct queue_item *item)
{
    struct range_cursor_move *move = (struct range_cursor_move *)item, *same = NULL;
    if (item->kind == INGEST_CURSOR)
        same = find_move(l, move);
    if (!same) {
        item_list_add(&l->waiting, item);
        return;
    }
    /* One for each range, however long they wait. */
    if (move->next_offset > same->next_offset)
        same->next_offset = move->next_offset;
    item->free(item);
}

/* It stays in its own stream until retention takes it; that the upstream will not get it is told as
 * any other loss. */
static void tell_lost(struct letters *l, const struct dead_letter *letter, int result)
{
    struct notice notice;
    notice_init(&notice, NOTICE_GAP);
    notice_add_text(&notice, "stream", letter->stream);
    notice_add_number(&notice, "from", letter->offset);
    notice_add_number(&notice, "to", letter->offset + 1);
    notice_add_number(&notice, "count", 1);
    notice_add_text(&notice, "reason", letter->reason);
    notice_add_text(&notice, "upstream", letter->upstream);
    (void)store_notice(l->store, &notice); /* logged and counted there if it fails */
    notice_deinit(&notice);
    metric_add(metric_process(), METRIC_NOTICES_LOST, 1);
    log_error("pipeline", "a dead letter could not be stored",
              "stream=%s offset=%llu reason=\"%s\" result=%d", letter->stream,
              (unsigned long long)letter->offset, letter->reason, result);
}

/* true: it needs a commit first. */
static bool write_dead_letter(struct letters *l, const struct dead_letter *letter)
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
    if (r == STORE_FULL && store_open_events(l->store)) /* what is open cannot be dropped */
        return true;
    if (!r)
        metric_add(metric_process(), METRIC_DEAD_LETTERS, 1);
    else
        tell_lost(l, letter, r);
    return false;
}

/* Likewise. */
static bool write_item(struct letters *l, struct queue_item *item)
{
    if (item->kind == INGEST_DEAD_LETTER)
        return write_dead_letter(l, (const struct dead_letter *)item);
    if (item->kind == INGEST_CURSOR) {
        const struct range_cursor_move *move = (const struct range_cursor_move *)item;
        store_move_cursor(l->store, move->feed, move->range, move->next_offset);
        return false;
    }
    struct notice *notice = &((struct notice_item *)item)->notice;
    if (notice->kind == NOTICE_AUDIT)
        audit_add(&l->audit, l->store, notice);
    else
        (void)store_notice(l->store, notice);
    return false;
}

bool letters_write(struct letters *l, size_t max_bytes)
{
    for (struct queue_item *item; (item = item_list_take(&l->waiting)); item->free(item)) {
        bool enough = store_open_events(l->store) && store_open_bytes(l->store) >= max_bytes;
        if ((enough && item->kind != INGEST_CURSOR) || write_item(l, item)) {
            item_list_put_back(&l->waiting, item);
            return true;
        }
    }
    return false;
}

void letters_look(struct letters *l, int64_t now_us, bool taking, bool all)
{
    losses_tell(&l->losses, all ? INT64_MAX : now_us);
    alarms_look(&l->alarms, now_us, taking);
}

int64_t letters_due_us(const struct letters *l)
{
    int64_t losses = losses_due_us(&l->losses);
    return losses < l->alarms.due_us ? losses : l->alarms.due_us;
}
