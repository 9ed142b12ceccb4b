#ifndef SLUICE_PIPELINE_ITEM_LIST_H
#define SLUICE_PIPELINE_ITEM_LIST_H
/* A first-in-first-out list of queue items that the pipeline's thread owns, linked by their own
 * next pointers. Pipeline room only. */
#include <stddef.h>

#include "base/queue.h"

struct item_list {
    struct queue_item *first, **last;
};

static inline void item_list_init(struct item_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static inline void item_list_add(struct item_list *list, struct queue_item *item)
{
    item->next = NULL;
    *list->last = item;
    list->last = &item->next;
}

/* Puts an item before all others. */
static inline void item_list_put_back(struct item_list *list, struct queue_item *item)
{
    item->next = list->first;
    if (!list->first)
        list->last = &item->next;
    list->first = item;
}

/* The first one, or NULL; it belongs to the caller. */
static inline struct queue_item *item_list_take(struct item_list *list)
{
    struct queue_item *item = list->first;
    if (item && !(list->first = item->next))
        list->last = &list->first;
    return item;
}

static inline void item_list_free(struct item_list *list)
{
    struct queue_item *item;
    while ((item = item_list_take(list)))
        item->free(item);
}

#endif
