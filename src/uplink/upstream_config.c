#include "uplink/upstream_config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "uplink/topic_template.h"

#define SECONDS INT64_C(1000000)

static const struct config_name envelope_names[] = {{"raw", UPSTREAM_RAW},
                                                    {"binary", UPSTREAM_BINARY},
                                                    {"structured", UPSTREAM_STRUCTURED},
                                                    {NULL, 0}};
static const struct config_name order_names[] = {{"strict", UPSTREAM_STRICT}, {NULL, 0}};
static const struct config_name protocol_names[] = {{"auto", UPSTREAM_PROTOCOL_AUTO},
                                                    {"5.0", UPSTREAM_PROTOCOL_5},
                                                    {"3.1.1", UPSTREAM_PROTOCOL_3_1_1},
                                                    {NULL, 0}};
static const struct config_name start_names[] = {{"oldest", RANGE_START_OLDEST},
                                                 {"newest", RANGE_START_NEWEST},
                                                 {"default", RANGE_START_DEFAULT},
                                                 {NULL, 0}};

static const struct config_key upstream_keys[] = {
    {"name", CONFIG_FIELD(STRING, struct upstream_config, name), .required = true,
     .max = RANGE_CONSUMER_MAX_BYTES - 1, .example = "cloud",
     .help = "Name of the upstream in status, metrics and the store, where its cursors are kept "
             "under it: a new name starts anew."},
    {"url", CONFIG_FIELD(STRING, struct upstream_config, url), .required = true, .max = 512,
     .example = "mqtt://broker.example.com:1883",
     .help = "Broker to forward to: mqtt://host[:port]. The port is 1883 if none is given."},
    {"streams", CONFIG_FIELD(STRINGS, struct upstream_config, streams),
     .default_text = "[\"events\"]", .max = RANGE_STREAMS_MAX, .reloadable = true,
     .help = "Streams that are forwarded."},
    {"topic", CONFIG_FIELD(STRING, struct upstream_config, topic), .default_text = "${topic}",
     .max = TOPIC_TEMPLATE_MAX_BYTES, .reloadable = true,
     .help = "Topic of the forwarded messages, a text with ${topic}, ${device}, ${type}, ${stream} "
             "and ${gateway}. ${topic} alone passes the topic on as it came."},
    {"envelope", CONFIG_FIELD(ENUM, struct upstream_config, envelope), .names = envelope_names,
     .default_text = "binary", .reloadable = true,
     .help = "How an event is written: raw as the device sent it, or as a CloudEvent, binary "
             "(attributes as user properties) or structured (JSON). On a 3.1.1 broker binary goes "
             "out as structured."},
    {"order", CONFIG_FIELD(ENUM, struct upstream_config, order), .names = order_names,
     .default_text = "strict", .reloadable = true,
     .help = "Order of what is sent: strict is the order of the stream."},
    {"protocol", CONFIG_FIELD(ENUM, struct upstream_config, protocol), .names = protocol_names,
     .default_text = "auto", .reloadable = true,
     .help = "Version of MQTT. auto tries 5.0 and falls back to 3.1.1 where that is refused."},
    {"client_id", CONFIG_FIELD(STRING, struct upstream_config, client_id), .max = 256,
     .reloadable = true, .example = "sluice-plant7-cloud",
     .help = "MQTT client identifier. It is sluice-<gateway id>-<name> if none is given."},
    {"username", CONFIG_FIELD(STRING, struct upstream_config, username), .max = 65535,
     .reloadable = true, .example = "plant7", .help = "User name for the broker."},
    {"password", CONFIG_FIELD(STRING, struct upstream_config, password), .max = 65535,
     .reloadable = true, .example = "${file:/etc/sluice/cloud.password}",
     .help = "Password for the broker."},
    {"keep_alive", CONFIG_FIELD(DURATION, struct upstream_config, keep_alive_us),
     .default_text = "30s", .min = SECONDS, .max = 65535 * SECONDS, .reloadable = true,
     .help = "MQTT keep-alive, rounded up to seconds."},
    {"window", CONFIG_FIELD(INT, struct upstream_config, window), .default_text = "100", .min = 1,
     .max = UPSTREAM_WINDOW_MAX, .unit = "messages", .reloadable = true,
     .help = "Most messages sent and not yet acknowledged. The broker's Receive Maximum may lower "
             "it."},
    {"start", CONFIG_FIELD(ENUM, struct upstream_config, start), .names = start_names,
     .default_text = "default",
     .help = "Where an upstream seen for the first time begins in a stream: oldest, newest, or "
             "default, which is oldest at the first run of a gateway and newest later."},
    {"connect_timeout", CONFIG_FIELD(DURATION, struct upstream_config, connect_timeout_us),
     .default_text = "10s", .min = SECONDS, .max = 600 * SECONDS, .reloadable = true,
     .help = "How long a connection may take to be accepted, rounded up to seconds."},
    {"ack_timeout", CONFIG_FIELD(DURATION, struct upstream_config, ack_timeout_us),
     .default_text = "20s", .min = SECONDS, .max = 3600 * SECONDS, .reloadable = true,
     .help = "A connection on which nothing was acknowledged for so long, though something should "
             "be, is made anew."},
    {"drain_timeout", CONFIG_FIELD(DURATION, struct upstream_config, drain_timeout_us),
     .default_text = "3s", .max = 600 * SECONDS, .reloadable = true,
     .help = "How long acknowledgements are awaited when the gateway stops."},
    {"reconnect_min", CONFIG_FIELD(DURATION, struct upstream_config, reconnect_min_us),
     .default_text = "100ms", .min = SECONDS / 100, .max = 3600 * SECONDS, .reloadable = true,
     .help = "Shortest pause between two attempts to connect. Pauses are drawn at random above it, "
             "up to 1s in the first minute of an outage, later up to 30s."},
};

