#ifndef SLUICE_BASE_QUEUE_H
#define SLUICE_BASE_QUEUE_H
/*
 * struct queue: the only door between threads. Bounded by bytes, many pushers, one taker.
 *
 * What goes through is a node that begins with a struct queue_item; pushing moves ownership to the
 * queue, taking moves the whole list to the taker in one operation. The taker sleeps on the event
 * descriptor (poll, epoll or libevent: readable means "take"), which is written once when the queue
 * turns non-empty, so a burst costs one wake-up.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_item {
    struct queue_item *next;
    size_t bytes; /* what it counts for: header and everything it owns */
    int kind;     /* which struct it is; the enum belongs to the queue's user */
    void (*free)(struct queue_item *item); /* for items still queued at queue_deinit(); not NULL */
};

enum queue_outcome {
    QUEUE_FULL = 1,  /* would exceed max_bytes; the item stays with the caller */
    QUEUE_CLOSED = 2 /* queue_close() was called; the item stays with the caller */
};

struct queue {
    pthread_mutex_t lock;
    struct queue_item *first, **last;
    size_t bytes;     /* of the items queued */
    size_t max_bytes; /* bound; an item is always accepted by an empty queue, whatever its size */
    int event_fd;
    bool closed;
};

/* 0 or -errno. max_bytes SIZE_MAX only where something else bounds what can be in flight; the
 * caller says what. */
int queue_init(struct queue *q, size_t max_bytes);
void queue_deinit(struct queue *q); /* frees what is still queued; no thread may use it any more */

/* Moves *item into the queue and sets *item NULL. 0 or an enum queue_outcome. Any thread, never
 * blocks beyond the lock. */
int queue_push(struct queue *q, struct queue_item **item);

/* Takes everything queued, in order (NULL if empty), and clears the event descriptor. The taker. */
struct queue_item *queue_take_all(struct queue *q);

/* From now on pushes are refused and the event descriptor stays readable. Any thread. */
void queue_close(struct queue *q);
bool queue_closed(struct queue *q);

/* Sleeps until there is something to take, the queue is closed, or timeout_ms passed (-1: no
 * limit). For takers that have no event loop. */
void queue_wait(struct queue *q, int timeout_ms);

size_t queue_bytes(struct queue *q); /* any thread; for status */

#endif
