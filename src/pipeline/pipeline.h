#ifndef SLUICE_PIPELINE_PIPELINE_H
#define SLUICE_PIPELINE_PIPELINE_H
/*
 * struct pipeline: the writer thread and the address of the guarantee. It takes what its queue
 * holds, admits and routes it, appends it to the store, commits, and only then hands the receipts
 * back. Nothing else in the house may acknowledge an event.
 *
 * States (store health as this thread sees it):
 *
 *     CLOSED ──open──► OK ◄──room──► FULL        a stream with when_full "block" has no room
 *        ▲              │ ▲
 *        │  commit fails▼ │commit works
 *     (start)        DEGRADED
 *
 * In CLOSED, FULL and DEGRADED received events wait: nothing is acknowledged, nothing is dropped,
 * and the receivers stop reading when they have as much in flight as they may. Cursor moves and
 * consumers are served in every state but CLOSED.
 */
#include <stdbool.h>

#include "base/queue.h"
#include "pipeline/group.h"

struct alarms_config;
struct clock;
struct pipeline;
struct route;
struct store;
struct store_config;

struct pipeline_options {
    struct store *store; /* opened or not; used by the pipeline's thread alone from
                            pipeline_start() to pipeline_join(); borrowed */
    struct route *route; /* borrowed, likewise */
    const struct clock *clock;
    struct group_limits limits;
    const struct alarms_config *alarms; /* borrowed like the store's configuration */
};

/* kind INGEST_SETTINGS: new limits after a reload. store_config is borrowed until the next settings
 * are applied or the store is freed; an item is freed when it is applied, so that it can hold what
 * it replaces until then. */
struct pipeline_settings {
    struct queue_item item;
    struct group_limits limits;
    const struct store_config *store_config;
    const struct alarms_config *alarms; /* borrowed likewise */
};

/* 0, -ENOMEM, -errno. */
int pipeline_new(const struct pipeline_options *options, struct pipeline **ret);
struct pipeline *pipeline_free(struct pipeline *pipeline); /* joined or never started; NULL ok */

/* Where receivers and consumers push enum ingest_kind items. Bounded by what the receivers may have
 * in flight and by one cursor move per range and loop round of a consumer. */
struct queue *pipeline_queue(struct pipeline *pipeline);

int pipeline_start(struct pipeline *pipeline); /* 0 or -errno */

/* Whether the store has been opened: once true it stays so, also while the store takes nothing, and
 * store_gateway_id(), which does not change any more, and store_epoch_now() may be asked. Any
 * thread. */
bool pipeline_store_open(const struct pipeline *pipeline);

/* Whether the store has turned out to be damaged: it takes no more events, or cannot be read, until
 * it is opened anew. Once true it stays so. Any thread. */
bool pipeline_store_damaged(const struct pipeline *pipeline);

/* Asks the thread to append what it was given, commit, answer and end. Events that cannot be
 * committed at once are not answered: their senders keep them. */
int pipeline_request_stop(struct pipeline *pipeline); /* -ENOMEM; any thread */
void pipeline_join(struct pipeline *pipeline);

#endif
