#ifndef SLUICE_STORE_NOTICE_H
#define SLUICE_STORE_NOTICE_H
/*
 * What the store itself has to tell, appended to the stream "$gateway" and committed together with
 * what it tells about. Of the store room; others call store_notice() in store.h. Allowed as soon as
 * the streams are loaded; while the store is being opened, its transaction writes it.
 */
#include <stdint.h>

#include "event/notice.h"

struct store;

/* Events [from, to) of a stream that upstream (NULL: nobody, or not known which) will not get.
 * count may be less than to - from where some of them had been sent. epoch NULL: the current one.
 * Strings are borrowed for the call. */
struct gap {
    const char *stream;
    uint64_t from, to, count;
    const char *reason; /* "drop_oldest", "damaged", ... */
    const char *upstream;
    const char *epoch;
};

/* 0 or -errno; what cannot be appended is logged and counted by whoever calls. */
int notice_gap(struct store *store, const struct gap *gap);
/* The clock was synced for the first time in this boot; unsynced events are corrected by that. */
int notice_clock(struct store *store, int64_t correction_us);
int notice_epoch(struct store *store, const char *old_epoch, const char *reason);

#endif
