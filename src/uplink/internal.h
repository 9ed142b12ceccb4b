#ifndef SLUICE_UPLINK_INTERNAL_H
#define SLUICE_UPLINK_INTERNAL_H
/* What uplink.c (thread, states, connection) and sender.c (ranges, window, cursors) share. All of
 * it belongs to the uplink's thread, but for the two atomics. */
#include <pthread.h>
#include <stdatomic.h>

#include "event/id.h"
#include "store/range.h"
#include "uplink/backoff.h"
#include "uplink/client.h"
#include "uplink/envelope.h"
#include "uplink/lane.h"
#include "uplink/supply.h"
#include "uplink/topic_template.h"
#include "uplink/uplink.h"
#include "uplink/upstream_config.h"

struct metric_set;
struct store_reader;

enum {
    UPLINK_ATTEMPTS_MAX = 5,               /* refusals after which an event is passed over */
    UPLINK_CURSOR_ACKNOWLEDGED = 100,      /* acknowledgements that move a cursor before its time */
    UPLINK_LETTERS_MAX_BYTES = 1024 * 1024 /* in the pipeline's queue: no dead letters on top */
};
#define UPLINK_CURSOR_US INT64_C(200000)      /* else it is moved so often */
#define UPLINK_TICK_US INT64_C(1000000)       /* the longest sleep */
#define UPLINK_REFUSED_MIN_US INT64_C(100000) /* pause after a refusal, doubled each time */
#define UPLINK_REFUSED_MAX_US INT64_C(10000000)
#define UPLINK_LETTERS_PAUSE_US INT64_C(50000)
#define UPLINK_STORE_RETRY_US INT64_C(1000000) /* pause after the store could not be read */

enum uplink_state { UPLINK_DOWN, UPLINK_CONNECT, UPLINK_UP, UPLINK_DRAIN, UPLINK_BACKOFF };

/* One stream on its way upstream. */
struct uplink_range {
    struct range *range; /* in the feed */
    struct lane lane;
    struct supply supply;
    uint64_t posted_cursor, posted_acknowledged; /* of the last cursor move */
    int64_t posted_us;
    int64_t pause_us;      /* nothing is sent before; 0: go on */
    unsigned refusals;     /* in a row */
    uint64_t shown_cursor; /* as last said by range_cursor_show() */
    bool shown_bytes;      /* with its bytes */
    bool shown_oldest;     /* and the age of the event there, since there is one */
    uint64_t seen_head;    /* the head up to which was looked for something to send */
    uint64_t reads_counted;
    struct {                   /* by lane slot: what the slot's event weighs */
        uint64_t record_bytes; /* of the stream before it */
        int64_t received_us;
        uint32_t payload_bytes;
    } weights[LANE_SLOTS];
};

struct uplink {
    const struct upstream_config *config;
    struct range_feed *feed;
    struct queue *pipeline;
    const struct clock *clock;
    struct metric_set *metrics;
    pthread_t thread;
    bool started;
    atomic_bool stop_requested, stopped;

    enum uplink_state state;
    struct upstream_target target;
    struct topic_template topic;
    char source[ID_SOURCE_MAX_BYTES]; /* of the events of source_epoch */
    char source_epoch[SUPPLY_EPOCH_BYTES];
    char client_id[RANGE_CONSUMER_MAX_BYTES + 128 + 16];
    bool attached;
    struct store_reader *reader;

    struct client *client; /* in CONNECT, UP and DRAIN */
    bool mqtt5;            /* the version to ask for */
    struct client_limits limits;
    unsigned window;
    struct backoff backoff;
    int64_t wake_us;     /* CONNECT, DRAIN: deadline; BACKOFF: end of the pause */
    int64_t progress_us; /* last acknowledgement, or when the first of those in flight was sent */
    int64_t told_us;     /* when the outage was last logged; 0: not yet */

    unsigned count, turn; /* ranges; whose turn it is */
    struct uplink_range ranges[RANGE_STREAMS_MAX];
    struct envelope envelope;
};

/* sender.c */

/* Begins with what the feed was attached with. */
void sender_attach(struct uplink *u);
/* A committed batch; takes over its reference. Kept only while connected and if it comes next. */
void sender_take_segment(struct uplink *u, unsigned range, struct segment *segment);
/* Hands messages to the client until the window is full or nothing is left. 0; SENDER_LOST: the
 * connection is of no more use. */
enum sender_outcome { SENDER_LOST = 1 };
int sender_fill(struct uplink *u, int64_t now_us);
/* Books the answers that have come. 0 or SENDER_LOST. */
int sender_take_answers(struct uplink *u, int64_t now_us);
/* What is in flight counts as never sent; memory held for sending is given back. */
void sender_lose(struct uplink *u);
/* Posts cursor moves that are due, or all with force. true: nothing is left to post. */
bool sender_post_cursors(struct uplink *u, int64_t now_us, bool force);
/* Says which streams are to be fed with batches as they are committed: those that are not behind.
 * true: something was committed meanwhile, go round again. */
bool sender_switch_live(struct uplink *u);
void sender_update_metrics(struct uplink *u);
/* The next time something is due of itself. */
int64_t sender_next_us(const struct uplink *u, int64_t now_us);
void sender_deinit(struct uplink *u);

#endif
