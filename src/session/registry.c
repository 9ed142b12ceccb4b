#include "session/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/result.h"
#include "session/session.h"

enum { FIRST_BUCKETS = 64 };

/* FNV-1a from a random start, with a final mix: buckets are taken from the low bits. */
static uint64_t hash(const struct session_registry *registry, struct slice id)
{
    uint64_t h = registry->seed;
    for (size_t i = 0; i < id.len; i++)
        h = (h ^ id.data[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

int session_registry_init(struct session_registry *registry)
{
    *registry = (struct session_registry){.bucket_count = FIRST_BUCKETS};
    if (getrandom(&registry->seed, sizeof registry->seed, GRND_NONBLOCK) < 0)
        registry->seed = (uint64_t)(uintptr_t)registry; /* early boot: better than waiting */
    registry->buckets = calloc(FIRST_BUCKETS, sizeof(struct session *));
    return registry->buckets ? 0 : result_origin(-ENOMEM);
}

void session_registry_deinit(struct session_registry *registry)
{
    assert(registry->count == 0);
    free(registry->buckets);
    *registry = (struct session_registry){.buckets = NULL};
}

static struct session **bucket(const struct session_registry *registry, uint64_t h)
{
    return &registry->buckets[h & (registry->bucket_count - 1)];
}

/* Without memory the table stays as it is: chains get longer, nothing else. */
static void grow(struct session_registry *registry)
{
    struct session_registry larger = *registry;
    larger.bucket_count *= 2;
    larger.buckets = calloc(larger.bucket_count, sizeof(struct session *));
    if (!larger.buckets)
        return;
    for (size_t i = 0; i < registry->bucket_count; i++)
        for (struct session *s = registry->buckets[i], *next; s; s = next) {
            next = s->registry_next;
            struct session **head = bucket(&larger, s->registry_hash);
            s->registry_next = *head;
            *head = s;
        }
    free(registry->buckets);
    *registry = larger;
}

struct session *session_registry_claim(struct session_registry *registry, struct session *session)
{
    assert(!session->registered);
    session->registry_hash = hash(registry, session_client(session));
    struct session **at = bucket(registry, session->registry_hash);
    while (*at && !((*at)->registry_hash == session->registry_hash &&
                    slice_equal(session_client(*at), session_client(session))))
        at = &(*at)->registry_next;
    struct session *previous = *at;
    session->registry_next = previous ? previous->registry_next : NULL;
    *at = session;
    session->registered = true;
    if (previous) {
        previous->registered = false;
        previous->registry_next = NULL;
    } else if (++registry->count > registry->bucket_count) {
        grow(registry);
    }
    return previous;
}

void session_registry_release(struct session_registry *registry, struct session *session)
{
    if (!session->registered)
        return;
    struct session **at = bucket(registry, session->registry_hash);
    while (*at != session)
        at = &(*at)->registry_next;
    *at = session->registry_next;
    session->registry_next = NULL;
    session->registered = false;
    registry->count--;
}
