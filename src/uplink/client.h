#ifndef SLUICE_UPLINK_CLIENT_H
#define SLUICE_UPLINK_CLIENT_H
/*
 * struct client: one MQTT connection to an upstream, from the attempt to its end; never used twice.
 * A new connection is a new client, so nothing that Paho keeps survives the connection it belongs
 * to. The only place that knows Paho.
 *
 * Functions are called by the uplink's thread alone. Paho's threads write what they have to say
 * into atomic fields of the client (the state of the connection; per message in flight, the answer)
 * and push a RANGE_CLIENT item to the queue the uplink sleeps on: a wake-up, not a message. If that
 * queue is full the uplink is awake anyhow, so nothing is lost and nothing blocks.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct client;
struct envelope;

/* To be called once before the process has threads: Paho takes a proxy from the environment
 * variable http_proxy even for plain MQTT, and no option of 1.3.12 keeps it from that (an empty
 * httpProxy makes every connection fail); this removes the variable. */
void client_library_init(void);

enum { CLIENT_REASON_MAX_BYTES = 160, CLIENT_WINDOW_MAX = 256 };

struct client_options {
    const char *host; /* name or address; IPv6 without brackets */
    uint16_t port;
    bool mqtt5; /* else 3.1.1 */
    const char *client_id;
    const char *username, *password; /* NULL: none */
    unsigned keep_alive_s, connect_timeout_s;
    unsigned window;    /* most messages in flight, 1..CLIENT_WINDOW_MAX */
    struct queue *wake; /* outlives the client */
};

enum client_state {
    CLIENT_CONNECTING,
    CLIENT_CONNECTED,
    CLIENT_VERSION_REFUSED, /* the server does not speak this version of MQTT */
    CLIENT_REFUSED,         /* the server answered no */
    CLIENT_UNREACHABLE,     /* it did not answer */
    CLIENT_LOST             /* it was connected */
};

/* What the server said when it accepted the connection (defaults on 3.1.1). */
struct client_limits {
    unsigned receive_maximum;      /* 1..65535 */
    uint32_t maximum_packet_bytes; /* UINT32_MAX: no limit */
    unsigned topic_alias_maximum;
    unsigned maximum_qos; /* 0..2 */
    bool retain_available;
    unsigned keep_alive_s; /* 0: ours stands */
};

/* Starts a connection attempt. 0, or -errno if Paho could not even start (-ENOMEM, -EIO). */
int client_open(const struct client_options *options, struct client **ret);

/* Sends DISCONNECT if connected, closes, frees. No callback runs after it returns. May wait up to a
 * second for Paho's threads. NULL accepted; returns NULL. */
struct client *client_close(struct client *client);

/* To be called once a round, before state and answers are looked at: what happens from now on wakes
 * the uplink again. */
void client_attend(struct client *client);

/* To be called at the end of a round: from now on not every answer is worth a wake-up, only a good
 * part of those awaited, since a wake-up costs more than an answer. Returns for how many
 * milliseconds the uplink may sleep at most, -1: no limit. */
int client_rest_ms(struct client *client);

/* Where the connection is. *ret_limits is set if CLIENT_CONNECTED and not NULL. */
enum client_state client_get_state(const struct client *client, struct client_limits *ret_limits);

/* Why it is not connected: reason code of the server, or 0, and a text. */
int client_get_reason(const struct client *client, char text[CLIENT_REASON_MAX_BYTES]);

/* Hands one message at QoS 1 to Paho, which copies it. lane and slot come back with the answer. */
enum client_outcome {
    CLIENT_BUSY = 1,      /* as much in flight as it takes: wait for an answer */
    CLIENT_GONE = 2,      /* no longer connected */
    CLIENT_UNSENDABLE = 3 /* Paho refuses this message whatever comes */
};
int client_send(struct client *client, const struct envelope *message, unsigned lane,
                unsigned slot);

/* The next answered message. reason: 0x00..0x7f delivered, 0x80..0xff refused by the server (PUBACK
 * of 5.0), CLIENT_NOT_SENT: Paho gave it up, the connection is of no more use. false: none. */
enum { CLIENT_NOT_SENT = 0x100 };
struct client_answer {
    unsigned lane, slot, reason;
};
bool client_next_answer(struct client *client, struct client_answer *ret);

unsigned client_in_flight(const struct client *client);

#endif
