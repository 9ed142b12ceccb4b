#ifndef SLUICE_JSON_READER_H
#define SLUICE_JSON_READER_H
/*
 * A strict pull reader for JSON [RFC 8259] over a text in memory: every json_reader_next() yields
 * one token, in document order, until JSON_END. Not recursive; what is open is a bit stack.
 *
 * Refused, with line and column: everything outside the grammar, ill-formed UTF-8, lone surrogates
 * in \u escapes, a byte order mark, bytes after the value, more depth or text than the options
 * allow, and a key given twice in one object (seen when that object closes; RFC 8259 section 4
 * calls the meaning of such objects unpredictable). U+0000 in strings is JSON and is delivered; who
 * keeps C strings must refuse it (document.h does).
 *
 * A reader is used by one thread; it borrows the text and the name until json_reader_deinit().
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct error;

enum {
    JSON_DEPTH_DEFAULT = 128, /* open arrays and objects at once */
    JSON_DEPTH_LIMIT = 1024,  /* the most an option can ask for */
};
#define JSON_TEXT_DEFAULT_BYTES ((size_t)16 << 20)

struct json_options {
    bool comments;      /* JSONC: line and block comments where white space may be; nothing else */
    bool repeated_keys; /* deliver objects that give a key twice (the bare grammar) */
    unsigned depth_max; /* 0: JSON_DEPTH_DEFAULT; above JSON_DEPTH_LIMIT: that */
    size_t text_max_bytes; /* 0: JSON_TEXT_DEFAULT_BYTES; below 4 GiB */
};

enum json_outcome {
    JSON_REFUSED = 1 /* the text is not acceptable; the error says where, why and what to do */
};

enum json_type {
    JSON_END,
    JSON_OBJECT_OPEN,
    JSON_OBJECT_CLOSE,
    JSON_ARRAY_OPEN,
    JSON_ARRAY_CLOSE,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

struct json_token {
    enum json_type type;
    size_t offset;       /* bytes from the start of the text; a string starts at its quote */
    size_t len;          /* bytes in the text, quotes included */
    struct slice string; /* key, string: decoded; number: as written. Valid until the next call */
};

struct json_position {
    size_t line;   /* from 1; only line feeds count */
    size_t column; /* from 1, in code points */
};

struct json_key_seen {
    size_t offset;  /* of the key in the text */
    size_t start;   /* of its decoded bytes, in the text or in escaped_keys */
    size_t len;     /* bytes */
    unsigned where; /* enum in reader.c: text, escaped_keys, or the mark of an opened object */
};

struct json_reader { /* private to reader.c */
    struct slice text;
    const char *name;
    struct json_options options;
    size_t at;
    unsigned state;
    unsigned depth;
    uint8_t is_object[JSON_DEPTH_LIMIT / 8];
    struct bytes decoded;      /* the current string, if it had escapes */
    struct bytes escaped_keys; /* keys with escapes of the open objects */
    struct json_key_seen *keys;
    size_t key_count, key_cap;
};

/* name is what errors call the text ("sluice.json"). options may be NULL. Allocates nothing. */
void json_reader_init(struct json_reader *r, struct slice text, const char *name,
                      const struct json_options *options);
void json_reader_deinit(struct json_reader *r);

/* The next token; after JSON_END always JSON_END. 0, JSON_REFUSED (error filled:
 * "name:line:column"; error may be NULL; the reader is then spent) or -ENOMEM. */
int json_reader_next(struct json_reader *r, struct error *error, struct json_token *ret);

/* Line and column of a byte offset. Walks the text from its start: for messages, not for loops. */
struct json_position json_position(struct slice text, size_t offset);

/* Whether text is one acceptable JSON text. 0, JSON_REFUSED (error filled), -ENOMEM. */
int json_check(struct slice text, const char *name, const struct json_options *options,
               struct error *error);

#endif
