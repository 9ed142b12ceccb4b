#ifndef SLUICE_GATEWAY_H
#define SLUICE_GATEWAY_H
/*
 * struct gateway: the composition root. Builds the rooms in order, hands them the queues they meet
 * at, and takes them down in reverse order. It knows everybody and decides nothing.
 *
 *   loop ─ edge (listeners) ──ingest──► pipeline (store, route) ──segments──► uplinks
 *      └── admin             ◄─receipts─┘                        ◄──cursors──┘
 *
 * Life: gateway_new() builds and opens, gateway_run() runs the edge thread's loop until a signal
 * ends it, gateway_free() takes down what is left.
 */
struct error;
struct gateway;

/* The exit codes of the product (design, section 14). */
enum gateway_exit {
    GATEWAY_EXIT_OK = 0,
    GATEWAY_EXIT_FAILED = 1,  /* run-time failure */
    GATEWAY_EXIT_USAGE = 2,   /* wrong command line */
    GATEWAY_EXIT_CONFIG = 78, /* configuration or foreign database (EX_CONFIG) */
    GATEWAY_EXIT_RESTART = -1 /* none: a gateway is to be built anew, whose store then salvages */
};

/* Loads the configuration (path NULL: the defaults), opens the store, binds the listeners. Returns
 * GATEWAY_EXIT_OK with *ret filled, or the exit code with the error filled. A store that cannot be
 * opened for want of space or by an I/O error is no failure: the gateway starts without
 * acknowledging anything and tries again. */
int gateway_new(const char *config_path, struct error *error, struct gateway **ret);

/* How often in this process gateways before this one ended with GATEWAY_EXIT_RESTART. From the
 * first on it bears a damaged store for a minute after its start, and twice as long each time up to
 * an hour, before it ends likewise: a disk that goes on damaging must not be salvaged without
 * pause. Before gateway_run(). */
void gateway_set_restarts(struct gateway *gateway, unsigned restarts);

/* Starts the threads and runs until SIGTERM or SIGINT, or until the store turns out to be damaged
 * (GATEWAY_EXIT_RESTART: free this one and make another); SIGHUP reads the configuration again.
 * Returns an exit code. Call once. */
int gateway_run(struct gateway *gateway);

struct gateway *gateway_free(struct gateway *gateway); /* NULL accepted; returns NULL */

#endif
