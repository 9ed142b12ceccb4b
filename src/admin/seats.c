#include "admin/seats.h"

#include <event2/bufferevent.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"

static const struct seat free_seat = {.fd = -1};

static bool is_free(const struct seat *seat)
{
    return !seat->fresh && seat->fd < 0;
}

static bool socket_inode(int fd, ino_t *ret)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    *ret = st.st_ino;
    return true;
}

void seats_init(struct seats *seats)
{
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        seats->seat[i] = free_seat;
}

void seats_deinit(struct seats *seats)
{
    seats_settle(seats);
    seats_init(seats);
}

void seats_take(struct seats *seats, struct bufferevent *bufferevent)
{
    struct seat *seat = seats->seat;
    while (seat < seats->seat + ADMIN_CONNECTIONS_MAX && !is_free(seat))
        seat++;
    if (seat == seats->seat + ADMIN_CONNECTIONS_MAX)
        return;
    bufferevent_incref(bufferevent);
    seat->since_us = clock_monotonic_us(&clock_system);
    seat->fresh = bufferevent;
}

void seats_settle(struct seats *seats)
{
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        struct seat *seat = &seats->seat[i];
        if (!seat->fresh)
            continue;
        int fd = bufferevent_getfd(seat->fresh);
        seat->fd = socket_inode(fd, &seat->inode) ? fd : -1;
        bufferevent_decref(take_ptr(seat->fresh)); /* the last one if it has ended meanwhile */
    }
}

/* Whether the socket that took the seat is still the one behind its descriptor. */
static bool is_present(const struct seat *seat)
{
    ino_t inode;
    return socket_inode(seat->fd, &inode) && inode == seat->inode;
}

bool seats_full(struct seats *seats)
{
    unsigned taken = 0;
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++)
        taken += !is_free(&seats->seat[i]);
    if (taken < ADMIN_CONNECTIONS_MAX)
        return false;
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        struct seat *seat = &seats->seat[i];
        if (!seat->fresh && !is_present(seat)) {
            *seat = free_seat;
            taken--;
        }
    }
    return taken == ADMIN_CONNECTIONS_MAX;
}

bool seats_evict(struct seats *seats, int64_t before_us)
{
    const struct seat *oldest = NULL;
    for (int i = 0; i < ADMIN_CONNECTIONS_MAX; i++) {
        const struct seat *seat = &seats->seat[i];
        if (!seat->fresh && is_present(seat) && seat->since_us < before_us &&
            (!oldest || seat->since_us < oldest->since_us))
            oldest = seat;
    }
    return oldest && shutdown(oldest->fd, SHUT_RDWR) == 0;
}
