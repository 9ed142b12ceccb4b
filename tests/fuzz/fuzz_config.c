/* Any text as a configuration of one section with a key of every type: it is refused with a place
 * and a reason, or read, compared with itself and released. Texts that would reach for files are
 * left out: a fuzzer must not read the machine. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/diff.h"
#include "base/bytes.h"
#include "config/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct entry {
    char *name;
    int64_t number, bytes, duration_us;
    bool flag;
    int choice;
    char *path;
    struct config_address address;
    struct config_strings strings;
};

struct root {
    struct entry section;
    CONFIG_LIST_OF(struct entry) list;
    CONFIG_LIST_OF(struct entry) map;
};

static const struct config_name choices[] = {{"one", 1}, {"two", 2}, {NULL, 0}};

static const struct config_key entry_keys[] = {
    {"number", CONFIG_FIELD(INT, struct entry, number), .default_text = "1", .min = -5, .max = 9},
    {"bytes", CONFIG_FIELD(SIZE, struct entry, bytes), .default_text = "1KiB", .max = 1 << 30},
    {"duration", CONFIG_FIELD(DURATION, struct entry, duration_us), .default_text = "1s"},
    {"flag", CONFIG_FIELD(BOOL, struct entry, flag), .default_text = "true"},
    {"choice", CONFIG_FIELD(ENUM, struct entry, choice), .default_text = "one", .names = choices},
    {"path", CONFIG_FIELD(PATH, struct entry, path)},
    {"address", CONFIG_FIELD(ADDRESS, struct entry, address)},
    {"strings", CONFIG_FIELD(STRINGS, struct entry, strings), .max = 9}};

static const struct config_section entry_section = {"entry", CONFIG_KEYS(entry_keys),
                                                    .size = sizeof(struct entry),
                                                    .name_at = offsetof(struct entry, name)};

static const struct config_key root_keys[] = {
    {"section", CONFIG_FIELD(SECTION, struct root, section), .section = &entry_section},
    {"list", CONFIG_FIELD(LIST, struct root, list), .section = &entry_section, .max = 9},
    {"map", CONFIG_FIELD(MAP, struct root, map), .section = &entry_section, .max = 9,
     .default_text = "{\"a\": {\"number\": 2}}", .default_stays = true}};

static const struct config_section root_section = {"root", CONFIG_KEYS(root_keys),
                                                   .size = sizeof(struct root)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    struct root root;
    char *text = slice_duplicate(slice_make(data, size));
    /* "include" may also be spelt with \u escapes, so any backslash is left out as well. */
    if (text && !strstr(text, "include") && !strchr(text, '\\') && !strstr(text, "${")) {
        int r = config_read_text(&root_section, text, &error, &root);
        if (r && (!error.where[0] || !error.what[0]))
            abort();
        if (!r && config_diff(&root_section, &root, &root, NULL, NULL))
            abort();
        if (!r)
            config_section_deinit(&root_section, &root);
    }
    free(text);
    return 0;
}
