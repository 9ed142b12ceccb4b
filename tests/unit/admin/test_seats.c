#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>

#include <cmocka.h>

#include "admin/seats.h"
#include "base/clock.h"

static struct event_base *base;
static struct seats seats;
static int ends[ADMIN_CONNECTIONS_MAX][2]; /* [0]: ours, [1]: of the other side */

/* A connection takes a seat, as evhttp makes them: the bufferevent first, then its socket. */
static void arrive(int i)
{
    struct bufferevent *made = bufferevent_socket_new(base, -1, 0);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), errno);
    seats_take(&seats, made);
    bufferevent_setfd(made, ends[i][0]);
    seats_settle(&seats);
    bufferevent_free(made);
}

static void leave(int i)
{
    close(ends[i][0]);
    close(ends[i][1]);
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    seats_init(&seats);
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        assert_false(seats_full(&seats));
        arrive(i);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        leave(i);
    seats_deinit(&seats);
    event_base_free(base);
    return 0;
}

static void test_a_seat_is_free_when_its_socket_is_gone(void **state)
{
    (void)state;
    assert_true(seats_full(&seats));
    leave(3);
    assert_false(seats_full(&seats));
    arrive(3);
    assert_true(seats_full(&seats));
}

static void test_a_descriptor_used_again_does_not_hold_the_seat(void **state)
{
    (void)state;
    int pair[2];
    int fd = ends[3][0];
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
    assert_int_equal(dup2(pair[0], fd), fd);
    close(pair[0]);
    close(pair[1]);
    assert_false(seats_full(&seats));
}

static void test_without_a_free_seat_a_connection_goes_uncounted(void **state)
{
    (void)state;
    struct bufferevent *made = bufferevent_socket_new(base, -1, 0);
    seats_take(&seats, made);
    bufferevent_free(made);
    assert_true(seats_full(&seats));
}

/* Whether the other side of connection i sees its end. */
static bool is_shut(int i)
{
    char byte;
    return recv(ends[i][1], &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_the_one_longest_there_is_evicted(void **state)
{
    (void)state;
    int64_t now = clock_monotonic_us(&clock_system);
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        seats.seat[i].since_us = now - (i == 5 ? 2000 : 1000);
    assert_false(seats_evict(&seats, now - 2000));
    assert_false(is_shut(5));
    assert_true(seats_evict(&seats, now - 1500));
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        assert_int_equal(is_shut(i), i == 5);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_seat_is_free_when_its_socket_is_gone),
        TEST(test_a_descriptor_used_again_does_not_hold_the_seat),
        TEST(test_without_a_free_seat_a_connection_goes_uncounted),
        TEST(test_the_one_longest_there_is_evicted),
    };
    return cmocka_run_group_tests_name("admin/seats", tests, NULL, NULL);
}
