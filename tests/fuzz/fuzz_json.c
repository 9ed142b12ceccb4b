/* The strict reader and the tree on any text. The first byte chooses the options; what the tree
 * accepts, the reader must accept, and printing and reading again must give the same tree. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "json/pointer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tree(const struct json_document *doc)
{
    const cJSON *root = json_document_root(doc), *found = NULL;
    struct json_document *again = NULL;
    char *text = cJSON_PrintUnformatted(root);
    if (!text)
        return;
    /* cJSON prints 17 digits at most, which may round beyond the range of a double. */
    if (json_document_parse(slice_string(text), "again", NULL, NULL, &again) == 0) {
        if (!cJSON_Compare(root, json_document_root(again), true))
            abort();
        json_document_free(again);
    }
    cJSON_free(text);
    if (json_pointer_get(root, SLICE_EMPTY, &found) || found != root)
        abort();
    for (const cJSON *item = root->child; item; item = item->next) {
        struct json_place place = json_document_place(doc, item);
        if (!place.line || !place.column || !json_document_raw(doc, item).len)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_document *doc = NULL;
    struct error error = ERROR_INIT;
    if (!size)
        return 0;
    const struct json_options options = {
        .comments = data[0] & 1, .repeated_keys = data[0] & 2, .depth_max = data[0] & 4 ? 4 : 0};
    struct slice text = slice_make(data + 1, size - 1);
    int checked = json_check(text, "fuzz", &options, &error);
    if (checked && (!error.where[0] || !error.what[0]))
        abort();
    int parsed = json_document_parse(text, "fuzz", &options, &error, &doc);
    if (!parsed && checked)
        abort();
    if (!parsed && !options.repeated_keys)
        check_tree(doc);
    json_document_free(doc);
    return 0;
}
