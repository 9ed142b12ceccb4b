#include "store/account.h"

#include "base/metrics.h"
#include "base/result.h"
#include "store/internal.h"
#include "store/vfs.h"

#define SAVE_INTERVAL_US (INT64_C(3600) * 1000000)
enum { PUBLISH_INTERVAL_US = 1000000 };

static struct wear_counts count(const struct store *store)
{
    struct vfs_counts written;
    vfs_counts(&written);
    struct wear_counts counts = {.written_bytes = written.written_bytes,
                                 .flash_bytes = written.flash_bytes,
                                 .syncs = written.syncs};
    for (unsigned i = 0; i < store->stream_count; i++)
        counts.appended_bytes += store->streams[i].end_bytes;
    return counts;
}

/* A number that may be missing. */
static int load(struct store *store, const char *key, uint64_t *ret)
{
    int64_t value = 0;
    int r = database_meta_get_number(&store->database, key, &value);
    if (r < 0)
        return result_trace(r);
    *ret = value > 0 ? (uint64_t)value : 0;
    return 0;
}

int account_load(struct store *store)
{
    struct account *account = &store->account;
    struct wear_counts total = {.syncs = 0}, now = count(store);
    int64_t credit, run_us = retention_run_us(store);
    int r = load(store, "written_bytes", &total.written_bytes);
    if (!r)
        r = load(store, "flash_bytes", &total.flash_bytes);
    if (!r)
        r = load(store, "syncs", &total.syncs);
    if (r)
        return result_trace(r);
    r = database_meta_get_number(&store->database, "budget_credit", &credit);
    if (r < 0)
        return result_trace(r);
    *account = (struct account){.saved_us = run_us, .published_us = INT64_MIN};
    wear_init(&account->wear, &total, &now, run_us);
    if (!r)
        budget_resume(&account->budget, credit, run_us);
    return 0;
}

int account_save(struct store *store)
{
    struct account *account = &store->account;
    struct database *d = &store->database;
    int r =
        database_meta_put_number(d, "written_bytes", (int64_t)account->wear.total.written_bytes);
    if (!r)
        r = database_meta_put_number(d, "flash_bytes", (int64_t)account->wear.total.flash_bytes);
    if (!r)
        r = database_meta_put_number(d, "syncs", (int64_t)account->wear.total.syncs);
    if (!r && account->budget.begun)
        r = database_meta_put_number(d, "budget_credit", (int64_t)account->budget.credit);
    return result_trace(r);
}

int account_save_due(struct store *store)
{
    struct account *account = &store->account;
    account->saving = retention_run_us(store) - account->saved_us >= SAVE_INTERVAL_US;
    return account->saving ? result_trace(account_save(store)) : 0;
}

static void publish(const struct store *store)
{
    const struct account *account = &store->account;
    const struct wear_counts *total = &account->wear.total;
    struct metric_set *set = metric_process();
    struct wear_rates rates;
    wear_rates(&account->wear, store->config->disk.endurance_bytes, &rates);
    metric_put(set, METRIC_STORE_WRITTEN_BYTES, total->written_bytes);
    metric_put(set, METRIC_STORE_FLASH_BYTES, total->flash_bytes);
    metric_put(set, METRIC_STORE_SYNCS, total->syncs);
    metric_put(set, METRIC_STORE_WRITTEN_BYTES_HOUR, rates.written_bytes_hour);
    metric_put(set, METRIC_STORE_WRITTEN_BYTES_DAY, rates.written_bytes_day);
    metric_put(set, METRIC_STORE_FLASH_BYTES_HOUR, rates.flash_bytes_hour);
    metric_put(set, METRIC_STORE_FLASH_BYTES_DAY, rates.flash_bytes_day);
    metric_put(set, METRIC_STORE_SYNCS_HOUR, rates.syncs_hour);
    metric_put(set, METRIC_STORE_WRITE_AMPLIFICATION, rates.amplification);
    metric_put(set, METRIC_STORE_FLASH_LIFE, rates.life_seconds);
    int64_t delay_us = store_commit_delay_us(store);
    if (delay_us < store->config->commit.max_delay_us)
        delay_us = store->config->commit.max_delay_us;
    metric_put(set, METRIC_STORE_COMMIT_DELAY, (uint64_t)delay_us);
}

void account_update(struct store *store)
{
    struct account *account = &store->account;
    struct wear_counts now = count(store);
    int64_t run_us = retention_run_us(store), now_us = clock_monotonic_us(store->clock);
    uint64_t before = account->wear.total.flash_bytes;
    wear_update(&account->wear, &now, run_us);
    budget_update(&account->budget, store->config->commit.write_budget_bytes,
                  account->wear.total.flash_bytes - before, run_us);
    if (account->published_us == INT64_MIN ||
        now_us - account->published_us >= PUBLISH_INTERVAL_US) {
        account->published_us = now_us;
        publish(store);
    }
}

void account_committed(struct store *store)
{
    account_update(store);
    if (store->account.saving)
        store->account.saved_us = retention_run_us(store);
}

int64_t store_commit_delay_us(const struct store *store)
{
    if (!store_is_open(store))
        return 0;
    const struct store_commit_config *commit = &store->config->commit;
    return budget_delay_us(&store->account.budget, commit->write_budget_bytes,
                           commit->budget_max_delay_us, retention_run_us(store));
}
