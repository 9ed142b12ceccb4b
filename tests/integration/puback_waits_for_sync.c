/*
 * The first promise, on the whole daemon over a real socket: while the sync of the write-ahead log
 * is held, no PUBACK leaves; when it is let go, all of them do.
 *
 * Built twice: as it is, and with store_commit() replaced by one that says "done" before it has
 * committed (ACKNOWLEDGE_EARLY). The second must fail, or this test proves nothing.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "gateway.h"
#include "hold_vfs.h"

enum { EVENTS = 50, DEADLINE_MS = 20000, SILENCE_MS = 500, PUBACK_BYTES = 4 };

static atomic_bool held; /* the syncs */

#ifdef ACKNOWLEDGE_EARLY
struct store;
int __real_store_commit(struct store *store);
int __wrap_store_commit(struct store *store);

int __wrap_store_commit(struct store *store)
{
    return atomic_load(&held) ? 0 : __real_store_commit(store);
}
#endif

static void fail(const char *why)
{
    fprintf(stderr, "not ok: %s\n", why);
    _exit(1);
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, length) ||
        getsockname(fd, (struct sockaddr *)&address, &length))
        fail("no free port");
    close(fd);
    return ntohs(address.sin_port);
}

static int connect_to(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int waited = 0; waited < DEADLINE_MS; waited += 10) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
        poll(NULL, 0, 10);
    }
    fail("the gateway does not listen");
    return -1;
}

/* Reads up to want bytes within timeout_ms of silence; returns how many came. */
static size_t read_some(int fd, uint8_t *out, size_t want, int timeout_ms)
{
    size_t have = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (have < want && poll(&p, 1, timeout_ms) == 1) {
        ssize_t n = read(fd, out + have, want - have);
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    return have;
}

static void send_all(int fd, const void *data, size_t len)
{
    if (write(fd, data, len) != (ssize_t)len)
        fail("short write");
}

static void *run(void *gateway)
{
    return (void *)(intptr_t)gateway_run(gateway);
}

static struct gateway *start(const char *dir, uint16_t port)
{
    char path[256];
    snprintf(path, sizeof path, "%s/sluice.json", dir);
    FILE *file = fopen(path, "w");
    if (!file)
        fail("no configuration");
    fprintf(file,
            "{\"gateway\": {\"data_dir\": \"data\"},"
            " \"listeners\": [{\"bind\": \"127.0.0.1:%u\", \"anonymous\": true}]}",
            port);
    fclose(file);
    struct error error = ERROR_INIT;
    struct gateway *gateway = NULL;
    if (gateway_new(path, &error, &gateway)) {
        error_print(&error, stderr);
        fail("the gateway does not start");
    }
    return gateway;
}

static void publish(int fd, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        const uint8_t packet[] = {0x32, 9, 0, 3, 'a', '/', 'b', 0, (uint8_t)i, 'h', 'i'};
        send_all(fd, packet, sizeof packet);
    }
}

static void check(int fd)
{
    static const uint8_t connect_packet[] = {0x10, 13, 0, 4,  'M', 'Q', 'T', 'T',
                                             4,    2,  0, 60, 0,   1,   'c'};
    uint8_t answer[EVENTS * PUBACK_BYTES];
    send_all(fd, connect_packet, sizeof connect_packet);
    if (read_some(fd, answer, 4, DEADLINE_MS) != 4 || answer[0] != 0x20 || answer[3])
        fail("no CONNACK");
    hold_vfs_hold();
    atomic_store(&held, true);
    publish(fd, 1, EVENTS / 2);
    (void)hold_vfs_wait(1, 2000); /* the commit of the first ones waits in its sync */
    publish(fd, 1 + EVENTS / 2, EVENTS / 2);
    size_t early = read_some(fd, answer, sizeof answer, SILENCE_MS);
    if (early)
        fail("a PUBACK left before the sync");
    if (hold_vfs_waiting() != 1)
        fail("no commit waits in its sync");
    atomic_store(&held, false);
    hold_vfs_release();
    if (read_some(fd, answer, sizeof answer, DEADLINE_MS) != sizeof answer)
        fail("PUBACKs are missing after the sync");
    for (unsigned i = 0; i < EVENTS; i++)
        if (answer[i * PUBACK_BYTES] != 0x40 || answer[i * PUBACK_BYTES + 3] != i + 1)
            fail("PUBACKs are not in the order of the events");
}

int main(void)
{
    char dir[] = "/tmp/sluice-test-XXXXXX";
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(dir))
        fail("no temporary directory");
    hold_vfs_install();
    uint16_t port = free_port();
    struct gateway *gateway = start(dir, port);
    /* Signals of the process go to the thread that runs the loop or to nobody. */
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, gateway))
        fail("no thread");
    int fd = connect_to(port);
    check(fd);
    kill(getpid(), SIGTERM);
    void *exit_code = NULL;
    pthread_join(thread, &exit_code);
    close(fd);
    gateway_free(gateway);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (system(command))
        fail("cannot clean up");
    if ((intptr_t)exit_code != 0)
        fail("the gateway ended with an error");
    printf("ok: %d events, none acknowledged before the sync, all after it\n", EVENTS);
    return 0;
}
