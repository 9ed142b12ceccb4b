#include "base/error.h"

#include <stdarg.h>

#define ERROR_PART(function, part)                                                                 \
    void function(struct error *e, const char *format, ...)                                        \
    {                                                                                              \
        if (!e)                                                                                    \
            return;                                                                                \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        vsnprintf(e->part, sizeof e->part, format, arguments);                                     \
        va_end(arguments);                                                                         \
    }

ERROR_PART(error_where, where)
ERROR_PART(error_what, what)
ERROR_PART(error_mend, mend)

void error_print(const struct error *e, FILE *out)
{
    fprintf(out, "sluice: %s%s%s\n", e->where, e->where[0] ? ": " : "", e->what);
    if (e->mend[0])
        fprintf(out, "  fix: %s\n", e->mend);
}
