#include "disk.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash_vfs.h"
#include "dice.h"
#include "specimen.h"

enum {
    NO_FILE = -1,
    FILE_MAX_BYTES = 256 * 1024 * 1024,
    TORN_SMALL = 512,
    TORN_LARGE = 4096,
    PAGE_BYTES = 4096
};
static const char database_magic[] = "SQLite format 3"; /* with its NUL */

struct disk_file {
    struct bytes synced;
    struct bytes pending; /* size_t: lines of the log since its last sync */
    bool lost;            /* a sync failed once: from then on cache is kept */
    struct bytes cache;   /* what the system would read */
};

struct disk {
    const struct crash_log *log;
    size_t position;
    size_t uncertain; /* lines pending in all */
    struct disk_file files[CRASH_FILES_MAX];
    int names[CRASH_NAMES_MAX]; /* synced */
    struct bytes names_pending; /* size_t */
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(99);
}

struct disk *disk_new(const struct crash_log *log)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    must(disk != NULL, "disk");
    disk->log = log;
    for (unsigned i = 0; i < CRASH_FILES_MAX; i++) {
        disk->files[i].synced = (struct bytes)BYTES_INIT(FILE_MAX_BYTES);
        disk->files[i].cache = (struct bytes)BYTES_INIT(FILE_MAX_BYTES);
        disk->files[i].pending = (struct bytes)BYTES_INIT(CRASH_OPS_MAX * sizeof(size_t));
    }
    for (unsigned i = 0; i < CRASH_NAMES_MAX; i++)
        disk->names[i] = NO_FILE;
    disk->names_pending = (struct bytes)BYTES_INIT(CRASH_OPS_MAX * sizeof(size_t));
    return disk;
}

struct disk *disk_free(struct disk *disk)
{
    if (!disk)
        return NULL;
    for (unsigned i = 0; i < CRASH_FILES_MAX; i++) {
        bytes_deinit(&disk->files[i].synced);
        bytes_deinit(&disk->files[i].cache);
        bytes_deinit(&disk->files[i].pending);
    }
    bytes_deinit(&disk->names_pending);
    free(disk);
    return NULL;
}

static size_t count_of(const struct bytes *lines)
{
    return lines->len / sizeof(size_t);
}

static size_t *lines_of(const struct bytes *lines)
{
    return (size_t *)(void *)lines->data;
}

/* The content has at least n bytes; new ones are zero. */
static void grow(struct bytes *content, uint64_t n)
{
    if (n <= content->len)
        return;
    must(bytes_reserve(content, (size_t)n - content->len) == 0, "image");
    memset(content->data + content->len, 0, (size_t)n - content->len);
    content->len = (size_t)n;
}

static void put(struct bytes *content, uint64_t offset, const uint8_t *data, size_t n)
{
    grow(content, offset + n);
    if (n)
        memcpy(content->data + offset, data, n);
}

static void apply(const struct disk *disk, const struct crash_op *op, struct bytes *content)
{
    if (op->kind == CRASH_WRITE) {
        put(content, op->offset, disk->log->data.data + op->data, op->length);
        return;
    }
    grow(content, op->length);
    content->len = op->length;
}

static void apply_name(const struct crash_op *op, int names[CRASH_NAMES_MAX])
{
    names[op->name] = op->kind == CRASH_UNLINK ? NO_FILE : (int)op->file;
    if (op->kind == CRASH_RENAME)
        names[op->other] = NO_FILE;
}

/* The system writes whole pages, so what was lost comes along where the page was written again. */
static void sync_pages(const struct crash_op *op, struct disk_file *file)
{
    uint64_t from = op->offset - op->offset % PAGE_BYTES;
    uint64_t to = op->offset + op->length + PAGE_BYTES - 1;
    to -= to % PAGE_BYTES;
    if (to > file->cache.len)
        to = file->cache.len;
    if (from < to)
        put(&file->synced, from, file->cache.data + from, (size_t)(to - from));
}

