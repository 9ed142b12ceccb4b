/* Damaged databases. Input: the length of the log in KiB (1 byte), the log, the database. Whatever
 * the two are, all records of all pages can be asked for; what is called a batch has the checksum
 * it says. The sums of the log are made right on the way, or no frame of it would ever be read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/pages.h"
#include "store/record.h"
#include "store/rows.h"

enum { LOG_HEADER_BYTES = 32, FRAME_HEADER_BYTES = 24, INPUT_MAX_BYTES = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The format's sums over big-endian words. */
static void sum(uint32_t s[2], const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        s[0] += get_u32(p) + s[1];
        s[1] += get_u32(p + 4) + s[0];
    }
}

static void mend_log(uint8_t *log, size_t len)
{
    uint32_t s[2] = {0, 0};
    if (len < LOG_HEADER_BYTES)
        return;
    put_u32(log, 0x377F0683);
    put_u32(log + 4, 3007000);
    uint32_t page = 512u << (log[11] & 1);
    put_u32(log + 8, page);
    sum(s, log, 24);
    put_u32(log + 24, s[0]);
    put_u32(log + 28, s[1]);
    for (size_t at = LOG_HEADER_BYTES; at + FRAME_HEADER_BYTES + page <= len;
         at += FRAME_HEADER_BYTES + page) {
        if (log[at + 8] == 0xFF) /* stays as it is: the end, or a damaged frame */
            continue;
        memcpy(log + at + 8, log + 16, 8);
        log[at] = log[at + 1] = log[at + 2] = 0; /* a page that there may be */
        sum(s, log + at, 8);
        sum(s, log + at + FRAME_HEADER_BYTES, page);
        put_u32(log + at + 16, s[0]);
        put_u32(log + at + 20, s[1]);
    }
}

static int file_with(int *fd, const uint8_t *data, size_t size)
{
    if (*fd < 0)
        *fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, 0) || pwrite(*fd, data, size, 0) != (ssize_t)size)
        abort();
    return *fd;
}

static void read_pages(struct pages *pages, struct bytes *scratch)
{
    uint32_t count = pages_count(pages);
    for (uint32_t i = 0; i < count && i < 64; i++) {
        struct record_iterator it;
        struct record record;
        int r;
        record_iterator_init(&it, pages, i, scratch);
        (void)pages_unused(pages, i);
        while ((r = record_next(&it, row_possible, &record)) != RECORD_END) {
            struct row row;
            if (r)
                continue;
            row_recognise(&record, &row);
            if (row.kind == ROW_BATCH &&
                batch_row_crc(&row.batch.columns, row.batch.data) != row.batch.crc)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int database_fd = -1, log_fd = -1;
    static uint8_t copy[INPUT_MAX_BYTES];
    static struct bytes scratch = BYTES_INIT(1024 * 1024);
    struct record ignored;
    if (size < 1 || size > sizeof(copy))
        return 0;
    (void)record_decode(slice_make(data, size), &ignored);
    memcpy(copy, data + 1, size - 1);
    size_t log_len = (size_t)data[0] * 1024 < size - 1 ? (size_t)data[0] * 1024 : size - 1;
    mend_log(copy, log_len);
    struct pages *pages = NULL;
    if (pages_open(file_with(&database_fd, copy + log_len, size - 1 - log_len),
                   log_len ? file_with(&log_fd, copy, log_len) : -1, &pages))
        return 0;
    read_pages(pages, &scratch);
    pages_close(pages);
    return 0;
}
