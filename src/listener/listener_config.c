#include "listener/listener_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "session/session.h"

static const struct config_key listener_keys[] = {
    {"name", CONFIG_FIELD(STRING, struct listener_config, name), .min = 1,
     .max = LISTENER_NAME_MAX_BYTES - 1, .example = "lan",
     .help = "Name in metrics, status and log. Without one the address is the name."},
    {"bind", CONFIG_FIELD(ADDRESS, struct listener_config, bind), .default_text = "127.0.0.1:1883",
     .help = "Address and port to listen on. \"0.0.0.0:1883\" is every IPv4 address of the host, "
             "\"[::]:1883\" every IPv6 address."},
    {"anonymous", CONFIG_FIELD(BOOL, struct listener_config, anonymous), .default_text = "false",
     .reloadable = true,
     .help = "Accept clients without checking who they are. Has to be said: there is no other way "
             "to be accepted in this version."},
    {"max_connections", CONFIG_FIELD(INT, struct listener_config, max_connections),
     .default_text = "10000", .min = 1, .max = 1000000, .unit = "connections", .reloadable = true,
     .help = "Connections at the same time; further ones are closed at once."},
    {"max_packet_bytes", CONFIG_FIELD(SIZE, struct listener_config, max_packet_bytes),
     .default_text = "16MiB", .min = 1024, .max = 268435455, .reloadable = true,
     .help = "Largest MQTT packet. 5.0 clients are told; who sends more is disconnected."},
    {"receive_maximum", CONFIG_FIELD(INT, struct listener_config, receive_maximum),
     .default_text = "1024", .min = 1, .max = 65535, .unit = "messages", .reloadable = true,
     .help = "Unacknowledged messages a 5.0 client may have on the way."},
    {"topic_alias_max", CONFIG_FIELD(INT, struct listener_config, topic_alias_max),
     .default_text = "32", .min = 0, .max = 65535, .unit = "aliases", .reloadable = true,
     .help = "Topic aliases a 5.0 client may use; 0 for none."},
    {"keep_alive_max_s", CONFIG_FIELD(INT, struct listener_config, keep_alive_max_s),
     .default_text = "65535", .min = 1, .max = 65535, .unit = "seconds", .reloadable = true,
     .help = "Longest keep-alive a 5.0 client is granted; 65535 grants what it asks for, even "
             "none."},
    {"connect_timeout", CONFIG_FIELD(DURATION, struct listener_config, connect_timeout_us),
     .default_text = "10s", .min = 100000, .max = INT64_C(3600000000), .reloadable = true,
     .help = "How long a new connection may take until its CONNECT is complete."},
};

static int check(const void *value, struct error *error)
{
    const struct listener_config *config = value;
    if (config->bind.path) {
        error_what(error, "MQTT is not served on a unix socket");
        error_mend(error, "give \"bind\" a host and a port, such as \"127.0.0.1:1883\"");
        return -EINVAL;
    }
    if (!config->anonymous) {
        char name[LISTENER_NAME_MAX_BYTES];
        listener_config_name(config, name);
        error_what(error,
                   "nobody could connect to listener %s: it does not accept anonymous "
                   "clients, and there is no other way to be accepted yet",
                   name);
        error_mend(error, "%s",
                   listener_address_loopback(&config->bind)
                       ? "add \"anonymous\": true; only programs of this host reach that address"
                       : "add \"anonymous\": true if everybody who reaches that address may "
                         "publish, or bind to a loopback address");
        return -EINVAL;
    }
    return 0;
}

const struct config_section listener_section = {
    "listener", CONFIG_KEYS(listener_keys), .size = sizeof(struct listener_config), .check = check};

void listener_config_name(const struct listener_config *config, char out[LISTENER_NAME_MAX_BYTES])
{
    bool six = config->bind.host && strchr(config->bind.host, ':');
    if (config->name)
        snprintf(out, LISTENER_NAME_MAX_BYTES, "%s", config->name);
    else
        snprintf(out, LISTENER_NAME_MAX_BYTES, six ? "[%.54s]:%u" : "%.56s:%u",
                 config->bind.host ? config->bind.host : "", config->bind.port);
}

void listener_config_limits(const struct listener_config *config, struct session_limits *ret)
{
    *ret = (struct session_limits){
        .anonymous = config->anonymous,
        .max_packet_bytes = (uint32_t)config->max_packet_bytes,
        .receive_maximum = (uint16_t)config->receive_maximum,
        .topic_alias_max = (uint16_t)config->topic_alias_max,
        .keep_alive_max_s = (uint16_t)config->keep_alive_max_s,
    };
}

bool listener_address_loopback(const struct config_address *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (address->path)
        return true;
    if (!address->host)
        return false;
    if (inet_pton(AF_INET, address->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address->host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcmp(address->host, "localhost") == 0;
}
