#ifndef SLUICE_CONFIG_KEY_H
#define SLUICE_CONFIG_KEY_H
/*
 * What a room's settings look like: a plain C struct, and beside it one static const row per key.
 * Reading, bounds, error messages, the reference document and the difference of two configurations
 * are all derived from the rows; config/ knows no room.
 *
 * How to write a room's settings, complete:
 *
 *     // store/store_config.h
 *     enum store_full { STORE_WHEN_FULL_BLOCK, STORE_WHEN_FULL_DROP_OLD };
 *
 *     struct stream_config {                    // one entry of the map "streams"
 *         char *name;                           // the key it stood under
 *         int64_t max_bytes;                    // SIZE: bytes
 *         int64_t max_age_us;                   // DURATION: microseconds
 *         enum store_full when_full;            // ENUM: any enum or int
 *     };
 *     struct replica_config { char *name; struct config_address to; };
 *     struct store_config {
 *         char *path;                           // PATH; NULL where the default is NULL
 *         int64_t readers;                      // INT
 *         bool verify;                          // BOOL
 *         struct config_strings tags;           // STRINGS
 *         struct stream_config base;            // SECTION: in place
 *         CONFIG_LIST_OF(struct stream_config) streams;     // MAP:  .items[0 .. .count - 1]
 *         CONFIG_LIST_OF(struct replica_config) replicas;   // LIST: the same
 *     };
 *     extern const struct config_section store_section;
 *
 *     // store/store_config.c
 *     static const struct config_name full_names[] = {
 *         {"block", STORE_WHEN_FULL_BLOCK}, {"drop_old", STORE_WHEN_FULL_DROP_OLD}, {NULL, 0}};
 *
 *     static const struct config_key stream_keys[] = {
 *         {"max_bytes", CONFIG_FIELD(SIZE, struct stream_config, max_bytes),
 *          .default_text = "512MiB", .min = 1 << 20, .max = INT64_C(1) << 50, .reloadable = true,
 *          .help = "Room of the stream; what happens beyond it says when_full."},
 *         {"max_age", CONFIG_FIELD(DURATION, struct stream_config, max_age_us),
 *          .default_text = "7d", .reloadable = true, .help = "Older events are removed."},
 *         {"when_full", CONFIG_FIELD(ENUM, struct stream_config, when_full), .names = full_names,
 *          .default_text = "block", .reloadable = true, .help = "What a full stream does."},
 *     };
 *     static const struct config_section stream_section = {
 *         "stream", CONFIG_KEYS(stream_keys), .size = sizeof(struct stream_config),
 *         .name_at = offsetof(struct stream_config, name)};   // only entries of maps need name_at
 *
 *     static const struct config_key replica_keys[] = {
 *         {"name", CONFIG_FIELD(STRING, struct replica_config, name), .required = true,
 *          .example = "east", .help = "Its name."},           // "name" must be unique in a list
 *         {"to", CONFIG_FIELD(ADDRESS, struct replica_config, to), .required = true,
 *          .example = "10.0.0.2:7000", .help = "Where it listens."},
 *     };
 *     static const struct config_section replica_section = {
 *         "replica", CONFIG_KEYS(replica_keys), .size = sizeof(struct replica_config)};
 *
 *     static const struct config_key store_keys[] = {
 *         {"path", CONFIG_FIELD(PATH, struct store_config, path), .help = "Database file."},
 *         {"readers", CONFIG_FIELD(INT, struct store_config, readers), .default_text = "4",
 *          .min = 1, .max = 64, .unit = "connections", .help = "Read-only connections."},
 *         {"verify", CONFIG_FIELD(BOOL, struct store_config, verify), .default_text = "true",
 *          .help = "Check checksums when reading."},
 *         {"tags", CONFIG_FIELD(STRINGS, struct store_config, tags),
 *          .default_text = "[\"all\"]", .help = "Labels."},
 *         {"base", CONFIG_FIELD(SECTION, struct store_config, base), .section = &stream_section,
 *          .help = "What streams have in common."},
 *         {"streams", CONFIG_FIELD(MAP, struct store_config, streams),
 *          .section = &stream_section, .default_text = "{\"events\": {}}", .default_stays = true,
 *          .reloadable = true, .help = "Streams by name."},
 *         {"replicas", CONFIG_FIELD(LIST, struct store_config, replicas),
 *          .section = &replica_section, .max = 8, .help = "Copies."},
 *     };
 *     const struct config_section store_section = {
 *         "store", CONFIG_KEYS(store_keys), .size = sizeof(struct store_config)};
 *
 * In a test: config_section_init(&store_section, &config) gives the defaults,
 * config_read_text(&store_section, "{\"readers\": 2}", &error, &config) reads a text, and
 * config_section_deinit(&store_section, &config) frees what the struct owns (not the struct).
 *
 * Rules: every key has a default ("{}" is valid), except .required ones, which only entries of
 * lists and maps may have. CONFIG_FIELD checks at compile time that the field has the C type of the
 * key type. Values, sections and tables are read-only once read; any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_section;
struct error;

enum config_type {
    CONFIG_BOOL,     /* bool             true, false */
    CONFIG_INT,      /* int64_t          12 */
    CONFIG_SIZE,     /* int64_t bytes    "512MiB" (1024), "1MB" (1000); plain number: bytes */
    CONFIG_DURATION, /* int64_t µs       "7d", "1h30m", "100ms", "50us"; plain number: ms */
    CONFIG_STRING,   /* char *           owned by the struct */
    CONFIG_ENUM,     /* enum or int      one of .names */
    CONFIG_PATH,     /* char *           relative ones are resolved against the file holding them */
    CONFIG_ADDRESS,  /* config_address   "1.2.3.4:1883", "name:1883", "[::1]:1883", "unix:/path" */
    CONFIG_STRINGS,  /* config_strings   ["a", "b"]; one string stands for a list of one */
    CONFIG_SECTION,  /* struct in place  { … } */
    CONFIG_LIST,     /* CONFIG_LIST_OF   [ { … }, { … } ] */
    CONFIG_MAP       /* CONFIG_LIST_OF   { "name": { … } }; the name is stored at .name_at */
};

