#ifndef SLUICE_STORE_DRAFT_H
#define SLUICE_STORE_DRAFT_H
/*
 * struct draft: the database that salvage makes, under a name at which nothing looks for one.
 * Rows come in any order and more than once (draft.c); then what they say is brought into agreement
 * (resolve.c): no offset twice, no cursor beyond what is known, sums that hold. What is still to be
 * told (a new epoch, gaps) stands in table meta until the store has told it, see quarantine.h.
 *
 * Bounded memory; one thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "store/internal.h"
#include "store/rows.h"

enum {
    DRAFT_COMMIT_BYTES = 4 * 1024 * 1024, /* of one transaction */
    DRAFT_GAPS_MAX = 1000                 /* told one by one; then one more per stream */
};

/* What the rows that were found say of a stream, besides its row. */
struct draft_name {
    uint32_t id;
    char name[STORE_STREAM_NAME_MAX_BYTES];
};

/* What became of the store. */
struct salvage_report;

struct draft {
    struct database database;
    struct pack_context *pack;
    struct bytes unpacked, packed; /* of a batch that is cut */
    uint64_t pending_bytes;        /* written and not committed */
    unsigned name_count;
    struct draft_name names[STORE_STREAMS_MAX];
    unsigned gap_rows; /* keys given */
    struct salvage_report *report;
};

#define DRAFT_SALVAGED_KEY "salvaged" /* meta: which quarantine, until it has been told */

/* Makes the database; report is filled in meanwhile and borrowed. 0, -errno. */
int draft_open(struct draft *draft, const char *path, struct salvage_report *report);
void draft_close(struct draft *draft); /* may be closed already */

int draft_put(struct draft *draft, const struct row *row); /* 0, -errno */
int draft_put_batch(struct draft *draft, const struct batch_row *row, uint32_t crc,
                    struct slice data);
int draft_put_meta(struct draft *draft, const char *key, const char *text);
/* After something was written: commits when it is time, or at once. 0, -errno. */
int draft_wrote(struct draft *draft, uint64_t bytes);
int draft_commit(struct draft *draft);

/* resolve.c. 0, -errno. */
int draft_resolve(struct draft *draft);

#endif
