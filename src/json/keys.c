/*
 * Repeated keys: the keys of all open objects lie in one array, each object's behind a mark. When
 * an object closes, its stretch is searched for twins (pairwise while short, sorted when long, so
 * that no text makes it quadratic) and dropped.
 */
#include "json/internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/result.h"

enum key_where { KEY_MARK, KEY_IN_TEXT, KEY_ESCAPED };

enum { KEYS_PAIRWISE_MAX = 16, KEYS_FIRST_CAP = 32 };

static int keys_push(struct json_reader *r, struct json_key_seen key)
{
    if (r->key_count == r->key_cap) {
        size_t cap = r->key_cap ? r->key_cap * 2 : KEYS_FIRST_CAP; /* bounded by the text's size */
        struct json_key_seen *keys = reallocarray(r->keys, cap, sizeof *keys);
        if (!keys)
            return result_origin(-ENOMEM);
        r->keys = keys;
        r->key_cap = cap;
    }
    r->keys[r->key_count++] = key;
    return 0;
}

int json_keys_add(struct json_reader *r, const struct json_token *token)
{
    struct json_key_seen key = {.offset = token->offset, .len = token->string.len};
    if (token->string.data == r->text.data + token->offset + 1) {
        key.where = KEY_IN_TEXT;
        key.start = token->offset + 1;
    } else {
        key.where = KEY_ESCAPED;
        key.start = r->escaped_keys.len;
        if (bytes_append_slice(&r->escaped_keys, token->string))
            return result_origin(-ENOMEM);
    }
    return keys_push(r, key);
}

static struct slice key_bytes(const struct json_reader *r, const struct json_key_seen *key)
{
    return slice_make(
        (key->where == KEY_IN_TEXT ? r->text.data : r->escaped_keys.data) + key->start, key->len);
}

static int key_compare(const void *a, const void *b, void *data)
{
    const struct json_key_seen *ka = a, *kb = b;
    struct slice sa = key_bytes(data, ka), sb = key_bytes(data, kb);
    if (sa.len != sb.len)
        return sa.len < sb.len ? -1 : 1;
    int order = sa.len ? memcmp(sa.data, sb.data, sa.len) : 0;
    if (order)
        return order;
    return ka->offset < kb->offset ? -1 : ka->offset > kb->offset;
}

/* The key that repeats another one and comes first in the text, or NULL. Reorders long ones. */
static const struct json_key_seen *keys_find_twin(struct json_reader *r,
                                                  struct json_key_seen *first, size_t count)
{
    const struct json_key_seen *twin = NULL;
    if (count <= KEYS_PAIRWISE_MAX) {
        for (size_t i = 1; i < count; i++)
            for (size_t k = 0; k < i; k++)
                if (slice_equal(key_bytes(r, &first[i]), key_bytes(r, &first[k])))
                    return &first[i];
        return NULL;
    }
    qsort_r(first, count, sizeof *first, key_compare, r);
    for (size_t i = 1; i < count; i++)
        if (slice_equal(key_bytes(r, &first[i]), key_bytes(r, &first[i - 1])) &&
            (!twin || first[i].offset < twin->offset))
            twin = &first[i];
    return twin;
}

/* The innermost object closes: judge its keys and forget them. */
int json_keys_close(struct json_reader *r, struct error *error)
{
    if (r->options.repeated_keys)
        return 0;
    size_t first = r->key_count;
    while (r->keys[first - 1].where != KEY_MARK)
        first--;
    const struct json_key_seen *twin = keys_find_twin(r, r->keys + first, r->key_count - first);
    if (twin) {
        struct slice key = key_bytes(r, twin);
        if (key.len > 64)
            key.len = 64;
        return json_refuse(r, error, twin->offset, "keep one of them",
                           "the key \"%.*s\" stands twice in one object", SLICE_PRINT(key));
    }
    r->escaped_keys.len = r->keys[first - 1].start;
    r->key_count = first - 1;
    return 0;
}

int json_keys_open(struct json_reader *r)
{
    return keys_push(r, (struct json_key_seen){.where = KEY_MARK, .start = r->escaped_keys.len});
}
