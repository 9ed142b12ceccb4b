#ifndef SLUICE_STORE_EPOCH_H
#define SLUICE_STORE_EPOCH_H
/* When an epoch begins, and the two places that say which one it is: the database and the file
 * beside it. The concept stands at the head of epoch.c. Of the store room alone; the thread of
 * store.h. */
#include <stdbool.h>

struct store;
struct stream;

/* In the transaction that opens the store, with all streams there: compares what the database, the
 * file and the machine say, begins an epoch where offsets might be given twice, with its notice
 * appended, and counts this start. unclean: the last run may have lost what it acknowledged. 0 or
 * -errno. epoch_opened() when it committed. */
int epoch_open(struct store *store, bool unclean);
void epoch_opened(struct store *store);

/* Notes from where on the ids of a new stream belong to the epoch. In a transaction. 0, -errno. */
int epoch_write_stream(struct store *store, const struct stream *stream);

/* In a commit's transaction and after it: begins the epoch that store_epoch_begin() asked for, if
 * it did. 0, -errno. */
bool epoch_waiting(const struct store *store);
int epoch_commit(struct store *store);
void epoch_committed(struct store *store);

/* In the transaction that ends the run, and after it. 0, -errno. */
int epoch_close(struct store *store);
void epoch_closed(struct store *store);

/* Brings the file up to date if it is time. */
void epoch_maintain(struct store *store);

#endif
