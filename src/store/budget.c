#include "store/budget.h"

#define DAY_US (INT64_C(24) * 3600 * 1000000)

enum {
    CREDIT_SHARE = 4,   /* of a day: what may be held, and owed */
    RAMP_SHARE = 24,    /* of a day: below it commits are delayed */
    DELAY_MIN_US = 1000 /* less is none: it would only keep groups from being committed at once */
};

static double held(const struct budget *budget, int64_t day_bytes, int64_t run_us)
{
    double day = (double)day_bytes, most = day / CREDIT_SHARE;
    double credit = budget->credit + day * (double)(run_us - budget->now_us) / (double)DAY_US;
    return credit > most ? most : credit;
}

void budget_resume(struct budget *budget, int64_t credit, int64_t run_us)
{
    *budget = (struct budget){.begun = true, .credit = (double)credit, .now_us = run_us};
}

void budget_update(struct budget *budget, int64_t day_bytes, uint64_t spent_bytes, int64_t run_us)
{
    if (!day_bytes) {
        budget->begun = false;
        return;
    }
    if (!budget->begun)
        budget_resume(budget, day_bytes / RAMP_SHARE, run_us);
    double least = -(double)day_bytes / CREDIT_SHARE;
    double credit = held(budget, day_bytes, run_us) - (double)spent_bytes;
    budget->credit = credit < least ? least : credit;
    budget->now_us = run_us;
}

int64_t budget_delay_us(const struct budget *budget, int64_t day_bytes, int64_t max_delay_us,
                        int64_t run_us)
{
    if (!day_bytes || !budget->begun)
        return 0;
    double ramp = (double)day_bytes / RAMP_SHARE, credit = held(budget, day_bytes, run_us);
    if (credit >= ramp)
        return 0;
    if (credit <= 0)
        return max_delay_us;
    int64_t delay_us = (int64_t)((double)max_delay_us * (1 - credit / ramp));
    return delay_us < DELAY_MIN_US ? 0 : delay_us;
}
