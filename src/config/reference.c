/*
 * Every line begins with the prefix of its place: four spaces per level, and "// " from where an
 * example entry is shown in comments. Values of entries that a default brings along are laid over
 * the defaults of their own keys.
 */
#include "config/reference.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/result.h"
#include "config/internal.h"
#include "config/substitute.h"
#include "json/document.h"

enum { WIDTH = 100, PREFIX_MAX_BYTES = 256, FACTS_MAX_BYTES = 1024 };

struct printer {
    FILE *out;
    size_t prefix_len;
    char prefix[PREFIX_MAX_BYTES];
    bool example; /* within comments: nothing here needs to be valid */
    int result;
};

static size_t prefix_push(struct printer *p, const char *text)
{
    size_t before = p->prefix_len, len = strlen(text);
    assert(before + len < sizeof p->prefix); /* CONFIG_NESTING_MAX levels fit */
    memcpy(p->prefix + before, text, len + 1);
    p->prefix_len += len;
    return before;
}

static void prefix_pop(struct printer *p, size_t before)
{
    p->prefix_len = before;
    p->prefix[before] = '\0';
}

/* Comment lines of at most WIDTH characters. column counts bytes: help texts are nearly ASCII. */
static void print_comment(struct printer *p, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column && column + 1 + word > WIDTH) {
            fputc('\n', p->out);
            column = 0;
        }
        if (!column) {
            fprintf(p->out, "%s//", p->prefix);
            column = p->prefix_len + 2;
        }
        fprintf(p->out, " %.*s", (int)word, text);
        column += 1 + word;
        text += word;
        text += strspn(text, " ");
    }
    if (column)
        fputc('\n', p->out);
}

static void add(char facts[FACTS_MAX_BYTES], const char *text)
{
    size_t len = strlen(facts);
    snprintf(facts + len, FACTS_MAX_BYTES - len, "%s", text);
}

static void add_names(char facts[FACTS_MAX_BYTES], const struct config_key *key)
{
    for (size_t i = 0; key->names[i].name; i++) {
        add(facts, i ? ", \"" : " One of \"");
        add(facts, key->names[i].name);
        add(facts, "\"");
    }
    add(facts, ".");
}

/* "Size, 1MiB to 1PiB." */
static void add_range(char facts[FACTS_MAX_BYTES], const struct config_key *key, const char *noun)
{
    char range[CONFIG_RANGE_TEXT_MAX];
    config_key_range(key, range);
    add(facts, noun);
    if (range[0])
        add(facts, ", ");
    add(facts, range);
    add(facts, ".");
}

static void print_help(struct printer *p, const struct config_key *key)
{
    char facts[FACTS_MAX_BYTES] = "";
    add(facts, key->help ? key->help : "");
    switch (key->type) {
    case CONFIG_INT:
        add_range(facts, key, " Whole number");
        break;
    case CONFIG_SIZE:
        add_range(facts, key, " Size");
        break;
    case CONFIG_DURATION:
        add_range(facts, key, " Duration");
        break;
    case CONFIG_ENUM:
        add_names(facts, key);
        break;
    case CONFIG_PATH:
        add(facts, " Path.");
        break;
    case CONFIG_ADDRESS:
        add(facts, " Address.");
        break;
    case CONFIG_STRINGS:
        add(facts, " List of strings.");
        break;
    case CONFIG_LIST:
        add(facts, " List of objects.");
        break;
    case CONFIG_MAP:
        add(facts, " Objects by name.");
        break;
    case CONFIG_BOOL:
    case CONFIG_STRING:
    case CONFIG_SECTION:
        break;
    }
    if (key->required)
        add(facts, " Required.");
    if (!key->reloadable && key->type != CONFIG_SECTION)
        add(facts, " A change needs a restart.");
    print_comment(p, facts + strspn(facts, " "));
}

static void print_node(struct printer *p, const cJSON *node)
{
    char *text = node ? cJSON_PrintUnformatted(node) : NULL;
    if (!text) {
        p->result = -ENOMEM;
        return;
    }
    fputs(text, p->out);
    cJSON_free(text);
}

static void print_text(struct printer *p, const char *text)
{
    cJSON *node = cJSON_CreateString(text);
    /* Outside of comments it would mean something else in the document. */
    assert(p->example || !config_substitute_needed(text));
    print_node(p, node);
    cJSON_Delete(node);
}

