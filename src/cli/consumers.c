#include "cli/consumers.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "json/document.h"
#include "store/read.h"

enum { NUMBER_TEXT_MAX = 24 };

static const char *number_text(uint64_t value, char out[NUMBER_TEXT_MAX])
{
    snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64, value);
    return out;
}
#define NUMBER(value) number_text((value), (char[NUMBER_TEXT_MAX]){0})

static int add_row(struct table *table, const struct store_range_info *range,
                   const struct store_range_lag *lag)
{
    char bytes[QUANTITY_TEXT_MAX];
    return TABLE_ADD(table, range->consumer, range->stream_name, range->lane,
                     NUMBER(range->next_offset),
                     range->end_offset == UINT64_MAX ? "open" : NUMBER(range->end_offset),
                     NUMBER(lag->to - lag->from), quantity_bytes(lag->bytes, bytes));
}

static int print_line(const struct store_range_info *range, const struct store_range_lag *lag,
                      FILE *out)
{
    int r = -ENOMEM;
    cJSON *line = cJSON_CreateObject();
    char *printed = NULL;
    const char *end = range->end_offset == UINT64_MAX ? "null" : NUMBER(range->end_offset);
    if (line && cJSON_AddStringToObject(line, "upstream", range->consumer) &&
        cJSON_AddStringToObject(line, "stream", range->stream_name) &&
        cJSON_AddStringToObject(line, "lane", range->lane) &&
        cJSON_AddRawToObject(line, "next_offset", NUMBER(range->next_offset)) &&
        cJSON_AddRawToObject(line, "end_offset", end) &&
        cJSON_AddRawToObject(line, "events", NUMBER(lag->to - lag->from)) &&
        cJSON_AddRawToObject(line, "bytes", NUMBER(lag->bytes)))
        printed = cJSON_PrintUnformatted(line);
    if (printed)
        r = fprintf(out, "%s\n", printed) < 0 ? -errno : 0;
    cJSON_free(printed);
    cJSON_Delete(line);
    return r;
}

static int print(struct store_reader *reader, bool json, FILE *out)
{
    struct table table = TABLE_INIT;
    struct store_range_info range;
    int64_t id = 0;
    int r = json ? 0
                 : TABLE_ADD(&table, "UPSTREAM", "STREAM", "LANE", ">NEXT", ">END", ">EVENTS",
                             ">BYTES");
    while (!r && !(r = store_read_next_range(reader, &id, &range))) {
        struct store_stream_info info;
        struct store_range_lag lag;
        r = store_read_stream(reader, range.stream_name, &info);
        if (!r)
            r = store_read_range_lag(reader, &info, &range, &lag);
        if (!r)
            r = json ? print_line(&range, &lag, out) : add_row(&table, &range, &lag);
    }
    if (r == STORE_READ_END)
        r = 0;
    if (!r && !json)
        table_print(&table, out);
    table_deinit(&table);
    return r;
}

int cli_consumers(const char *database, bool json, FILE *out)
{
    struct error error = ERROR_INIT;
    struct store_reader *reader = NULL;
    int r = store_reader_open(database, &error, &reader);
    if (!r)
        r = print(reader, json, out);
    store_reader_close(reader);
    if (!r && fflush(out) == 0)
        return CLI_OK;
    if (!error.what[0]) {
        error_where(&error, "%s", database);
        error_what(&error, "%s", strerror(r ? -r : errno));
    }
    error_print(&error, stderr);
    return CLI_FAILED;
}
