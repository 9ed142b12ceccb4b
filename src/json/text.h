#ifndef SLUICE_JSON_TEXT_H
#define SLUICE_JSON_TEXT_H
/* Writing JSON: the one piece that is easily got wrong. Pure; any thread. */
#include "base/bytes.h"

/* Appends s as a JSON string [RFC 8259 7]. Bytes that are no UTF-8 become U+FFFD one by one, so
 * that the text is valid whatever s holds. 0, BYTES_FULL, -ENOMEM; after a failure part of it may
 * be there. */
int json_append_string(struct bytes *out, struct slice s);

#endif
