/*
 * A file is read, parsed, substituted, relieved of its "include", and then the included files,
 * loaded the same way, are merged into it one after the other. All texts live in one json_document,
 * so every node of the merged tree still knows its own file and line.
 */
#include "config/load.h"

#include <assert.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "config/file.h"
#include "config/key.h"
#include "config/substitute.h"

enum { ORIGINS_FIRST_CAP = 16 };

struct loaded_file {
    char *path;
    struct config_file_id id;
    bool active; /* it, or something it includes, is being loaded */
};

struct origin {
    const cJSON *node;
    unsigned bits;
};

struct config_document {
    struct json_document *json;
    struct loaded_file files[CONFIG_FILES_MAX];
    size_t file_count;
    struct origin *origins; /* sorted by node once loaded */
    size_t origin_count, origin_cap;
};

struct loader {
    struct config_document *doc;
    struct error *error;
    unsigned depth;
};

static int load_file(struct loader *loader, const char *path, const cJSON *from, cJSON **ret);

/* Fills the error with a node's place. Returns -EINVAL. */
__attribute__((format(printf, 4, 5))) static int
complain(const struct loader *loader, const cJSON *node, const char *mend, const char *format, ...)
{
    char what[sizeof loader->error->what];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (node)
        json_document_where(loader->doc->json, node, loader->error);
    error_what(loader->error, "%s", what);
    error_mend(loader->error, "%s", mend);
    return result_origin(-EINVAL);
}

static int no_memory(const struct loader *loader)
{
    error_what(loader->error, "out of memory");
    return result_origin(-ENOMEM);
}

/* The directory part of a path, "" if it has none; freed by the caller. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup("");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static char *join(const char *directory, const char *path)
{
    char *joined = NULL;
    bool bare = path[0] == '/' || !directory[0];
    bool slash = !bare && directory[strlen(directory) - 1] != '/';
    if (asprintf(&joined, "%s%s%s", bare ? "" : directory, slash ? "/" : "", path) < 0)
        return NULL;
    return joined;
}

static int origin_add(struct loader *loader, const cJSON *node, unsigned bits)
{
    struct config_document *doc = loader->doc;
    if (doc->origin_count == doc->origin_cap) {
        size_t cap = doc->origin_cap ? doc->origin_cap * 2 : ORIGINS_FIRST_CAP;
        struct origin *origins = reallocarray(doc->origins, cap, sizeof *origins);
        if (!origins)
            return no_memory(loader);
        doc->origins = origins;
        doc->origin_cap = cap;
    }
    doc->origins[doc->origin_count++] = (struct origin){.node = node, .bits = bits};
    return 0;
}

static int substitute_string(struct loader *loader, cJSON *node, const char *directory)
{
    CLEANUP_FREE char *text = NULL;
    unsigned bits = 0;
    if (!config_substitute_needed(node->valuestring))
        return 0;
    json_document_where(loader->doc->json, node, loader->error);
    int r = config_substitute(node->valuestring, directory, loader->error, &bits, &text);
    if (r)
        return r;
    if (!cJSON_SetValuestring(node, text))
        return no_memory(loader);
    error_where(loader->error, "%s", "");
    return bits ? origin_add(loader, node, bits) : 0;
}

/* All strings below a node; as deep as the reader lets a text nest. */
static int substitute_tree(struct loader *loader, cJSON *node, const char *directory)
{
    int r = 0;
    if (cJSON_IsString(node))
        return substitute_string(loader, node, directory);
    for (cJSON *item = node->child; item && !r; item = item->next)
        r = substitute_tree(loader, item, directory);
    return r;
}

static cJSON *member(const cJSON *object, const char *name)
{
    cJSON *item = object->child;
    while (item && strcmp(item->string, name) != 0)
        item = item->next;
    return item;
}

/* Moves what from holds into the object into. path names the object, for messages. */
static int merge(struct loader *loader, cJSON *into, cJSON *from, const char *path)
{
    cJSON *next;
    int r = 0;
    for (cJSON *item = from->child; item && !r; item = next) {
        next = item->next;
        cJSON *there = member(into, item->string);
        if (!there) {
            cJSON_AddItemToArray(into, cJSON_DetachItemViaPointer(from, item)); /* keeps its key */
            continue;
        }
        char sub[CONFIG_PATH_TEXT_MAX];
        snprintf(sub, sizeof sub, "%s%s%.64s", path, path[0] ? "." : "", item->string);
        if (cJSON_IsObject(there) && cJSON_IsObject(item)) {
            r = merge(loader, there, item, sub);
            continue;
        }
        struct json_place first = json_document_key_place(loader->doc->json, there);
        struct json_place second = json_document_key_place(loader->doc->json, item);
        r = complain(loader, NULL, "keep one of them; only objects are merged",
                     "\"%s\" is given twice: here and at %s:%zu:%zu", sub, first.name, first.line,
                     first.column);
        error_where(loader->error, "%s:%zu:%zu", second.name, second.line, second.column);
    }
    return r;
}

