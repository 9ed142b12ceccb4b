/*
 * The tree is cJSON's; what cJSON has no room for stands in a hash table keyed by node address:
 * source text, and the offsets of key and value in it. Lines and columns are computed from offsets
 * only when somebody asks. Entries of nodes that were deleted stay behind; they are overwritten if
 * the address comes back.
 */
#include "json/document.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "json/internal.h"

enum { NODES_FIRST_CAP = 64, SOURCES_FIRST_CAP = 4 };

struct source {
    char *name;
    char *text; /* with a NUL behind it */
    size_t len;
};

struct node_entry {
    const cJSON *node; /* NULL: free slot */
    uint32_t source;
    uint32_t key;    /* offset of the key, or of the value if there is none */
    uint32_t offset; /* of the value */
    uint32_t len;
};

struct json_document {
    cJSON *root;
    struct source *sources;
    size_t source_count, source_cap;
    struct node_entry *nodes; /* open addressing, at most half full */
    size_t node_count, node_cap;
};

/* What is being built from one text. */
struct builder {
    struct json_document *doc;
    struct json_reader reader;
    uint32_t source;
    cJSON *root;
    cJSON *open[JSON_DEPTH_LIMIT];
    unsigned depth;
    char *key; /* waiting for its value */
    size_t key_offset;
};

int json_document_new(struct json_document **ret)
{
    struct json_document *doc = calloc(1, sizeof *doc);
    if (!doc)
        return result_origin(-ENOMEM);
    *ret = doc;
    return 0;
}

struct json_document *json_document_free(struct json_document *doc)
{
    if (!doc)
        return NULL;
    cJSON_Delete(doc->root);
    for (size_t i = 0; i < doc->source_count; i++) {
        free(doc->sources[i].name);
        free(doc->sources[i].text);
    }
    free(doc->sources);
    free(doc->nodes);
    free(doc);
    return NULL;
}

