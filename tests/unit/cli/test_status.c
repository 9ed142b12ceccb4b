/* The daemon here is a thread that answers one connection with a prepared text. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/status.h"

enum { CHUNK_BYTES = 7 }; /* answers come in small pieces */

static char directory[64];
static char path[96];
static int listening = -1;

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/sluice-cli-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/s.sock", directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    return listen(listening, 1);
}

static int teardown(void **state)
{
    (void)state;
    if (listening >= 0)
        close(listening);
    listening = -1;
    unlink(path);
    return rmdir(directory);
}

struct answer {
    pthread_t thread;
    const char *text;
    char request[512];
};

static void *answer_one(void *data)
{
    struct answer *answer = data;
    int fd = accept(listening, NULL, NULL);
    size_t used = 0;
    while (!strstr(answer->request, "\r\n\r\n") && used < sizeof answer->request - 1) {
        ssize_t n = recv(fd, answer->request + used, sizeof answer->request - 1 - used, 0);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    size_t len = strlen(answer->text);
    for (size_t at = 0; at < len; at += CHUNK_BYTES)
        if (send(fd, answer->text + at, len - at < CHUNK_BYTES ? len - at : CHUNK_BYTES,
                 MSG_NOSIGNAL) < 0)
            break;
    close(fd);
    return NULL;
}

static void expect(struct answer *answer, const char *text)
{
    *answer = (struct answer){.text = text};
    assert_int_equal(pthread_create(&answer->thread, NULL, answer_one, answer), 0);
}

static int get_with(const char *text, struct error *error, struct bytes *body, int *ret_status)
{
    struct answer answer;
    expect(&answer, text);
    int r = admin_client_get(path, "/api/v1/status", 5000, error, body, ret_status);
    pthread_join(answer.thread, NULL);
    assert_memory_equal(answer.request, "GET /api/v1/status HTTP/1.1\r\nHost: ", 35);
    return r;
}

static void test_a_response_is_taken_apart(void **state)
{
    (void)state;
    struct bytes body = BYTES_INIT(100);
    int status = 0;
    assert_int_equal(get_with("HTTP/1.1 503 Service Unavailable\r\nX: y\r\n"
                              "content-length: 5\r\n\r\nhello",
                              NULL, &body, &status),
                     0);
    assert_int_equal(status, 503);
    assert_true(slice_equal_string(bytes_slice(&body), "hello"));
    bytes_deinit(&body);
}

static void test_what_is_not_a_whole_response_is_refused(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n\r\nno length",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlong",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct bytes body = BYTES_INIT(100);
        struct error error = ERROR_INIT;
        int status = 0;
        int r = get_with(texts[i], &error, &body, &status);
        assert_true(r == -EPROTO || r == -ECONNRESET);
        assert_non_null(strstr(error.where, path));
        bytes_deinit(&body);
    }
}

static void test_a_body_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct bytes body = BYTES_INIT(4);
    int status;
    assert_int_equal(
        get_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", NULL, &body, &status),
        -EMSGSIZE);
    bytes_deinit(&body);
}

static void test_a_daemon_that_says_nothing_is_left_at_the_deadline(void **state)
{
    (void)state;
    struct bytes body = BYTES_INIT(100);
    struct error error = ERROR_INIT;
    int status;
    int64_t before = clock_monotonic_us(&clock_system);
    assert_int_equal(admin_client_get(path, "/", 60, &error, &body, &status), -ETIMEDOUT);
    int64_t took = clock_monotonic_us(&clock_system) - before;
    assert_true(took >= 60000 && took < 5000000);
    bytes_deinit(&body);
}

static void test_who_cannot_be_reached_is_told_with_the_socket(void **state)
{
    (void)state;
    struct bytes body = BYTES_INIT(100);
    struct error error = ERROR_INIT;
    int status;
    close(listening);
    listening = -1;
    assert_int_equal(admin_client_get(path, "/", 0, &error, &body, &status), -ECONNREFUSED);
    assert_non_null(strstr(error.where, path));
    assert_non_null(strstr(error.mend, "sluice run"));
    unlink(path);
    assert_int_equal(admin_client_get(path, "/", 0, &error, &body, &status), -ENOENT);
    assert_non_null(strstr(error.mend, "is the daemon running?"));
}

