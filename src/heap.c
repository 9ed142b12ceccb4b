#include "heap.h"

#include <stdlib.h>

#ifdef __GLIBC__
#include <malloc.h>

/* One arena: glibc gives every thread its own, which keeps what that thread once needed, while
 * batches are made by one thread and released by another. A fixed threshold: glibc's default
 * follows the largest block ever freed, after which all later ones lie in the heap and leave gaps
 * there. It is above the buffers of a busy ingest (256 KiB), which would cost a page fault for
 * every few events if each came from fresh pages. */
enum {
    ARENAS = 1,
    MMAP_BYTES = 320 * 1024,
    TRIM_BYTES = 512 * 1024,
    FREE_MAX_BYTES = 128 * 1024 /* may lie free without being given back */
};

void heap_init(void)
{
    mallopt(M_ARENA_MAX, ARENAS);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

void heap_give_back(void)
{
    if (mallinfo2().fordblks > FREE_MAX_BYTES)
        malloc_trim(0);
}

#else

void heap_init(void)
{
}

void heap_give_back(void)
{
}

#endif