enum {
    CONFIG_STRING_MAX_BYTES = 64 << 10, /* unless the row's max is less */
    CONFIG_LIST_MAX = 1024,             /* entries, likewise */
    CONFIG_NESTING_MAX = 16,            /* sections within sections */
    CONFIG_PATH_TEXT_MAX = 256          /* bytes of a key path ("streams.events.max_bytes") */
};

struct config_name {
    const char *name; /* NULL ends the table */
    int value;
};

struct config_strings {
    char **items;
    size_t count;
};

struct config_address {
    char *host;    /* name or numeric address without brackets; NULL: unix socket or not set */
    char *path;    /* of a unix socket; resolved like CONFIG_PATH; else NULL */
    uint16_t port; /* with host; 0 asks the system for a free one */
};

/* The type of a LIST or MAP field. items is NULL while count is 0. */
#define CONFIG_LIST_OF(type)                                                                       \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
    }

struct config_key {
    const char *name; /* as in the document: lower case, words joined by "_" */
    enum config_type type;
    size_t offset;            /* of the field */
    size_t field_size;        /* of a SECTION or of an entry of LIST and MAP: must be that of the
                                 section. These three are written by CONFIG_FIELD */
    const char *default_text; /* what the document would say, without the quotes of a string.
                                 STRINGS, LIST, MAP: JSON text, NULL is empty. STRING, PATH,
                                 ADDRESS: NULL stores NULL. SECTION: NULL. Others: not NULL */
    int64_t min, max;         /* INT: value; SIZE, STRING: bytes; DURATION: µs; STRINGS, LIST, MAP:
                                 entries. max 0: none but those above. Sizes and durations
                                 are never negative; an INT whose min and max are 0 is unbounded */
    const char *unit;         /* INT: what is counted ("connections"); else NULL */
    const struct config_name *names;      /* ENUM */
    const struct config_section *section; /* SECTION, LIST, MAP */
    bool reloadable;     /* a change takes effect at reload. LIST, MAP: entries may come and go */
    bool required;       /* entries of LIST and MAP only */
    bool default_stays;  /* MAP: entries of the default exist beside those given */
    const char *example; /* for the reference, where there is no default */
    const char *help;    /* one or two sentences with full stops */
};

