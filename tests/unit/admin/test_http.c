/* The server and its clients share one thread: the loop turns whenever a client waits. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include <cmocka.h>

#include "admin/admin_config.h"
#include "admin/http.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

enum { DEADLINE_US = 5000000, QUIET_ROUNDS = 50 };

static struct event_base *base;
static struct admin *admin;
static char directory[64];
static char socket_path[96];
static char loopback[] = "127.0.0.1";

static void tell(void *data, struct admin_info *ret)
{
    (void)data;
    *ret = (struct admin_info){.state = ADMIN_RUNNING, .version = "1.2.3", .gateway_id = "plant7"};
}

static struct admin *make(const struct admin_config *config)
{
    struct admin *made = NULL;
    const struct admin_options options = {
        .event_base = base, .config = config, .default_socket = socket_path, .info = tell};
    assert_int_equal(admin_new(&options, &made), 0);
    return made;
}

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/sluice-http-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(socket_path, sizeof socket_path, "%s/sluice.sock", directory);
    base = event_base_new();
    struct admin_config config = {.tcp = {.host = loopback}};
    struct error error = ERROR_INIT;
    admin = make(&config);
    assert_int_equal(admin_start(admin, &error), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    admin = admin_free(admin);
    event_base_free(base);
    return rmdir(directory); /* fails if the socket is left */
}

static int dial_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof address), errno);
    return fd;
}

static int dial_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(admin_port(admin)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof address), errno);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until what was received holds the text, or the server closes. */
static bool hear(int fd, struct bytes *in, const char *until)
{
    int64_t deadline = clock_monotonic_us(&clock_system) + DEADLINE_US;
    while (clock_monotonic_us(&clock_system) < deadline) {
        char chunk[4096];
        event_base_loop(base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
        if (n == 0)
            return false;
        if (n > 0)
            assert_int_equal(bytes_append(in, chunk, (size_t)n), 0);
        if (in->len && memmem(in->data, in->len, until, strlen(until)))
            return true;
    }
    fail_msg("the server did not say: %s", until);
    return false;
}

/* The end of a request that wants no other after it. */
#define LAST " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

/* One request on a new connection, to the end of the connection. Returns a string to be freed. */
static char *fetch(int fd, const char *request)
{
    struct bytes in = BYTES_INIT(1 << 20);
    say(fd, request);
    assert_false(hear(fd, &in, "\xff never")); /* until it closes */
    close(fd);
    char *text = slice_duplicate(bytes_slice(&in));
    bytes_deinit(&in);
    return text;
}

static void test_the_unix_socket_answers(void **state)
{
    (void)state;
    char *text = fetch(dial_unix(), "GET /healthz" LAST);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\nContent-Length: 3\r\n"));
    assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nok\n"));
    free(text);
}

static void test_the_tcp_port_answers_with_metrics(void **state)
{
    (void)state;
    assert_int_not_equal(admin_port(admin), 0);
    char *text = fetch(dial_tcp(), "GET /metrics?x=1" LAST);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(text, "\nsluice_build_info{version=\"1.2.3\"} 1\n"));
    free(text);
}

static void test_without_tcp_there_is_no_port(void **state)
{
    (void)state;
    admin = admin_free(admin);
    struct admin_config config = {.socket = socket_path};
    admin = make(&config);
    assert_int_equal(admin_start(admin, NULL), 0);
    assert_int_equal(admin_port(admin), 0);
    assert_string_equal(admin_socket(admin), socket_path);
}

static void test_two_requests_share_a_connection(void **state)
{
    (void)state;
    struct bytes in = BYTES_INIT(1 << 20);
    int fd = dial_unix();
    say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(fd, &in, "\r\n\r\nok\n"));
    bytes_deinit(&in);
    say(fd, "GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(fd, &in, "\"gateway\":\"plant7\""));
    bytes_deinit(&in);
    close(fd);
}

static void test_head_has_the_length_and_no_body(void **state)
{
    (void)state;
    char *text = fetch(dial_unix(), "HEAD /healthz" LAST);
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\nContent-Length: 3\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
}

