#ifndef SLUICE_JSON_POINTER_H
#define SLUICE_JSON_POINTER_H
/* JSON Pointer [RFC 6901] in its string form ("/a~1b/0"): lookup in a cJSON tree, and building. */
#include <stddef.h>

#include "base/bytes.h"
#include "json/document.h"

enum json_pointer_outcome {
    JSON_POINTER_MISSING = 1, /* well formed, but nothing is there */
    JSON_POINTER_BAD = 2      /* not a pointer: does not begin with "/", or "~" without 0 or 1 */
};

/* The node a pointer names below root; "" is root itself. Keys are compared byte by byte. "-" (the
 * element after the last) is never there. 0 or an enum json_pointer_outcome. */
int json_pointer_get(const cJSON *root, struct slice pointer, const cJSON **ret);

/* Appends "/" and the key with "~" and "/" escaped, or "/" and the index. 0, BYTES_FULL, -ENOMEM;
 * on failure the pointer is as before. */
int json_pointer_push_key(struct bytes *pointer, struct slice key);
int json_pointer_push_index(struct bytes *pointer, size_t index);

#endif
