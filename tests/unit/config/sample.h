#ifndef SLUICE_TESTS_UNIT_CONFIG_SAMPLE_H
#define SLUICE_TESTS_UNIT_CONFIG_SAMPLE_H
/* The settings that config/key.h shows as its example, with a few keys more. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "config/key.h"

enum store_full { STORE_WHEN_FULL_BLOCK, STORE_WHEN_FULL_DROP_OLD };

struct stream_config {
    char *name;
    int64_t max_bytes;
    int64_t max_age_us;
    enum store_full when_full;
};

struct replica_config {
    char *name;
    struct config_address to;
};

struct store_config {
    char *path;
    char *id;
    int64_t readers;
    int64_t offset;
    bool verify;
    struct config_strings tags;
    struct config_address admin;
    struct stream_config base;
    CONFIG_LIST_OF(struct stream_config) streams;
    CONFIG_LIST_OF(struct replica_config) replicas;
};

static const struct config_name full_names[] = {
    {"block", STORE_WHEN_FULL_BLOCK}, {"drop_old", STORE_WHEN_FULL_DROP_OLD}, {NULL, 0}};

static const struct config_key stream_keys[] = {
    {"max_bytes", CONFIG_FIELD(SIZE, struct stream_config, max_bytes), .default_text = "512MiB",
     .min = 1 << 20, .max = INT64_C(1) << 50, .reloadable = true,
     .help = "Room of the stream; what happens beyond it says when_full."},
    {"max_age", CONFIG_FIELD(DURATION, struct stream_config, max_age_us), .default_text = "7d",
     .reloadable = true, .help = "Events older than this are removed."},
    {"when_full", CONFIG_FIELD(ENUM, struct stream_config, when_full), .names = full_names,
     .default_text = "block", .reloadable = true, .help = "What a full stream does."}};

static int check_stream(const void *value, struct error *error)
{
    const struct stream_config *stream = value;
    if (stream->when_full == STORE_WHEN_FULL_BLOCK || stream->max_bytes >= 2 << 20)
        return 0;
    error_what(error, "drop_old needs max_bytes of 2MiB");
    error_mend(error, "enlarge it");
    return -EINVAL;
}

static const struct config_section stream_section = {
    "stream", CONFIG_KEYS(stream_keys), .size = sizeof(struct stream_config),
    .name_at = offsetof(struct stream_config, name), .check = check_stream};

static const struct config_key replica_keys[] = {
    {"name", CONFIG_FIELD(STRING, struct replica_config, name), .required = true, .example = "east",
     .help = "Its name."},
    {"to", CONFIG_FIELD(ADDRESS, struct replica_config, to), .required = true,
     .example = "10.0.0.2:7000", .help = "Where it listens."}};

static const struct config_section replica_section = {"replica", CONFIG_KEYS(replica_keys),
                                                      .size = sizeof(struct replica_config)};

static const struct config_key store_keys[] = {
    {"path", CONFIG_FIELD(PATH, struct store_config, path), .default_text = "store.db",
     .help = "Database file."},
    {"id", CONFIG_FIELD(STRING, struct store_config, id), .max = 16, .help = "Its name."},
    {"readers", CONFIG_FIELD(INT, struct store_config, readers), .default_text = "4", .min = 1,
     .max = 64, .unit = "connections", .help = "Read-only connections."},
    {"offset", CONFIG_FIELD(INT, struct store_config, offset), .default_text = "0",
     .help = "Where to begin."},
    {"verify", CONFIG_FIELD(BOOL, struct store_config, verify), .default_text = "true",
     .help = "Check checksums when reading."},
    {"tags", CONFIG_FIELD(STRINGS, struct store_config, tags), .default_text = "[\"all\"]",
     .max = 4, .help = "Labels."},
    {"admin", CONFIG_FIELD(ADDRESS, struct store_config, admin), .help = "Where to be asked."},
    {"base", CONFIG_FIELD(SECTION, struct store_config, base), .section = &stream_section,
     .help = "What streams have in common."},
    {"streams", CONFIG_FIELD(MAP, struct store_config, streams), .section = &stream_section,
     .default_text = "{\"events\": {\"max_age\": \"3d\"}}", .default_stays = true,
     .reloadable = true, .help = "Streams by name."},
    {"replicas", CONFIG_FIELD(LIST, struct store_config, replicas), .section = &replica_section,
     .max = 8, .help = "Copies."}};

static const struct config_section store_section = {"store", CONFIG_KEYS(store_keys),
                                                    .size = sizeof(struct store_config)};

#endif
