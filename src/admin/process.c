#include "admin/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

enum { PROC_FILE_MAX_BYTES = 32 << 10, PROC_FDS_MAX = 1 << 20 };

/* Reads a file of /proc as far as it fits, as a string. */
static int read_text(const char *path, char *text, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    while (used < size - 1) {
        ssize_t n = read(fd, text + used, size - 1 - used);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    return 0;
}

static int count_fds(uint64_t *ret)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return -errno;
    uint64_t count = 0;
    for (struct dirent *entry; count < PROC_FDS_MAX && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    *ret = count - (count > 0); /* not the one that looked */
    return 0;
}

/* When the machine was started, Unix time in seconds. The line stands behind one per processor and
 * one for all interrupts, so the file is read by lines. */
static int boot_time(double *ret)
{
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return -errno;
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    uint64_t seconds;
    int r = -EPROTO;
    while (r && getline(&line, &size, file) >= 0)
        if (sscanf(line, "btime %" SCNu64, &seconds) == 1) {
            *ret = (double)seconds;
            r = 0;
        }
    fclose(file);
    return r;
}

int process_sample(struct process_sample *ret)
{
    char text[PROC_FILE_MAX_BYTES];
    struct process_sample sample;
    int r = read_text("/proc/self/stat", text, sizeof text);
    if (r)
        return r;
    /* proc(5): the fields behind the name in brackets, which may itself hold brackets and spaces.
     * state is field 3; wanted are 14 utime, 15 stime, 22 starttime (ticks), 24 rss (pages). */
    const char *rest = strrchr(text, ')');
    uint64_t user, system, start, pages;
    if (!rest || sscanf(rest + 1,
                        " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64
                        " %*s %*s %*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64,
                        &user, &system, &start, &pages) != 4)
        return -EPROTO;
    double ticks_per_second = (double)sysconf(_SC_CLK_TCK);
    double booted = 0;
    if ((r = boot_time(&booted)) || (r = count_fds(&sample.open_fds)))
        return r;
    sample.resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    sample.cpu_seconds = (double)(user + system) / ticks_per_second;
    sample.start_time_seconds = booted + (double)start / ticks_per_second;
    *ret = sample;
    return 0;
}
