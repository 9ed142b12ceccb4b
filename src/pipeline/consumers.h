#ifndef SLUICE_PIPELINE_CONSUMERS_H
#define SLUICE_PIPELINE_CONSUMERS_H
/*
 * struct consumers: who is attached to the store's streams, and who waits for the store to take
 * them. Belongs to the pipeline's thread; pipeline room only.
 */
#include <stdbool.h>

#include "pipeline/item_list.h"

struct range_feed;
struct store;

enum { CONSUMERS_MAX = 64 };

struct consumers {
    struct store *store;
    struct range_feed *feeds[CONSUMERS_MAX];
    unsigned count;
    struct item_list waiting; /* INGEST_ATTACH items that the store could not take yet */
};

void consumers_init(struct consumers *consumers, struct store *store);
void consumers_deinit(struct consumers *consumers); /* detaches all */

/* Takes over an INGEST_ATTACH item: attaches its feed and tells it, or keeps it waiting. */
void consumers_attach(struct consumers *consumers, struct queue_item *item);

/* Takes over an INGEST_DETACH item. */
void consumers_detach(struct consumers *consumers, struct queue_item *item);

/* Tries those that wait once more. */
void consumers_retry(struct consumers *consumers);

/* Gives every consumer of a stream the batches that the last commit wrote to it. */
void consumers_publish(struct consumers *consumers);

#endif
