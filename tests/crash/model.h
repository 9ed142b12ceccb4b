#ifndef SLUICE_TESTS_CRASH_MODEL_H
#define SLUICE_TESTS_CRASH_MODEL_H
/* The model of test_model.c: what a store holds, too simple to be wrong, and the store beside it.
 * Whatever of the store does not look as the model says ends the program. */
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "dice.h"
#include "store/store_config.h"

struct segment;

enum {
    STREAMS = 4,
    DROPPING = 0, /* drops its oldest events */
    DROPPING_MAX_BYTES = 64 << 10,
    APPEND_MAX_BYTES = 21000, /* of one event and the rows it may begin */
    OWN_EVENTS_MAX = 64,      /* gap records in an open batch */
    CONSUMERS = 2,
    EVENTS_MAX = 1 << 22,
    TRIED_MAX = 256
};

/* The last stream has no consumer. */
extern const char *const model_streams[STREAMS];
extern const char *const model_consumers[CONSUMERS];
extern const unsigned model_consumer_streams[CONSUMERS]; /* the first so many streams are its */
extern int64_t model_now_us;

struct model_stream {
    struct bytes events;              /* struct specimen by offset */
    uint64_t first, committed, next;  /* next: of the open batch */
    uint64_t cursor[CONSUMERS];       /* as acknowledged */
    uint64_t cursor_saved[CONSUMERS]; /* as committed */
    uint64_t stored_bytes;            /* the most there was since the last commit */
    uint32_t id;
};

struct model {
    uint64_t seed, step;
    struct dice dice;
    struct model_stream streams[STREAMS];
    struct store_config config;
    struct store *store;
    struct store_reader *reader;
    struct range_feed *feeds[CONSUMERS];
    char base[256], directory[300];
    unsigned directories;
    uint32_t serial;
    uint64_t own_events; /* gap records that a failed commit left in the open batch */
    uint64_t gateway_at; /* gap records below were looked at */
    struct {
        uint64_t from, to;
        bool any;
    } gaps[CONSUMERS]; /* what the records that came since say was lost */
    bool gaps_bad;
    bool inexact; /* a commit failed: its gap records may tell of what was acknowledged since */
    bool
        hidden_moves; /* a persisted cursor lies before a drop, so acknowledging nothing moves it */
    unsigned tried_count; /* commits that failed since the last that did not */
    struct {
        uint64_t next[STREAMS], cursor[STREAMS][CONSUMERS];
    } tried[TRIED_MAX];
};

#define CHECK(m, condition) model_check((m), (condition), #condition, __LINE__)
void model_check(const struct model *m, bool ok, const char *what, int line);

static inline uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool model_has_cursor(unsigned consumer, unsigned stream);

/* Opens the store in m->directory, attaches the consumers, and closes them again. */
void model_open(struct model *m);
void model_attach(struct model *m, unsigned consumer);
void model_close(struct model *m);

/* What is acknowledged is committed. */
void model_save_cursors(struct model *m);

/* How far retention has gone, that it was allowed to, and that what was dropped is told. */
void model_follow(struct model *m);

/* The events of a segment from an offset on. */
void model_check_segment(struct model *m, unsigned stream, const struct segment *segment,
                         uint64_t from);
/* What one read at an offset yields; where the next one goes. */
uint64_t model_read(struct model *m, unsigned stream, uint64_t offset);

/* As after a kill: goes on with what the files hold at this moment. In model_kill.c. */
void model_kill(struct model *m);

#endif
