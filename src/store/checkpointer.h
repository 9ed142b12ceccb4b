#ifndef SLUICE_STORE_CHECKPOINTER_H
#define SLUICE_STORE_CHECKPOINTER_H
/*
 * struct checkpointer: a thread that copies the write-ahead log into the database on a connection
 * of its own, passively, so that commits go on meanwhile: the sync of the database takes as long as
 * the disk is busy, and nobody's acknowledgement may wait for it. Only the writer can start the log
 * over, so what was committed meanwhile is left to it.
 *
 * Of the store room alone. One request is under way at a time; it goes there and comes back through
 * two queues. Everything but the thread itself belongs to the writer.
 */
#include <stdbool.h>

struct checkpointer;

struct checkpointer_answer {
    int result; /* 0 or -errno; -EBUSY: somebody else is checkpointing */
    int in_log; /* frames in the log when it began, -1 unknown */
    int copied; /* of them, now in the database and synced */
};

/* Opens a connection to the database at path, which the writer has open, and starts the thread. 0,
 * -errno. */
int checkpointer_new(const char *path, struct checkpointer **ret);
/* Waits for the checkpoint under way, ends the thread, closes. NULL accepted; returns NULL. */
struct checkpointer *checkpointer_free(struct checkpointer *checkpointer);

/* Asks for a checkpoint; none may be under way. */
void checkpointer_request(struct checkpointer *checkpointer);
bool checkpointer_busy(const struct checkpointer *checkpointer);
/* Takes the answer to the request under way: true once. wait: blocks for it, as long as the disk
 * takes. */
bool checkpointer_take(struct checkpointer *checkpointer, bool wait,
                       struct checkpointer_answer *ret);

#endif
