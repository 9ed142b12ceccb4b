/* The event loop: order of deferred functions, timers, freeing from callbacks. */
#include "rig.h"

#include <signal.h>

struct trace {
    struct loop *loop;
    struct loop_deferred *deferred;
    struct loop_io *io[2];
    char text[16];
    size_t len;
};

static void note(struct trace *trace, char c)
{
    assert_true(trace->len < sizeof trace->text - 1);
    trace->text[trace->len++] = c;
}

static void on_io(void *data)
{
    struct trace *trace = data;
    note(trace, 'r');
    loop_deferred_request(trace->deferred);
    loop_deferred_request(trace->deferred);
}

static void on_deferred(void *data)
{
    note(data, 'd');
}

static void test_deferred_runs_once_after_all_that_is_due(void **state)
{
    (void)state;
    struct trace trace = {.len = 0};
    int pairs[2][2];
    assert_int_equal(loop_new(&trace.loop), 0);
    assert_int_equal(loop_deferred_new(trace.loop, on_deferred, &trace, &trace.deferred), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        assert_int_equal(loop_io_new(trace.loop, pairs[i][0], on_io, NULL, &trace, &trace.io[i]),
                         0);
        assert_int_equal(loop_io_want_read(trace.io[i], true), 0);
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    assert_int_equal(loop_run_once(trace.loop, 1000000), 0);
    assert_string_equal(trace.text, "rrd");
    for (size_t i = 0; i < 2; i++) {
        loop_io_free(trace.io[i]);
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    loop_deferred_free(trace.deferred);
    loop_free(trace.loop);
}

static void on_first_frees_both(void *data)
{
    struct trace *trace = data;
    note(trace, 'f');
    trace->io[0] = loop_io_free(trace->io[0]);
    trace->io[1] = loop_io_free(trace->io[1]);
}

static void test_freed_object_is_not_called_in_the_same_round(void **state)
{
    (void)state;
    struct trace trace = {.len = 0};
    int pairs[2][2];
    assert_int_equal(loop_new(&trace.loop), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        assert_int_equal(
            loop_io_new(trace.loop, pairs[i][0], on_first_frees_both, NULL, &trace, &trace.io[i]),
            0);
        assert_int_equal(loop_io_want_read(trace.io[i], true), 0);
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    assert_int_equal(loop_run_once(trace.loop, 1000000), 0);
    assert_string_equal(trace.text, "f");
    for (size_t i = 0; i < 2; i++) {
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    loop_free(trace.loop);
}

static void on_break(void *data)
{
    struct trace *trace = data;
    note(trace, 't');
    loop_break(trace->loop);
}

static void test_timer_and_signal_wake_the_loop(void **state)
{
    (void)state;
    struct trace trace = {.len = 0};
    struct loop_timer *timer, *never;
    struct loop_signal *signal;
    assert_int_equal(loop_new(&trace.loop), 0);
    assert_int_equal(loop_timer_new(trace.loop, on_break, &trace, &timer), 0);
    assert_int_equal(loop_timer_new(trace.loop, on_deferred, &trace, &never), 0);
    assert_int_equal(loop_timer_start(never, 1), 0);
    loop_timer_stop(never);
    assert_int_equal(loop_timer_start(timer, 20000), 0);
    assert_int_equal(loop_run(trace.loop), 0);
    assert_string_equal(trace.text, "t");
    assert_int_equal(loop_signal_new(trace.loop, SIGUSR1, on_break, &trace, &signal), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(loop_run(trace.loop), 0);
    assert_string_equal(trace.text, "tt");
    loop_signal_free(signal);
    loop_timer_free(timer);
    loop_timer_free(never);
    loop_free(trace.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deferred_runs_once_after_all_that_is_due),
        cmocka_unit_test(test_freed_object_is_not_called_in_the_same_round),
        cmocka_unit_test(test_timer_and_signal_wake_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
