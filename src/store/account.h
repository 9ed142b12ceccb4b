#ifndef SLUICE_STORE_ACCOUNT_H
#define SLUICE_STORE_ACCOUNT_H
/* What an open store has written, kept across its runs, and what follows from it: the metrics of
 * wear.h and the delay of budget.h. Of the store room alone; the writer's thread. */
#include <stdbool.h>
#include <stdint.h>

#include "store/budget.h"
#include "store/wear.h"

struct store;

struct account {
    struct wear wear;
    struct budget budget;
    int64_t saved_us;     /* running time */
    int64_t published_us; /* monotonic */
    bool saving;          /* the last transaction of a commit saves it */
};

/* Reads what was kept, and begins to count. In the transaction of the opening, when the running
 * time is known. 0, -errno. */
int account_load(struct store *store);
/* Writes it to meta, in a transaction: at once, or if the last time is an hour ago. A crash thus
 * loses an hour of it at most, and no commit is made for it. 0, -errno. */
int account_save(struct store *store);
int account_save_due(struct store *store);
/* Takes the counters as they are: between commits, and after the commit of a transaction that
 * account_save_due() was part of. */
void account_update(struct store *store);
void account_committed(struct store *store);

#endif
