#ifndef SLUICE_ADMIN_HTTP_H
#define SLUICE_ADMIN_HTTP_H
/*
 * struct admin: the HTTP server of the admin API (api.h), on a unix socket whose file permissions
 * are the authentication, and where configured on TCP, read-only. Owned by the gateway. Lives on
 * the event loop of the edge thread: every function here is called by that thread, or before it
 * runs or after it has ended. The two doors have limits of their own, so that nobody on the
 * network can keep the local user out.
 */
#include <stdint.h>

#include "admin/info.h"

struct admin;
struct admin_config;
struct error;
struct event_base;

enum {
    ADMIN_CONNECTIONS_MAX = 16,       /* at once, per door; more wait in the kernel */
    ADMIN_HEADER_MAX_BYTES = 8 << 10, /* request line and headers */
    ADMIN_BODY_MAX_BYTES = 64 << 10,  /* of a request */
    ADMIN_TIMEOUT_S = 10,             /* without progress, also between two requests */
    ADMIN_HOLD_MAX_US = 10000000,     /* a connection may last while others wait for its seat */
    ADMIN_ACCEPT_PAUSE_MS = 500,      /* after accept() failed for want of resources */
    ADMIN_FULL_PAUSE_MS = 100         /* between two looks whether a connection has ended */
};

struct admin_options {
    struct event_base *event_base;     /* outlives the admin */
    const struct admin_config *config; /* borrowed until admin_start() has returned */
    const char *default_socket;        /* path where config->socket is NULL; likewise */
    void (*info)(void *data, struct admin_info *ret); /* fills ret, called once per request */
    void *data;                                       /* its first argument */
};

/* 0 or -ENOMEM. */
int admin_new(const struct admin_options *options, struct admin **ret);

/* Opens the sockets and begins to answer. 0 or -errno with the error filled (may be NULL); nothing
 * is left open then. */
int admin_start(struct admin *admin, struct error *error);

/* Closes sockets and connections and removes the socket's file. May be called twice. libevent
 * releases the last of a connection in the loop's next round, or with the loop. */
void admin_stop(struct admin *admin);

struct admin *admin_free(struct admin *admin); /* stops; NULL accepted; returns NULL */

const char *admin_socket(const struct admin *admin); /* path of the unix socket, once started */
uint16_t admin_port(const struct admin *admin);      /* of the TCP door; 0: none */

#endif
