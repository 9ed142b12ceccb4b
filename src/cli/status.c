#include "cli/status.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "cli/admin_client.h"
#include "cli/command.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "json/document.h"

enum { NUMBER_TEXT_MAX = 24 };

/* Fields that are missing (an older or newer daemon) read as "-" and 0. */

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = get(object, name);
    return cJSON_IsString(item) ? item->valuestring : "-";
}

static uint64_t number(const struct json_document *doc, const cJSON *object, const char *name)
{
    uint64_t value = 0;
    const cJSON *item = get(object, name);
    if (cJSON_IsNumber(item) && json_document_uint64(doc, item, &value) != 0)
        value = item->valuedouble > 0 ? (uint64_t)item->valuedouble : 0;
    return value;
}

static const char *number_text(const struct json_document *doc, const cJSON *object,
                               const char *name, char out[NUMBER_TEXT_MAX])
{
    snprintf(out, NUMBER_TEXT_MAX, "%" PRIu64, number(doc, object, name));
    return out;
}

#define NUMBER(object, name) number_text(doc, (object), (name), (char[NUMBER_TEXT_MAX]){0})
#define DURATION(object, name)                                                                     \
    quantity_duration(number(doc, (object), (name)), (char[QUANTITY_TEXT_MAX]){0})
#define BYTES(object, name)                                                                        \
    quantity_bytes(number(doc, (object), (name)), (char[QUANTITY_TEXT_MAX]){0})

static int add_restart_keys(const cJSON *root, struct table *table)
{
    const cJSON *keys = get(get(root, "config"), "restart_required"), *key;
    int r = 0;
    cJSON_ArrayForEach(key, keys)
    {
        if (!r && cJSON_IsString(key))
            r = TABLE_ADD(table, key == keys->child ? "restart for" : "", key->valuestring);
    }
    return r;
}

static int print_gateway(const struct json_document *doc, const cJSON *root, FILE *out)
{
    const cJSON *store = get(root, "store"), *config = get(root, "config");
    char line[512], uptime[QUANTITY_TEXT_MAX];
    struct table table = TABLE_INIT;
    snprintf(line, sizeof line, "%s  %s  (sluice %s, epoch %s)", text(root, "gateway"),
             text(root, "state"), text(root, "version"), text(root, "epoch"));
    int r = TABLE_ADD(&table, "gateway", line);
    if (!r && cJSON_IsString(get(root, "trouble")))
        r = TABLE_ADD(&table, "trouble", text(root, "trouble"));
    if (!r)
        r = TABLE_ADD(&table, "uptime",
                      quantity_duration(number(doc, root, "uptime_seconds"), uptime));
    snprintf(line, sizeof line, "%s  loaded %s",
             cJSON_IsString(get(config, "file")) ? text(config, "file") : "(defaults)",
             text(config, "loaded_at"));
    if (!r)
        r = TABLE_ADD(&table, "config", line);
    if (!r)
        r = add_restart_keys(root, &table);
    snprintf(line, sizeof line, "database %s  WAL %s  commits %s  failed %s",
             BYTES(store, "database_bytes"), BYTES(store, "wal_bytes"), NUMBER(store, "commits"),
             NUMBER(store, "commit_failures"));
    if (!r)
        r = TABLE_ADD(&table, "store", line);
    snprintf(line, sizeof line, "admitted %s  in flight %s", NUMBER(store, "events_admitted"),
             BYTES(store, "in_flight_bytes"));
    if (!r)
        r = TABLE_ADD(&table, "events", line);
    if (!r)
        table_print(&table, out);
    table_deinit(&table);
    return r;
}

/* Prints what a group has, after an empty line; nothing for an empty group. */
static int finish(struct table *table, int r, FILE *out)
{
    if (!r && table->rows > 1) {
        fputc('\n', out);
        table_print(table, out);
    }
    table_deinit(table);
    return r;
}

static int print_listeners(const struct json_document *doc, const cJSON *root, FILE *out)
{
    struct table table = TABLE_INIT;
    const cJSON *item;
    int r = TABLE_ADD(&table, "LISTENER", ">CONNECTIONS", ">QOS 0", ">QOS 1", ">ACKNOWLEDGED",
                      ">REFUSED", ">PAUSED");
    cJSON_ArrayForEach(item, get(root, "listeners"))
    {
        if (!r)
            r = TABLE_ADD(&table, item->string, NUMBER(item, "connections"),
                          NUMBER(item, "received_qos0"), NUMBER(item, "received_qos1"),
                          NUMBER(item, "acknowledged"), NUMBER(item, "refused"),
                          NUMBER(item, "paused"));
    }
    return finish(&table, r, out);
}

