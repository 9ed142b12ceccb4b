#ifndef SLUICE_TESTS_BENCH_STORE_BENCH_H
#define SLUICE_TESTS_BENCH_STORE_BENCH_H
/* The modes of store_bench.c. arguments: what stands behind DIRECTORY. Each prints its JSON. */
struct input;

enum {
    COMMITS_MAX = 1 << 20,
    PER_COMMIT_MAX = 100000,
    ROUNDS_MAX = 1000,
    SECONDS_MAX = 3600,
    RATE_MAX = 1000000,
    DELAY_MAX_MS = 60000
};

void run_append(const struct input *input, const char *directory, char **arguments);
void run_paced(const struct input *input, const char *directory, char **arguments);
void run_fill(const struct input *input, const char *directory, char **arguments);
void run_read(const struct input *input, const char *directory, char **arguments);
void run_trim(const struct input *input, const char *directory, char **arguments);

/* A number from 0 to max, or the end of the program. */
long number(const char *text, long max);

#endif
