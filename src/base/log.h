#ifndef SLUICE_BASE_LOG_H
#define SLUICE_BASE_LOG_H
/*
 * Logging to stderr, one logfmt line per entry:
 *
 *   time=2026-01-31T12:00:00Z level=warn room=listener msg="client refused" client=abc reason=0x87
 *
 * Under systemd (JOURNAL_STREAM set) the time is left out and the line starts with the <N> level
 * prefix. Each call site has its own rate limit: LOG_BURST lines in LOG_WINDOW_S seconds; what is
 * held back is counted and said by the next line of that site (suppressed=N). Any thread.
 *
 * The third argument is a printf format for the fields ("client=%s"); "" for none. Values that come
 * from outside go through LOG_QUOTE or are printed by number, so that a client cannot forge lines.
 */
#include <stdatomic.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum { LOG_BURST = 20, LOG_WINDOW_S = 10, LOG_LINE_MAX_BYTES = 2048 };

struct log_site {
    _Atomic int64_t window_start_us;
    atomic_uint in_window;
    atomic_uint suppressed;
};

void log_set_level(enum log_level level); /* default LOG_LEVEL_INFO */
enum log_level log_get_level(void);

__attribute__((format(printf, 5, 6))) void log_write(struct log_site *site, enum log_level level,
                                                     const char *room, const char *message,
                                                     const char *format, ...);

#define LOG_AT(level, room, ...)                                                                   \
    do {                                                                                           \
        static struct log_site log_site_here;                                                      \
        if ((level) <= log_get_level())                                                            \
            log_write(&log_site_here, (level), (room), __VA_ARGS__);                               \
    } while (0)

#define log_error(room, ...) LOG_AT(LOG_LEVEL_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) LOG_AT(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_info(room, ...) LOG_AT(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) LOG_AT(LOG_LEVEL_DEBUG, room, __VA_ARGS__)

/* Quotes bytes from outside for a logfmt value: printable ASCII and UTF-8 stay, quotes, backslashes
 * and control characters are escaped, at most LOG_QUOTED_MAX_BYTES - 1 bytes with "…" where cut.
 * Returns buffer. Use: LOG_QUOTE(slice) inside a full expression. */
enum { LOG_QUOTED_MAX_BYTES = 160 };
struct slice;
const char *log_quote(const void *data, unsigned long len, char buffer[LOG_QUOTED_MAX_BYTES]);
#define LOG_QUOTE(s) log_quote((s).data, (s).len, (char[LOG_QUOTED_MAX_BYTES]){0})

#endif
