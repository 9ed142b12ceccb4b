/*
 * What the store costs, beside bare SQLite doing the same commits of the same blobs.
 *
 *     store_bench append EVENTS DIRECTORY CONTENDER COMMITS EVENTS-PER-COMMIT
 *     store_bench paced EVENTS DIRECTORY CHECKPOINTS RATE SECONDS DELAY-MS
 *     store_bench fill EVENTS DIRECTORY COMMITS EVENTS-PER-COMMIT
 *     store_bench read EVENTS DIRECTORY COMMITS EVENTS-PER-COMMIT ROUNDS
 *     store_bench trim EVENTS DIRECTORY CONTENDER COMMITS EVENTS-PER-COMMIT
 *
 * EVENTS: see input.h. DIRECTORY: new or empty, on the disk to be measured; what is written stays.
 * Prints one JSON object a line. store_bench.py runs it, in turns, and prints tables.
 */
#include "store_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

static const struct {
    const char *name;
    int arguments; /* behind DIRECTORY */
    void (*run)(const struct input *input, const char *directory, char **arguments);
} modes[] = {{"append", 3, run_append},
             {"paced", 4, run_paced},
             {"fill", 2, run_fill},
             {"read", 3, run_read},
             {"trim", 3, run_trim}};

long number(const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (!*text || *end || value < 0 || value > max)
        fail(text, "is not a number in range");
    return value;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 4 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) || argc != 4 + modes[i].arguments)
            continue;
        struct input input;
        input_load(argv[2], &input);
        modes[i].run(&input, argv[3], argv + 4);
        input_free(&input);
        return 0;
    }
    fprintf(stderr,
            "usage: store_bench append|paced|fill|read|trim EVENTS DIRECTORY ARGUMENTS...\n");
    return 2;
}
