/* What a life promised, and how it goes on in the next one. */
#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "specimen.h"

enum { EVENTS_MAX = 1 << 20 };

struct history *history_new(void)
{
    struct history *history = calloc(1, sizeof(*history));
    if (!history) {
        fprintf(stderr, "history: no memory\n");
        exit(99); /* trouble of the test itself: never an expected failure */
    }
    for (unsigned i = 0; i < LIFE_STREAMS; i++)
        history->events[i] = (struct bytes)BYTES_INIT(EVENTS_MAX * sizeof(struct specimen));
    return history;
}

struct history *history_free(struct history *history)
{
    if (!history)
        return NULL;
    for (unsigned i = 0; i < LIFE_STREAMS; i++)
        bytes_deinit(&history->events[i]);
    free(history);
    return NULL;
}

/* Of the attempts so far those stay that the image may be of. */
static void keep_attempts(struct history *history, size_t position)
{
    unsigned from = 0, kept = 0;
    for (unsigned i = 0; i < history->attempt_count; i++)
        if (history->attempts[i].acknowledged && history->attempts[i].end <= position)
            from = i;
    if (history->durability == STORE_DURABILITY_PROCESS)
        from = 0;
    for (unsigned i = from; i < history->attempt_count; i++) {
        if (history->attempts[i].begin > position)
            break;
        history->attempts[kept] = history->attempts[i];
        history->attempts[kept].begin = history->attempts[kept].end = 0;
        history->attempts[kept].acknowledged = kept == 0;
        kept++;
    }
    history->attempt_count = kept;
}

void history_begin(struct history *history, enum store_durability durability, size_t position,
                   const struct state *state)
{
    keep_attempts(history, position);
    history->durability = durability;
    history->step_count = history->opening_count = 0;
    struct attempt *first = &history->attempts[history->attempt_count];
    *first = (struct attempt){.acknowledged = true, .end = history->attempt_count ? LIFE_LATER : 0};
    history->attempt_count++;
    memcpy(first->next, state->next, sizeof(first->next));
    memcpy(first->cursor, state->cursor, sizeof(first->cursor));
    first->backlog = state->backlog;
    for (unsigned i = 0; i < LIFE_STREAMS; i++)
        history->events[i].len = state->next[i] * sizeof(struct specimen);
    if (state->epoch[0] && durability == STORE_DURABILITY_POWER) {
        memcpy(history->openings[0].epoch, state->epoch, sizeof(state->epoch));
        memcpy(history->openings[0].gateway_id, state->gateway_id, sizeof(state->gateway_id));
        history->openings[0].end = 0;
        history->opening_count = 1;
    }
}
