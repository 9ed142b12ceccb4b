/*
 * Power cuts, simulated: a real store lives on a file system that writes down what is done to it
 * (crash_vfs.h); then, for every point before a sync and some between, the disk is made as a power
 * cut there may leave it (disk.h), opened by the real store and held against what had been
 * acknowledged until then (life.h):
 *
 *   - it opens, under the identity it had shown;
 *   - every acknowledged event is there, in order, byte for byte, but for what retention had
 * evicted;
 *   - nothing else is there but events of a commit under way, and of that all or nothing, over all
 *     streams and cursors;
 *   - no cursor is beyond, or behind, what its consumer acknowledged and the commit took;
 *   - appending goes on behind all that, so no offset is given twice under one epoch.
 *
 * With durability "process" acknowledged events may be lost; then the epoch must be another.
 *
 * A chain is three lives: each but the first begins on one of the images of the one before, so that
 * power also fails while the store recovers. Everything but epoch and gateway id follows from the
 * seed of the chain.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/metrics.h"
#include "crash_vfs.h"
#include "dice.h"
#include "disk.h"
#include "life.h"
#include "specimen.h"

enum {
    GENERATIONS = 3,
    RANDOM_IMAGES = 3,        /* of each cut, besides "nothing" and "everything" */
    LARGE_IMAGES = 300,       /* of a large life, about */
    BAD_MAX = 10,             /* then it is enough */
    PROGRESS_IMAGES = 100000, /* a line after so many */
    TROUBLE = 99              /* exit code: the test itself, not the store */
};

static const char *const loss_names[] = {"synced", "written", "some"};
static const char *const durability_names[] = {"power", "process"};

struct test {
    uint64_t images_wanted, seed, chains;
    const char *psow, *durability; /* NULL: as the seed says */
    enum crash_lie lie;
    bool keep, damage_header, lost_on_error;
    char base[256], live[320], image[320], next[320];
    uint64_t images, cuts, lives, bad, thorough;
    struct timespec began;
};

/* One life and how its images are made. */
struct generation {
    struct life_options options;
    uint64_t chain;
    unsigned number;
    struct crash_log *log;
    struct history *history;
    struct dice pick; /* of the image the next life begins on */
    uint64_t picked_of;
    struct state picked;
    size_t picked_position;
};

static double seconds_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static void report(struct test *t, const struct generation *g, const struct disk *disk,
                   const struct disk_cut *cut, unsigned variant, const char *why)
{
    t->bad++;
    printf("BAD chain seed %" PRIu64 " life %u (psow=%d durability=%s%s) cut at line %zu of %zu,"
           " image %u (%s): %s\n",
           g->chain, g->number, g->options.disk.psow, durability_names[g->options.durability],
           g->options.large ? " large" : "", disk_position(disk), crash_log_count(g->log), variant,
           loss_names[cut->loss], why);
    if (!t->keep)
        return;
    char kept[340];
    snprintf(kept, sizeof(kept), "%s/bad-%" PRIu64, t->base, t->bad);
    if (mkdir(kept, 0700) == 0) {
        disk_image(disk, cut, kept);
        printf("    kept in %s\n", kept);
    }
}

static void try_image(struct test *t, struct generation *g, const struct disk *disk,
                      unsigned variant)
{
    static const enum disk_loss losses[] = {DISK_LOSS_NONE, DISK_LOSS_ALL};
    size_t position = disk_position(disk);
    const struct disk_cut cut = {.loss = variant < 2 ? losses[variant] : DISK_LOSS_SOME,
                                 .psow = g->options.disk.psow,
                                 .spare_header = !t->damage_header,
                                 .seed = dice_mix(g->options.seed + variant, position)};
    struct state state;
    bool thorough = t->images % 16 == 0;
    disk_image(disk, &cut, t->image);
    const char *why = history_judge(g->history, position, t->image, thorough, &state);
    t->images++;
    t->thorough += thorough;
    if (why)
        report(t, g, disk, &cut, variant, why);
    else if (dice_below(&g->pick, ++g->picked_of) == 0) {
        g->picked = state;
        g->picked_position = position;
        if (!g->history->opening_count || g->history->openings[0].end > position)
            g->picked.epoch[0] = '\0'; /* nobody had seen it yet */
        disk_image(disk, &cut, t->next);
    }
    if (t->images % PROGRESS_IMAGES == 0)
        fprintf(stderr, "%" PRIu64 " images, %" PRIu64 " bad, %.0f s\n", t->images, t->bad,
                seconds_since(&t->began));
}

static bool is_sync(const struct crash_log *log, size_t line)
{
    enum crash_op_kind kind = crash_log_op(log, line)->kind;
    return kind == CRASH_SYNC || kind == CRASH_DIRECTORY;
}

static bool enough(const struct test *t)
{
    return t->bad >= BAD_MAX || (!t->chains && t->images >= t->images_wanted);
}