static void print_scalar(struct printer *p, const struct config_key *key)
{
    const char *text = key->default_text;
    if (!text && p->example)
        text = key->example;
    if (!text)
        fputs("null", p->out);
    else if (key->type == CONFIG_BOOL || key->type == CONFIG_INT)
        fputs(text, p->out);
    else
        print_text(p, text);
}

static void print_section(struct printer *p, const struct config_section *section,
                          const cJSON *given);

static void print_entries(struct printer *p, const struct config_key *key, const cJSON *entries)
{
    bool map = key->type == CONFIG_MAP;
    if (!entries || !entries->child) {
        fputs(map ? "{}" : "[]", p->out);
        return;
    }
    fputs(map ? "{\n" : "[\n", p->out);
    size_t before = prefix_push(p, "    ");
    for (const cJSON *item = entries->child; item; item = item->next) {
        fputs(p->prefix, p->out);
        if (map) {
            print_text(p, item->string);
            fputs(": ", p->out);
        }
        print_section(p, key->section, item);
        fputs(item->next ? ",\n" : "\n", p->out);
    }
    prefix_pop(p, before);
    fprintf(p->out, "%s%c", p->prefix, map ? '}' : ']');
}

/* In comments, what an entry looks like of which the default has none. */
static void print_example(struct printer *p, const struct config_key *key)
{
    size_t before = prefix_push(p, "// ");
    bool example = p->example;
    p->example = true;
    fprintf(p->out, "%s%s", p->prefix, key->type == CONFIG_MAP ? "\"name\": " : "");
    print_section(p, key->section, NULL);
    fputc('\n', p->out);
    p->example = example;
    prefix_pop(p, before);
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = object ? object->child : NULL;
    while (item && strcmp(item->string, name) != 0)
        item = item->next;
    return item;
}

/* given is the value laid over the row's default, or NULL. */
static void print_key(struct printer *p, const struct config_key *key, const cJSON *given,
                      bool last)
{
    struct json_document *doc = NULL;
    bool entries = key->type == CONFIG_LIST || key->type == CONFIG_MAP;
    if (!given && key->default_text && (entries || key->type == CONFIG_STRINGS)) {
        if (json_document_parse(slice_string(key->default_text), "default", NULL, NULL, &doc)) {
            p->result = -ENOMEM;
            return;
        }
        given = json_document_root(doc);
    }
    print_help(p, key);
    if (entries && (!given || !given->child))
        print_example(p, key);
    fprintf(p->out, "%s\"%s\": ", p->prefix, key->name);
    if (key->type == CONFIG_SECTION)
        print_section(p, key->section, given);
    else if (entries)
        print_entries(p, key, given);
    else if (given)
        print_node(p, given);
    else if (key->type == CONFIG_STRINGS)
        fputs("[]", p->out);
    else
        print_scalar(p, key);
    fputs(last ? "\n" : ",\n", p->out);
    json_document_free(doc);
}

static void print_section(struct printer *p, const struct config_section *section,
                          const cJSON *given)
{
    fputs("{\n", p->out);
    size_t before = prefix_push(p, "    ");
    for (size_t i = 0; i < section->count; i++) {
        const struct config_key *key = &section->keys[i];
        print_key(p, key, member(given, key->name), i + 1 == section->count);
    }
    prefix_pop(p, before);
    fprintf(p->out, "%s}", p->prefix);
}

int config_reference(const struct config_section *section, FILE *out)
{
    struct printer p = {.out = out};
    print_comment(&p, "Every key of the configuration with its default; {} means the same. Sizes: "
                      "\"512MiB\", \"1MB\" or a number of bytes. Durations: \"7d\", \"1h30m\", "
                      "\"100ms\" or a number of milliseconds. Relative paths are relative to this "
                      "file. \"include\": \"conf.d/*.json\" at the top joins further files. "
                      "${env:NAME}, ${file:PATH} and ${machine_id} are replaced inside strings.");
    print_section(&p, section, NULL);
    fputc('\n', out);
    if (!p.result && (fflush(out) || ferror(out)))
        p.result = errno ? -errno : -EIO;
    return p.result ? result_origin(p.result) : 0;
}
