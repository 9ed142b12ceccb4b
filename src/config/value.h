#ifndef SLUICE_CONFIG_VALUE_H
#define SLUICE_CONFIG_VALUE_H
/* The scalar values of a configuration as text: sizes, durations, addresses. Pure. */
#include <stdint.h>

#include "config/key.h"

enum config_value_outcome {
    CONFIG_VALUE_BAD = 1,  /* not such a value */
    CONFIG_VALUE_HUGE = 2, /* one that does not fit an int64_t */
};

enum { CONFIG_VALUE_TEXT_MAX = 96 }; /* bytes for a formatted size or duration */

/* A whole number with an optional sign. */
int config_parse_int(const char *text, int64_t *ret);

/* A whole number and B, KB, MB, GB, TB (1000) or KiB, MiB, GiB, TiB, PiB (1024), one space allowed
 * between; a plain number is bytes. Never negative. */
int config_parse_size(const char *text, int64_t *ret_bytes);

/* Whole numbers with w, d, h, m, s, ms, us, the larger units first ("1h30m"); a plain number is
 * milliseconds. Never negative. */
int config_parse_duration(const char *text, int64_t *ret_us);

/* "host:port", "1.2.3.4:port", "[::1]:port", "unix:PATH" (PATH as it stands). 0, CONFIG_VALUE_BAD,
 * -ENOMEM. Released by config_address_deinit(). */
int config_parse_address(const char *text, struct config_address *ret);
void config_address_deinit(struct config_address *address);

/* The shortest exact text that parses to the same value. */
const char *config_format_size(int64_t bytes, char out[CONFIG_VALUE_TEXT_MAX]);
const char *config_format_duration(int64_t us, char out[CONFIG_VALUE_TEXT_MAX]);

#endif
