#ifndef SLUICE_STORE_WEAR_H
#define SLUICE_STORE_WEAR_H
/*
 * struct wear: what the store costs the flash, over all runs and at the rates of the last hour and
 * day. Pure: it is fed with counters and the time. Time is running time, like that of retention; an
 * hour and a day are rolling, in quarters of an hour, and of a gateway that has not run for so long
 * the rates are those of the time it has.
 */
#include <stdint.h>

enum { WEAR_BUCKETS = 96 }; /* of a quarter of an hour */

/* Counters: of a process (as vfs.h counts), or over all runs. */
struct wear_counts {
    uint64_t written_bytes; /* handed to the file system */
    uint64_t flash_bytes;   /* reached the disk, estimated */
    uint64_t syncs;
    uint64_t appended_bytes; /* records, before compression */
};

struct wear {
    struct wear_counts total;                 /* over all runs; appended_bytes of this one */
    struct wear_counts last;                  /* as last fed */
    int64_t begun_us, now_us;                 /* running time of the first and the last feeding */
    struct wear_counts buckets[WEAR_BUCKETS]; /* by number, modulo */
};

/* total: of the runs before this one; now: the counters from which this one begins. */
void wear_init(struct wear *wear, const struct wear_counts *total, const struct wear_counts *now,
               int64_t run_us);
/* Counters that went back count as unchanged. run_us does not go back. */
void wear_update(struct wear *wear, const struct wear_counts *now, int64_t run_us);

/* Zero where nothing is known: before a minute has passed, or without the other side of a ratio. */
struct wear_rates {
    uint64_t written_bytes_hour, written_bytes_day; /* per hour and per day */
    uint64_t flash_bytes_hour, flash_bytes_day;
    uint64_t syncs_hour;
    uint64_t amplification; /* flash bytes per appended byte of the last day, in millionths */
    uint64_t life_seconds;  /* until endurance_bytes are used up, at the rate of the last day; 1 if
                               they are; INT64_MAX at most */
};
/* endurance_bytes: what the flash takes in its life; 0: not known. */
void wear_rates(const struct wear *wear, int64_t endurance_bytes, struct wear_rates *ret);

#endif
