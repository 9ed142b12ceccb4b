#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/result.h"

int queue_init(struct queue *q, size_t max_bytes)
{
    *q = (struct queue){.max_bytes = max_bytes, .event_fd = -1};
    q->last = &q->first;
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->event_fd < 0)
        return result_origin(-errno);
    int r = pthread_mutex_init(&q->lock, NULL);
    if (r) {
        close(q->event_fd);
        q->event_fd = -1;
        return result_origin(-r);
    }
    return 0;
}

void queue_deinit(struct queue *q)
{
    if (q->event_fd < 0)
        return;
    for (struct queue_item *item = q->first, *next; item; item = next) {
        next = item->next;
        item->free(item);
    }
    pthread_mutex_destroy(&q->lock);
    close(q->event_fd);
    q->event_fd = -1;
    q->first = NULL;
}

static void wake(struct queue *q)
{
    /* Cannot fail: the counter is 0 or 1, the descriptor is ours. */
    int r = eventfd_write(q->event_fd, 1);
    assert(r == 0 || errno == EAGAIN);
    (void)r;
}

int queue_push(struct queue *q, struct queue_item **item)
{
    assert((*item)->free);
    pthread_mutex_lock(&q->lock);
    bool was_empty = q->first == NULL;
    int r = q->closed ? QUEUE_CLOSED
            : !was_empty && (*item)->bytes >
                                q->max_bytes - (q->bytes < q->max_bytes ? q->bytes : q->max_bytes)
                ? QUEUE_FULL
                : 0;
    if (!r) {
        (*item)->next = NULL;
        *q->last = *item;
        q->last = &(*item)->next;
        q->bytes += (*item)->bytes;
        *item = NULL;
        if (was_empty)
            wake(q);
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

struct queue_item *queue_take_all(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct queue_item *all = q->first;
    q->first = NULL;
    q->last = &q->first;
    q->bytes = 0;
    if (!q->closed) {
        eventfd_t ignored;
        (void)eventfd_read(q->event_fd, &ignored);
    }
    pthread_mutex_unlock(&q->lock);
    return all;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    wake(q);
    pthread_mutex_unlock(&q->lock);
}

bool queue_closed(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

void queue_wait(struct queue *q, int timeout_ms)
{
    struct pollfd p = {.fd = q->event_fd, .events = POLLIN};
    (void)poll(&p, 1,
               timeout_ms); /* EINTR and time-outs look alike to the taker: it takes nothing */
}

size_t queue_bytes(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t bytes = q->bytes;
    pthread_mutex_unlock(&q->lock);
    return bytes;
}
