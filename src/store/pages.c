/*
 * The file format of SQLite (sqlite.org/fileformat2.html), as far as salvaging needs it.
 *
 *   database  pages of one size; page 1 begins with a header of 100 bytes. Ours are made with
 *             auto_vacuum, so that pointer map pages say of each page what it is.
 *   log       32 bytes, then frames: 24 bytes and a page. Each frame repeats the salts of the
 *             header and carries the running checksum of everything before it and itself. A frame
 *             that names the size of the database ends a transaction.
 *
 * Recovery by SQLite ends at the first frame whose checksum is wrong. Here such a frame is left
 * out and the sums go on from what it says they are: what follows was acknowledged, and each batch
 * carries a checksum of its own.
 */
#include "store/pages.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/result.h"
#include "store/internal.h"

enum {
    HEADER_BYTES = 100,
    HEADER_PAGE_SIZE = 16,
    HEADER_RESERVED = 20,
    HEADER_FREELIST = 32,
    HEADER_LARGEST_ROOT = 52, /* not 0: there are pointer map pages */
    PAGE_MIN_BYTES = 512,
    USABLE_MIN_BYTES = 480,
    LOG_HEADER_BYTES = 32,
    LOG_FRAME_BYTES = 24,
    LOG_VERSION = 3007000,
    MAP_ENTRY_BYTES = 5,
    MAP_FREE = 2,
    MAP_KNOWN = 5,             /* types are 1 to 5 */
    WINDOW_BYTES = 256 * 1024, /* more would be no faster */
    WINDOW_MIN_BYTES = PAGES_PAGE_MAX_BYTES
};
#define LOG_MAGIC 0x377F0682u /* the last bit: sums are of big-endian words */
#define PENDING_BYTE 0x40000000u
static const char header_magic[16] = "SQLite format 3";

/* Where the log holds a page. */
struct overlay {
    uint32_t number, frame; /* frames count from 0 */
};

struct pages {
    int database_fd, log_fd;
    uint32_t page_bytes, usable, count;
    uint32_t filed; /* of them, in the database; the others only the log has */
    bool mapped;    /* pointer map pages */
    uint64_t database_bytes;
    struct overlay *overlay; /* by number, one each */
    size_t overlay_count;
    uint8_t *window; /* of the file: what is read ahead */
    uint64_t window_at;
    size_t window_bytes;
    uint8_t *page;   /* one from the log */
    uint8_t *unused; /* bit per filed page on the free list; NULL: not looked at yet */
};

static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool power_of_two_page(uint32_t bytes)
{
    return bytes >= PAGE_MIN_BYTES && bytes <= PAGES_PAGE_MAX_BYTES && (bytes & (bytes - 1)) == 0;
}

