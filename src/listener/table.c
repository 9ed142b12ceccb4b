#include "listener/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/result.h"

enum { FIRST_SLOTS = 64 };

void conn_table_deinit(struct conn_table *table)
{
    assert(table->count == 0);
    free(table->slots);
    *table = (struct conn_table)CONN_TABLE_INIT;
}

static int grow(struct conn_table *table)
{
    if (table->cap >= CONN_TABLE_MAX)
        return result_origin(-ENOSPC);
    uint32_t cap = table->cap ? 2 * table->cap : FIRST_SLOTS;
    struct conn_slot *slots = realloc(table->slots, cap * sizeof *slots);
    if (!slots)
        return result_origin(-ENOMEM);
    table->slots = slots;
    table->cap = cap;
    return 0;
}

int conn_table_add(struct conn_table *table, struct conn *conn, unsigned listener,
                   uint64_t *ret_handle)
{
    assert(listener < CONN_TABLE_LISTENERS_MAX);
    uint32_t slot = table->first_free;
    if (slot < CONN_TABLE_MAX) {
        table->first_free = table->slots[slot].next_free;
    } else {
        int r = table->used == table->cap ? grow(table) : 0;
        if (r)
            return r;
        slot = table->used++;
        table->slots[slot].generation = 0;
    }
    struct conn_slot *s = &table->slots[slot];
    if (++s->generation == 0)
        s->generation = 1;
    s->conn = conn;
    table->count++;
    *ret_handle = (uint64_t)s->generation << 32 | (uint64_t)listener << 24 | slot;
    return 0;
}

void conn_table_remove(struct conn_table *table, uint64_t handle)
{
    assert(conn_table_get(table, handle));
    struct conn_slot *s = &table->slots[conn_handle_slot(handle)];
    s->conn = NULL;
    s->next_free = table->first_free;
    table->first_free = conn_handle_slot(handle);
    table->count--;
}

struct conn *conn_table_next(const struct conn_table *table, uint32_t *position)
{
    while (*position < table->used) {
        struct conn *conn = table->slots[(*position)++].conn;
        if (conn)
            return conn;
    }
    return NULL;
}
