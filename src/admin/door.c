#include "admin/door.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "config/key.h"

#define SOCKET_FLAGS (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static int fail(struct error *error, const char *doing)
{
    int r = -errno;
    error_what(error, "cannot %s: %s", doing, strerror(-r));
    return result_origin(r);
}

/* Whether somebody answers at the socket file. 0: nobody, the file may go. */
static int probe_unix(const struct sockaddr_un *address, struct error *error)
{
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0)
        return fail(error, "make a socket");
    int r = connect(fd, (const struct sockaddr *)address, sizeof *address);
    if (r < 0 && errno == ECONNREFUSED)
        return 0;
    if (r < 0 && errno != EAGAIN) { /* EAGAIN: it answers, but its backlog is full */
        r = fail(error, "ask whether a process listens there");
        error_mend(error, "check who owns the file, or set admin.socket to another path");
        return r;
    }
    error_what(error, "another process listens there");
    error_mend(error, "stop the other sluice, or set admin.socket to another path");
    return -EADDRINUSE;
}

/* Makes way for a new socket file. */
static int clear_path(const struct sockaddr_un *address, struct error *error)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0) {
        if (errno == ENOENT)
            return 0;
        return fail(error, "look at the path");
    }
    if (!S_ISSOCK(st.st_mode)) {
        error_what(error, "the file exists and is not a socket");
        error_mend(error, "move it away, or set admin.socket to another path");
        return -EEXIST;
    }
    int r = probe_unix(address, error);
    if (r)
        return r;
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return fail(error, "remove the socket that a dead process left");
    return 0;
}

int door_open_unix(struct door *door, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static_assert(sizeof address.sun_path == DOOR_UNIX_PATH_MAX_BYTES + 1, "sun_path");
    error_where(error, "admin socket %s", path);
    if (strlen(path) > DOOR_UNIX_PATH_MAX_BYTES) {
        error_what(error, "the path is %zu bytes long, and the system takes %d", strlen(path),
                   DOOR_UNIX_PATH_MAX_BYTES);
        error_mend(error, "set admin.socket to a shorter path, /run/sluice/sluice.sock for one");
        return -ENAMETOOLONG;
    }
    strcpy(address.sun_path, path);
    int r = clear_path(&address, error);
    if (r)
        return r;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCKET_FLAGS, 0);
    if (fd < 0)
        return fail(error, "make a socket");
    /* Before bind(): the file inherits the socket's mode, and is never open to others. */
    struct stat st;
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        stat(path, &st) < 0 || listen(fd, DOOR_BACKLOG_MAX) < 0) {
        r = fail(error, "listen there");
        error_mend(error, "the directory must exist and be writable by this user");
        return r;
    }
    *door = (struct door){.fd = take_fd(fd), .device = st.st_dev, .inode = st.st_ino};
    strcpy(door->path, path);
    return 0;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static int listen_at(const struct addrinfo *at, int *ret_fd)
{
    int on = 1;
    CLEANUP_CLOSE int fd = socket(at->ai_family, SOCKET_FLAGS, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, DOOR_BACKLOG_MAX) < 0)
        return -errno;
    *ret_fd = take_fd(fd);
    return 0;
}

int door_open_tcp(struct door *door, const struct config_address *address, struct error *error)
{
    char port[6];
    snprintf(port, sizeof port, "%u", address->port);
    error_where(error, "admin address %s:%s", address->host, port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    int g = getaddrinfo(address->host, port, &hints, &list);
    if (g) {
        error_what(error, "cannot resolve it: %s", gai_strerror(g));
        error_mend(error, "set admin.tcp to an address of this machine");
        return -EADDRNOTAVAIL;
    }
    int fd = -1;
    int r = -EADDRNOTAVAIL;
    for (const struct addrinfo *at = list; at && r < 0; at = at->ai_next)
        r = listen_at(at, &fd);
    freeaddrinfo(list);
    if (r < 0) {
        error_what(error, "cannot listen there: %s", strerror(-r));
        error_mend(error, "set admin.tcp to a free port of an address of this machine");
        return result_origin(r);
    }
    *door = (struct door){.fd = fd, .port = bound_port(fd)};
    return 0;
}

void door_close(struct door *door)
{
    struct stat st;
    if (door->path[0] && lstat(door->path, &st) == 0 && st.st_dev == door->device &&
        st.st_ino == door->inode)
        unlink(door->path);
    if (door->fd >= 0)
        close(door->fd);
    *door = (struct door)DOOR_INIT;
}
