#include "cli/admin_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/result.h"

enum { US_PER_MS = 1000, REQUEST_MAX_BYTES = 1024, READ_BYTES = 16 << 10 };

struct exchange {
    int fd;
    int64_t deadline_us; /* monotonic */
    struct bytes head;   /* status line and headers, with the empty line */
    struct bytes *body;
};

static int64_t left_us(int64_t deadline_us)
{
    int64_t left = deadline_us - clock_monotonic_us(&clock_system);
    return left > 0 ? left : 0;
}

static int wait_for(const struct exchange *x, short events)
{
    for (;;) {
        struct pollfd p = {.fd = x->fd, .events = events};
        int64_t left = left_us(x->deadline_us);
        int n = poll(&p, 1, (int)((left + US_PER_MS - 1) / US_PER_MS));
        if (n > 0)
            return 0;
        if (n == 0 && left == 0)
            return -ETIMEDOUT;
        if (n < 0 && errno != EINTR)
            return result_origin(-errno);
    }
}

static int dial(struct exchange *x, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    x->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (x->fd < 0)
        return result_origin(-errno);
    /* connect() on a unix socket waits while the backlog is full, as long as a send may take; poll
     * cannot wait for that. */
    int64_t left = left_us(x->deadline_us) + 1;
    struct timeval patience = {.tv_sec = left / 1000000, .tv_usec = left % 1000000};
    setsockopt(x->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(x->fd, (struct sockaddr *)&address, sizeof address) == 0)
        return 0;
    return errno == EAGAIN || errno == EINTR ? -ETIMEDOUT : -errno;
}

static int send_all(const struct exchange *x, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(x->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            continue;
        }
        int r = errno == EAGAIN ? wait_for(x, POLLOUT) : errno == EINTR ? 0 : -errno;
        if (r)
            return r;
    }
    return 0;
}

/* Some bytes; *ret_len 0 at the end of the stream. */
static int receive(const struct exchange *x, char *chunk, size_t size, size_t *ret_len)
{
    for (;;) {
        ssize_t n = recv(x->fd, chunk, size, MSG_DONTWAIT);
        if (n >= 0) {
            *ret_len = (size_t)n;
            return 0;
        }
        int r = errno == EAGAIN ? wait_for(x, POLLIN) : errno == EINTR ? 0 : -errno;
        if (r)
            return r;
    }
}

/* Collects up to the empty line; what was read beyond it goes to the body. */
static int receive_head(struct exchange *x)
{
    static const char end[] = "\r\n\r\n";
    for (;;) {
        char chunk[READ_BYTES];
        size_t len;
        int r = receive(x, chunk, sizeof chunk, &len);
        if (!r && len == 0)
            r = -EPROTO;
        if (!r)
            r = bytes_append(&x->head, chunk, len);
        if (r)
            return r == BYTES_FULL ? -EPROTO : r;
        const uint8_t *found = memmem(x->head.data, x->head.len, end, strlen(end));
        if (!found)
            continue;
        size_t head_len = (size_t)(found - x->head.data) + strlen(end);
        r = bytes_append(x->body, x->head.data + head_len, x->head.len - head_len);
        x->head.len = head_len;
        return r == BYTES_FULL ? -EMSGSIZE : r;
    }
}

/* The head is a string from here on: status line, then "Name: value" lines. */
static int parse_head(struct exchange *x, int *ret_status, size_t *ret_length)
{
    int r = bytes_append_u8(&x->head, '\0');
    if (r)
        return r == BYTES_FULL ? -EPROTO : r;
    char *line = (char *)x->head.data;
    int status;
    if (strlen(line) + 1 != x->head.len || sscanf(line, "HTTP/1.%*1[01] %3d", &status) != 1)
        return -EPROTO;
    bool has_length = false;
    size_t length = 0;
    while ((line = strstr(line, "\r\n")) && *(line += 2) != '\r') {
        if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
            return -EPROTO;
        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            if (has_length || sscanf(line + 15, " %9zu", &length) != 1)
                return -EPROTO;
            has_length = true;
        }
    }
    if (!has_length)
        return -EPROTO;
    *ret_status = status;
    *ret_length = length;
    return 0;
}

static int receive_body(struct exchange *x, size_t length)
{
    if (length > x->body->max)
        return -EMSGSIZE;
    while (x->body->len < length) {
        char chunk[READ_BYTES];
        size_t len;
        int r = receive(x, chunk, sizeof chunk, &len);
        if (!r && len == 0)
            r = -EPROTO;
        if (!r)
            r = bytes_append(x->body, chunk, len);
        if (r)
            return r == BYTES_FULL ? -EMSGSIZE : r;
    }
    return x->body->len == length ? 0 : -EPROTO;
}

static int run(struct exchange *x, const char *socket_path, const char *path, int *ret_status)
{
    char request[REQUEST_MAX_BYTES];
    size_t length;
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    if (len >= (int)sizeof request)
        return -ENAMETOOLONG;
    int r = dial(x, socket_path);
    if (!r)
        r = send_all(x, request, (size_t)len);
    if (!r)
        r = receive_head(x);
    if (!r)
        r = parse_head(x, ret_status, &length);
    return r ? r : receive_body(x, length);
}

/* What a person can do about it, by the result. */
static const struct {
    int result;
    const char *what, *mend;
} advice[] = {
    {-ENOENT, "there is no socket",
     "is the daemon running? It says at start where its admin socket is; name that by --socket"},
    {-ECONNREFUSED, "nobody listens at the socket", "start the daemon (sluice run -c FILE)"},
    {-EACCES, "permission denied", "run this as the user of the daemon, or as root"},
    {-ETIMEDOUT, "no answer in time", "look at the daemon's log; is the machine overloaded?"},
    {-EPROTO, "the answer is not the daemon's", "does the socket belong to sluice?"},
    {-ECONNRESET, "the connection was cut", "did the daemon just stop? See its log"},
    {-EPIPE, "the connection was cut", "did the daemon just stop? See its log"},
    {-EMSGSIZE, "the answer is too long", "is the client older than the daemon?"},
    {-ENAMETOOLONG, "the path is too long for a socket", "name a shorter one by --socket"},
};

static void explain(struct error *error, const char *socket_path, int r)
{
    error_where(error, "admin socket %s", socket_path);
    error_what(error, "%s", strerror(-r));
    error_mend(error, "is the daemon running, and is this its admin socket?");
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++)
        if (advice[i].result == r) {
            error_what(error, "%s", advice[i].what);
            error_mend(error, "%s", advice[i].mend);
        }
}

int admin_client_get(const char *socket_path, const char *path, int deadline_ms,
                     struct error *error, struct bytes *body, int *ret_status)
{
    int64_t patience_us =
        (int64_t)(deadline_ms > 0 ? deadline_ms : ADMIN_CLIENT_DEADLINE_MS) * US_PER_MS;
    struct exchange x = {.fd = -1,
                         .deadline_us = clock_monotonic_us(&clock_system) + patience_us,
                         .head = BYTES_INIT(ADMIN_CLIENT_HEADER_MAX_BYTES),
                         .body = body};
    int status;
    int r = run(&x, socket_path, path, &status);
    if (x.fd >= 0)
        close(x.fd);
    bytes_deinit(&x.head);
    if (r) {
        explain(error, socket_path, r);
        return result_trace(r);
    }
    *ret_status = status;
    return 0;
}
