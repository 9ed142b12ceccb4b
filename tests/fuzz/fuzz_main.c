/*
 * main() of a fuzz target when libFuzzer is not there: runs every file of its corpus, then a fixed
 * number of deterministic mutations of them, so that a plain test run exercises the same code.
 *
 *     fuzz_X [-runs=N] [-seed=N] [-max_len=N] FILE|FOLDER...
 *
 * The same arguments give the same inputs. A failure aborts in the target after the input that
 * caused it was written to crash-fuzz in the current folder: run it again by naming that file.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX_BYTES = 1 << 16, CORPUS_MAX = 4096, PATH_MAX_BYTES = 4096, MUTATIONS_MAX = 8 };

struct input {
    uint8_t *data;
    size_t size;
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_count;
static const uint8_t *current_data; /* what the target works on, for the crash file */
static size_t current_size;

/* xorshift64*: repeatable everywhere. */
static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static size_t random_below(size_t n)
{
    return n ? (size_t)(random_next() >> 16) % n : 0;
}

static void on_abort(int number)
{
    FILE *f = fopen("crash-fuzz", "wb");
    if (f) {
        fwrite(current_data, 1, current_size, f);
        fclose(f);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1); /* of exact size, so that a reader too far is seen */
    if (!exact)
        abort();
    if (size)
        memcpy(exact, data, size);
    current_data = data;
    current_size = size;
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not by locale: the order is part of the seed */
}

static int load(const char *path)
{
    struct stat st;
    if (stat(path, &st)) {
        fprintf(stderr, "fuzz: cannot read %s\n", path);
        return -1;
    }
    if (S_ISDIR(st.st_mode)) {
        struct dirent **names;
        int n = scandir(path, &names, NULL, by_name);
        int r = n < 0 ? -1 : 0;
        for (int i = 0; i < n; i++) {
            char inner[PATH_MAX_BYTES];
            snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
            if (names[i]->d_name[0] != '.' && !r)
                r = load(inner);
            free(names[i]);
        }
        if (n >= 0)
            free(names);
        return r;
    }
    FILE *f = fopen(path, "rb");
    struct input in = {.data = malloc(INPUT_MAX_BYTES)};
    if (!f || !in.data || corpus_count == CORPUS_MAX) {
        fprintf(stderr, "fuzz: cannot load %s\n", path);
        return -1;
    }
    in.size = fread(in.data, 1, INPUT_MAX_BYTES, f);
    fclose(f);
    corpus[corpus_count++] = in;
    return 0;
}

static size_t insert(uint8_t *data, size_t size, size_t max, size_t at, const uint8_t *what,
                     size_t n)
{
    if (n > max - size)
        n = max - size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, what, n);
    return size + n;
}

/* One change; returns the new size. */
static size_t mutate(uint8_t *data, size_t size, size_t max)
{
    static const uint8_t interesting[] = {0x00, 0x01, 0x02, 0x7f, 0x80, 0xff,
                                          0xc0, 0xed, '/',  '+',  '#',  '$'};
    uint8_t some[8];
    size_t at = random_below(size);
    switch (size ? random_below(7) : 6) {
    case 0:
        data[at] ^= (uint8_t)(1u << random_below(8));
        return size;
    case 1:
        data[at] = interesting[random_below(sizeof interesting)];
        return size;
    case 2:
        data[at] = (uint8_t)(data[at] + random_below(9) - 4);
        return size;
    case 3: { /* remove a run */
        size_t n = 1 + random_below(size - at < 8 ? size - at : 8);
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    }
    case 4: { /* repeat a run */
        size_t n = 1 + random_below(size - at < sizeof some ? size - at : sizeof some);
        memcpy(some, data + at, n);
        return insert(data, size, max, at, some, n);
    }
    case 5: { /* a piece of another input */
        const struct input *other = &corpus[random_below(corpus_count)];
        size_t from = random_below(other->size);
        return insert(data, size, max, at, other->data + from,
                      random_below(other->size - from + 1));
    }
    default:
        for (size_t i = 0; i < sizeof some; i++)
            some[i] = (uint8_t)random_next();
        return insert(data, size, max, at, some, 1 + random_below(sizeof some));
    }
}

int main(int argc, char **argv)
{
    unsigned long runs = 0, seed = 1, max_len = 4096;
    for (int i = 1; i < argc; i++)
        if (sscanf(argv[i], "-runs=%lu", &runs) != 1 && sscanf(argv[i], "-seed=%lu", &seed) != 1 &&
            sscanf(argv[i], "-max_len=%lu", &max_len) != 1 && load(argv[i]))
            return 2;
    if (!corpus_count || !max_len || max_len > INPUT_MAX_BYTES) {
        fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-max_len=N] FILE|FOLDER...\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, on_abort);
    random_state = seed * 2 + 1;
    for (size_t i = 0; i < corpus_count; i++)
        run(corpus[i].data, corpus[i].size);
    static uint8_t data[INPUT_MAX_BYTES];
    for (unsigned long i = 0; i < runs; i++) {
        const struct input *origin = &corpus[random_below(corpus_count)];
        size_t size = origin->size < max_len ? origin->size : max_len;
        memcpy(data, origin->data, size);
        for (size_t n = 1 + random_below(MUTATIONS_MAX); n; n--)
            size = mutate(data, size, max_len);
        run(data, size);
    }
    printf("%zu inputs and %lu mutations\n", corpus_count, runs);
    for (size_t i = 0; i < corpus_count; i++)
        free(corpus[i].data);
    return 0;
}
