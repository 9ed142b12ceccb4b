#include "cli/table.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/result.h"
#include "base/utf8.h"

static char *clean_copy(const char *text)
{
    struct slice rest = slice_string(text);
    char *copy = calloc(1, TABLE_CELL_MAX_BYTES);
    size_t used = 0;
    while (copy && rest.len) {
        uint32_t c = 0;
        unsigned len = utf8_next(rest, &c);
        bool shown = len && c >= ' ' && c != 0x7f && (c < 0x80 || c >= 0xa0);
        unsigned step = len ? len : 1, width = shown ? len : 1;
        if (used + width >= TABLE_CELL_MAX_BYTES)
            break;
        memcpy(copy + used, shown ? (const char *)rest.data : "?", width);
        used += width;
        rest = slice_make(rest.data + step, rest.len - step);
    }
    return copy;
}

static int text_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

int table_add(struct table *table, unsigned columns, const char *const *cells)
{
    assert(columns && columns <= TABLE_COLUMNS_MAX && (!table->rows || columns == table->columns));
    if (table->rows == TABLE_ROWS_MAX) {
        table->left_out++;
        return 0;
    }
    size_t used = table->rows * columns;
    char **grown = realloc(table->cells, (used + columns) * sizeof *grown);
    if (!grown)
        return result_origin(-ENOMEM);
    table->cells = grown;
    table->columns = columns;
    for (unsigned i = 0; i < columns; i++)
        if (!(grown[used + i] = clean_copy(cells[i]))) {
            while (i)
                free(grown[used + --i]);
            return result_origin(-ENOMEM);
        }
    table->rows++;
    return 0;
}

static bool is_right(const struct table *table, unsigned column)
{
    return table->cells[column][0] == '>';
}

static const char *cell(const struct table *table, size_t row, unsigned column)
{
    const char *text = table->cells[row * table->columns + column];
    return row == 0 && is_right(table, column) ? text + 1 : text;
}

void table_print(const struct table *table, FILE *out)
{
    int widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t row = 0; row < table->rows; row++)
        for (unsigned i = 0; i < table->columns; i++) {
            int width = text_width(cell(table, row, i));
            widths[i] = width > widths[i] ? width : widths[i];
        }
    for (size_t row = 0; row < table->rows; row++) {
        for (unsigned i = 0; i < table->columns; i++) {
            const char *text = cell(table, row, i);
            int pad = widths[i] - text_width(text);
            bool right = is_right(table, i), last = i + 1 == table->columns;
            fprintf(out, "%*s%s%*s%s", right ? pad : 0, "", text, right || last ? 0 : pad, "",
                    last ? "" : "  ");
        }
        fputc('\n', out);
    }
    if (table->left_out)
        fprintf(out, "(and %zu more)\n", table->left_out);
}

void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table)TABLE_INIT;
}
