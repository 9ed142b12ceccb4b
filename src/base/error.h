#ifndef SLUICE_BASE_ERROR_H
#define SLUICE_BASE_ERROR_H
/*
 * struct error: what a person must read. Filled by loaders and start-up code (configuration,
 * files, sockets, database) with the place, the problem and the remedy. A value: no ownership, may
 * be copied, any thread.
 */
#include <stdio.h>

struct error {
    char where[512]; /* "conf.json:12:5", "/var/lib/sluice/sluice.db", "listener lan [::]:1883" */
    char what[640]; /* the problem, one sentence without a full stop */
    char mend[512]; /* what to do about it; may be empty */
};

#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .where = ""                                                                                \
    }

/* Each sets its part by a printf format, cutting what does not fit. e may be NULL: then the caller
 * of the loader has no use for the text. */
__attribute__((format(printf, 2, 3))) void error_where(struct error *e, const char *format, ...);
__attribute__((format(printf, 2, 3))) void error_what(struct error *e, const char *format, ...);
__attribute__((format(printf, 2, 3))) void error_mend(struct error *e, const char *format, ...);

/* Prints "sluice: WHERE: WHAT" and, if there is one, "  fix: MEND". */
void error_print(const struct error *e, FILE *out);

#endif
