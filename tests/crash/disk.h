#ifndef SLUICE_TESTS_CRASH_DISK_H
#define SLUICE_TESTS_CRASH_DISK_H
/*
 * What is on the disk when power fails, made from a log of crash_vfs.h. A disk is moved along the
 * log line by line: what was synced is certain, and of everything since the last sync of a file,
 * each write may be there, missing, half there or garbage, in any order; likewise the names since
 * the last sync of the directory.
 *
 * Only ranges that were not yet synced are damaged. Where the disk has no powersafe overwrite, a
 * torn write takes the whole sectors it touches with it. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crash_log;
struct disk;

struct disk *disk_new(const struct crash_log *log); /* log is borrowed; stands before its line 0 */
struct disk *disk_free(struct disk *disk);

void disk_step(struct disk *disk); /* over the next line */
size_t disk_position(const struct disk *disk);
/* Whether anything is not certain, so that there is more than one image. */
bool disk_uncertain(const struct disk *disk);

/* Which of the images. */
enum disk_loss {
    DISK_LOSS_ALL,  /* nothing but what was synced */
    DISK_LOSS_NONE, /* everything that was written, as after the end of a process */
    DISK_LOSS_SOME  /* as seed says */
};
struct disk_cut {
    enum disk_loss loss;
    bool psow;
    bool spare_header; /* no garbage in the first sector of a database */
    uint64_t seed;
};

/* Makes directory (which exists) hold the image; removes other files but "lock". */
void disk_image(const struct disk *disk, const struct disk_cut *cut, const char *directory);

#endif