/* Reads what can be read; the rest is zeros. Whole sectors may be unreadable. */
static size_t read_at(int fd, uint8_t *out, size_t len, uint64_t at)
{
    size_t done = 0;
    memset(out, 0, len);
    while (fd >= 0 && done < len) {
        ssize_t n = pread(fd, out + done, len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

/* Two running sums over 32-bit words, taken in pairs. */
struct sums {
    uint32_t a, b;
};

static void sum(struct sums *s, const uint8_t *p, size_t len, bool big_endian)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t x, y;
        memcpy(&x, p, 4);
        memcpy(&y, p + 4, 4);
        x = big_endian ? be32toh(x) : le32toh(x);
        y = big_endian ? be32toh(y) : le32toh(y);
        s->a += x + s->b;
        s->b += y + s->a;
    }
}

static int by_number(const void *a, const void *b)
{
    const struct overlay *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* Of each page the youngest frame of a transaction that is whole. */
static void settle_overlay(struct pages *pages, size_t committed)
{
    size_t n = 0;
    if (committed)
        qsort(pages->overlay, committed, sizeof(*pages->overlay), by_number);
    for (size_t i = 0; i < committed; i++)
        if (i + 1 == committed || pages->overlay[i + 1].number != pages->overlay[i].number)
            pages->overlay[n++] = pages->overlay[i];
    pages->overlay_count = n;
}

static int add_frame(struct pages *pages, size_t *cap, uint32_t number, uint32_t frame)
{
    if (pages->overlay_count == *cap) {
        size_t more = *cap ? 2 * *cap : 1024;
        struct overlay *p = realloc(pages->overlay, more * sizeof(*p));
        if (!p)
            return result_origin(-ENOMEM);
        pages->overlay = p;
        *cap = more;
    }
    pages->overlay[pages->overlay_count++] = (struct overlay){number, frame};
    return 0;
}

static int read_frames(struct pages *pages, const uint8_t *header, uint64_t bytes)
{
    bool big_endian = u32(header) & 1;
    struct sums s = {u32(header + 24), u32(header + 28)};
    size_t cap = 0, committed = 0, frame_bytes = LOG_FRAME_BYTES + pages->page_bytes;
    uint64_t frames = (bytes - LOG_HEADER_BYTES) / frame_bytes;
    uint8_t *frame = malloc(frame_bytes);
    int r = frame ? 0 : result_origin(-ENOMEM);
    for (uint32_t i = 0; !r && i < frames && i < PAGES_LOG_FRAMES_MAX; i++) {
        read_at(pages->log_fd, frame, frame_bytes, LOG_HEADER_BYTES + i * (uint64_t)frame_bytes);
        if (memcmp(frame + 8, header + 16, 8)) /* of the log's last round */
            break;
        sum(&s, frame, 8, big_endian);
        sum(&s, frame + LOG_FRAME_BYTES, pages->page_bytes, big_endian);
        const struct sums said = {u32(frame + 16), u32(frame + 20)};
        bool sound = said.a == s.a && said.b == s.b && u32(frame);
        s = said;
        if (!sound)
            continue;
        r = add_frame(pages, &cap, u32(frame), i);
        if (!r && u32(frame + 4)) {
            committed = pages->overlay_count;
            pages->count = u32(frame + 4);
        }
    }
    free(frame);
    settle_overlay(pages, committed);
    return result_trace(r);
}

static int open_log(struct pages *pages)
{
    uint8_t header[LOG_HEADER_BYTES];
    struct stat st;
    if (pages->log_fd < 0 || fstat(pages->log_fd, &st) || st.st_size < LOG_HEADER_BYTES)
        return 0;
    read_at(pages->log_fd, header, sizeof(header), 0);
    struct sums s = {0, 0};
    sum(&s, header, 24, u32(header) & 1);
    if ((u32(header) & ~1u) != LOG_MAGIC || u32(header + 4) != LOG_VERSION ||
        s.a != u32(header + 24) || s.b != u32(header + 28) || !power_of_two_page(u32(header + 8)))
        return 0;
    pages->page_bytes = u32(header + 8);
    return result_trace(read_frames(pages, header, (uint64_t)st.st_size));
}

static const struct overlay *find_overlay(const struct pages *pages, uint32_t number)
{
    size_t low = 0, high = pages->overlay_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pages->overlay[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pages->overlay_count && pages->overlay[low].number == number ? &pages->overlay[low]
                                                                              : NULL;
}

/* What page 1 says about the others, where it can be believed. */
static void read_header(struct pages *pages)
{
    uint8_t header[HEADER_BYTES];
    const uint8_t *p = pages_log_first(pages);
    bool logged = p != NULL;
    if (!p) {
        read_at(pages->database_fd, header, sizeof(header), 0);
        p = header;
    }
    pages->usable = pages->page_bytes;
    pages->mapped = pages->page_bytes == STORE_PAGE_BYTES;
    uint32_t size = (uint32_t)p[HEADER_PAGE_SIZE] << 8 | p[HEADER_PAGE_SIZE + 1];
    size = size == 1 ? PAGES_PAGE_MAX_BYTES : size;
    if (memcmp(p, header_magic, sizeof(header_magic)) || !power_of_two_page(size) ||
        size - p[HEADER_RESERVED] < USABLE_MIN_BYTES)
        return;
    if (!logged && !pages->overlay_count)
        pages->page_bytes = size;
    if (size != pages->page_bytes)
        return;
    pages->usable = size - p[HEADER_RESERVED];
    pages->mapped = pages->mapped || u32(p + HEADER_LARGEST_ROOT);
}

int pages_open(int database_fd, int log_fd, struct pages **ret)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    if (!pages)
        return result_origin(-ENOMEM);
    pages->database_fd = database_fd;
    pages->log_fd = log_fd;
    pages->page_bytes = STORE_PAGE_BYTES;
    pages->window_at = UINT64_MAX;
    struct stat st;
    if (database_fd >= 0 && fstat(database_fd, &st) == 0)
        pages->database_bytes = (uint64_t)st.st_size;
    pages->window_bytes =
        pages->database_bytes > WINDOW_MIN_BYTES ? WINDOW_BYTES : WINDOW_MIN_BYTES;
    pages->window = malloc(pages->window_bytes);
    pages->page = malloc(PAGES_PAGE_MAX_BYTES);
    int r = pages->window && pages->page ? open_log(pages) : result_origin(-ENOMEM);
    if (r) {
        pages_close(pages);
        return result_trace(r);
    }
    read_header(pages);
    /* Only the log knows better than the file how many there are: its sums vouch for it. But what
     * is in neither cannot be read. */
    uint64_t count = (pages->database_bytes + pages->page_bytes - 1) / pages->page_bytes;
    pages->filed = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    uint32_t there = pages->overlay_count ? pages->overlay[pages->overlay_count - 1].number : 0;
    there = there > pages->filed ? there : pages->filed;
    if (!pages->count || pages->count > there)
        pages->count = there;
    *ret = pages;
    return 0;
}

struct pages *pages_close(struct pages *pages)
{
    if (!pages)
        return NULL;
    free(pages->overlay);
    free(pages->window);
    free(pages->page);
    free(pages->unused);
    free(pages);
    return NULL;
}

uint32_t pages_count(const struct pages *pages)
{
    return pages->count;
}

uint32_t pages_usable(const struct pages *pages)
{
    return pages->usable;
}

static const uint8_t *from_log(struct pages *pages, const struct overlay *o)
{
    uint64_t frame_bytes = LOG_FRAME_BYTES + pages->page_bytes;
    read_at(pages->log_fd, pages->page, pages->page_bytes,
            LOG_HEADER_BYTES + o->frame * frame_bytes + LOG_FRAME_BYTES);
    return pages->page;
}

const uint8_t *pages_log_first(struct pages *pages)
{
    const struct overlay *o = find_overlay(pages, 1);
    return o ? from_log(pages, o) : NULL;
}

const uint8_t *pages_get(struct pages *pages, uint32_t number)
{
    if (number < 1 || number > pages->count)
        return NULL;
    const struct overlay *o = find_overlay(pages, number);
    if (o)
        return from_log(pages, o);
    uint64_t at = (uint64_t)(number - 1) * pages->page_bytes;
    if (at >= pages->database_bytes)
        return NULL;
    if (at - at % pages->window_bytes != pages->window_at) {
        pages->window_at = at - at % pages->window_bytes;
        size_t n =
            read_at(pages->database_fd, pages->window, pages->window_bytes, pages->window_at);
        /* An unreadable sector must not take its neighbours with it. */
        for (size_t i = n - n % PAGE_MIN_BYTES;
             i < pages->window_bytes && pages->window_at + i < pages->database_bytes;
             i += PAGE_MIN_BYTES)
            read_at(pages->database_fd, pages->window + i, PAGE_MIN_BYTES, pages->window_at + i);
    }
    return pages->window + at % pages->window_bytes;
}

static bool is_map(const struct pages *pages, uint32_t number, uint32_t *ret_map)
{
    uint32_t each = pages->usable / MAP_ENTRY_BYTES + 1;
    uint32_t pending = PENDING_BYTE / pages->page_bytes + 1;
    uint32_t map = (number - 2) / each * each + 2;
    *ret_map = map == pending ? map + 1 : map;
    return number == *ret_map || number == pending;
}

/* Walks the trunks of the free list; each lists pages. */
static void read_free_list(struct pages *pages)
{
    pages->unused = calloc(pages->filed / 8 + 1, 1);
    const uint8_t *p = pages->unused ? pages_get(pages, 1) : NULL;
    uint32_t trunk =
        p && memcmp(p, header_magic, sizeof(header_magic)) == 0 ? u32(p + HEADER_FREELIST) : 0;
    for (uint32_t n = 0; trunk > 1 && n < pages->count && (p = pages_get(pages, trunk)); n++) {
        uint32_t next = u32(p), leaves = u32(p + 4);
        if (leaves > pages->usable / 4 - 2) /* not a trunk */
            return;
        if (trunk <= pages->filed)
            pages->unused[trunk / 8] |= (uint8_t)(1u << trunk % 8);
        for (uint32_t i = 0; i < leaves; i++) {
            uint32_t leaf = u32(p + 8 + 4 * (size_t)i);
            if (leaf > 1 && leaf <= pages->filed)
                pages->unused[leaf / 8] |= (uint8_t)(1u << leaf % 8);
        }
        trunk = next;
    }
}

bool pages_unused(struct pages *pages, uint32_t number)
{
    uint32_t map = 0;
    if (number < 2 || number > pages->count)
        return false;
    if (pages->mapped) {
        if (is_map(pages, number, &map))
            return true;
        const uint8_t *p = pages_get(pages, map);
        const uint8_t *entry = p ? p + (size_t)MAP_ENTRY_BYTES * (number - map - 1) : NULL;
        if (entry && entry[0] == MAP_FREE && !u32(entry + 1))
            return true;
        if (entry && entry[0] && entry[0] <= MAP_KNOWN && entry[0] != MAP_FREE)
            return false;
    }
    if (!pages->unused)
        read_free_list(pages);
    return pages->unused && number <= pages->filed && pages->unused[number / 8] & 1u << number % 8;
}