static void sync_file(struct disk *disk, struct disk_file *file)
{
    for (size_t i = 0; i < count_of(&file->pending); i++) {
        const struct crash_op *op = crash_log_op(disk->log, lines_of(&file->pending)[i]);
        apply(disk, op, &file->synced);
        if (file->lost && op->kind == CRASH_WRITE)
            sync_pages(op, file);
    }
    disk->uncertain -= count_of(&file->pending);
    file->pending.len = 0;
}

static void lose_file(struct disk *disk, struct disk_file *file)
{
    size_t kept = 0;
    if (!file->lost) {
        file->cache.len = 0;
        put(&file->cache, 0, file->synced.data, file->synced.len);
        for (size_t i = 0; i < count_of(&file->pending); i++)
            apply(disk, crash_log_op(disk->log, lines_of(&file->pending)[i]), &file->cache);
        file->lost = true;
    }
    for (size_t i = 0; i < count_of(&file->pending); i++) {
        size_t line = lines_of(&file->pending)[i];
        if (crash_log_op(disk->log, line)->kind == CRASH_TRUNCATE)
            lines_of(&file->pending)[kept++] = line;
    }
    disk->uncertain -= count_of(&file->pending) - kept;
    file->pending.len = kept * sizeof(size_t);
}

static void sync_names(struct disk *disk)
{
    for (size_t i = 0; i < count_of(&disk->names_pending); i++)
        apply_name(crash_log_op(disk->log, lines_of(&disk->names_pending)[i]), disk->names);
    disk->uncertain -= count_of(&disk->names_pending);
    disk->names_pending.len = 0;
}

void disk_step(struct disk *disk)
{
    assert(disk->position < crash_log_count(disk->log));
    size_t line = disk->position++;
    const struct crash_op *op = crash_log_op(disk->log, line);
    struct disk_file *file = &disk->files[op->file];
    switch (op->kind) {
    case CRASH_CREATE:
    case CRASH_RENAME:
    case CRASH_UNLINK:
        must(bytes_append(&disk->names_pending, &line, sizeof(line)) == 0, "disk");
        disk->uncertain++;
        break;
    case CRASH_WRITE:
    case CRASH_TRUNCATE:
        must(bytes_append(&file->pending, &line, sizeof(line)) == 0, "disk");
        if (file->lost)
            apply(disk, op, &file->cache);
        disk->uncertain++;
        break;
    case CRASH_DIRECTORY:
        sync_names(disk);
        break;
    case CRASH_SYNC:
        sync_file(disk, file);
        break;
    case CRASH_LOST:
        lose_file(disk, file);
        break;
    }
}

size_t disk_position(const struct disk *disk)
{
    return disk->position;
}

bool disk_uncertain(const struct disk *disk)
{
    return disk->uncertain > 0;
}

static void garble(struct bytes *content, uint64_t from, uint64_t to, const struct disk_cut *cut,
                   struct dice *dice)
{
    bool database = content->len >= sizeof(database_magic) &&
                    memcmp(content->data, database_magic, sizeof(database_magic)) == 0;
    if (cut->spare_header && database && from < TORN_SMALL)
        from = TORN_SMALL;
    bool zero = dice_one_in(dice, 2);
    grow(content, to);
    for (uint64_t i = from; i < to; i++)
        content->data[i] = zero ? 0 : (uint8_t)dice_next(dice);
}

/* A write of which some sectors came, some did not, and some are neither. */
static void apply_torn(const struct disk *disk, const struct crash_op *op, size_t unit,
                       const struct disk_cut *cut, struct dice *dice, struct bytes *content)
{
    const uint8_t *data = disk->log->data.data + op->data;
    uint64_t end = op->offset + op->length;
    for (uint64_t sector = op->offset - op->offset % unit; sector < end; sector += unit) {
        uint64_t from = sector > op->offset ? sector : op->offset;
        uint64_t to = sector + unit < end ? sector + unit : end;
        uint64_t fate = dice_below(dice, 16);
        if (fate < 8)
            put(content, from, data + (from - op->offset), (size_t)(to - from));
        if (fate < 14)
            continue;
        if (!cut->psow) {
            from = sector;
            if (to < content->len)
                to = sector + unit < content->len ? sector + unit : content->len;
        }
        garble(content, from, to, cut, dice);
    }
}

