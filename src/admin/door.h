#ifndef SLUICE_ADMIN_DOOR_H
#define SLUICE_ADMIN_DOOR_H
/*
 * A door: one listening socket of the admin API, on the file system or on TCP. The file of a unix
 * socket belongs to whoever bound it: it is removed at closing only if it is still the same file.
 * Owned by struct admin; edge thread, or any one thread before that runs.
 */
#include <stdint.h>
#include <sys/types.h>

struct config_address;
struct error;

enum {
    DOOR_UNIX_PATH_MAX_BYTES = 107, /* without the NUL: sizeof sun_path - 1 */
    DOOR_BACKLOG_MAX = 16           /* connections the kernel keeps waiting */
};

struct door {
    int fd;                                  /* non-blocking, close-on-exec; -1: closed */
    uint16_t port;                           /* TCP: as bound, host byte order; else 0 */
    char path[DOOR_UNIX_PATH_MAX_BYTES + 1]; /* "": TCP */
    dev_t device;                            /* which file path was when it was bound */
    ino_t inode;
};

#define DOOR_INIT                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Listens on a unix socket, mode 0600: whoever may open the file may use the API. A socket that a
 * dead process left behind is replaced; one that answers, and anything that is not a socket, is
 * left alone. 0 or -errno with the error filled: -ENAMETOOLONG, -EADDRINUSE (it answers), -EEXIST
 * (not a socket) and what the system says. The directory must exist. */
int door_open_unix(struct door *door, const char *path, struct error *error);

/* Listens on address->host and port (0: any free one). Resolves names: may block on DNS. 0 or
 * -errno with the error filled. */
int door_open_tcp(struct door *door, const struct config_address *address, struct error *error);

/* Closes fd unless somebody took it (take_fd), and removes the unix socket's file. */
void door_close(struct door *door);

#endif