static int include_file(struct loader *loader, cJSON *tree, const cJSON *from, const char *path)
{
    cJSON *sub = NULL;
    if (loader->depth == CONFIG_INCLUDE_DEPTH_MAX)
        return complain(loader, from, "", "files include each other deeper than %d",
                        CONFIG_INCLUDE_DEPTH_MAX);
    loader->depth++;
    int r = load_file(loader, path, from, &sub);
    loader->depth--;
    if (r)
        return r;
    r = merge(loader, tree, sub, "");
    cJSON_Delete(sub);
    return r;
}

/* One entry of "include": a file, which must exist, or a pattern, which may match nothing. */
static int include_entry(struct loader *loader, cJSON *tree, const cJSON *node,
                         const char *directory)
{
    glob_t matches = {.gl_pathc = 0};
    if (!cJSON_IsString(node) || !node->valuestring[0])
        return complain(loader, node, "write \"file.json\", \"conf.d/*.json\" or an array of these",
                        "include must name files, not %s",
                        cJSON_IsString(node) ? "an empty string" : json_type_text(node));
    CLEANUP_FREE char *path = join(directory, node->valuestring);
    if (!path)
        return no_memory(loader);
    if (!strpbrk(node->valuestring, "*?["))
        return include_file(loader, tree, node, path);
    errno = 0;
    int g = glob(path, GLOB_ERR, NULL, &matches); /* sorts */
    if (g == GLOB_ABORTED && (errno == ENOENT || errno == ENOTDIR))
        g = GLOB_NOMATCH; /* no conf.d is an empty conf.d */
    int r = 0;
    if (g == GLOB_NOSPACE)
        r = no_memory(loader);
    else if (g && g != GLOB_NOMATCH)
        r = complain(loader, node, "let the gateway's user read the directory",
                     "cannot list %s: %s", path, strerror(errno));
    for (size_t i = 0; !g && i < matches.gl_pathc && !r; i++)
        r = include_file(loader, tree, node, matches.gl_pathv[i]);
    globfree(&matches);
    return r;
}

static int follow_includes(struct loader *loader, cJSON *tree, const char *directory)
{
    cJSON *include = member(tree, "include");
    int r = 0;
    if (!include)
        return 0;
    cJSON_DetachItemViaPointer(tree, include);
    if (cJSON_IsArray(include))
        for (cJSON *item = include->child; item && !r; item = item->next)
            r = include_entry(loader, tree, item, directory);
    else
        r = include_entry(loader, tree, include, directory);
    cJSON_Delete(include);
    return r;
}

/* Parses a text that is already in the list of files and loads what it includes. */
static int load_content(struct loader *loader, struct slice text, const char *path, cJSON **ret)
{
    const struct json_options options = {.comments = true};
    cJSON *tree = NULL;
    CLEANUP_FREE char *directory = directory_of(path);
    if (!directory)
        return no_memory(loader);
    int r = json_document_add(loader->doc->json, text, path, &options, loader->error, &tree);
    if (r == JSON_REFUSED)
        return result_origin(-EINVAL); /* the reader has said why */
    if (r)
        return no_memory(loader);
    if (!cJSON_IsObject(tree))
        r = complain(loader, tree, "write { … }", "the configuration must be an object, not %s",
                     json_type_text(tree));
    if (!r)
        r = substitute_tree(loader, tree, directory);
    if (!r)
        r = follow_includes(loader, tree, directory);
    if (r)
        cJSON_Delete(tree);
    else
        *ret = tree;
    return r;
}

/* Enters a file into the list, refusing one that is there already. */
static int enter_file(struct loader *loader, const char *path, struct config_file_id id,
                      const cJSON *from)
{
    struct config_document *doc = loader->doc;
    for (size_t i = 0; i < doc->file_count; i++) {
        if (doc->files[i].id.device != id.device || doc->files[i].id.inode != id.inode)
            continue;
        if (doc->files[i].active)
            return complain(loader, from, "remove this include",
                            "including %s goes round in a circle: it is being read already", path);
        return complain(loader, from, "remove one of the includes", "%s is included twice", path);
    }
    if (doc->file_count == CONFIG_FILES_MAX)
        return complain(loader, from, "", "more than %d configuration files", CONFIG_FILES_MAX);
    char *copy = strdup(path);
    if (!copy)
        return no_memory(loader);
    doc->files[doc->file_count++] = (struct loaded_file){.path = copy, .id = id, .active = true};
    return 0;
}

