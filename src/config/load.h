#ifndef SLUICE_CONFIG_LOAD_H
#define SLUICE_CONFIG_LOAD_H
/*
 * From files to one document. A configuration file is JSON with comments; its top-level key
 * "include" ("file.json", "conf.d/<star>.json", or an array of these; relative to the file; matches
 * in sorted order) joins further files: objects merge, anything else given twice is a clash that
 * names both places.
 *
 * Inside every string value (keys excepted) is replaced, before includes are followed:
 *     ${env:NAME}     the environment variable; unset is an error
 *     ${file:PATH}    the content of a secret file, without its trailing line break; PATH relative
 *                     to the configuration file. Only a regular file that belongs to us or root and
 *                     that neither group nor others can read
 *     ${machine_id}   the content of /etc/machine-id
 *     $${             a literal ${
 * Every other ${…} stays as it is: topic templates use ${topic}, ${device}, ${stream}, ${gateway}.
 *
 * The document is read-only once loaded; any thread.
 */
#include <stdbool.h>
#include <stddef.h>

#include "json/document.h"

struct error;
struct config_document;

enum {
    CONFIG_FILE_MAX_BYTES = 1 << 20,
    CONFIG_FILES_MAX = 256, /* of one document, the first included */
    CONFIG_INCLUDE_DEPTH_MAX = 8,
    CONFIG_SECRET_MAX_BYTES = 64 << 10
};

/* How a value came about; bits. Dumps mask whatever is not CONFIG_WRITTEN. */
enum config_origin { CONFIG_WRITTEN = 0, CONFIG_FROM_ENV = 1, CONFIG_FROM_FILE = 2 };

/* Loads a file with all it includes; path NULL gives the empty document {}. 0 or -errno, with the
 * error filled in every case (may be NULL). Blocks on the files. */
int config_load(const char *path, struct error *error, struct config_document **ret);

/* The same from a text (copied). name is what errors call it; includes and relative paths are
 * relative to the directory part of name, else to the working directory. */
int config_load_text(struct slice text, const char *name, struct error *error,
                     struct config_document **ret);

struct config_document *config_document_free(struct config_document *doc);

/* The merged tree, an object. */
const cJSON *config_document_root(const struct config_document *doc);
/* For places and exact numbers of its nodes. */
const struct json_document *config_document_json(const struct config_document *doc);
/* Bits of enum config_origin. */
unsigned config_document_origin(const struct config_document *doc, const cJSON *node);

/* The files read, in order, the first one being the one given; for "sluice check". */
size_t config_document_file_count(const struct config_document *doc);
const char *config_document_file(const struct config_document *doc, size_t index);

/* A path as the file that holds the node means it: absolute ones as they are, others relative to
 * that file's directory (node NULL: to the first file's). NULL without memory; freed by the
 * caller. */
char *config_document_resolve(const struct config_document *doc, const cJSON *node,
                              const char *path);

#endif