struct config_section {
    const char *name; /* what it describes, for messages and help: "stream" */
    const struct config_key *keys;
    size_t count;
    size_t size;    /* of the C struct */
    size_t name_at; /* entries of MAP: offset of the char * that receives the key */
    /* What no single row can say ("tls needs cert and key"). Called after all keys were read
     * without an error, by config_read(), not by config_section_init(); fills what and mend (where
     * is done for it). 0 or -EINVAL. May be NULL. */
    int (*check)(const void *value, struct error *error);
};

#define CONFIG_KEYS(table) .keys = (table), .count = sizeof(table) / sizeof((table)[0])

/* The type and place of a row, with the field's C type checked. */
#define CONFIG_FIELD(kind, type_, field)                                                           \
    .type = CONFIG_##kind, .offset = CONFIG_AT_##kind(type_, field),                               \
    .field_size = CONFIG_ROOM_##kind(type_, field)

#define CONFIG_AT_(c_type, type_, field)                                                           \
    _Generic(((type_ *)0)->field, c_type : offsetof(type_, field))
#define CONFIG_AT_BOOL(t, f) CONFIG_AT_(bool, t, f)
#define CONFIG_AT_INT(t, f) CONFIG_AT_(int64_t, t, f)
#define CONFIG_AT_SIZE(t, f) CONFIG_AT_(int64_t, t, f)
#define CONFIG_AT_DURATION(t, f) CONFIG_AT_(int64_t, t, f)
#define CONFIG_AT_STRING(t, f) CONFIG_AT_(char *, t, f)
#define CONFIG_AT_PATH(t, f) CONFIG_AT_(char *, t, f)
#define CONFIG_AT_ADDRESS(t, f) CONFIG_AT_(struct config_address, t, f)
#define CONFIG_AT_STRINGS(t, f) CONFIG_AT_(struct config_strings, t, f)
#define CONFIG_AT_SECTION(t, f) offsetof(t, f)
#define CONFIG_AT_LIST(t, f) (CONFIG_AT_(size_t, t, f.count) - sizeof(void *))
#define CONFIG_AT_MAP(t, f) CONFIG_AT_LIST(t, f)
/* gcc and clang give an enum the type unsigned int, or int if a constant is negative. */
#define CONFIG_AT_ENUM(t, f) _Generic(((t *)0)->f, unsigned : offsetof(t, f), int : offsetof(t, f))

#define CONFIG_ROOM_(t, f) sizeof(((t *)0)->f)
#define CONFIG_ROOM_BOOL CONFIG_ROOM_
#define CONFIG_ROOM_INT CONFIG_ROOM_
#define CONFIG_ROOM_SIZE CONFIG_ROOM_
#define CONFIG_ROOM_DURATION CONFIG_ROOM_
#define CONFIG_ROOM_STRING CONFIG_ROOM_
#define CONFIG_ROOM_PATH CONFIG_ROOM_
#define CONFIG_ROOM_ADDRESS CONFIG_ROOM_
#define CONFIG_ROOM_STRINGS CONFIG_ROOM_
#define CONFIG_ROOM_ENUM CONFIG_ROOM_
#define CONFIG_ROOM_SECTION CONFIG_ROOM_
#define CONFIG_ROOM_LIST(t, f) sizeof(((t *)0)->f.items[0])
#define CONFIG_ROOM_MAP CONFIG_ROOM_LIST

/* A loop over the entries of a LIST or MAP field: CONFIG_EACH(stream, config->streams) { … } */
#define CONFIG_EACH(entry, list)                                                                   \
    for (__auto_type entry = (list).items; entry < (list).items + (list).count; entry++)

/* Fills *value with the defaults. 0 or -ENOMEM. Default texts are the programmer's: a wrong one is
 * an assertion. Relative default paths stay relative (to the working directory). */
int config_section_init(const struct config_section *section, void *value);

/* Frees the strings and lists the struct owns and zeroes it. The struct itself stays. */
void config_section_deinit(const struct config_section *section, void *value);

/* The row with this name, or NULL. */
const struct config_key *config_section_key(const struct config_section *section, const char *name);

/* The name nearest to a mistyped one, or NULL if none is near enough (Damerau-Levenshtein distance
 * of one for up to 3 letters, two for up to 7, else three). The table of names ends with NULL. */
const char *config_suggest(const char *mistyped, const char *const *names);

#endif
