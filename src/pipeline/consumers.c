#include "pipeline/consumers.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"

void consumers_init(struct consumers *c, struct store *store)
{
    c->store = store;
    c->count = 0;
    item_list_init(&c->waiting);
}

void consumers_deinit(struct consumers *c)
{
    item_list_free(&c->waiting);
    while (c->count) {
        struct range_feed *feed = c->feeds[--c->count];
        store_detach(c->store, feed);
        range_feed_unref(feed);
    }
}

void consumers_attach(struct consumers *c, struct queue_item *item)
{
    struct range_feed *feed = ((struct range_attach *)item)->feed;
    if (c->count == CONSUMERS_MAX) {
        log_error("pipeline", "too many upstreams", "upstream=%s max=%d", feed->consumer,
                  CONSUMERS_MAX);
        item->free(item);
        return;
    }
    int r = store_is_open(c->store) ? store_attach(c->store, feed) : -EAGAIN;
    if (r) {
        if (r != -EAGAIN)
            log_error("pipeline", "upstream waits for the store", "upstream=%s error=\"%s\"",
                      feed->consumer, strerror(-r));
        item_list_add(&c->waiting, item);
        return;
    }
    c->feeds[c->count++] = range_feed_ref(feed);
    (void)range_feed_notify(feed, RANGE_ATTACHED);
    item->free(item);
}

/* A consumer that goes before it was attached. */
static void forget_waiting(struct consumers *c, const struct range_feed *feed)
{
    struct item_list kept;
    item_list_init(&kept);
    for (struct queue_item *item; (item = item_list_take(&c->waiting));) {
        if (((struct range_attach *)item)->feed == feed)
            item->free(item);
        else
            item_list_add(&kept, item);
    }
    item_list_init(&c->waiting);
    for (struct queue_item *item; (item = item_list_take(&kept));)
        item_list_add(&c->waiting, item);
}

void consumers_detach(struct consumers *c, struct queue_item *item)
{
    struct range_feed *feed = ((struct range_attach *)item)->feed;
    forget_waiting(c, feed);
    for (unsigned i = 0; i < c->count; i++) {
        if (c->feeds[i] != feed)
            continue;
        store_detach(c->store, feed);
        range_feed_unref(feed);
        c->feeds[i] = c->feeds[--c->count];
        break;
    }
    item->free(item);
}

void consumers_retry(struct consumers *c)
{
    struct queue_item *last = NULL, *item;
    for (struct queue_item *i = c->waiting.first; i; i = i->next)
        last = i;
    while (last && (item = item_list_take(&c->waiting))) {
        bool end = item == last; /* those that have to wait again come behind it */
        consumers_attach(c, item);
        if (end)
            break;
    }
}

void consumers_publish(struct consumers *c)
{
    struct segment *segment;
    while ((segment = store_committed_next(c->store))) {
        for (unsigned i = 0; i < c->count; i++)
            for (unsigned k = 0; k < c->feeds[i]->count; k++)
                if (c->feeds[i]->ranges[k].stream == segment->stream)
                    range_feed_publish(c->feeds[i], k, segment_ref(segment));
        segment_unref(segment);
    }
}
