#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"

enum { READ_STEP_BYTES = 16 << 10 };

static int complain_open(const char *path, int number, struct error *error)
{
    error_what(error, "cannot read %s: %s", path, strerror(number));
    if (number == EACCES || number == EPERM)
        error_mend(error, "let user %u read it and enter its directories", (unsigned)geteuid());
    else if (number == ENOENT || number == ENOTDIR)
        error_mend(error, "create it, or correct the path");
    return result_origin(-number);
}

/* Only the owner may read a secret, and the owner must be us or root. */
static int check_secret(const char *path, const struct stat *status, struct error *error)
{
    if (status->st_mode & (S_IRWXG | S_IRWXO)) {
        error_what(error, "the secret file %s is open to group or others (mode %04o)", path,
                   (unsigned)(status->st_mode & 07777));
        error_mend(error, "chmod 600 %s", path);
        return result_origin(-EPERM);
    }
    if (status->st_uid != geteuid() && status->st_uid != 0) {
        error_what(error, "the secret file %s belongs to user %u, not to us or root", path,
                   (unsigned)status->st_uid);
        error_mend(error, "chown %u %s", (unsigned)geteuid(), path);
        return result_origin(-EPERM);
    }
    return 0;
}

static int check_status(const char *path, const struct config_file_options *options,
                        const struct stat *status, struct error *error)
{
    if (S_ISDIR(status->st_mode)) {
        error_what(error, "%s is a directory", path);
        if (!options->secret)
            error_mend(error, "name a file; \"include\": \"%s/*.json\" in a file reads all of them",
                       path);
        return result_origin(-EISDIR);
    }
    if (!S_ISREG(status->st_mode)) {
        error_what(error, "%s is not a regular file", path);
        return result_origin(-EINVAL);
    }
    return options->secret ? check_secret(path, status, error) : 0;
}

static int read_all(int fd, const char *path, const struct config_file_options *options,
                    struct bytes *content, struct error *error)
{
    for (;;) {
        int r = bytes_reserve(content, content->max - content->len < READ_STEP_BYTES
                                           ? content->max - content->len
                                           : READ_STEP_BYTES);
        if (r) {
            error_what(error, "out of memory");
            return result_fold(r);
        }
        ssize_t n = read(fd, content->data + content->len, content->cap - content->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return complain_open(path, errno, error);
        content->len += (size_t)n;
        if (content->len > options->max_bytes) {
            error_what(error, "%s is larger than %zu KiB", path, options->max_bytes >> 10);
            return result_origin(-EFBIG);
        }
        if (!n)
            return 0;
    }
}

int config_file_read(const char *path, const struct config_file_options *options,
                     struct bytes *content, struct config_file_id *ret_id, struct error *error)
{
    struct stat status;
    if (error && !error->where[0])
        error_where(error, "%s", path);
    /* O_NONBLOCK: a fifo must not hold up the start; it is refused below. */
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return complain_open(path, errno, error);
    int r = check_status(path, options, &status, error);
    if (!r)
        r = read_all(fd, path, options, content, error);
    if (!r && ret_id)
        *ret_id = (struct config_file_id){.device = status.st_dev, .inode = status.st_ino};
    return r;
}
