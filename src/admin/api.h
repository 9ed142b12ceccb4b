#ifndef SLUICE_ADMIN_API_H
#define SLUICE_ADMIN_API_H
/*
 * The admin API without its transport: a table of methods (path, verbs, function). http.c carries
 * requests in and answers out. Knows no sockets; any thread.
 *
 *   GET /healthz         200 while the process lives
 *   GET /readyz          200 if events are taken, else 503 with the reason
 *   GET /metrics         Prometheus text format
 *   GET /api/v1/status   JSON, see status.h
 */
#include "base/bytes.h"

struct admin_info;

enum { API_BODY_MAX_BYTES = 16 << 20 };

struct api_answer {
    int status;               /* HTTP status code */
    const char *content_type; /* static */
    const char *allow;        /* value of the Allow header, or NULL; static */
    struct bytes body;        /* owned */
};

#define API_ANSWER_INIT                                                                            \
    {                                                                                              \
        .status = 0, .body = BYTES_INIT(API_BODY_MAX_BYTES)                                        \
    }

void api_answer_deinit(struct api_answer *answer);

/* Answers one request. verb is "GET", "HEAD", …; path has no query. HEAD is answered like GET; the
 * transport leaves the body out. Unknown paths give 404, wrong verbs 405. answer is an initialised,
 * empty one. 0, -ENOMEM, -EMSGSIZE (more than API_BODY_MAX_BYTES). */
int api_request(const struct admin_info *info, const char *verb, const char *path,
                struct api_answer *answer);

#endif