static const char document[] =
    "{\"version\":\"1.2.3\",\"gateway\":\"plant7\",\"epoch\":\"00ff\","
    "\"uptime_seconds\":185.500000,"
    "\"state\":\"degraded\",\"trouble\":\"disk full\",\"config\":{\"file\":\"/etc/s.json\","
    "\"loaded_at\":\"2026-01-01T00:00:00Z\",\"restart_required\":[\"admin.tcp\",\"gateway.id\"]},"
    "\"store\":{\"events_admitted\":12,\"commits\":3,\"commit_failures\":1,\"database_bytes\":2048,"
    "\"wal_bytes\":0,\"in_flight_bytes\":5},"
    "\"listeners\":{\"lan\":{\"connections\":1,\"received_qos0\":2,\"received_qos1\":10,"
    "\"acknowledged\":9,\"refused\":0,\"paused\":0}},"
    "\"streams\":{\"events\":{\"first_offset\":5,\"next_offset\":9007199254740993,\"bytes\":1536,"
    "\"full\":1}},"
    "\"upstreams\":{\"cloud\":{\"state\":\"up\",\"trouble\":null,\"streams\":{\"events\":"
    "{\"next_offset\":7,\"lag_events\":6,\"lag_bytes\":100,\"lag_seconds\":3725.250000},\"alerts\":"
    "{\"next_offset\":0,"
    "\"lag_events\":0,\"lag_bytes\":0}}},\"idle\":{\"state\":\"down\",\"trouble\":\"refused\"}}}";

static char printed[8192];

static int status_with(const char *body, bool json)
{
    struct answer answer;
    char *text = NULL;
    assert_true(asprintf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                         body) > 0);
    expect(&answer, text);
    memset(printed, 0, sizeof printed);
    FILE *out = fmemopen(printed, sizeof printed - 1, "w");
    int exit_code = cli_status(path, json, out);
    fclose(out);
    pthread_join(answer.thread, NULL);
    free(text);
    return exit_code;
}

static void test_status_prints_tables(void **state)
{
    (void)state;
    assert_int_equal(status_with(document, false), CLI_OK);
    assert_string_equal(printed,
                        "gateway      plant7  degraded  (sluice 1.2.3, epoch 00ff)\n"
                        "trouble      disk full\n"
                        "uptime       3 min 05 s\n"
                        "config       /etc/s.json  loaded 2026-01-01T00:00:00Z\n"
                        "restart for  admin.tcp\n"
                        "             gateway.id\n"
                        "store        database 2.0 KiB  WAL 0 B  commits 3  failed 1\n"
                        "events       admitted 12  in flight 5 B\n"
                        "\n"
                        "LISTENER  CONNECTIONS  QOS 0  QOS 1  ACKNOWLEDGED  REFUSED  PAUSED\n"
                        "lan                 1      2     10             9        0       0\n"
                        "\n"
                        "STREAM  FIRST              NEXT   STORED  STATE\n"
                        "events      5  9007199254740993  1.5 KiB  full\n"
                        "\n"
                        "UPSTREAM  STATE  STREAM  NEXT  LAG  LAG BYTES    LAG TIME  TROUBLE\n"
                        "cloud     up     events     7    6      100 B  1 h 02 min  \n"
                        "                 alerts     0    0        0 B         0 s  \n"
                        "idle      down   -          -    -          -           -  refused\n");
}

static void test_status_as_json_is_the_document_as_it_came(void **state)
{
    (void)state;
    assert_int_equal(status_with(document, true), CLI_OK);
    assert_memory_equal(printed, document, sizeof document - 1);
    assert_string_equal(printed + sizeof document - 1, "\n");
}

static void test_status_of_another_version_prints_what_there_is(void **state)
{
    (void)state;
    assert_int_equal(status_with("{\"gateway\":null,\"streams\":{\"s\":{}}}", false), CLI_OK);
    assert_non_null(strstr(printed, "gateway  -  -  (sluice -, epoch -)\n"));
    assert_non_null(strstr(printed, "\ns           0     0     0 B  ok\n"));
}

static void test_status_fails_where_it_cannot_reach_or_read(void **state)
{
    (void)state;
    assert_int_equal(status_with("{\"gateway\":", false), CLI_FAILED);
    unlink(path);
    assert_int_equal(cli_status(path, false, stdout), CLI_FAILED);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_response_is_taken_apart),
        TEST(test_what_is_not_a_whole_response_is_refused),
        TEST(test_a_body_beyond_the_limit_is_refused),
        TEST(test_a_daemon_that_says_nothing_is_left_at_the_deadline),
        TEST(test_who_cannot_be_reached_is_told_with_the_socket),
        TEST(test_status_prints_tables),
        TEST(test_status_as_json_is_the_document_as_it_came),
        TEST(test_status_of_another_version_prints_what_there_is),
        TEST(test_status_fails_where_it_cannot_reach_or_read),
    };
    return cmocka_run_group_tests_name("cli/status", tests, NULL, NULL);
}
