#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *slice_duplicate(struct slice s)
{
    char *copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

void bytes_deinit(struct bytes *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

int bytes_reserve(struct bytes *b, size_t n)
{
    if (n <= b->cap - b->len)
        return 0;
    if (n > b->max - b->len)
        return BYTES_FULL;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < b->len + n)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t n)
{
    int r = bytes_reserve(b, n);
    if (r)
        return r;
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

int bytes_append_slice(struct bytes *b, struct slice s)
{
    return bytes_append(b, s.data, s.len);
}

int bytes_append_u8(struct bytes *b, uint8_t v)
{
    return bytes_append(b, &v, 1);
}

int bytes_append_format(struct bytes *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    int r = n < 0 ? -EINVAL : bytes_reserve(b, (size_t)n + 1);
    if (!r) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return r;
}

void bytes_consume(struct bytes *b, size_t n)
{
    assert(n <= b->len);
    b->len -= n;
    if (b->len && n)
        memmove(b->data, b->data + n, b->len);
}

void bytes_reset(struct bytes *b, size_t keep_bytes)
{
    b->len = 0;
    if (b->cap > keep_bytes)
        bytes_deinit(b);
}
