#ifndef SLUICE_UPLINK_UPSTREAM_CONFIG_H
#define SLUICE_UPLINK_UPSTREAM_CONFIG_H
/*
 * Settings of one upstream: an entry of the list "upstreams". Read-only once read; any thread. A
 * change of an upstream takes effect by ending its uplink and making a new one.
 */
#include <stdint.h>

#include "config/key.h"
#include "store/range.h"

enum upstream_envelope { UPSTREAM_RAW, UPSTREAM_BINARY, UPSTREAM_STRUCTURED };
enum upstream_order { UPSTREAM_STRICT };
enum upstream_protocol { UPSTREAM_PROTOCOL_AUTO, UPSTREAM_PROTOCOL_5, UPSTREAM_PROTOCOL_3_1_1 };

enum {
    UPSTREAMS_MAX = 16,
    UPSTREAM_WINDOW_MAX = 200, /* messages in flight; Paho's cost per message grows with them */
    UPSTREAM_HOST_MAX_BYTES = 256,
    UPSTREAM_PORT_DEFAULT = 1883
};

struct upstream_config {
    char *name;
    char *url; /* checked by upstream_url_parse() */
    struct config_strings streams;
    char *topic; /* checked by topic_template_parse() */
    enum upstream_envelope envelope;
    enum upstream_order order;
    enum upstream_protocol protocol;
    char *client_id; /* NULL: "sluice-<gateway id>-<name>" */
    char *username, *password;
    int64_t keep_alive_us, connect_timeout_us, ack_timeout_us, drain_timeout_us, reconnect_min_us;
    int64_t window; /* messages */
    enum range_start start;
};

extern const struct config_section upstream_section;

struct upstream_target {
    char host[UPSTREAM_HOST_MAX_BYTES]; /* name or address, IPv6 without brackets */
    uint16_t port;
};

/* "mqtt://host[:port][/]"; host a name, an IPv4 address or an IPv6 address in brackets. 0, or
 * -EINVAL with what and mend of *error (may be NULL) filled. */
int upstream_url_parse(const char *url, struct error *error, struct upstream_target *ret);

#endif
