#ifndef SLUICE_STORE_PAGES_H
#define SLUICE_STORE_PAGES_H
/*
 * struct pages: a damaged SQLite database as the pages it consists of, read without SQLite: the
 * file, overlaid by the committed frames of its write-ahead log. Nothing that is read is believed;
 * any bytes are survived, a sector that cannot be read counts as zeros. Pure reading, one thread.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
    PAGES_PAGE_MAX_BYTES = 65536,
    PAGES_LOG_FRAMES_MAX = 1024 * 1024 /* later frames are not read: bounds the index to 8 MiB */
};

struct pages;

/* Borrows the descriptors until pages_close(); -1: there is no such file. 0, -ENOMEM, -errno. */
int pages_open(int database_fd, int log_fd, struct pages **ret);
struct pages *pages_close(struct pages *pages); /* NULL accepted; returns NULL */

/* Pages are numbered from 1 to pages_count(). */
uint32_t pages_count(const struct pages *pages);
/* The content of a page, pages_usable() bytes of which count; valid until the next call. NULL: no
 * such page. */
const uint8_t *pages_get(struct pages *pages, uint32_t number);
uint32_t pages_usable(const struct pages *pages);

/* Whether the database had given up the page, so that what stands there is of the past. Where the
 * pointer map is destroyed the free list is asked. */
bool pages_unused(struct pages *pages, uint32_t number);

/* Page 1 as the last commit in the log has it. NULL: the log has none that is sound. */
const uint8_t *pages_log_first(struct pages *pages);

#endif