static void test_a_wrong_verb_gets_405_with_allow(void **state)
{
    (void)state;
    const char *const requests[] = {
        "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        "DELETE /healthz" LAST,
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char *text = fetch(dial_tcp(), requests[i]);
        assert_memory_equal(text, "HTTP/1.1 405 ", 13);
        assert_non_null(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
        free(text);
    }
}

static void test_an_unknown_path_gets_404(void **state)
{
    (void)state;
    char *text = fetch(dial_unix(), "GET /nothing" LAST);
    assert_memory_equal(text, "HTTP/1.1 404 ", 13);
    assert_non_null(strstr(text, "\"error\":"));
    free(text);
}

static void test_headers_and_bodies_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    char *request = NULL;
    assert_true(asprintf(&request, "GET /healthz HTTP/1.1\r\nX: %0*d\r\n\r\n",
                         ADMIN_HEADER_MAX_BYTES, 0) > 0);
    char *text = fetch(dial_unix(), request);
    assert_null(strstr(text, " 200 "));
    free(text);
    free(request);
    assert_true(asprintf(&request, "POST /healthz HTTP/1.1\r\nContent-Length: %d\r\n\r\n",
                         ADMIN_BODY_MAX_BYTES + 1) > 0);
    text = fetch(dial_unix(), request);
    assert_memory_equal(text, "HTTP/1.1 413 ", 13);
    free(text);
    free(request);
}

static void test_what_is_not_http_ends_the_connection(void **state)
{
    (void)state;
    char *text = fetch(dial_unix(), "\x10\x0cnot http at all\r\n\r\n");
    assert_null(strstr(text, " 200 "));
    free(text);
}

static void turn(void)
{
    for (int i = 0; i < QUIET_ROUNDS; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void test_connections_beyond_the_limit_wait_until_one_ends(void **state)
{
    (void)state;
    struct bytes in = BYTES_INIT(1 << 20);
    int idle[ADMIN_CONNECTIONS_MAX], other; /* all wait in the backlog when the loop first turns */
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        idle[i] = dial_unix();
    int late = dial_unix();
    say(late, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    turn();
    char byte;
    assert_int_equal(recv(late, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    other = dial_tcp(); /* the other door is not concerned */
    say(other, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(other, &in, "\r\n\r\nok\n"));
    bytes_deinit(&in);
    close(idle[0]);
    assert_true(hear(late, &in, "\r\n\r\nok\n"));
    bytes_deinit(&in);
    for (int i = 1; i < ADMIN_CONNECTIONS_MAX; i++)
        close(idle[i]);
    close(late);
    close(other);
}

static void test_stopping_closes_connections_and_removes_the_socket(void **state)
{
    (void)state;
    int fd = dial_unix();
    turn();
    admin_stop(admin);
    turn();
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    close(fd);
    assert_int_equal(access(socket_path, F_OK), -1);
    admin_stop(admin);
}

static void test_a_second_start_on_a_live_socket_fails_and_harms_nothing(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct admin_config config = {.socket = NULL};
    struct admin *second = make(&config);
    assert_int_equal(admin_start(second, &error), -EADDRINUSE);
    assert_non_null(strstr(error.where, socket_path));
    admin_free(second);
    assert_int_equal(access(socket_path, F_OK), 0);
}

static void test_a_taken_tcp_port_leaves_no_socket_behind(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    char other[112];
    snprintf(other, sizeof other, "%s.second", socket_path);
    struct admin_config config = {.socket = other, .tcp = {.host = loopback}};
    config.tcp.port = admin_port(admin);
    struct admin *second = make(&config);
    assert_int_equal(admin_start(second, &error), -EADDRINUSE);
    assert_non_null(strstr(error.where, loopback));
    assert_int_equal(access(other, F_OK), -1);
    admin_free(second);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_unix_socket_answers),
        TEST(test_the_tcp_port_answers_with_metrics),
        TEST(test_without_tcp_there_is_no_port),
        TEST(test_two_requests_share_a_connection),
        TEST(test_head_has_the_length_and_no_body),
        TEST(test_a_wrong_verb_gets_405_with_allow),
        TEST(test_an_unknown_path_gets_404),
        TEST(test_headers_and_bodies_beyond_the_limit_are_refused),
        TEST(test_what_is_not_http_ends_the_connection),
        TEST(test_connections_beyond_the_limit_wait_until_one_ends),
        TEST(test_stopping_closes_connections_and_removes_the_socket),
        TEST(test_a_second_start_on_a_live_socket_fails_and_harms_nothing),
        TEST(test_a_taken_tcp_port_leaves_no_socket_behind),
    };
    return cmocka_run_group_tests_name("admin/http", tests, NULL, NULL);
}
