#ifndef SLUICE_CLI_TABLE_H
#define SLUICE_CLI_TABLE_H
/* A table of text on a terminal: columns as wide as their widest cell, in code points. */
#include <stdio.h>

enum {
    TABLE_COLUMNS_MAX = 16,
    TABLE_ROWS_MAX = 4096, /* further ones are left out, and that is said */
    TABLE_CELL_MAX_BYTES = 256
};

struct table {
    unsigned columns;
    size_t rows;     /* the head included */
    size_t left_out; /* rows beyond TABLE_ROWS_MAX */
    char **cells;    /* rows * columns; owned */
};

#define TABLE_INIT                                                                                 \
    {                                                                                              \
        .columns = 0                                                                               \
    }

/* Adds a row of columns cells, the first one being the head. Cells are copied, control characters
 * replaced by "?" so that a name cannot play with the terminal. A column whose head begins with ">"
 * (not printed) is aligned to the right. 0 or -ENOMEM. */
int table_add(struct table *table, unsigned columns, const char *const *cells);

#define TABLE_ADD(table, ...)                                                                      \
    table_add((table), (unsigned)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)),   \
              (const char *[]){__VA_ARGS__})

void table_print(const struct table *table, FILE *out);
void table_deinit(struct table *table);

#endif
