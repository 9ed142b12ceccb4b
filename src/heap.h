#ifndef SLUICE_HEAP_H
#define SLUICE_HEAP_H
/*
 * The C library's heap, held to what the gateway needs now rather than to the most it ever needed:
 * memory is bounded at any backlog, also after it. With a C library other than glibc both calls do
 * nothing. The main thread.
 */

/* Settles how the heap grows. Before any other thread is there. */
void heap_init(void);

/* Gives back what lies free in the middle of the heap, if that is worth the while. Takes the heap's
 * lock, for about a millisecond after a burst; to be called every few seconds at most. */
void heap_give_back(void);

#endif
