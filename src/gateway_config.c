#include "gateway_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "config/load.h"
#include "config/read.h"
#include "store/range.h"

static const struct config_key gateway_keys[] = {
    {"id", CONFIG_FIELD(STRING, struct gateway_section_config, id), .max = GATEWAY_ID_MAX_BYTES,
     .example = "plant7-gw1",
     .help =
         "Name of this gateway in event sources and client identifiers. Without it a random one "
         "is made once and kept in the store."},
    {"data_dir", CONFIG_FIELD(PATH, struct gateway_section_config, data_dir),
     .example = "/var/lib/sluice",
     .help = "Directory of the store. Default: $STATE_DIRECTORY, else $XDG_STATE_HOME/sluice, else "
             "for root "
             "/var/lib/sluice and for others ~/.local/state/sluice."},
    {"in_flight_max_bytes", CONFIG_FIELD(SIZE, struct gateway_section_config, in_flight_max_bytes),
     .default_text = "8MiB", .min = 64 * 1024, .max = INT64_C(4) << 30,
     .help = "Events received and not yet committed. Beyond it the gateway stops reading from its "
             "clients until commits catch up."},
};

static int gateway_check(const void *value, struct error *error)
{
    const struct gateway_section_config *config = value;
    for (const char *c = config->id ? config->id : "x"; *c; c++) {
        if ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
            strchr("._-", *c))
            continue;
        error_what(error, "gateway.id \"%s\" has a character that cannot stand in a topic or URI",
                   config->id);
        error_mend(error, "use letters, digits, '.', '_' and '-'");
        return -EINVAL;
    }
    if (config->id && !config->id[0]) {
        error_what(error, "gateway.id is empty");
        error_mend(error, "give it a name, or leave it out for a random one");
        return -EINVAL;
    }
    return 0;
}

static const struct config_section gateway_section = {"gateway", CONFIG_KEYS(gateway_keys),
                                                      .size = sizeof(struct gateway_section_config),
                                                      .check = gateway_check};

static const struct config_name level_names[] = {{"error", LOG_LEVEL_ERROR},
                                                 {"warn", LOG_LEVEL_WARN},
                                                 {"info", LOG_LEVEL_INFO},
                                                 {"debug", LOG_LEVEL_DEBUG},
                                                 {NULL, 0}};

static const struct config_key log_keys[] = {
    {"level", CONFIG_FIELD(ENUM, struct log_config, level), .names = level_names,
     .default_text = "info", .reloadable = true, .help = "Least important lines to print."},
};

static const struct config_section log_section = {"log", CONFIG_KEYS(log_keys),
                                                  .size = sizeof(struct log_config)};

static const struct config_key root_keys[] = {
    {"gateway", CONFIG_FIELD(SECTION, struct gateway_config, gateway), .section = &gateway_section,
     .help = "The gateway as a whole."},
    {"log", CONFIG_FIELD(SECTION, struct gateway_config, log), .section = &log_section,
     .help = "Logging, to stderr."},
    {"listeners", CONFIG_FIELD(LIST, struct gateway_config, listeners),
     .section = &listener_section, .max = LISTENERS_MAX,
     .default_text = "[{\"name\": \"default\", \"bind\": \"127.0.0.1:1883\", \"anonymous\": true}]",
     .help = "Where devices connect."},
    {"commit", CONFIG_FIELD(SECTION, struct gateway_config, store.commit),
     .section = &store_commit_section, .help = "When events are written and synced."},
    {"disk", CONFIG_FIELD(SECTION, struct gateway_config, store.disk),
     .section = &store_disk_section, .help = "Disk space of the store as a whole."},
    {"streams", CONFIG_FIELD(MAP, struct gateway_config, store.streams),
     .section = &store_stream_section, .default_text = STORE_STREAMS_DEFAULT, .default_stays = true,
     .reloadable = true, .max = STORE_STREAMS_MAX - 8, .help = "Durable streams by name."},
    {"alarms", CONFIG_FIELD(SECTION, struct gateway_config, alarms), .section = &alarms_section,
     .help = "What is told in \"$gateway\" because it needs a person."},
    {"upstreams", CONFIG_FIELD(LIST, struct gateway_config, upstreams),
     .section = &upstream_section, .max = UPSTREAMS_MAX, .reloadable = true,
     .help = "Brokers that streams are forwarded to."},
    {"admin", CONFIG_FIELD(SECTION, struct gateway_config, admin), .section = &admin_section,
     .help = "Status, health and metrics over HTTP."},
};