static int load_file(struct loader *loader, const char *path, const cJSON *from, cJSON **ret)
{
    struct bytes content = BYTES_INIT(CONFIG_FILE_MAX_BYTES + 1);
    struct config_file_options options = {.max_bytes = CONFIG_FILE_MAX_BYTES};
    struct config_file_id id = {0};
    error_where(loader->error, "%s", "");
    if (from)
        json_document_where(loader->doc->json, from, loader->error);
    int r = config_file_read(path, &options, &content, &id, loader->error);
    if (!r)
        r = enter_file(loader, path, id, from);
    if (!r) {
        size_t index = loader->doc->file_count - 1;
        r = load_content(loader, bytes_slice(&content), path, ret);
        loader->doc->files[index].active = false;
    }
    bytes_deinit(&content);
    return r;
}

static int origin_compare(const void *a, const void *b)
{
    const struct origin *oa = a, *ob = b;
    return oa->node < ob->node ? -1 : oa->node > ob->node;
}

static int document_new(struct config_document **ret)
{
    struct config_document *doc = calloc(1, sizeof *doc);
    if (!doc || json_document_new(&doc->json)) {
        free(doc);
        return result_origin(-ENOMEM);
    }
    *ret = doc;
    return 0;
}

/* path or text is what the document begins with. */
static int load(const char *path, const struct slice *text, const char *name, struct error *error,
                struct config_document **ret)
{
    struct config_document *doc = NULL;
    struct error unread = ERROR_INIT; /* so that nothing below need care whether error is NULL */
    struct loader loader = {.error = error ? error : &unread};
    cJSON *tree = NULL;
    *loader.error = unread;
    int r = document_new(&doc);
    if (r)
        return no_memory(&loader);
    loader.doc = doc;
    if (path) {
        r = load_file(&loader, path, NULL, &tree);
    } else {
        r = enter_file(&loader, name, (struct config_file_id){0}, NULL);
        if (!r)
            r = load_content(&loader, *text, name, &tree);
    }
    if (r) {
        config_document_free(doc);
        return result_trace(r);
    }
    json_document_set_root(doc->json, tree);
    if (doc->origin_count)
        qsort(doc->origins, doc->origin_count, sizeof doc->origins[0], origin_compare);
    *loader.error = (struct error)ERROR_INIT;
    *ret = doc;
    return 0;
}

int config_load(const char *path, struct error *error, struct config_document **ret)
{
    struct slice empty = SLICE_LITERAL("{}");
    return load(path, &empty, "defaults", error, ret);
}

int config_load_text(struct slice text, const char *name, struct error *error,
                     struct config_document **ret)
{
    return load(NULL, &text, name, error, ret);
}

struct config_document *config_document_free(struct config_document *doc)
{
    if (!doc)
        return NULL;
    for (size_t i = 0; i < doc->file_count; i++)
        free(doc->files[i].path);
    free(doc->origins);
    json_document_free(doc->json);
    free(doc);
    return NULL;
}

const cJSON *config_document_root(const struct config_document *doc)
{
    return json_document_root(doc->json);
}

const struct json_document *config_document_json(const struct config_document *doc)
{
    return doc->json;
}

unsigned config_document_origin(const struct config_document *doc, const cJSON *node)
{
    struct origin key = {.node = node};
    if (!doc->origin_count)
        return CONFIG_WRITTEN;
    const struct origin *found =
        bsearch(&key, doc->origins, doc->origin_count, sizeof key, origin_compare);
    return found ? found->bits : CONFIG_WRITTEN;
}

size_t config_document_file_count(const struct config_document *doc)
{
    return doc->file_count;
}

const char *config_document_file(const struct config_document *doc, size_t index)
{
    return doc->files[index].path;
}

char *config_document_resolve(const struct config_document *doc, const cJSON *node,
                              const char *path)
{
    const char *file = node ? json_document_source(doc->json, node) : "";
    CLEANUP_FREE char *directory = directory_of(file[0] ? file : doc->files[0].path);
    return directory ? join(directory, path) : NULL;
}