static int refuse_url(struct error *error, const char *what, const char *url)
{
    error_what(error, "url \"%.200s\" %s", url, what);
    error_mend(error, "write mqtt://host:port, for example mqtt://broker.example.com:1883 or "
                      "mqtt://[2001:db8::1]:1883");
    return -EINVAL;
}

/* "", "/", ":1883" or ":1883/" */
static bool parse_port(const char *text, uint16_t *ret)
{
    unsigned port = UPSTREAM_PORT_DEFAULT;
    if (*text == ':') {
        const char *digits = ++text;
        for (port = 0; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
            port = port * 10 + (unsigned)(*text - '0');
        if (text == digits || port == 0 || port > UINT16_MAX)
            return false;
    }
    if (*text == '/')
        text++;
    *ret = (uint16_t)port;
    return *text == '\0';
}

static bool host_acceptable(const char *host, size_t len, bool bracketed)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    static const char address[] = "0123456789abcdefABCDEF:.";
    return len > 0 && len < UPSTREAM_HOST_MAX_BYTES &&
           (bracketed ? memchr(host, ':', len) != NULL : true) &&
           strspn(host, bracketed ? address : name) >= len;
}

int upstream_url_parse(const char *url, struct error *error, struct upstream_target *ret)
{
    static const char scheme[] = "mqtt://";
    if (strncmp(url, "mqtts://", 8) == 0) {
        error_what(error, "url \"%.200s\" asks for TLS, which is not available in this build", url);
        error_mend(error, "use mqtt:// through a network you trust, or a TLS proxy beside the "
                          "gateway");
        return -EINVAL;
    }
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return refuse_url(error, "does not start with mqtt://", url);
    const char *host = url + sizeof(scheme) - 1;
    if (strchr(host, '@')) {
        /* not printed: it may hold a password */
        error_what(error, "url has a user name or password in it");
        error_mend(error, "give them as \"username\" and \"password\"");
        return -EINVAL;
    }
    bool bracketed = *host == '[';
    host += bracketed;
    size_t len = strcspn(host, bracketed ? "]" : ":/");
    if (!host_acceptable(host, len, bracketed))
        return refuse_url(error, "has no valid host", url);
    if (bracketed && host[len] != ']')
        return refuse_url(error, "has no \"]\" after its address", url);
    struct upstream_target target = {.port = 0};
    if (!parse_port(host + len + bracketed, &target.port))
        return refuse_url(error, "does not end with a port from 1 to 65535", url);
    memcpy(target.host, host, len);
    *ret = target;
    return 0;
}

static int check_streams(const struct config_strings *streams, struct error *error)
{
    if (streams->count == 0) {
        error_what(error, "\"streams\" is empty: there is nothing to forward");
        error_mend(error, "name at least one stream, for example [\"events\"]");
        return -EINVAL;
    }
    for (size_t i = 0; i < streams->count; i++) {
        size_t len = strlen(streams->items[i]);
        if (len == 0 || len > 255) {
            error_what(error, "a name in \"streams\" is empty or longer than 255 bytes");
            error_mend(error, "use the name of a configured stream");
            return -EINVAL;
        }
        for (size_t j = 0; j < i; j++)
            if (strcmp(streams->items[i], streams->items[j]) == 0) {
                error_what(error, "\"streams\" names \"%.200s\" twice", streams->items[i]);
                error_mend(error, "remove one of the two");
                return -EINVAL;
            }
    }
    return 0;
}

static int check(const void *value, struct error *error)
{
    const struct upstream_config *c = value;
    struct upstream_target target;
    struct topic_template template;
    int r = upstream_url_parse(c->url, error, &target);
    if (!r)
        r = topic_template_parse(c->topic, error, &template);
    if (!r)
        r = check_streams(&c->streams, error);
    if (!r && c->name[0] == '\0') {
        error_what(error, "the name is empty");
        error_mend(error, "give it a name, for example \"cloud\"");
        r = -EINVAL;
    }
    if (!r && c->password && !c->username) {
        error_what(error, "\"password\" stands without \"username\", as MQTT 3.1.1 does not allow");
        error_mend(error, "give a \"username\" too, or remove \"password\"");
        r = -EINVAL;
    }
    return r;
}

const struct config_section upstream_section = {
    "upstream", CONFIG_KEYS(upstream_keys), .size = sizeof(struct upstream_config), .check = check};
