#include "cli/streams.h"

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

static int add_row(struct table *table, const char *name, const struct store_stream_info *info)
{
    char bytes[QUANTITY_TEXT_MAX];
    return TABLE_ADD(table, name, NUMBER(info->first_offset), NUMBER(info->next_offset),
                     NUMBER(info->next_offset - info->first_offset),
                     quantity_bytes(info->stored_bytes, bytes));
}

static int print_line(const char *name, const struct store_stream_info *info, FILE *out)
{
    int r = -ENOMEM;
    cJSON *line = cJSON_CreateObject();
    char *printed = NULL;
    if (line && cJSON_AddStringToObject(line, "stream", name) &&
        cJSON_AddRawToObject(line, "first_offset", NUMBER(info->first_offset)) &&
        cJSON_AddRawToObject(line, "next_offset", NUMBER(info->next_offset)) &&
        cJSON_AddRawToObject(line, "events", NUMBER(info->next_offset - info->first_offset)) &&
        cJSON_AddRawToObject(line, "bytes", NUMBER(info->stored_bytes)))
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
    char name[STORE_STREAM_NAME_MAX_BYTES];
    uint32_t stream = 0;
    int r = json ? 0 : TABLE_ADD(&table, "STREAM", ">FIRST", ">NEXT", ">EVENTS", ">STORED");
    while (!r && !(r = store_read_next_stream(reader, &stream, name))) {
        struct store_stream_info info;
        r = store_read_stream(reader, name, &info);
        if (!r)
            r = json ? print_line(name, &info, out) : add_row(&table, name, &info);
    }
    if (r == STORE_READ_END)
        r = 0;
    if (!r && !json)
        table_print(&table, out);
    table_deinit(&table);
    return r;
}

int cli_streams(const char *database, bool json, FILE *out)
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