static int print_streams(const struct json_document *doc, const cJSON *root, FILE *out)
{
    struct table table = TABLE_INIT;
    const cJSON *item;
    int r = TABLE_ADD(&table, "STREAM", ">FIRST", ">NEXT", ">STORED", "STATE");
    cJSON_ArrayForEach(item, get(root, "streams"))
    {
        if (!r)
            r = TABLE_ADD(&table, item->string, NUMBER(item, "first_offset"),
                          NUMBER(item, "next_offset"), BYTES(item, "bytes"),
                          number(doc, item, "full") ? "full" : "ok");
    }
    return finish(&table, r, out);
}

/* One row per range; state and trouble of the upstream stand in its first one. */
static int add_upstream(const struct json_document *doc, const cJSON *upstream, struct table *table)
{
    const char *name = upstream->string, *state = text(upstream, "state");
    const char *trouble = cJSON_IsString(get(upstream, "trouble")) ? text(upstream, "trouble") : "";
    const cJSON *streams = get(upstream, "streams"), *range;
    int r = 0;
    if (!streams || !streams->child)
        r = TABLE_ADD(table, name, state, "-", "-", "-", "-", "-", trouble);
    cJSON_ArrayForEach(range, streams)
    {
        bool first = range == streams->child;
        if (!r)
            r = TABLE_ADD(table, first ? name : "", first ? state : "", range->string,
                          NUMBER(range, "next_offset"), NUMBER(range, "lag_events"),
                          BYTES(range, "lag_bytes"), DURATION(range, "lag_seconds"),
                          first ? trouble : "");
    }
    return r;
}

static int print_upstreams(const struct json_document *doc, const cJSON *root, FILE *out)
{
    struct table table = TABLE_INIT;
    const cJSON *item;
    int r = TABLE_ADD(&table, "UPSTREAM", "STATE", "STREAM", ">NEXT", ">LAG", ">LAG BYTES",
                      ">LAG TIME", "TROUBLE");
    cJSON_ArrayForEach(item, get(root, "upstreams"))
    {
        if (!r)
            r = add_upstream(doc, item, &table);
    }
    return finish(&table, r, out);
}

/* Prints the document for a person. */
static int print_document(struct slice body, struct error *error, FILE *out)
{
    struct json_document *doc;
    int r = json_document_parse(body, "answer of the daemon", NULL, error, &doc);
    if (r == JSON_REFUSED)
        return -EPROTO;
    if (r)
        return r;
    const cJSON *root = json_document_root(doc);
    r = print_gateway(doc, root, out);
    if (!r)
        r = print_listeners(doc, root, out);
    if (!r)
        r = print_streams(doc, root, out);
    if (!r)
        r = print_upstreams(doc, root, out);
    json_document_free(doc);
    return r;
}

static int fetch(const char *socket_path, struct error *error, struct bytes *body)
{
    int status;
    int r = admin_client_get(socket_path, "/api/v1/status", 0, error, body, &status);
    if (r || status == 200)
        return r;
    error_where(error, "admin socket %s", socket_path);
    error_what(error, "the daemon answers with HTTP status %d", status);
    error_mend(error, "are client and daemon of the same version?");
    return -EPROTO;
}

int cli_status(const char *socket_path, bool json, FILE *out)
{
    struct error error = ERROR_INIT;
    struct bytes body = BYTES_INIT(ADMIN_CLIENT_BODY_MAX_BYTES);
    int r = fetch(socket_path, &error, &body);
    if (!r && json)
        fprintf(out, "%.*s\n", SLICE_PRINT(bytes_slice(&body)));
    else if (!r)
        r = print_document(bytes_slice(&body), &error, out);
    bytes_deinit(&body);
    if (!r && fflush(out) == 0)
        return CLI_OK;
    if (!error.what[0])
        error_what(&error, "%s", strerror(r ? -r : errno));
    error_print(&error, stderr);
    return CLI_FAILED;
}
