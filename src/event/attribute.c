#include "event/attribute.h"

#include <assert.h>
#include <errno.h>

enum { KIND_BYTES = 1, LENGTH_BYTES = 2 };

static void put_u16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

int attribute_append(struct bytes *list, const struct attribute *attribute)
{
    assert(attribute->name.len <= UINT16_MAX && attribute->value.len <= UINT16_MAX);
    int r = bytes_reserve(list, KIND_BYTES + 2 * LENGTH_BYTES + attribute->name.len +
                                    attribute->value.len);
    if (r)
        return r;
    uint8_t *p = list->data + list->len;
    *p++ = (uint8_t)attribute->kind;
    const struct slice parts[2] = {attribute->name, attribute->value};
    for (unsigned i = 0; i < 2; i++) {
        put_u16(p, parts[i].len);
        p += LENGTH_BYTES;
        if (parts[i].len)
            memcpy(p, parts[i].data, parts[i].len);
        p += parts[i].len;
    }
    list->len = (size_t)(p - list->data);
    return 0;
}

/* Takes a length-prefixed string off *rest; false if it does not fit. */
static bool take_string(struct slice *rest, struct slice *ret)
{
    if (rest->len < LENGTH_BYTES)
        return false;
    size_t len = (size_t)rest->data[0] << 8 | rest->data[1];
    if (rest->len - LENGTH_BYTES < len)
        return false;
    *ret = slice_make(rest->data + LENGTH_BYTES, len);
    rest->data += LENGTH_BYTES + len;
    rest->len -= LENGTH_BYTES + len;
    return true;
}

int attribute_next(struct slice *list, struct attribute *ret)
{
    if (!list->len)
        return ATTRIBUTE_END;
    struct slice rest = slice_make(list->data + KIND_BYTES, list->len - KIND_BYTES);
    struct attribute a = {.kind = (enum attribute_kind)list->data[0]};
    if (list->data[0] > ATTRIBUTE_EXTENSION || !take_string(&rest, &a.name) ||
        !take_string(&rest, &a.value))
        return -EBADMSG;
    *ret = a;
    *list = rest;
    return 0;
}

bool attribute_list_valid(struct slice list)
{
    struct attribute a;
    int r;
    while (!(r = attribute_next(&list, &a)))
        ;
    return r == ATTRIBUTE_END;
}
