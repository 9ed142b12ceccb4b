#ifndef SLUICE_STORE_IDENTITY_H
#define SLUICE_STORE_IDENTITY_H
/*
 * struct identity: what a database had come to when its file "sluice.id" was last written. The file
 * lies beside the database and is not restored with it, so a database that knows less than the file
 * is an older one. One line of text, closed by its own checksum:
 *
 *   sluice-identity 1 epoch=<16 hex> run=<decimal> machine=<16 hex or "unknown"> total=<decimal>
 * crc=<8 hex>
 *
 * It is replaced as a whole, by a rename. Of the store room alone; one thread.
 */
#include <stdint.h>

enum {
    IDENTITY_EPOCH_MAX_BYTES = 17,  /* 16 hex digits and a NUL */
    IDENTITY_MACHINE_MAX_BYTES = 17 /* likewise, or IDENTITY_UNKNOWN */
};
#define IDENTITY_FILE_NAME "sluice.id"
#define IDENTITY_UNKNOWN "unknown" /* a machine that does not say who it is: never compared */

struct identity {
    char epoch[IDENTITY_EPOCH_MAX_BYTES]; /* "": none */
    char machine[IDENTITY_MACHINE_MAX_BYTES];
    uint64_t run;   /* see epoch.c */
    uint64_t total; /* events ever stored: the sum of next_offset over all streams */
};

/* The file in directory. 0; IDENTITY_NONE: there is none, or what is there is not what was written;
 * -errno. */
enum identity_outcome { IDENTITY_NONE = 1 };
int identity_read(const char *directory, struct identity *ret);

/* Replaces the file in directory; when it returns 0 the new one has been synced. -errno: the old
 * one is there, or, where only the last sync failed, the new one. */
int identity_write(const char *directory, const struct identity *identity);

/* A hash of text, or with NULL of the system's own machine id; IDENTITY_UNKNOWN if it has none. The
 * id itself is told to nobody: machine-id(5) calls it confidential. */
void identity_machine(const char *text, char ret[IDENTITY_MACHINE_MAX_BYTES]);

/* 2 * bytes random hex digits and a NUL; at most 16 bytes. 0 or -EIO. */
int identity_random(char *text, unsigned bytes);

#endif