static size_t slot_of(const struct node_entry *nodes, size_t cap, const cJSON *node)
{
    size_t slot = (size_t)(((uintptr_t)node >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);
    while (nodes[slot].node && nodes[slot].node != node)
        slot = (slot + 1) & (cap - 1);
    return slot;
}

static const struct node_entry *node_find(const struct json_document *doc, const cJSON *node)
{
    if (!doc || !doc->node_cap || !node)
        return NULL;
    const struct node_entry *entry = &doc->nodes[slot_of(doc->nodes, doc->node_cap, node)];
    return entry->node ? entry : NULL;
}

static int nodes_grow(struct json_document *doc)
{
    size_t cap = doc->node_cap ? doc->node_cap * 2 : NODES_FIRST_CAP; /* bounded by the texts */
    struct node_entry *nodes = calloc(cap, sizeof *nodes);
    if (!nodes)
        return result_origin(-ENOMEM);
    for (size_t i = 0; i < doc->node_cap; i++)
        if (doc->nodes[i].node)
            nodes[slot_of(nodes, cap, doc->nodes[i].node)] = doc->nodes[i];
    free(doc->nodes);
    doc->nodes = nodes;
    doc->node_cap = cap;
    return 0;
}

static int node_remember(struct json_document *doc, struct node_entry entry)
{
    int r = doc->node_count * 2 >= doc->node_cap ? nodes_grow(doc) : 0;
    if (r)
        return r;
    struct node_entry *slot = &doc->nodes[slot_of(doc->nodes, doc->node_cap, entry.node)];
    if (!slot->node)
        doc->node_count++;
    *slot = entry;
    return 0;
}

static int source_add(struct json_document *doc, struct slice text, const char *name)
{
    if (doc->source_count == JSON_SOURCES_MAX)
        return result_origin(-E2BIG);
    if (doc->source_count == doc->source_cap) {
        size_t cap = doc->source_cap ? doc->source_cap * 2 : SOURCES_FIRST_CAP;
        struct source *sources = reallocarray(doc->sources, cap, sizeof *sources);
        if (!sources)
            return result_origin(-ENOMEM);
        doc->sources = sources;
        doc->source_cap = cap;
    }
    CLEANUP_FREE char *name_copy = strdup(name);
    CLEANUP_FREE char *text_copy = slice_duplicate(text);
    if (!name_copy || !text_copy)
        return result_origin(-ENOMEM);
    doc->sources[doc->source_count++] =
        (struct source){.name = take_ptr(name_copy), .text = take_ptr(text_copy), .len = text.len};
    return 0;
}

/* A C string in cJSON's memory. */
static int copy_string(struct builder *b, struct error *error, const struct json_token *token,
                       char **ret)
{
    struct slice s = token->string;
    if (s.len && memchr(s.data, 0, s.len))
        return json_refuse(&b->reader, error, token->offset, "remove the \\u0000",
                           "a string with the character U+0000 cannot be kept");
    char *copy = cJSON_malloc(s.len + 1);
    if (!copy)
        return result_origin(-ENOMEM);
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    *ret = copy;
    return 0;
}

static int make_number(struct builder *b, struct error *error, const struct json_token *token,
                       cJSON **ret)
{
    /* The reader has checked the grammar and the text ends in NUL; the process keeps the "C"
     * numeric locale. */
    double value = strtod(b->doc->sources[b->source].text + token->offset, NULL);
    if (isinf(value))
        return json_refuse(&b->reader, error, token->offset, "",
                           "a number beyond the range of a double");
    *ret = cJSON_CreateNumber(value);
    return *ret ? 0 : result_origin(-ENOMEM);
}

static int make_node(struct builder *b, struct error *error, const struct json_token *token,
                     cJSON **ret)
{
    char *string = NULL;
    cJSON *node;
    int r;
    if (token->type == JSON_NUMBER)
        return make_number(b, error, token, ret);
    if (token->type == JSON_STRING) {
        r = copy_string(b, error, token, &string);
        if (r)
            return r;
    }
    node = token->type == JSON_OBJECT_OPEN  ? cJSON_CreateObject()
           : token->type == JSON_ARRAY_OPEN ? cJSON_CreateArray()
           : token->type == JSON_TRUE       ? cJSON_CreateTrue()
           : token->type == JSON_FALSE      ? cJSON_CreateFalse()
                                            : cJSON_CreateNull();
    if (!node) {
        cJSON_free(string);
        return result_origin(-ENOMEM);
    }
    if (string) {
        node->type = cJSON_String;
        node->valuestring = string;
    }
    *ret = node;
    return 0;
}

static int build_value(struct builder *b, struct error *error, const struct json_token *token)
{
    cJSON *node = NULL;
    int r = make_node(b, error, token, &node);
    if (r)
        return r;
    struct node_entry entry = {.node = node,
                               .source = b->source,
                               .key = (uint32_t)(b->key ? b->key_offset : token->offset),
                               .offset = (uint32_t)token->offset,
                               .len = (uint32_t)token->len};
    node->string = take_ptr(b->key);
    if (b->depth)
        cJSON_AddItemToArray(b->open[b->depth - 1], node); /* links; the key is already there */
    else
        b->root = node;
    if (token->type == JSON_OBJECT_OPEN || token->type == JSON_ARRAY_OPEN)
        b->open[b->depth++] = node;
    return node_remember(b->doc, entry);
}

static int build_token(struct builder *b, struct error *error, const struct json_token *token)
{
    switch (token->type) {
    case JSON_END:
        return 0;
    case JSON_KEY:
        b->key_offset = token->offset;
        return copy_string(b, error, token, &b->key);
    case JSON_OBJECT_CLOSE:
    case JSON_ARRAY_CLOSE:
        b->depth--;
        return 0;
    case JSON_OBJECT_OPEN:
    case JSON_ARRAY_OPEN:
    case JSON_STRING:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        return build_value(b, error, token);
    }
    return -ENOTRECOVERABLE;
}

int json_document_add(struct json_document *doc, struct slice text, const char *name,
                      const struct json_options *options, struct error *error, cJSON **ret)
{
    int r = source_add(doc, text, name);
    if (r)
        return r;
    struct builder *b = calloc(1, sizeof *b);
    if (!b)
        return result_origin(-ENOMEM);
    b->doc = doc;
    b->source = (uint32_t)(doc->source_count - 1);
    struct source *source = &doc->sources[b->source];
    json_reader_init(&b->reader, slice_make(source->text, source->len), source->name, options);
    struct json_token token = {.type = JSON_NULL};
    while (!r && token.type != JSON_END) {
        r = json_reader_next(&b->reader, error, &token);
        if (!r)
            r = build_token(b, error, &token);
    }
    if (r)
        cJSON_Delete(b->root);
    else
        *ret = b->root;
    cJSON_free(b->key);
    json_reader_deinit(&b->reader);
    free(b);
    return r;
}

int json_document_parse(struct slice text, const char *name, const struct json_options *options,
                        struct error *error, struct json_document **ret)
{
    struct json_document *doc = NULL;
    cJSON *root = NULL;
    int r = json_document_new(&doc);
    if (r)
        return r;
    r = json_document_add(doc, text, name, options, error, &root);
    if (r) {
        json_document_free(doc);
        return r;
    }
    doc->root = root;
    *ret = doc;
    return 0;
}

cJSON *json_document_root(const struct json_document *doc)
{
    return doc->root;
}

void json_document_set_root(struct json_document *doc, cJSON *root)
{
    if (doc->root != root)
        cJSON_Delete(doc->root);
    doc->root = root;
}

static struct json_place place_at(const struct json_document *doc, const struct node_entry *entry,
                                  size_t offset)
{
    const struct source *source = &doc->sources[entry->source];
    struct json_position p = json_position(slice_make(source->text, source->len), offset);
    return (struct json_place){.name = source->name, .line = p.line, .column = p.column};
}

struct json_place json_document_place(const struct json_document *doc, const cJSON *node)
{
    const struct node_entry *entry = node_find(doc, node);
    return entry ? place_at(doc, entry, entry->offset) : (struct json_place){.name = ""};
}

struct json_place json_document_key_place(const struct json_document *doc, const cJSON *node)
{
    const struct node_entry *entry = node_find(doc, node);
    return entry ? place_at(doc, entry, entry->key) : (struct json_place){.name = ""};
}

const char *json_document_source(const struct json_document *doc, const cJSON *node)
{
    const struct node_entry *entry = node_find(doc, node);
    return entry ? doc->sources[entry->source].name : "";
}

void json_document_where(const struct json_document *doc, const cJSON *node, struct error *error)
{
    struct json_place place = json_document_place(doc, node);
    if (place.line)
        error_where(error, "%s:%zu:%zu", place.name, place.line, place.column);
    else
        error_where(error, "%s", "");
}

struct slice json_document_raw(const struct json_document *doc, const cJSON *node)
{
    const struct node_entry *entry = node_find(doc, node);
    if (!entry)
        return SLICE_EMPTY;
    return slice_make(doc->sources[entry->source].text + entry->offset, entry->len);
}

/* Sign and magnitude of an integer as written. */
static int read_integer(const struct json_document *doc, const cJSON *node, bool *ret_negative,
                        uint64_t *ret)
{
    struct slice raw = json_document_raw(doc, node);
    uint64_t value = 0;
    bool negative = raw.len && raw.data[0] == '-';
    if (!cJSON_IsNumber(node) || !raw.len)
        return JSON_NOT_INTEGER;
    for (size_t i = negative; i < raw.len; i++)
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return JSON_NOT_INTEGER;
    for (size_t i = negative; i < raw.len; i++)
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(raw.data[i] - '0'), &value))
            return JSON_OUT_OF_RANGE;
    *ret_negative = negative;
    *ret = value;
    return 0;
}

int json_document_int64(const struct json_document *doc, const cJSON *node, int64_t *ret)
{
    bool negative;
    uint64_t value;
    int r = read_integer(doc, node, &negative, &value);
    if (r)
        return r;
    if (value > (uint64_t)INT64_MAX + negative)
        return JSON_OUT_OF_RANGE;
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return 0;
}

int json_document_uint64(const struct json_document *doc, const cJSON *node, uint64_t *ret)
{
    bool negative;
    uint64_t value;
    int r = read_integer(doc, node, &negative, &value);
    if (r)
        return r;
    if (negative && value)
        return JSON_OUT_OF_RANGE;
    *ret = value;
    return 0;
}

const char *json_type_text(const cJSON *node)
{
    return cJSON_IsObject(node)   ? "an object"
           : cJSON_IsArray(node)  ? "an array"
           : cJSON_IsString(node) ? "a string"
           : cJSON_IsNumber(node) ? "a number"
           : cJSON_IsBool(node)   ? "true or false"
           : cJSON_IsNull(node)   ? "null"
                                  : "nothing";
}
