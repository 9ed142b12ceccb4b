#ifndef SLUICE_JSON_DOCUMENT_H
#define SLUICE_JSON_DOCUMENT_H
/*
 * A JSON document: a cJSON tree made by the strict reader (reader.h), together with the place every
 * node came from and the digits every number was written with, so that an error can point at
 * line:column and a 64-bit integer is not blurred by cJSON's double.
 *
 * A document may hold several texts (json_document_add): their trees can then be joined into one,
 * and each node still knows its own file. This is the only header that brings in cJSON; other rooms
 * use the tree through it. Not thread-safe while it changes; read-only from any thread afterwards.
 *
 * Strings hold no U+0000 (cJSON keeps C strings): such texts are refused, and so are numbers
 * beyond the range of a double.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/bytes.h"
#include "json/reader.h"

struct error;
struct json_document;

enum { JSON_SOURCES_MAX = 1024 }; /* texts per document */

struct json_place {
    const char *name; /* of the text; owned by the document. "" for nodes the document never read */
    size_t line, column;
};

/* An empty document: no text, root NULL. 0 or -ENOMEM. */
int json_document_new(struct json_document **ret);
struct json_document *json_document_free(struct json_document *doc);

/* Reads one text. The text and the name are copied. options may be NULL. 0, JSON_REFUSED (error
 * filled; may be NULL), -ENOMEM. */
int json_document_parse(struct slice text, const char *name, const struct json_options *options,
                        struct error *error, struct json_document **ret);

/* Reads a further text into the document. *ret is its tree, owned by the caller until it is
 * attached below the root or made the root. 0, JSON_REFUSED, -ENOMEM; -E2BIG beyond
 * JSON_SOURCES_MAX texts. */
int json_document_add(struct json_document *doc, struct slice text, const char *name,
                      const struct json_options *options, struct error *error, cJSON **ret);

/* The tree; owned by the document. */
cJSON *json_document_root(const struct json_document *doc);
/* Takes the tree and frees the former root. */
void json_document_set_root(struct json_document *doc, cJSON *root);

/* Where the value of a node starts; where its key starts (the value's place if it has none). */
struct json_place json_document_place(const struct json_document *doc, const cJSON *node);
struct json_place json_document_key_place(const struct json_document *doc, const cJSON *node);

/* The name of the text a node came from, "" if the document never read it. Owned by the document.
 */
const char *json_document_source(const struct json_document *doc, const cJSON *node);

/* error->where = "name:line:column" of the value. error may be NULL. */
void json_document_where(const struct json_document *doc, const cJSON *node, struct error *error);

/* The value as it was written in its text (a number's digits); the empty slice for nodes the
 * document never read. Borrowed from the document. */
struct slice json_document_raw(const struct json_document *doc, const cJSON *node);

/* Exact integers. 0, or: not a JSON number written as an integer ("1.0" and "1e3" are not), or an
 * integer that does not fit. */
enum json_integer_outcome { JSON_NOT_INTEGER = 1, JSON_OUT_OF_RANGE = 2 };
int json_document_int64(const struct json_document *doc, const cJSON *node, int64_t *ret);
int json_document_uint64(const struct json_document *doc, const cJSON *node, uint64_t *ret);

/* What the node is, for messages: "an object", "a string", "null" … Static. */
const char *json_type_text(const cJSON *node);

#endif
