#ifndef SLUICE_BASE_CLEANUP_H
#define SLUICE_BASE_CLEANUP_H
/* Scope-bound release (GNU cleanup attribute) and the two ways to give something away. */
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define CLEANUP_FREE __attribute__((cleanup(cleanup_free)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close)))

/* Yields the pointer and leaves NULL behind: the caller no longer owns it. */
#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __auto_type take_ptr_value = (p);                                                          \
        (p) = NULL;                                                                                \
        take_ptr_value;                                                                            \
    })

/* Yields the descriptor and leaves -1 behind. */
#define take_fd(fd)                                                                                \
    ({                                                                                             \
        int take_fd_value = (fd);                                                                  \
        (fd) = -1;                                                                                 \
        take_fd_value;                                                                             \
    })

#endif
