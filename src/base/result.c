#include "base/result.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

int result_note(int r, const char *kind, const char *file, int line, const char *function)
{
    if (r < 0) {
        char text[96];
        log_debug("result", kind, "at=%s:%d in=%s errno=%d error=\"%s\"", file, line, function, -r,
                  strerror_r(-r, text, sizeof text));
    }
    return r;
}

int result_fold_at(int r, const char *file, int line, const char *function)
{
    if (r > 0) {
        log_error("result", "unhandled outcome", "at=%s:%d in=%s outcome=%d", file, line, function,
                  r);
        return -ENOTRECOVERABLE;
    }
    return r;
}