static void apply_some(const struct disk *disk, const struct disk_file *file,
                       const struct disk_cut *cut, struct dice *dice, struct bytes *content)
{
    static const unsigned kept_of_16[] = {0, 2, 8, 14, 16};
    size_t n = count_of(&file->pending);
    size_t *order = malloc((n + 1) * sizeof(*order));
    must(order != NULL, "image");
    for (size_t i = 0; i < n; i++)
        order[i] = lines_of(&file->pending)[i];
    if (dice_one_in(dice, 2)) {
        for (size_t i = n; i > 1; i--) {
            size_t other = (size_t)dice_below(dice, i), line = order[i - 1];
            order[i - 1] = order[other];
            order[other] = line;
        }
    } else if (dice_one_in(dice, 3)) {
        n = (size_t)dice_below(dice, n + 1); /* so far in order, and then nothing */
    }
    unsigned kept = kept_of_16[dice_below(dice, sizeof(kept_of_16) / sizeof(kept_of_16[0]))];
    size_t unit = dice_one_in(dice, 2) ? TORN_SMALL : TORN_LARGE;
    unsigned torn = (unsigned)dice_below(dice, 8); /* of 16 */
    for (size_t i = 0; i < n; i++) {
        const struct crash_op *op = crash_log_op(disk->log, order[i]);
        if (op->kind == CRASH_WRITE && dice_below(dice, 16) < torn)
            apply_torn(disk, op, unit, cut, dice, content);
        else if (dice_below(dice, 16) < kept)
            apply(disk, op, content);
    }
    free(order);
}

/* File systems keep the order of names mostly, but nobody promised. */
static void choose_names(const struct disk *disk, const struct disk_cut *cut, struct dice *dice,
                         int names[CRASH_NAMES_MAX])
{
    memcpy(names, disk->names, sizeof(disk->names));
    size_t n = cut->loss == DISK_LOSS_ALL ? 0 : count_of(&disk->names_pending);
    bool any = cut->loss == DISK_LOSS_SOME && dice_one_in(dice, 4);
    if (cut->loss == DISK_LOSS_SOME && !any)
        n = (size_t)dice_below(dice, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!any || dice_one_in(dice, 2))
            apply_name(crash_log_op(disk->log, lines_of(&disk->names_pending)[i]), names);
}

static void write_file(const char *path, const struct bytes *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    for (size_t done = 0; done < content->len;) {
        ssize_t n = write(fd, content->data + done, content->len - done);
        must(n > 0, path);
        done += (size_t)n;
    }
    close(fd);
}

static void clear_directory(const char *directory)
{
    DIR *dir = opendir(directory);
    must(dir != NULL, directory);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0)
            continue;
        if (unlink(path)) /* what a store that salvaged has set aside */
            specimen_directory_remove(path);
        must(access(path, F_OK) != 0, path);
    }
    closedir(dir);
}

void disk_image(const struct disk *disk, const struct disk_cut *cut, const char *directory)
{
    static struct bytes content = BYTES_INIT(FILE_MAX_BYTES);
    struct dice dice = {cut->seed};
    int names[CRASH_NAMES_MAX];
    clear_directory(directory);
    choose_names(disk, cut, &dice, names);
    for (unsigned i = 0; i < disk->log->name_count; i++) {
        if (names[i] == NO_FILE)
            continue;
        const struct disk_file *file = &disk->files[names[i]];
        content.len = 0;
        must(bytes_append(&content, file->synced.data, file->synced.len) == 0, "image");
        if (cut->loss == DISK_LOSS_SOME)
            apply_some(disk, file, cut, &dice, &content);
        for (size_t n = 0; cut->loss == DISK_LOSS_NONE && n < count_of(&file->pending); n++)
            apply(disk, crash_log_op(disk->log, lines_of(&file->pending)[n]), &content);
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", directory, disk->log->names[i]);
        write_file(path, &content);
    }
}
