#include "cli/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/table.h"
#include "store/read.h"
#include "store/salvage.h"

enum { NUMBER_TEXT_MAX = 24 };

static const char *number_text(uint64_t value, char out[NUMBER_TEXT_MAX])
{
    snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64, value);
    return out;
}
#define NUMBER(value) number_text((value), (char[NUMBER_TEXT_MAX]){0})

/* What reading a stream from front to back met. */
struct tally {
    uint64_t batches, events;
    uint64_t damaged; /* places where a batch is, or a page, that cannot be read */
    uint64_t gaps;    /* between batches */
};

/* 0, -errno; damage is counted. */
static int read_stream(struct store_reader *reader, const char *name, struct tally *ret)
{
    struct store_stream_info info;
    struct tally tally = {.batches = 0};
    int r = store_read_stream(reader, name, &info);
    for (uint64_t offset = r ? 0 : info.first_offset; !r;) {
        struct segment *segment;
        uint64_t skip_to = offset;
        r = store_read(reader, info.stream, offset, &segment, &skip_to);
        if (r == STORE_READ_DAMAGED && skip_to > offset) {
            tally.damaged++;
            offset = skip_to;
            r = 0;
        } else if (!r) {
            tally.batches++;
            tally.events += segment->count;
            tally.gaps += segment->base_offset > offset;
            offset = segment_end_offset(segment);
            segment_unref(segment);
        }
    }
    tally.damaged += r == -EBADMSG || r == STORE_READ_DAMAGED;
    *ret = tally;
    return r == -EBADMSG || r > 0 ? 0 : r;
}

/* 0, -errno. A store whose list of streams cannot be read to its end is damaged. */
static int read_all(struct store_reader *reader, struct table *table, uint64_t *ret_damaged)
{
    char name[STORE_STREAM_NAME_MAX_BYTES];
    uint32_t stream = 0;
    uint64_t damaged = 0;
    int r = TABLE_ADD(table, "STREAM", ">BATCHES", ">EVENTS", ">DAMAGED", ">GAPS");
    while (!r && !(r = store_read_next_stream(reader, &stream, name))) {
        struct tally tally;
        r = read_stream(reader, name, &tally);
        if (r)
            break;
        damaged += tally.damaged;
        r = TABLE_ADD(table, name, NUMBER(tally.batches), NUMBER(tally.events),
                      NUMBER(tally.damaged), NUMBER(tally.gaps));
    }
    damaged += r == -EBADMSG;
    *ret_damaged = damaged;
    return r == -EBADMSG || r == STORE_READ_END ? 0 : r;
}

static int complain(const struct error *error)
{
    error_print(error, stderr);
    return CLI_FAILED;
}

static int failed(const char *data_dir, int r)
{
    struct error error = ERROR_INIT;
    error_where(&error, "%s", data_dir);
    error_what(&error, "%s", strerror(-r));
    return complain(&error);
}

static int check_store(struct store_reader *reader, const char *data_dir, FILE *out)
{
    struct table table = TABLE_INIT;
    uint64_t damaged = 0;
    int r = read_all(reader, &table, &damaged);
    if (!r)
        table_print(&table, out);
    table_deinit(&table);
    if (r || fflush(out))
        return failed(data_dir, r ? r : -errno);
    return damaged ? CLI_FAILED : CLI_OK;
}

static int salvage(const char *data_dir, bool damaged, FILE *out)
{
    struct error error = ERROR_INIT;
    struct salvage_report report;
    int r = salvage_run(data_dir, damaged, &error, &report);
    if (r == SALVAGE_NOTHING) {
        fprintf(out, "%s: nothing is damaged, nothing was done\n", data_dir);
        return CLI_OK;
    }
    if (r)
        return complain(&error);
    fprintf(out,
            "%s: salvaged %" PRIu64 " events in %" PRIu64 " batches of %u streams; %" PRIu64
            " batches could not be read; %" PRIu64 " gaps, %" PRIu64 " events\n"
            "the damaged files are kept in %s/quarantine-*; the next start begins a new epoch\n",
            data_dir, report.events, report.batches, report.streams, report.batches_damaged,
            report.gaps, report.missing, data_dir);
    return CLI_OK;
}

int cli_recover(const char *data_dir, bool check, FILE *out)
{
    struct error error = ERROR_INIT;
    char path[SALVAGE_PATH_MAX_BYTES];
    CLEANUP_CLOSE int lock = -1;
    if (salvage_lock(data_dir, path, &error, &lock))
        return complain(&error);
    struct store_reader *reader = NULL;
    int r = store_reader_open(path, &error, &reader);
    if (check) {
        int exit_code = r ? complain(&error) : check_store(reader, data_dir, out);
        store_reader_close(reader);
        return exit_code;
    }
    /* One that cannot be opened at all is looked at by the daemon's own code. */
    struct table table = TABLE_INIT;
    uint64_t damaged = 0;
    if (!r)
        r = read_all(reader, &table, &damaged);
    else if (r == -EBADMSG)
        damaged = 1;
    table_deinit(&table);
    store_reader_close(reader);
    return salvage(data_dir, damaged > 0, out);
}
