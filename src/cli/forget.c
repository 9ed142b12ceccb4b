#include "cli/forget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/table.h"
#include "store/forget.h"
#include "store/read.h"
#include "store/salvage.h"

enum { NUMBER_TEXT_MAX = 24 };

static const char *number_text(uint64_t value, char out[NUMBER_TEXT_MAX])
{
    snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64, value);
    return out;
}
#define NUMBER(value) number_text((value), (char[NUMBER_TEXT_MAX]){0})

/* Whose ranges go, and where. */
struct victim {
    const char *upstream, *stream;
};

static bool is_victim(const struct victim *victim, const struct store_range_info *range)
{
    return strcmp(range->consumer, victim->upstream) == 0 &&
           (!victim->stream || strcmp(range->stream_name, victim->stream) == 0);
}

/* How many events of a stream are kept for the victim alone: retention takes a stream from its
 * front, so those below the lowest range of all others. */
static int count_released(struct store_reader *reader, const struct store_stream_info *info,
                          const struct victim *victim, uint64_t *ret)
{
    struct store_range_info range;
    uint64_t own = info->next_offset, others = info->next_offset;
    int64_t id = 0;
    int r;
    while (!(r = store_read_next_range(reader, &id, &range))) {
        uint64_t *lowest = is_victim(victim, &range) ? &own : &others;
        if (range.stream == info->stream && range.holds && range.next_offset < *lowest)
            *lowest = range.next_offset;
    }
    if (own < info->first_offset)
        own = info->first_offset;
    *ret = others > own ? others - own : 0;
    return r == STORE_READ_END ? 0 : r;
}

static int add_range(struct store_reader *reader, const struct victim *victim,
                     const struct store_range_info *range, struct table *table)
{
    struct store_stream_info info;
    struct store_range_lag lag;
    uint64_t released = 0;
    int r = store_read_stream(reader, range->stream_name, &info);
    if (!r)
        r = store_read_range_lag(reader, &info, range, &lag);
    if (!r && range->holds)
        r = count_released(reader, &info, victim, &released);
    if (!r)
        r = TABLE_ADD(table, range->stream_name, range->lane, NUMBER(range->next_offset),
                      NUMBER(lag.to - lag.from), NUMBER(released));
    return r;
}

/* 0, -errno. */
static int list(struct store_reader *reader, const struct victim *victim, struct table *table,
                unsigned *ret_ranges)
{
    struct store_range_info range;
    unsigned ranges = 0;
    int64_t id = 0;
    int r = TABLE_ADD(table, "STREAM", "LANE", ">NEXT", ">EVENTS", ">RELEASED");
    while (!r && !(r = store_read_next_range(reader, &id, &range))) {
        if (!is_victim(victim, &range))
            continue;
        ranges++;
        r = add_range(reader, victim, &range, table);
    }
    *ret_ranges = ranges;
    return r == STORE_READ_END ? 0 : r;
}

static int complain(const struct error *error)
{
    error_print(error, stderr);
    return CLI_FAILED;
}

static int nothing(const char *data_dir, const struct victim *victim)
{
    struct error error = ERROR_INIT;
    error_where(&error, "%s", data_dir);
    error_what(&error, "keeps nothing for an upstream \"%s\"%s%s", victim->upstream,
               victim->stream ? " in stream " : "", victim->stream ? victim->stream : "");
    error_mend(&error, "\"sluice streams --consumers\" lists what is kept for whom");
    return complain(&error);
}

static int forget(const char *data_dir, const char *path, const struct victim *victim,
                  struct table *table, FILE *out)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader = NULL;
    unsigned ranges = 0;
    int r = store_reader_open(path, &error, &reader);
    if (!r)
        r = list(reader, victim, table, &ranges);
    store_reader_close(reader);
    if (!r && !ranges)
        return nothing(data_dir, victim);
    if (!r)
        r = store_forget(path, victim->upstream, victim->stream, &error, &ranges);
    if (!r) {
        table_print(table, out);
        r = fflush(out) ? -errno : 0;
    }
    if (!r)
        return CLI_OK;
    if (!error.what[0]) {
        error_where(&error, "%s", data_dir);
        error_what(&error, "%s", strerror(-r));
    }
    return complain(&error);
}

int cli_forget(const char *data_dir, const char *upstream, const char *stream, FILE *out)
{
    struct error error = ERROR_INIT;
    char path[SALVAGE_PATH_MAX_BYTES];
    CLEANUP_CLOSE int lock = -1;
    if (salvage_lock(data_dir, path, &error, &lock))
        return complain(&error);
    struct table table = TABLE_INIT;
    const struct victim victim = {upstream, stream};
    int exit_code = forget(data_dir, path, &victim, &table, out);
    table_deinit(&table);
    return exit_code;
}
