#ifndef SLUICE_LISTENER_BIND_H
#define SLUICE_LISTENER_BIND_H
/* From an address of the configuration to listening sockets, with words for everything that can go
 * wrong on the way. Start-up; a host name may block on the resolver. */
#include <stddef.h>
#include <stdint.h>

struct config_address;
struct error;
struct sockaddr;

/* Opens a non-blocking listening TCP socket for each address that the host resolves to, at most max
 * of them; port 0 gives one socket with a port the system chooses. Of a name, addresses that this
 * host does not have are passed over if another one works. 0 with *ret_count sockets that are the
 * caller's, or -errno with what and mend of error filled (where is the caller's). */
int bind_listen(const struct config_address *address, int backlog, struct error *error,
                int *ret_fds, size_t max, size_t *ret_count);

/* "127.0.0.1:1883", "[::1]:1883" */
void bind_format(const struct sockaddr *address, char *out, size_t size);

/* The local port of a socket; 0 if it has none. */
uint16_t bind_port(int fd);

#endif
