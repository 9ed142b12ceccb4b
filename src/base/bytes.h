#ifndef SLUICE_BASE_BYTES_H
#define SLUICE_BASE_BYTES_H
/*
 * struct slice: bytes that belong to somebody else. struct bytes: a growable buffer that owns its
 * memory and has a mandatory maximum. Neither is thread-safe; owners move them across queues.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data; /* may be NULL only if len is 0 */
    size_t len;          /* bytes */
};

#define SLICE_EMPTY ((struct slice){.data = NULL, .len = 0})
/* A slice of a string literal, without its NUL. */
#define SLICE_LITERAL(s) ((struct slice){.data = (const uint8_t *)(s), .len = sizeof(s) - 1})

static inline struct slice slice_make(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len};
}

/* NULL gives the empty slice. */
static inline struct slice slice_string(const char *s)
{
    return s ? (struct slice){.data = (const uint8_t *)s, .len = strlen(s)} : SLICE_EMPTY;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_equal_string(struct slice a, const char *s)
{
    return slice_equal(a, slice_string(s));
}

/* A NUL-terminated copy, to be freed by the caller; NULL without memory. */
char *slice_duplicate(struct slice s);

/* "%.*s" arguments of a slice. */
#define SLICE_PRINT(s) (int)(s).len, (const char *)((s).data ? (s).data : (const uint8_t *)"")

/* The named outcome of a struct bytes that would grow beyond its maximum; nothing was changed. */
enum bytes_outcome { BYTES_FULL = 1 };

struct bytes {
    uint8_t *data; /* owned; NULL while cap is 0 */
    size_t len;    /* bytes in use */
    size_t cap;    /* bytes allocated, <= max */
    size_t max;    /* bytes: the bound, fixed at initialisation */
};

#define BYTES_INIT(maximum)                                                                        \
    {                                                                                              \
        .data = NULL, .len = 0, .cap = 0, .max = (maximum)                                         \
    }

void bytes_deinit(struct bytes *b); /* leaves an empty buffer with the same maximum */

/* Makes room for n more bytes. 0, BYTES_FULL, -ENOMEM. */
int bytes_reserve(struct bytes *b, size_t n);

/* Appends. 0, BYTES_FULL, -ENOMEM; nothing is appended unless 0. */
int bytes_append(struct bytes *b, const void *data, size_t n);
int bytes_append_slice(struct bytes *b, struct slice s);
int bytes_append_u8(struct bytes *b, uint8_t v);
__attribute__((format(printf, 2, 3))) int bytes_append_format(struct bytes *b, const char *format,
                                                              ...);

/* Removes n <= len bytes from the front. */
void bytes_consume(struct bytes *b, size_t n);

/* Empties and keeps the memory if it is at most keep_bytes, else frees it. */
void bytes_reset(struct bytes *b, size_t keep_bytes);

static inline struct slice bytes_slice(const struct bytes *b)
{
    return (struct slice){.data = b->data, .len = b->len};
}

#endif
