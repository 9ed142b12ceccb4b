#ifndef SLUICE_JSON_INTERNAL_H
#define SLUICE_JSON_INTERNAL_H
/* What the files of the reader share: reader.c (grammar), scan.c (strings, numbers, words, white
 * space) and keys.c (repeated keys). All return 0, JSON_REFUSED with the error filled, or -ENOMEM.
 */
#include "json/reader.h"

enum json_state {
    STATE_START,
    STATE_VALUE,          /* after ":" */
    STATE_VALUE_OR_CLOSE, /* after "[" */
    STATE_KEY_OR_CLOSE,   /* after "{" */
    STATE_COMMA_OR_CLOSE, /* after a value inside something */
    STATE_DONE,           /* after the outermost value */
    STATE_SPENT           /* after a refusal */
};

/* Fills the error with the place of an offset and makes the reader spent. Returns JSON_REFUSED. */
__attribute__((format(printf, 5, 6))) int json_refuse(struct json_reader *r, struct error *error,
                                                      size_t offset, const char *mend,
                                                      const char *format, ...);
/* The same for "expected this, found that" at the current place. */
int json_refuse_expected(struct json_reader *r, struct error *error, const char *expected);

/* Skips white space, and comments if the options allow them. */
int json_scan_space(struct json_reader *r, struct error *error);

/* Each reads one token at r->at and sets offset, len and string (a word also the type). */
int json_scan_string(struct json_reader *r, struct error *error, struct json_token *token);
int json_scan_number(struct json_reader *r, struct error *error, struct json_token *token);
int json_scan_word(struct json_reader *r, struct error *error, struct json_token *token);

/* An object opens; one of its keys was read; it closes. */
int json_keys_open(struct json_reader *r);
int json_keys_add(struct json_reader *r, const struct json_token *token);
int json_keys_close(struct json_reader *r, struct error *error);

#endif
