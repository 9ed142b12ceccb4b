#ifndef SLUICE_TESTS_STORE_FIXTURE_H
#define SLUICE_TESTS_STORE_FIXTURE_H
/* What the tests of the store share: a data directory of their own, a clock that stands still until
 * it is told otherwise, and events that say which one they are. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "event/event.h"
#include "store/range.h"
#include "store/read.h"
#include "store/store.h"
#include "store/store_config.h"

struct fixture {
    char base[64];     /* temporary directory */
    char data_dir[96]; /* in it; not made yet */
    struct store_config config;
    int64_t now_us;      /* monotonic */
    int64_t base_us;     /* what the wall clock is ahead of it */
    bool unsynced;       /* what the wall clock is worth */
    const char *boot_id; /* NULL: the kernel's */
    struct clock clock;  /* shows all that */
    struct store *store;
    bool background; /* the stores have a checkpointer */
    int64_t cursor_interval_us; /* 0 unless a test says otherwise */
    const char *machine_id;
};

/* cmocka set-up and tear-down; *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Replaces the configuration by a JSON text of section store_section. */
void fixture_configure(struct fixture *f, const char *json);
/* A store on f->data_dir in f->store, open; or only made, with the outcome of store_open(). */
void fixture_open(struct fixture *f);
int fixture_try_open(struct fixture *f, struct error *error);
void fixture_close(struct fixture *f); /* orderly */
/* Copies the database of a data directory, open or not, with its log and, with identity, the file
 * beside it; the database that was at the other place is gone. */
void fixture_copy(const char *from, const char *to, bool identity);
/* What a kill would leave: copies the files of the open store to base/name, which becomes
 * f->data_dir; the store that was open is closed. */
void fixture_crash(struct fixture *f, const char *name);

uint32_t fixture_stream(struct fixture *f, const char *name);
/* Appends event number n (payload "event n" and padding to bytes in all) and returns its offset;
 * the outcome, where it may be other than 0, by fixture_try_append. */
uint64_t fixture_append(struct fixture *f, uint32_t stream, unsigned n, size_t bytes);
int fixture_try_append(struct fixture *f, uint32_t stream, unsigned n, size_t bytes,
                       uint64_t *ret_offset);
/* Appends count events numbered from n on and commits. */
void fixture_fill(struct fixture *f, uint32_t stream, unsigned n, unsigned count, size_t bytes);

/* The number in an event's payload. */
unsigned fixture_number(const struct event *event);
/* Reads the stream from offset on by a reader of its own and asserts that it holds exactly the
 * events numbered n to n + count - 1 at offset, offset + 1, ... */
void fixture_expect(struct fixture *f, uint32_t stream, uint64_t offset, unsigned n,
                    unsigned count);

/* Runs SQL on the database file by a connection of its own; the first number it yields, or 0. */
int64_t fixture_sql(const char *path, const char *sql);

#endif
