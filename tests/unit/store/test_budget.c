#include "store/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US (24 * 3600 * SECOND_US)
#define LIMIT_US (20 * SECOND_US)

/* What a commit costs: pages of its own, and a share of the events in it; and now and then a
 * checkpoint, which copies a part of what was written. */
enum { COMMIT_BYTES = 8192, EVENT_BYTES = 300, CHECKPOINT_EVERY = 4 << 20, CHECKPOINT_SHARE = 6 };

struct load {
    struct budget budget;
    int64_t run_us, day_bytes, limit_us;
    double rate; /* events per second */
    uint64_t log_bytes, written;
    unsigned commits;
    int64_t delay_us, delay_min_us, delay_max_us;
    double turned_us; /* all ups and downs of the delay, added up */
};

/* One group: its first event, the delay, its commit. */
static void commit(struct load *load)
{
    int64_t before_us = load->delay_us;
    load->run_us += (int64_t)((double)SECOND_US / load->rate);
    load->delay_us = budget_delay_us(&load->budget, load->day_bytes, load->limit_us, load->run_us);
    load->run_us += load->delay_us;
    double events = 1 + load->rate * (double)load->delay_us / (double)SECOND_US;
    uint64_t bytes = COMMIT_BYTES + (uint64_t)(events * EVENT_BYTES);
    load->log_bytes += bytes;
    if (load->log_bytes >= CHECKPOINT_EVERY) {
        bytes += load->log_bytes / CHECKPOINT_SHARE;
        load->log_bytes = 0;
    }
    budget_update(&load->budget, load->day_bytes, bytes, load->run_us);
    load->written += bytes;
    load->commits++;
    load->turned_us += (double)(load->delay_us > before_us ? load->delay_us - before_us
                                                           : before_us - load->delay_us);
    if (load->delay_us < load->delay_min_us)
        load->delay_min_us = load->delay_us;
    if (load->delay_us > load->delay_max_us)
        load->delay_max_us = load->delay_us;
}

static void run(struct load *load, int64_t for_us)
{
    int64_t end_us = load->run_us + for_us;
    load->written = load->commits = 0;
    load->turned_us = 0;
    load->delay_min_us = INT64_MAX;
    load->delay_max_us = 0;
    while (load->run_us < end_us)
        commit(load);
}

/* What the load writes in a day without a budget. */
static uint64_t unlimited(double rate)
{
    struct load load = {.rate = rate, .limit_us = LIMIT_US};
    run(&load, DAY_US);
    assert_int_equal(load.delay_max_us, 0);
    return load.written;
}

static void test_four_times_the_budget_is_brought_down_to_it(void **state)
{
    (void)state;
    const double rates[] = {0.5, 1, 5};
    for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct load load = {.rate = rates[i],
                            .limit_us = LIMIT_US,
                            .day_bytes = (int64_t)(unlimited(rates[i]) / 4)};
        for (unsigned day = 0; day < 3; day++) {
            run(&load, DAY_US);
            assert_in_range(load.written, load.day_bytes * 95 / 100, load.day_bytes * 105 / 100);
        }
        /* It has settled: half of the limit is never left, and all turns of a day together are a
         * few of those that checkpoints must cause. */
        assert_true(load.delay_max_us - load.delay_min_us < LIMIT_US / 2);
        double checkpoints = (double)load.day_bytes / CHECKPOINT_EVERY;
        assert_true(load.turned_us < (checkpoints + 2) * LIMIT_US / 2);
        assert_true(load.turned_us / load.commits < LIMIT_US / 50);
    }
}

static void test_a_light_load_is_never_delayed(void **state)
{
    (void)state;
    struct load load = {.rate = 1, .limit_us = LIMIT_US};
    load.day_bytes = (int64_t)(unlimited(load.rate) * 5 / 4);
    run(&load, 3 * DAY_US);
    assert_int_equal(load.delay_max_us, 0);
}

static void test_the_limit_is_never_exceeded_and_the_debt_is_bounded(void **state)
{
    (void)state;
    struct load load = {.rate = 10, .limit_us = SECOND_US};
    load.day_bytes = (int64_t)(unlimited(load.rate) / 100);
    run(&load, 2 * DAY_US);
    assert_int_equal(load.delay_max_us, SECOND_US);
    assert_true(load.written > 3 * (uint64_t)load.day_bytes);
    /* A quarter of a day later, and an hour, nothing of it is left. */
    load.run_us += DAY_US / 4 + DAY_US / 24 + SECOND_US;
    assert_int_equal(budget_delay_us(&load.budget, load.day_bytes, load.limit_us, load.run_us), 0);
}

static void test_a_burst_after_a_quiet_day_is_not_delayed_until_its_credit_is_spent(void **state)
{
    (void)state;
    struct load load = {.rate = 1, .limit_us = LIMIT_US};
    load.day_bytes = (int64_t)(unlimited(load.rate) / 4);
    budget_update(&load.budget, load.day_bytes, 0, load.run_us);
    load.run_us += 5 * DAY_US;
    budget_update(&load.budget, load.day_bytes, 0, load.run_us);
    run(&load, 3600 * SECOND_US); /* a sixth of a day's budget */
    assert_int_equal(load.delay_max_us, 0);
    uint64_t burst = load.written;
    run(&load, DAY_US - 3600 * SECOND_US);
    assert_in_range(burst + load.written, load.day_bytes, load.day_bytes * 130 / 100);
    assert_true(load.delay_max_us > 0);
}

static void test_a_restart_neither_grants_nor_takes(void **state)
{
    (void)state;
    struct load load = {.rate = 1, .limit_us = LIMIT_US};
    load.day_bytes = (int64_t)(unlimited(load.rate) / 4);
    run(&load, DAY_US / 2);
    uint64_t written = load.written;
    for (unsigned i = 0; i < 100; i++) {
        int64_t credit = (int64_t)load.budget.credit;
        budget_resume(&load.budget, credit, load.run_us);
        run(&load, DAY_US / 200);
        written += load.written;
    }
    assert_in_range(written, load.day_bytes * 95 / 100, load.day_bytes * 105 / 100);
}

static void test_another_budget_takes_effect_at_once(void **state)
{
    (void)state;
    struct load load = {.rate = 1, .limit_us = LIMIT_US};
    uint64_t all = unlimited(load.rate);
    load.day_bytes = (int64_t)all * 2;
    run(&load, DAY_US);
    assert_int_equal(load.delay_max_us, 0);
    load.day_bytes = (int64_t)all / 4; /* of the credit no more than a quarter of a new day stays */
    run(&load, DAY_US);
    assert_in_range(load.written, load.day_bytes, load.day_bytes * 130 / 100);
    load.day_bytes = 0;
    run(&load, DAY_US);
    assert_int_equal(load.delay_max_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_times_the_budget_is_brought_down_to_it),
        cmocka_unit_test(test_a_light_load_is_never_delayed),
        cmocka_unit_test(test_the_limit_is_never_exceeded_and_the_debt_is_bounded),
        cmocka_unit_test(test_a_burst_after_a_quiet_day_is_not_delayed_until_its_credit_is_spent),
        cmocka_unit_test(test_a_restart_neither_grants_nor_takes),
        cmocka_unit_test(test_another_budget_takes_effect_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
