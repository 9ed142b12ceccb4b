#ifndef SLUICE_STORE_BUDGET_H
#define SLUICE_STORE_BUDGET_H
/*
 * struct budget: how long commits must wait so that no more is written per day than was granted.
 * Pure: it is fed with the time and with what was written. Time is running time.
 *
 * An account: every second earns its part of the day's budget, every byte written costs. What it
 * holds decides:
 *
 *       a quarter of a day  it holds no more, so a burst after a quiet time costs at most that
 *                 an hour's  from here up nothing is delayed
 *                         0  from here down everything is delayed by the limit; between, in
 *                            proportion
 *   minus a quarter of a day  nor less, so that a load that even the limit could not slow down
 *                            enough is not paid for without end
 *
 * A longer delay makes larger groups and fewer writes, so the account settles where the load just
 * earns what it costs. It cannot swing: what it holds is the sum of the past, and the longer the
 * delay the faster it recovers; even the largest single cost, a checkpoint, is a small part of an
 * hour's budget unless that is tiny. In the long run exactly the budget is written, over any day at
 * most a quarter more; with a new account, which begins with an hour's, within a 24th of it.
 */
#include <stdbool.h>
#include <stdint.h>

struct budget {
    bool begun;    /* the rest is meaningful */
    double credit; /* bytes; of the budget as it was at now_us */
    int64_t now_us;
};

/* Goes on with a credit of before: as it was at run_us. */
void budget_resume(struct budget *budget, int64_t credit, int64_t run_us);
/* day_bytes: the budget, 0 for none: then the account is closed. A new one begins by itself. */
void budget_update(struct budget *budget, int64_t day_bytes, uint64_t spent_bytes, int64_t run_us);
/* At run_us, without changing anything: 0 to max_delay_us. */
int64_t budget_delay_us(const struct budget *budget, int64_t day_bytes, int64_t max_delay_us,
                        int64_t run_us);

#endif
