#include "listener/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/result.h"

enum { US_PER_S = 1000000 };

struct loop {
    struct event_base *base;
    struct event wake; /* bounds the wait of loop_run_once() */
};

struct loop_io {
    struct event read, write;
    loop_function *on_readable, *on_writable;
    void *data;
};

/* Timers, signals and deferred functions are all one event with one function. */
struct simple {
    struct event event;
    loop_function *function;
    void *data;
    bool requested; /* deferred only */
};

struct loop_timer {
    struct simple simple;
};
struct loop_signal {
    struct simple simple;
};
struct loop_deferred {
    struct simple simple;
};

static void on_nothing(evutil_socket_t fd, short what, void *data)
{
    (void)fd;
    (void)what;
    (void)data;
}

int loop_new(struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (loop && config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        loop->base = event_base_new_with_config(config);
    }
    if (config)
        event_config_free(config);
    if (!loop || !loop->base) {
        free(loop);
        return result_origin(-ENOMEM);
    }
    evtimer_assign(&loop->wake, loop->base, on_nothing, NULL);
    *ret = loop;
    return 0;
}

struct loop *loop_free(struct loop *loop)
{
    if (loop) {
        event_del(&loop->wake);
        event_base_free(loop->base);
        free(loop);
    }
    return NULL;
}

int loop_run(struct loop *loop)
{
    return event_base_dispatch(loop->base) < 0 ? result_origin(-EIO) : 0;
}

static struct timeval timeval_of(int64_t us)
{
    return (struct timeval){.tv_sec = us / US_PER_S, .tv_usec = us % US_PER_S};
}

int loop_run_once(struct loop *loop, int64_t timeout_us)
{
    struct timeval after = timeval_of(timeout_us);
    if (timeout_us > 0 && evtimer_add(&loop->wake, &after))
        return result_origin(-ENOMEM);
    int r = event_base_loop(loop->base, timeout_us > 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
    evtimer_del(&loop->wake);
    return r < 0 ? result_origin(-EIO) : 0;
}

void loop_break(struct loop *loop)
{
    event_base_loopbreak(loop->base);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void on_read(evutil_socket_t fd, short what, void *data)
{
    (void)fd;
    (void)what;
    struct loop_io *io = data;
    io->on_readable(io->data);
}

static void on_write(evutil_socket_t fd, short what, void *data)
{
    (void)fd;
    (void)what;
    struct loop_io *io = data;
    io->on_writable(io->data);
}

int loop_io_new(struct loop *loop, int fd, loop_function *on_readable, loop_function *on_writable,
                void *data, struct loop_io **ret)
{
    struct loop_io *io = malloc(sizeof *io);
    if (!io)
        return result_origin(-ENOMEM);
    *io = (struct loop_io){.on_readable = on_readable, .on_writable = on_writable, .data = data};
    event_assign(&io->read, loop->base, fd, EV_READ | EV_PERSIST, on_read, io);
    event_assign(&io->write, loop->base, fd, EV_WRITE | EV_PERSIST, on_write, io);
    *ret = io;
    return 0;
}

struct loop_io *loop_io_free(struct loop_io *io)
{
    if (io) {
        event_del(&io->read);
        event_del(&io->write);
        free(io);
    }
    return NULL;
}

static int want(struct event *event, bool yes)
{
    int r = yes ? event_add(event, NULL) : event_del(event);
    return r ? result_origin(-EIO) : 0;
}

int loop_io_want_read(struct loop_io *io, bool yes)
{
    return want(&io->read, yes);
}

int loop_io_want_write(struct loop_io *io, bool yes)
{
    return want(&io->write, yes);
}

static void on_simple(evutil_socket_t fd, short what, void *data)
{
    (void)fd;
    (void)what;
    struct simple *simple = data;
    simple->requested = false;
    simple->function(simple->data);
}

static void simple_init(struct simple *simple, struct loop *loop, int fd, short what,
                        loop_function *function, void *data)
{
    *simple = (struct simple){.function = function, .data = data};
    event_assign(&simple->event, loop->base, fd, what, on_simple, simple);
}

int loop_timer_new(struct loop *loop, loop_function *function, void *data, struct loop_timer **ret)
{
    struct loop_timer *timer = malloc(sizeof *timer);
    if (!timer)
        return result_origin(-ENOMEM);
    simple_init(&timer->simple, loop, -1, EV_TIMEOUT, function, data);
    *ret = timer;
    return 0;
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
    if (timer) {
        event_del(&timer->simple.event);
        free(timer);
    }
    return NULL;
}

int loop_timer_start(struct loop_timer *timer, int64_t after_us)
{
    struct timeval after = timeval_of(after_us);
    return event_add(&timer->simple.event, &after) ? result_origin(-ENOMEM) : 0;
}

void loop_timer_stop(struct loop_timer *timer)
{
    event_del(&timer->simple.event);
}

int loop_signal_new(struct loop *loop, int number, loop_function *function, void *data,
                    struct loop_signal **ret)
{
    struct loop_signal *signal = malloc(sizeof *signal);
    if (!signal)
        return result_origin(-ENOMEM);
    simple_init(&signal->simple, loop, number, EV_SIGNAL | EV_PERSIST, function, data);
    if (event_add(&signal->simple.event, NULL)) {
        free(signal);
        return result_origin(-ENOMEM);
    }
    *ret = signal;
    return 0;
}

struct loop_signal *loop_signal_free(struct loop_signal *signal)
{
    if (signal) {
        event_del(&signal->simple.event);
        free(signal);
    }
    return NULL;
}

int loop_deferred_new(struct loop *loop, loop_function *function, void *data,
                      struct loop_deferred **ret)
{
    struct loop_deferred *deferred = malloc(sizeof *deferred);
    if (!deferred)
        return result_origin(-ENOMEM);
    simple_init(&deferred->simple, loop, -1, EV_TIMEOUT, function, data);
    *ret = deferred;
    return 0;
}

struct loop_deferred *loop_deferred_free(struct loop_deferred *deferred)
{
    if (deferred) {
        event_del(&deferred->simple.event);
        free(deferred);
    }
    return NULL;
}

/* An event that is activated by hand goes to the end of the queue of those that are due, and is
 * served in the same round. */
void loop_deferred_request(struct loop_deferred *deferred)
{
    if (deferred->simple.requested)
        return;
    deferred->simple.requested = true;
    event_active(&deferred->simple.event, EV_TIMEOUT, 0);
}
