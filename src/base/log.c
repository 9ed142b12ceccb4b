#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/utf8.h"

static atomic_int current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* Whether this site may speak now. Races between threads of one site cost a line more or less. */
static bool site_admits(struct log_site *site, unsigned *ret_suppressed)
{
    int64_t now = clock_monotonic_us(&clock_system);
    int64_t start = atomic_load_explicit(&site->window_start_us, memory_order_relaxed);
    if (start == 0 || now - start >= LOG_WINDOW_S * INT64_C(1000000)) {
        atomic_store_explicit(&site->window_start_us, now, memory_order_relaxed);
        atomic_store_explicit(&site->in_window, 0, memory_order_relaxed);
    }
    if (atomic_fetch_add_explicit(&site->in_window, 1, memory_order_relaxed) >= LOG_BURST) {
        atomic_fetch_add_explicit(&site->suppressed, 1, memory_order_relaxed);
        return false;
    }
    *ret_suppressed = atomic_exchange_explicit(&site->suppressed, 0, memory_order_relaxed);
    return true;
}

static size_t append(char *line, size_t at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line + at, LOG_LINE_MAX_BYTES - at, format, arguments);
    va_end(arguments);
    at += n > 0 ? (size_t)n : 0;
    return at < LOG_LINE_MAX_BYTES - 1 ? at : LOG_LINE_MAX_BYTES - 2;
}

void log_write(struct log_site *site, enum log_level level, const char *room, const char *message,
               const char *format, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    static const int priorities[] = {3, 4, 6, 7}; /* syslog, as sd-daemon(3) wants them */
    unsigned suppressed = 0;
    if (level != LOG_LEVEL_DEBUG && !site_admits(site, &suppressed))
        return;

    char line[LOG_LINE_MAX_BYTES];
    size_t at = 0;
    if (getenv("JOURNAL_STREAM")) {
        at = append(line, at, "<%d>", priorities[level]);
    } else {
        char now[CLOCK_TEXT_MAX];
        clock_format(clock_now(&clock_system).wall_us, now);
        at = append(line, at, "time=%s ", now);
    }
    at = append(line, at, "level=%s room=%s msg=\"%s\"", names[level], room, message);
    if (format[0]) {
        at = append(line, at, " ");
        va_list arguments;
        va_start(arguments, format);
        int n = vsnprintf(line + at, sizeof line - at, format, arguments);
        va_end(arguments);
        at += n > 0 ? (size_t)n : 0;
        if (at >= sizeof line - 1)
            at = sizeof line - 2;
    }
    if (suppressed)
        at = append(line, at, " suppressed=%u", suppressed);
    line[at++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, at); /* one write: lines of threads do not mix */
    (void)ignored;
}

const char *log_quote(const void *data, unsigned long len, char buffer[LOG_QUOTED_MAX_BYTES])
{
    struct slice rest = slice_make(data, len);
    size_t at = 0;
    buffer[at++] = '"';
    while (rest.len) {
        uint32_t c;
        unsigned n = utf8_next(rest, &c);
        if (at > LOG_QUOTED_MAX_BYTES - 16) {
            memcpy(buffer + at, "…", sizeof "…" - 1);
            at += sizeof "…" - 1;
            break;
        }
        if (n && c >= 0x20 && c != 0x7f && c != '"' && c != '\\' && !(c >= 0x80 && c < 0xa0)) {
            memcpy(buffer + at, rest.data, n);
            at += n;
        } else {
            n = 1;
            at += (size_t)snprintf(buffer + at, LOG_QUOTED_MAX_BYTES - at, "\\x%02x", rest.data[0]);
        }
        rest.data += n;
        rest.len -= n;
    }
    buffer[at++] = '"';
    buffer[at] = '\0';
    return buffer;
}
