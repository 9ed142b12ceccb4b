#ifndef SLUICE_CLI_ADMIN_CLIENT_H
#define SLUICE_CLI_ADMIN_CLIENT_H
/*
 * A small HTTP/1.1 client for the daemon's admin API on its unix socket: one request, one
 * connection, blocking with a deadline. No redirects, no chunks, no TLS: the daemon sends none.
 */
#include "base/bytes.h"

struct error;

enum {
    ADMIN_CLIENT_HEADER_MAX_BYTES = 16 << 10,
    ADMIN_CLIENT_BODY_MAX_BYTES = 16 << 20,
    ADMIN_CLIENT_DEADLINE_MS = 10000 /* of a whole request, by default */
};

/* GETs path from the daemon at the socket. deadline_ms <= 0 means ADMIN_CLIENT_DEADLINE_MS. body is
 * an empty buffer of the caller that receives the body; its maximum is the limit. 0 with the HTTP
 * status in *ret_status, whatever that is; or -errno with the error filled, which says what to look
 * at (is the daemon running? which socket? permission?): -ETIMEDOUT, -EPROTO (not HTTP), -EMSGSIZE,
 * -ECONNREFUSED, -ENOENT, -EACCES … */
int admin_client_get(const char *socket_path, const char *path, int deadline_ms,
                     struct error *error, struct bytes *body, int *ret_status);

#endif
