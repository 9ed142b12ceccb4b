#ifndef SLUICE_LISTENER_TABLE_H
#define SLUICE_LISTENER_TABLE_H
/*
 * The connections by handle. What crosses threads names a connection by handle, never by pointer: a
 * slot that is used again has a new generation, so that an answer for a connection that is gone
 * finds nobody. Edge thread.
 *
 *   handle = generation (32 bits, never 0) | listener (8 bits) | slot (24 bits); 0 is no handle
 */
#include <stddef.h>
#include <stdint.h>

struct conn;

enum { CONN_TABLE_MAX = 1 << 24, CONN_TABLE_LISTENERS_MAX = 1 << 8 };

struct conn_slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct conn_table {
    struct conn_slot *slots; /* owned */
    uint32_t used;           /* slots ever used; those beyond are untouched */
    uint32_t cap;
    uint32_t first_free; /* CONN_TABLE_MAX: none below used */
    uint32_t count;      /* connections */
};

#define CONN_TABLE_INIT                                                                            \
    {                                                                                              \
        .slots = NULL, .first_free = CONN_TABLE_MAX                                                \
    }

void conn_table_deinit(struct conn_table *table); /* must be empty */

/* 0 or -ENOMEM, -ENOSPC. listener below CONN_TABLE_LISTENERS_MAX. */
int conn_table_add(struct conn_table *table, struct conn *conn, unsigned listener,
                   uint64_t *ret_handle);
void conn_table_remove(struct conn_table *table, uint64_t handle); /* must be there */

/* Iteration over what is there: *position starts at 0; NULL at the end. The table may change
 * meanwhile. */
struct conn *conn_table_next(const struct conn_table *table, uint32_t *position);

static inline uint32_t conn_handle_slot(uint64_t handle)
{
    return (uint32_t)handle & (CONN_TABLE_MAX - 1);
}

static inline unsigned conn_handle_listener(uint64_t handle)
{
    return (unsigned)(handle >> 24) & (CONN_TABLE_LISTENERS_MAX - 1);
}

/* NULL: gone. */
static inline struct conn *conn_table_get(const struct conn_table *table, uint64_t handle)
{
    uint32_t slot = conn_handle_slot(handle);
    if (slot >= table->used || table->slots[slot].generation != (uint32_t)(handle >> 32))
        return NULL;
    return table->slots[slot].conn;
}

#endif
