#include "specimen.h"

#include <assert.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dice.h"

static const char *const topics[] = {"site/a/boiler/telemetry", "site/b/pump/state",
                                     "site/b/valve/alarm/high"};

struct event specimen_event(const struct specimen *specimen)
{
    static uint64_t payload[SPECIMEN_MAX_BYTES / sizeof(uint64_t) + 1];
    assert(specimen->bytes <= SPECIMEN_MAX_BYTES);
    struct dice dice = {specimen->serial};
    uint64_t word = dice_next(&dice);
    for (size_t i = 0; i * sizeof(word) < specimen->bytes; i++)
        payload[i] = specimen->smooth && i % 64 ? word : dice_next(&dice);
    return (struct event){
        .topic = slice_string(topics[specimen->serial % (sizeof(topics) / sizeof(topics[0]))]),
        .device = SLICE_LITERAL("boiler"),
        .type = SLICE_LITERAL("test"),
        .payload = slice_make(payload, specimen->bytes),
        .received_us = specimen->wall_us ? specimen->wall_us : SPECIMEN_BASE_US + specimen->serial,
        .time_us = specimen->serial % 2 ? EVENT_NO_TIME : (int64_t)specimen->serial,
        .quality = specimen->unsynced ? CLOCK_UNSYNCED : CLOCK_SYNCED,
        .qos = 1};
}

bool specimen_is(const struct specimen *specimen, const struct event *event)
{
    struct event expected = specimen_event(specimen);
    if (specimen->unsynced && event->quality == CLOCK_CORRECTED) {
        expected.quality = CLOCK_CORRECTED;
        expected.received_us = SPECIMEN_BASE_US + specimen->monotonic_us;
    }
    return event->received_us == expected.received_us && event->quality == expected.quality &&
           event->time_us == expected.time_us && event->qos == expected.qos &&
           slice_equal(event->topic, expected.topic) &&
           slice_equal(event->device, expected.device) && slice_equal(event->type, expected.type) &&
           slice_equal(event->payload, expected.payload);
}

static char directory[256]; /* to be removed */

static void at_exit(void)
{
    if (directory[0])
        specimen_directory_remove(directory);
}

void specimen_directory_keep(void)
{
    directory[0] = '\0';
}

void specimen_directory(char path[256])
{
    const char *tmp = getenv("TMPDIR");
    const char *places[] = {"/dev/shm", tmp && strlen(tmp) < 128 ? tmp : P_tmpdir, P_tmpdir};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char template[160], real[PATH_MAX];
        snprintf(template, sizeof(template), "%s/sluice-crash-XXXXXX", places[i]);
        if (access(places[i], W_OK) == 0 && mkdtemp(template) && realpath(template, real) &&
            strlen(real) < 256) {
            memcpy(path, real, strlen(real) + 1);
            memcpy(directory, real, strlen(real) + 1);
            atexit(at_exit);
            return;
        }
    }
    perror("no directory for the test");
    exit(99);
}

void specimen_directory_remove(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char name[512];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
            specimen_directory_remove(name);
        else
            unlink(name);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}
