#include "store/vfs_join.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/vfs_file.h"

/* Of the format of the log: the header of a frame. */
enum { FRAME_HEADER_BYTES = 24, FRAME_COMMITS = 4 /* 4 bytes; 0: more frames follow */ };

void vfs_join_begin(struct vfs_join *join)
{
    assert(!join->len);
    join->gathering = true;
    join->page_due = join->commits = false;
}

void vfs_join_drop(struct vfs_join *join)
{
    join->gathering = false;
    join->len = 0;
}

void vfs_join_deinit(struct vfs_join *join)
{
    free(join->data);
    *join = (struct vfs_join){.len = 0};
}

int vfs_join_flush(struct vfs_file *log)
{
    struct vfs_join *join = &log->join;
    if (!join->len)
        return SQLITE_OK;
    int code = vfs_file_write(log, join->data, (int)join->len, join->offset);
    if (code == SQLITE_OK)
        join->len = 0;
    return code;
}

/* Behind what is gathered already; after a flush where there is no room. */
static int put(struct vfs_file *log, const void *data, size_t n, sqlite3_int64 offset)
{
    struct vfs_join *join = &log->join;
    if (join->len + n > VFS_JOIN_BYTES) {
        int code = vfs_join_flush(log);
        if (code != SQLITE_OK)
            return code;
    }
    if (!join->len)
        join->offset = offset;
    memcpy(join->data + join->len, data, n);
    join->len += n;
    return SQLITE_OK;
}

static int put_header(struct vfs_file *log, const uint8_t *header, sqlite3_int64 offset)
{
    static const uint8_t more_follow[4] = {0};
    int code = put(log, header, FRAME_HEADER_BYTES, offset);
    log->join.page_due = code == SQLITE_OK;
    log->join.commits = memcmp(header + FRAME_COMMITS, more_follow, sizeof(more_follow)) != 0;
    return code;
}

static int put_page(struct vfs_file *log, const void *page, size_t n, sqlite3_int64 offset)
{
    struct vfs_join *join = &log->join;
    int code = put(log, page, n, offset);
    if (code != SQLITE_OK)
        return code;
    join->page_due = false;
    if (!join->commits)
        return SQLITE_OK;
    join->gathering = false;
    return vfs_join_flush(log);
}

/* Whether a write is the next piece of a frame that may be gathered. */
static bool continues(const struct vfs_join *join, int n, sqlite3_int64 offset)
{
    if (join->len && offset != join->offset + (sqlite3_int64)join->len)
        return false;
    return join->page_due ? n > FRAME_HEADER_BYTES && n <= VFS_JOIN_BYTES : n == FRAME_HEADER_BYTES;
}

int vfs_join_write(struct vfs_file *log, const void *data, int n, sqlite3_int64 offset)
{
    struct vfs_join *join = &log->join;
    if (join->gathering && !join->data)
        join->data = malloc(VFS_JOIN_BYTES);
    if (join->gathering && join->data && continues(join, n, offset))
        return join->page_due ? put_page(log, data, (size_t)n, offset)
                              : put_header(log, data, offset);
    if (join->page_due)
        join->gathering = false; /* not the format that is known here */
    int code = vfs_join_flush(log);
    return code == SQLITE_OK ? vfs_file_write(log, data, n, offset) : code;
}
