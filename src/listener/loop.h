#ifndef SLUICE_LISTENER_LOOP_H
#define SLUICE_LISTENER_LOOP_H
/*
 * struct loop: the event loop of the edge thread. A thin dress over libevent, and the only file
 * that includes its <event2/event.h>: that header's `struct event` and ours (event/event.h) cannot
 * be in one translation unit.
 *
 * Everything here belongs to the thread that runs the loop; the base takes no locks. Callbacks may
 * free any loop object, their own included; a freed object is not called back any more, even if it
 * was already due in this round.
 */
#include <stdbool.h>
#include <stdint.h>

struct event_base; /* libevent's; for evhttp */
struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct loop_deferred;

typedef void loop_function(void *data);

/* 0 or -ENOMEM (no memory, or no usable kernel facility). Objects must be freed before the loop. */
int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *loop); /* NULL accepted; returns NULL */

/* Runs callbacks until loop_break() or until nothing is left to wait for. 0 or -EIO. */
int loop_run(struct loop *loop);

/* Runs what is due, waiting for it at most timeout_us (0: not at all). 0 or -EIO. For tests and the
 * shutdown of the gateway. */
int loop_run_once(struct loop *loop, int64_t timeout_us);

/* From a callback: loop_run() returns after the callback that is running. Deferred functions of
 * this round may be left for the next run. */
void loop_break(struct loop *loop);

struct event_base *loop_base(struct loop *loop);

/* Watches fd, at first for nothing; on_writable may be NULL if writing is never watched. The fd
 * stays the caller's and must be open until loop_io_free(). 0 or -ENOMEM. */
int loop_io_new(struct loop *loop, int fd, loop_function *on_readable, loop_function *on_writable,
                void *data, struct loop_io **ret);
struct loop_io *loop_io_free(struct loop_io *io); /* NULL accepted; returns NULL */

/* Level-triggered interest. 0 or -ENOMEM, -EIO. */
int loop_io_want_read(struct loop_io *io, bool want);
int loop_io_want_write(struct loop_io *io, bool want);

/* A timer of the monotonic clock, unarmed at first; fires once per loop_timer_start(). */
int loop_timer_new(struct loop *loop, loop_function *function, void *data, struct loop_timer **ret);
struct loop_timer *loop_timer_free(struct loop_timer *timer);     /* NULL accepted; returns NULL */
int loop_timer_start(struct loop_timer *timer, int64_t after_us); /* restarts a running one */
void loop_timer_stop(struct loop_timer *timer);

/* Calls function in the loop whenever the process gets the signal. 0 or -ENOMEM. */
int loop_signal_new(struct loop *loop, int number, loop_function *function, void *data,
                    struct loop_signal **ret);
struct loop_signal *loop_signal_free(struct loop_signal *signal); /* NULL accepted; returns NULL */

/* A function that runs once, after all callbacks that are due in the current round, whenever it was
 * requested at least once: what was gathered in a round is handed on with one call. */
int loop_deferred_new(struct loop *loop, loop_function *function, void *data,
                      struct loop_deferred **ret);
struct loop_deferred *loop_deferred_free(struct loop_deferred *deferred); /* NULL accepted */
void loop_deferred_request(struct loop_deferred *deferred);

#endif
