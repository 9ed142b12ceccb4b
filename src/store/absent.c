/*
 * A range belongs to whoever attaches under its consumer's name. One whose upstream was renamed or
 * taken out of the configuration holds its events for ever, which nobody sees before the disk is
 * full. The store does not know the configuration: who has not attached a minute after the start
 * is taken for absent. Said once per range and start; "sluice forget" ends it.
 */
#include "store/internal.h"

#include <string.h>

#include "base/log.h"

enum { ABSENT_AFTER_US = 60 * 1000000 };

static bool is_absent(const struct store *store, const struct cursor *cursor)
{
    for (unsigned i = 0; i < store->cursor_count; i++)
        if (store->cursors[i].feed && store->cursors[i].stream == cursor->stream &&
            strcmp(store->cursors[i].consumer, cursor->consumer) == 0)
            return false;
    return true;
}

void cursor_tell_absent(struct store *store)
{
    int64_t now_us = clock_monotonic_us(store->clock);
    if (!store->absent_due_us)
        store->absent_due_us = store->opened_us + ABSENT_AFTER_US;
    if (now_us < store->absent_due_us)
        return;
    store->absent_due_us = now_us + ABSENT_AFTER_US;
    for (unsigned i = 0; i < store->cursor_count; i++) {
        struct cursor *cursor = &store->cursors[i];
        const struct stream *stream = stream_find(store, cursor->stream);
        uint64_t from = cursor->next, to = cursor->end;
        if (!stream || cursor->told || !cursor_holds(cursor) || !is_absent(store, cursor))
            continue;
        from = from > stream->first_offset ? from : stream->first_offset;
        to = to < stream->next_offset ? to : stream->next_offset;
        if (from >= to)
            continue;
        cursor->told = true;
        log_warn("store",
                 "events are kept for an upstream that is not there; \"sluice forget\" gives it up",
                 "upstream=\"%s\" stream=%s events=%llu", cursor->consumer, stream->name,
                 (unsigned long long)(to - from));
    }
}
