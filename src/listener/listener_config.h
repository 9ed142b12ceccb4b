#ifndef SLUICE_LISTENER_LISTENER_CONFIG_H
#define SLUICE_LISTENER_LISTENER_CONFIG_H
/*
 * The settings of one listener: an entry of the list "listeners". Read-only once read, any thread.
 *
 * Keys of what is not there yet (users, acl, tls) are not in the table, so that they are refused
 * instead of promising protection that does not exist.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/key.h"

struct session_limits;

enum { LISTENER_NAME_MAX_BYTES = 64, LISTENERS_MAX = 64 };

struct listener_config {
    char *name; /* NULL: listener_config_name() makes one of the address */
    struct config_address bind;
    bool anonymous;
    int64_t max_connections;
    int64_t max_packet_bytes;
    int64_t receive_maximum;    /* packets, v5 clients */
    int64_t topic_alias_max;    /* aliases, v5 clients */
    int64_t keep_alive_max_s;   /* seconds; 65535: whatever the client wants */
    int64_t connect_timeout_us; /* from accept to a complete CONNECT */
};

extern const struct config_section listener_section;

/* The name of a listener: as configured, else its address ("127.0.0.1:1883"). */
void listener_config_name(const struct listener_config *config, char out[LISTENER_NAME_MAX_BYTES]);

/* What sessions of this listener are bound to. */
void listener_config_limits(const struct listener_config *config, struct session_limits *ret);

/* Whether an address is reached from this host only: 127.0.0.0/8, ::1, localhost, a unix path. */
bool listener_address_loopback(const struct config_address *address);

#endif
