#ifndef SLUICE_TESTS_UNIT_UPLINK_FAKE_BROKER_H
#define SLUICE_TESTS_UNIT_UPLINK_FAKE_BROKER_H
/*
 * The server side of one MQTT connection at a time on a free loopback port, in a thread of its own:
 * accepts what it is told to accept, answers what it is told to answer, remembers every PUBLISH.
 * The rules may be changed while it runs. What it remembers is read under its lock, or after what
 * was waited for can only have come after it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_BROKER_MESSAGES_MAX = 200000, FAKE_BROKER_TEXT_MAX = 64 };

struct fake_broker_rules {
    bool deaf;                  /* closes every connection at once */
    bool refuse_5;              /* answers a 5.0 CONNECT as a server that knows only 3.1.1 */
    unsigned connack_reason;    /* 0: accepted */
    unsigned receive_maximum;   /* 0: not said */
    unsigned maximum_packet;    /* 0: not said */
    int maximum_qos;            /* -1: not said */
    bool silent;                /* acknowledges nothing */
    unsigned hold;              /* acknowledges only when so many wait, then all; 0: at once */
    unsigned close_after;       /* closes after so many PUBLISHes of a connection; 0: never */
    const char *refuse_payload; /* PUBACK refuse_reason for this payload */
    unsigned refuse_reason;
    unsigned refuse_times; /* so often, then it is accepted */
};

struct fake_broker_message {
    char topic[FAKE_BROKER_TEXT_MAX], payload[FAKE_BROKER_TEXT_MAX]; /* cut */
    unsigned properties_bytes;                                       /* 5.0 */
    bool retain, acknowledged;
    unsigned connection;
};

struct fake_broker {
    pthread_mutex_t lock;
    pthread_t thread;
    int listener, connection;
    uint16_t port;
    bool stop;
    struct fake_broker_rules rules;
    unsigned connections; /* accepted */
    int64_t connect_us[64];
    unsigned level;    /* protocol level of the last CONNECT */
    bool disconnected; /* the last connection said DISCONNECT */
    char client_id[FAKE_BROKER_TEXT_MAX];
    unsigned unacknowledged, unacknowledged_most;
    size_t count;
    struct fake_broker_message *messages;
};

void fake_broker_start(struct fake_broker *b, const struct fake_broker_rules *rules);
void fake_broker_set(struct fake_broker *b, const struct fake_broker_rules *rules);
size_t fake_broker_count(struct fake_broker *b);
bool fake_broker_disconnected(struct fake_broker *b);
void fake_broker_stop(struct fake_broker *b); /* again, or never started: nothing happens */

#endif