static void try_all(struct test *t, struct generation *g)
{
    struct disk *disk = disk_new(g->log);
    struct dice dice = {dice_mix(g->options.seed, 1)};
    size_t count = crash_log_count(g->log), syncs = 0;
    for (size_t i = g->log->start; i < count; i++)
        syncs += is_sync(g->log, i);
    uint64_t every = g->options.large ? 1 + syncs * (2 + RANDOM_IMAGES) / LARGE_IMAGES : 1;
    while (disk_position(disk) < g->log->start)
        disk_step(disk);
    while (!enough(t)) {
        size_t position = disk_position(disk);
        bool cut = position == count || is_sync(g->log, position) || dice_one_in(&dice, 32);
        if (cut && dice_one_in(&dice, every)) {
            t->cuts++;
            unsigned variants = disk_uncertain(disk) ? 2 + RANDOM_IMAGES : 1;
            for (unsigned i = 0; i < variants; i++)
                try_image(t, g, disk, i);
        }
        if (position == count)
            break;
        disk_step(disk);
    }
    disk_free(disk);
}

static void make_directory(const char *path)
{
    specimen_directory_remove(path);
    if (mkdir(path, 0700)) {
        perror(path);
        exit(TROUBLE);
    }
}

static void run_chain(struct test *t, uint64_t seed)
{
    struct dice dice = {seed};
    struct history *history = history_new();
    struct state state = {.epoch = ""};
    size_t position = 0;
    bool psow = dice_one_in(&dice, 2);
    bool process = dice_one_in(&dice, 8);
    make_directory(t->live);
    if (t->psow)
        psow = strcmp(t->psow, "1") == 0;
    if (t->durability)
        process = strcmp(t->durability, "process") == 0;
    for (unsigned i = 0; i < GENERATIONS && !enough(t); i++) {
        struct generation g = {.chain = seed,
                               .number = i,
                               .log = crash_log_new(),
                               .history = history,
                               .pick = {dice_next(&dice)}};
        g.options = (struct life_options){
            .seed = dice_next(&dice),
            .durability = process ? STORE_DURABILITY_PROCESS : STORE_DURABILITY_POWER,
            .large = dice_one_in(&dice, 16),
            .disk = {.psow = psow, .lost_on_error = t->lost_on_error, .lie = t->lie}};
        make_directory(t->next);
        history_begin(history, g.options.durability, position, &state);
        life_run(&g.options, t->live, g.log, history);
        t->lives++;
        try_all(t, &g);
        crash_log_free(g.log);
        if (!g.picked_of)
            break;
        state = g.picked;
        position = g.picked_position;
        char swap[sizeof(t->live)];
        memcpy(swap, t->live, sizeof(swap));
        memcpy(t->live, t->next, sizeof(swap));
        memcpy(t->next, swap, sizeof(swap));
    }
    history_free(history);
}

static int usage(void)
{
    fprintf(stderr, "usage: test_power_cut [--images N | --chains N] [--seed N] [--psow 0|1]\n"
                    "    [--durability power|process] [--omit-sync wal|database|directory]"
                    " [--damage-header] [--failed-sync-loses] [--keep]\n");
    return TROUBLE;
}

static bool read_lie(const char *text, enum crash_lie *ret)
{
    static const char *const names[] = {"", "wal", "database", "directory"};
    for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum crash_lie)i;
            return true;
        }
    }
    return false;
}

static bool read_arguments(struct test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *key = argv[i];
        if (strcmp(key, "--keep") == 0) {
            t->keep = true;
            continue;
        }
        if (strcmp(key, "--damage-header") == 0) {
            t->damage_header = true;
            continue;
        }
        if (strcmp(key, "--failed-sync-loses") == 0) {
            t->lost_on_error = true;
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (!value)
            return false;
        if (strcmp(key, "--images") == 0)
            t->images_wanted = strtoull(value, NULL, 10);
        else if (strcmp(key, "--chains") == 0)
            t->chains = strtoull(value, NULL, 10);
        else if (strcmp(key, "--seed") == 0)
            t->seed = strtoull(value, NULL, 10);
        else if (strcmp(key, "--psow") == 0)
            t->psow = value;
        else if (strcmp(key, "--durability") == 0)
            t->durability = value;
        else if (strcmp(key, "--omit-sync") != 0 || !read_lie(value, &t->lie))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct test t = {.images_wanted = 10000, .seed = 1};
    if (!read_arguments(&t, argc, argv))
        return usage();
    clock_gettime(CLOCK_MONOTONIC, &t.began);
    specimen_directory(t.base);
    snprintf(t.live, sizeof(t.live), "%s/one", t.base);
    snprintf(t.next, sizeof(t.next), "%s/two", t.base);
    snprintf(t.image, sizeof(t.image), "%s/image", t.base);
    make_directory(t.image);
    crash_vfs_install();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("first seed %" PRIu64 "\n", t.seed);
    uint64_t chain = 0;
    for (; !enough(&t) && (!t.chains || chain < t.chains); chain++)
        run_chain(&t, t.seed + chain);
    printf("%" PRIu64 " chains, %" PRIu64 " lives, %" PRIu64 " cuts, %" PRIu64
           " images checked by SQLite as well, %.1f s\n",
           chain, t.lives, t.cuts, t.thorough, seconds_since(&t.began));
    uint64_t repacked = 0;
    for (const struct metric_set *set = NULL; (set = metric_set_next(set, METRIC_GROUP_STREAM));)
        repacked += metric_get(set, METRIC_STREAM_REPACKED_BATCHES);
    printf("%" PRIu64 " batches re-packed\n", repacked);
    printf("%" PRIu64 " crash images, %" PRIu64 " bad\n", t.images, t.bad);
    if (t.keep && t.bad)
        specimen_directory_keep();
    if (!repacked && !t.bad && t.images >= 2000)
        return TROUBLE; /* what is not done is not tested */
    return t.bad ? 1 : 0;
}
