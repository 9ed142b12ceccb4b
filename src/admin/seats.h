#ifndef SLUICE_ADMIN_SEATS_H
#define SLUICE_ADMIN_SEATS_H
/*
 * The seats of a door: who is connected. evhttp (2.1) neither limits connections nor tells when one
 * ends that never sent a request, so a seat remembers which socket took it and counts as free when
 * that socket is gone: looking costs one fstat() per seat, and is done only when all seem taken.
 * Owned by an entrance of http.c; edge thread.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "admin/http.h"

struct bufferevent;

struct seat {
    struct bufferevent *fresh; /* just accepted, its socket not known yet; a reference */
    int fd;                    /* borrowed, only looked at; -1: free unless fresh */
    ino_t inode;               /* of the socket: descriptors are used again, these are not */
    int64_t since_us;          /* monotonic: when it was taken */
};

struct seats {
    struct seat seat[ADMIN_CONNECTIONS_MAX];
};

void seats_init(struct seats *seats);
void seats_deinit(struct seats *seats); /* releases what is fresh; may be called twice */

/* A connection is about to be made on the bufferevent. Without a free seat it goes uncounted: a
 * libevent before 2.1.9 accepts on in the round in which its listener was disabled. seats_settle()
 * is due as soon as the accept callback has returned. */
void seats_take(struct seats *seats, struct bufferevent *bufferevent);

/* Learns the sockets of the fresh ones. */
void seats_settle(struct seats *seats);

/* Whether all seats are taken, once those whose socket has gone are freed. */
bool seats_full(struct seats *seats);

/* Shuts down the socket that has held its seat longest, if since before before_us (monotonic): its
 * connection then ends by itself. So nobody keeps others out by sending a byte now and then, which
 * is progress to evhttp; who is merely idle connects again. Returns whether there was one. */
bool seats_evict(struct seats *seats, int64_t before_us);

#endif
