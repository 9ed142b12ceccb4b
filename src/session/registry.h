#ifndef SLUICE_SESSION_REGISTRY_H
#define SLUICE_SESSION_REGISTRY_H
/*
 * Which session a client identifier belongs to: at most one at a time [MQTT-3.1.4-3]. A hash table
 * that links the sessions themselves; bounded by the number of connections. Owned by the edge
 * thread.
 */
#include <stddef.h>
#include <stdint.h>

struct session;

struct session_registry {
    struct session **buckets; /* owned; bucket_count is a power of two or 0 */
    size_t bucket_count;
    size_t count;
    uint64_t seed; /* so that nobody can choose client ids that fall into one bucket */
};

/* 0 or -ENOMEM. */
int session_registry_init(struct session_registry *registry);
void session_registry_deinit(struct session_registry *registry); /* must be empty */

/* Makes session the holder of its client id. Returns the session that held it until now and is not
 * in the registry any more, or NULL. */
struct session *session_registry_claim(struct session_registry *registry, struct session *session);

/* Takes session out, if it is in. */
void session_registry_release(struct session_registry *registry, struct session *session);

#endif
