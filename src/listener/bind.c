#include "listener/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "config/key.h"

enum { PORT_TEXT_MAX = 8, ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN + 16 };

void bind_format(const struct sockaddr *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(out, size, "local");
    }
}

uint16_t bind_port(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

/* What a person can do about it. Returns r. */
static int explain(int r, const char *text, unsigned port, struct error *error)
{
    switch (-r) {
    case EADDRINUSE:
        error_what(error, "%s is in use by another process", text);
        error_mend(error,
                   "stop what listens there (\"ss -ltnp sport = :%u\" shows it; Debian starts "
                   "mosquitto on 1883 when it is installed), or give the listener another \"bind\"",
                   port);
        break;
    case EACCES:
        error_what(error, "%s may not be opened: ports below 1024 are privileged", text);
        error_mend(error, "take a port above 1023, or grant CAP_NET_BIND_SERVICE");
        break;
    case EADDRNOTAVAIL:
        error_what(error, "%s is not an address of this host", text);
        error_mend(error, "\"ip address\" shows those it has; \"0.0.0.0:%u\" stands for all", port);
        break;
    default:
        error_what(error, "cannot listen on %s: %s", text, strerror(-r));
        error_mend(error, "%s", r == -EAFNOSUPPORT ? "take an IPv4 address" : "");
        break;
    }
    return r;
}

static int listen_one(const struct addrinfo *info, int backlog, int *ret)
{
    const int one = 1;
    CLEANUP_CLOSE int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        return -errno;
    /* An address means what it says: "[::]" and "0.0.0.0" can be two listeners. */
    if (info->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0)
        return -errno;
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, backlog) < 0)
        return -errno;
    *ret = take_fd(fd);
    return 0;
}

static void close_all(const int *fds, size_t count)
{
    while (count)
        close(fds[--count]);
}

/* Listens on what the resolver found. A name may stand for addresses of a family this host does not
 * speak; every other failure is one. */
static int listen_all(const struct addrinfo *found, const struct config_address *address,
                      int backlog, struct error *error, int *fds, size_t max, size_t *ret_count)
{
    char text[ADDRESS_TEXT_MAX];
    size_t count = 0;
    int r = -EADDRNOTAVAIL;
    for (const struct addrinfo *info = found; info && count < max; info = info->ai_next) {
        int one = listen_one(info, backlog, &fds[count]);
        if (!one) {
            count++;
            if (address->port == 0)
                break;
            continue;
        }
        bind_format(info->ai_addr, text, sizeof text);
        r = explain(one, text, address->port, error);
        if (one != -EADDRNOTAVAIL && one != -EAFNOSUPPORT) {
            close_all(fds, count);
            return result_origin(r);
        }
    }
    if (count == 0)
        return result_origin(r);
    *ret_count = count;
    return 0;
}

int bind_listen(const struct config_address *address, int backlog, struct error *error,
                int *ret_fds, size_t max, size_t *ret_count)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[PORT_TEXT_MAX];
    snprintf(port, sizeof port, "%u", address->port);
    int e = getaddrinfo(address->host, port, &hints, &found);
    if (e) {
        error_what(error, "\"%s\" does not resolve to an address: %s", address->host,
                   gai_strerror(e));
        error_mend(error, "give \"bind\" an address of this host, such as \"127.0.0.1:%u\"",
                   address->port);
        return result_origin(e == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL);
    }
    int r = listen_all(found, address, backlog, error, ret_fds, max, ret_count);
    freeaddrinfo(found);
    return r;
}
