#ifndef SLUICE_ADMIN_METRICS_TEXT_H
#define SLUICE_ADMIN_METRICS_TEXT_H
/* All metrics in the Prometheus text format 0.0.4, from metrics_table: a new row shows up by
 * itself. Any thread. */
#include "base/bytes.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the page. version is the program's. 0, BYTES_FULL, -ENOMEM (out then holds a part). */
int metrics_text_write(const char *version, struct bytes *out);

#endif
