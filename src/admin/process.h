#ifndef SLUICE_ADMIN_PROCESS_H
#define SLUICE_ADMIN_PROCESS_H
/* What the kernel says of this process, from /proc: memory, never the disk. Any thread. */
#include <stdint.h>

struct process_sample {
    uint64_t resident_bytes;
    uint64_t open_fds;
    double cpu_seconds;        /* user and system */
    double start_time_seconds; /* Unix time */
};

/* 0, or -errno where /proc is missing or speaks differently. */
int process_sample(struct process_sample *ret);

#endif
