#ifndef SLUICE_TESTS_CRASH_LIFE_H
#define SLUICE_TESTS_CRASH_LIFE_H
/*
 * One run of a real store under a random but seeded load, and what it promised meanwhile: struct
 * history says for each line of the disk's log what was acknowledged and what was under way. From
 * it history_judge() says whether an image of the disk keeps the promises.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crash_vfs.h"
#include "store/store_config.h"

enum {
    LIFE_STREAMS = 4,
    LIFE_CURSORS = 3,  /* of two consumers over the first two streams */
    LIFE_SPLIT = 2,    /* this cursor, the second consumer's, is split */
    LIFE_DROPPING = 1, /* this stream drops its oldest events; the first consumer's alone */
    LIFE_ATTEMPTS_MAX = 2048,
    LIFE_STEPS_MAX = 4096,
    LIFE_OPENINGS_MAX = 64,
    LIFE_WHY_MAX_BYTES = 320
};
#define LIFE_LATER SIZE_MAX /* end of an attempt that counts as soon as the store has opened */

/* The backlog range of the second consumer in the first stream; all 0: there is none. */
struct backlog {
    int64_t id;
    uint64_t next, end;
};

/* What can be seen of a store. */
struct state {
    uint64_t first[LIFE_STREAMS], next[LIFE_STREAMS];
    uint64_t cursor[LIFE_CURSORS];
    struct backlog backlog;
    char epoch[17];
    char gateway_id[128];
};

/* A commit, or a split. Lines of the log: begun at begin; if acknowledged, over before end. */
struct attempt {
    size_t begin, end;
    bool acknowledged;
    uint64_t next[LIFE_STREAMS];
    uint64_t cursor[LIFE_CURSORS];
    struct backlog backlog;
};

struct history {
    enum store_durability durability;
    uint64_t boot;                     /* of this life */
    size_t synced_end;                 /* from here on its times are known; LIFE_LATER: never */
    struct bytes events[LIFE_STREAMS]; /* struct specimen by offset, as last appended */
    unsigned attempt_count;
    struct attempt attempts[LIFE_ATTEMPTS_MAX];
    unsigned step_count; /* how far retention had gone at the end of each step */
    struct {
        size_t end;
        uint64_t first[LIFE_STREAMS];
    } steps[LIFE_STEPS_MAX];
    unsigned opening_count; /* when store_open() or a commit with a new epoch returned, and with
                               which identity */
    struct {
        size_t begin, end; /* begin 0: it was opened */
        char epoch[17];
        char gateway_id[128];
    } openings[LIFE_OPENINGS_MAX];
};

struct life_options {
    uint64_t seed;
    enum store_durability durability;
    /* Until the store checkpoints (beside the commits) and vacuums by itself; else a few dozen
     * commits, and checkpoints at any time. */
    bool large;
    struct crash_disk disk;
};

struct history *history_new(void);
struct history *history_free(struct history *history);
/* A history that goes on from what an image showed, made of the first position lines of the log of
 * the one before. Only when the store has opened it is that promised: another power cut meanwhile
 * may still take what was under way before. The identity is empty unless it was shown already. */
void history_begin(struct history *history, enum store_durability durability, size_t position,
                   const struct state *state);

/* Lives on directory from where history begins, writing down log and history. */
void life_run(const struct life_options *options, const char *directory, struct crash_log *log,
              struct history *history);

/* Opens what is in directory as the store would after power came back, and holds it against what
 * history says of the log's first position lines. NULL, or what is wrong (static). thorough: with
 * SQLite's own check, too. The image is written to. */
const char *history_judge(const struct history *history, size_t position, const char *directory,
                          bool thorough, struct state *ret);

/* The settings of the streams; deinitialised by the caller. */
void life_config(bool large, enum store_durability durability, struct store_config *ret);
extern const char *const life_streams[LIFE_STREAMS];
extern const char *const life_consumers[2];
extern const unsigned life_consumer_streams[2]; /* so many from the first on */
extern const struct clock life_clock;           /* as far as the life has gone */

#endif
