#ifndef SLUICE_CONFIG_FILE_H
#define SLUICE_CONFIG_FILE_H
/* Reading a configuration file or a secret whole, with an error a person can act upon. */
#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"

struct error;

struct config_file_id {
    dev_t device;
    ino_t inode;
};

struct config_file_options {
    size_t max_bytes;
    bool secret; /* refuse what others can read or own */
};

/* Reads a regular file. content must be empty, its maximum at least max_bytes + 1. ret_id may be
 * NULL. 0 or -errno with what and mend filled; where is filled only if it is empty, with the path
 * (the caller may know a better place). Blocks on the disk. */
int config_file_read(const char *path, const struct config_file_options *options,
                     struct bytes *content, struct config_file_id *ret_id, struct error *error);

#endif
