#include "json/pointer.h"

#include <stdbool.h>

/* Whether a reference token, with its escapes, is this key. */
static bool token_is_key(struct slice token, const char *key)
{
    size_t i = 0;
    for (; i < token.len && *key; i++, key++) {
        char c = (char)token.data[i];
        if (c == '~')
            c = token.data[++i] == '1' ? '/' : '~'; /* well_formed() saw the digit */
        if (c != *key)
            return false;
    }
    return i == token.len && !*key;
}

/* An array index [RFC 6901 4]: digits without a leading zero. */
static bool token_is_index(struct slice token, size_t *ret)
{
    size_t value = 0;
    if (!token.len || (token.len > 1 && token.data[0] == '0'))
        return false;
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] < '0' || token.data[i] > '9' ||
            __builtin_mul_overflow(value, (size_t)10, &value) ||
            __builtin_add_overflow(value, (size_t)(token.data[i] - '0'), &value))
            return false;
    *ret = value;
    return true;
}

static const cJSON *child(const cJSON *node, struct slice token)
{
    const cJSON *item = node->child;
    size_t index;
    if (cJSON_IsObject(node)) {
        while (item && !token_is_key(token, item->string))
            item = item->next;
        return item;
    }
    if (!cJSON_IsArray(node) || !token_is_index(token, &index))
        return NULL;
    for (; item && index; index--)
        item = item->next;
    return item;
}

static bool well_formed(struct slice pointer)
{
    if (pointer.len && pointer.data[0] != '/')
        return false;
    for (size_t i = 0; i < pointer.len; i++)
        if (pointer.data[i] == '~' &&
            (i + 1 == pointer.len || (pointer.data[i + 1] != '0' && pointer.data[i + 1] != '1')))
            return false;
    return true;
}

int json_pointer_get(const cJSON *root, struct slice pointer, const cJSON **ret)
{
    if (!well_formed(pointer))
        return JSON_POINTER_BAD;
    const cJSON *node = root;
    size_t i = 0;
    while (node && i < pointer.len) {
        size_t start = ++i;
        while (i < pointer.len && pointer.data[i] != '/')
            i++;
        node = child(node, slice_make(pointer.data + start, i - start));
    }
    if (!node)
        return JSON_POINTER_MISSING;
    *ret = node;
    return 0;
}

int json_pointer_push_key(struct bytes *pointer, struct slice key)
{
    size_t before = pointer->len;
    int r = bytes_append_u8(pointer, '/');
    for (size_t i = 0; i < key.len && !r; i++) {
        if (key.data[i] == '~' || key.data[i] == '/')
            r = bytes_append(pointer, key.data[i] == '~' ? "~0" : "~1", 2);
        else
            r = bytes_append_u8(pointer, key.data[i]);
    }
    if (r)
        pointer->len = before;
    return r;
}

int json_pointer_push_index(struct bytes *pointer, size_t index)
{
    return bytes_append_format(pointer, "/%zu", index);
}