/* What only the whole can say: an upstream forwards streams that exist. */
static int root_check(const void *value, struct error *error)
{
    const struct gateway_config *config = value;
    if (store_config_check(&config->store, error))
        return -EINVAL;
    CONFIG_EACH(upstream, config->upstreams)
    {
        if (upstream->streams.count > RANGE_STREAMS_MAX) {
            error_what(error, "upstream \"%s\" has more than %d streams", upstream->name,
                       RANGE_STREAMS_MAX);
            error_mend(error, "split it into several upstreams");
            return -EINVAL;
        }
        for (size_t i = 0; i < upstream->streams.count; i++) {
            const char *name = upstream->streams.items[i];
            bool found = false;
            for (size_t k = 0; k < config->store.streams.count; k++)
                found = found || strcmp(config->store.streams.items[k].name, name) == 0;
            if (found)
                continue;
            error_what(error, "upstream \"%s\" forwards the stream \"%s\", which is not defined",
                       upstream->name, name);
            error_mend(error, "define it in \"streams\", or correct the name");
            return -EINVAL;
        }
    }
    return 0;
}

const struct config_section gateway_config_section = {"configuration", CONFIG_KEYS(root_keys),
                                                      .size = sizeof(struct gateway_config),
                                                      .check = root_check};

int gateway_config_load(const char *path, struct error *error, struct gateway_config_snapshot **ret)
{
    struct config_document *document = NULL;
    int r = config_load(path, error, &document);
    if (r)
        return r;
    struct gateway_config_snapshot *snapshot = calloc(1, sizeof *snapshot);
    r = snapshot ? config_read(document, &gateway_config_section, error, &snapshot->value)
                 : -ENOMEM;
    config_document_free(document);
    if (!r && path && !(snapshot->path = strdup(path))) {
        config_section_deinit(&gateway_config_section, &snapshot->value);
        r = -ENOMEM;
    }
    if (r) {
        if (r == -ENOMEM)
            error_what(error, "out of memory while reading the configuration");
        free(snapshot);
        return r;
    }
    atomic_init(&snapshot->references, 1);
    *ret = snapshot;
    return 0;
}

struct gateway_config_snapshot *gateway_config_ref(struct gateway_config_snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

struct gateway_config_snapshot *gateway_config_unref(struct gateway_config_snapshot *snapshot)
{
    if (snapshot &&
        atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1) {
        config_section_deinit(&gateway_config_section, &snapshot->value);
        free(snapshot->path);
        free(snapshot);
    }
    return NULL;
}

/* Copies text and text2 behind each other; -ENAMETOOLONG with the error filled. */
static int join(struct error *error, const char *head, size_t head_len, const char *tail,
                char out[GATEWAY_PATH_MAX_BYTES])
{
    int n = snprintf(out, GATEWAY_PATH_MAX_BYTES, "%.*s%s", (int)head_len, head, tail);
    if (n > 0 && n < GATEWAY_PATH_MAX_BYTES)
        return 0;
    error_where(error, "gateway.data_dir");
    error_what(error, "path is longer than %d bytes", GATEWAY_PATH_MAX_BYTES - 1);
    error_mend(error, "choose a shorter one");
    return -ENAMETOOLONG;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

int gateway_config_data_dir(const struct gateway_config *config, struct error *error,
                            char out[GATEWAY_PATH_MAX_BYTES])
{
    const char *value;
    if (config->gateway.data_dir)
        return join(error, config->gateway.data_dir, strlen(config->gateway.data_dir), "", out);
    if ((value = environment("STATE_DIRECTORY")))
        return join(error, value, strcspn(value, ":"), "", out);
    if ((value = environment("XDG_STATE_HOME")) && value[0] == '/')
        return join(error, value, strlen(value), "/sluice", out);
    if (geteuid() == 0)
        return join(error, SLUICE_STATE_DIR, strlen(SLUICE_STATE_DIR), "", out);
    if ((value = environment("HOME")))
        return join(error, value, strlen(value), "/.local/state/sluice", out);
    error_where(error, "gateway.data_dir");
    error_what(error, "no data directory: it is not configured, and neither STATE_DIRECTORY, "
                      "XDG_STATE_HOME nor HOME is set");
    error_mend(error, "set gateway.data_dir");
    return -ENOENT;
}

int gateway_config_admin_socket(const struct gateway_config *config, struct error *error,
                                char out[GATEWAY_PATH_MAX_BYTES])
{
    if (config->admin.socket)
        return join(error, config->admin.socket, strlen(config->admin.socket), "", out);
    char dir[GATEWAY_PATH_MAX_BYTES];
    int r = gateway_config_data_dir(config, error, dir);
    return r ? r : join(error, dir, strlen(dir), "/sluice.sock", out);
}
