/*
 * Fuzz target of session/: two sessions that share a registry, a pipeline that answers when the
 * input says so, and a model of what was promised. An input is a stream of packets to one of the
 * sessions; where a packet would begin, a byte below 0x10 (a type MQTT does not have) is an order:
 *
 *     0      packets go to the other session from here on
 *     1..6   the oldest record in the pipeline comes back with outcome 0..5
 *     7      all records come back stored
 *     8      the connection is lost and another one made
 *     9      the gateway says goodbye (and likewise)
 *     else   bytes that are no packet
 *
 * Held: a PUBACK only for the oldest PUBLISH without one, with its packet identifier, not before
 * its receipt unless it is a refusal, with the reason the receipt asks for; none is withheld that
 * is due; never more than Receive Maximum open; nothing is written after the end; a will is
 * published exactly when it has to be; one holder per client identifier.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "event/event.h"
#include "event/ingest.h"
#include "mqtt/connect.h"
#include "mqtt/publish.h"
#include "session/registry.h"
#include "session/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum {
    SESSIONS = 2,
    INPUT_MAX_BYTES = 1 << 16,
    OUT_MAX_BYTES = 1 << 20,
    RECEIVE_MAXIMUM = 3,
    WAITING = 0x100, /* in the pipeline */
    REFUSED = 0x101  /* never got there: any failure */
};

/* A PUBLISH with a packet identifier that has no PUBACK yet; answer is WAITING, REFUSED or the
 * reason code that is due. */
struct promise {
    uint16_t packet_id;
    unsigned answer;
};

struct side {
    struct session session;
    struct bytes out;
    struct promise promises[INPUT_MAX_BYTES / 4]; /* no PUBLISH is shorter */
    size_t first, count;
    bool connected, will;
};

static struct side sides[SESSIONS];
static struct session_registry registry;
static struct ingest_batch *batch;
static size_t answered_position; /* of batch: what is before it came back */
static uint64_t next_handle;
static struct bytes scratch = SESSION_SCRATCH_INIT;
static struct session_turn turn;

static void side_open(struct side *side)
{
    static const struct session_limits limits = {
        .anonymous = true,
        .max_packet_bytes = 4096,
        .receive_maximum = RECEIVE_MAXIMUM,
        .topic_alias_max = 2,
        .keep_alive_max_s = 100,
    };
    session_init(&side->session, &limits, &registry, ++next_handle);
    side->first = side->count = 0;
    side->connected = side->will = false;
    side->out.len = 0;
}

static void turn_begin(struct side *side)
{
    turn = (struct session_turn){.batch = batch, .out = &side->out, .scratch = &scratch};
}

static void check_puback(struct side *side, const uint8_t *packet, size_t len)
{
    CHECK(side->count && (len == 4 || len == 5));
    const struct promise *promise = &side->promises[side->first];
    unsigned reason = len == 5 ? packet[4] : 0;
    CHECK(promise->packet_id == (packet[2] << 8 | packet[3]));
    CHECK(promise->answer != WAITING);
    CHECK(promise->answer == REFUSED ? reason >= 0x80 : promise->answer == reason);
    CHECK(side->session.out.level == MQTT_5_0 || len == 4);
    side->first++;
    side->count--;
}

/* Reads what was written, of which a DISCONNECT is the last. Every answer is small or a list, so
 * two bytes of length are the most. */
static void check_out(struct side *side)
{
    const uint8_t *at = side->out.data, *end = at + side->out.len;
    while (at < end) {
        CHECK(end - at >= 2 && (at[1] < 0x80 || end - at >= 3));
        size_t len = at[1] < 0x80 ? 2u + at[1] : 3u + (at[1] & 0x7fu) + at[2] * 128u;
        CHECK(len <= (size_t)(end - at));
        unsigned type = at[0] >> 4;
        if (type == MQTT_CONNACK) {
            CHECK(!side->connected);
            side->connected = true;
        } else {
            CHECK(side->connected);
        }
        if (type == MQTT_PUBACK)
            check_puback(side, at, len);
        if (type == MQTT_DISCONNECT)
            CHECK(at + len == end && side->session.state == SESSION_ENDED);
        at += len;
    }
    side->out.len = 0;
    if (side->session.state != SESSION_OPEN)
        return;
    CHECK(side->count == 0 || side->promises[side->first].answer == WAITING);
    CHECK(side->session.out.level != MQTT_5_0 || side->count <= RECEIVE_MAXIMUM);
}

static void check_registry(void)
{
    size_t open = 0;
    for (size_t i = 0; i < SESSIONS; i++)
        open += sides[i].session.state == SESSION_OPEN;
    CHECK(registry.count == open);
    CHECK(open < 2 ||
          !slice_equal(session_client(&sides[0].session), session_client(&sides[1].session)));
}

/* The connection is over: the will, if it is due. Receipts may still find the session. */
static void side_end(struct side *side)
{
    uint32_t before = batch->count;
    turn_begin(side);
    CHECK(session_end(&side->session, &turn) == 0);
    CHECK(session_end(&side->session, &turn) == 0);
    CHECK(side->out.len == 0 && batch->count == before + side->will);
    side->will = false;
}

/* A new connection in the place of one that is over. */
static void side_renew(struct side *side)
{
    if (side->session.state != SESSION_ENDED)
        return;
    session_deinit(&side->session);
    side_open(side);
}

static void side_goodbye(struct side *side, enum mqtt_reason reason)
{
    CHECK(session_goodbye(&side->session, reason, "goodbye", &side->out) == 0);
    check_out(side);
    side_end(side);
}

static struct side *side_of(uint64_t handle)
{
    for (size_t i = 0; i < SESSIONS; i++)
        if (sides[i].session.connection == handle)
            return &sides[i];
    return NULL;
}

static struct promise *oldest_waiting(struct side *side)
{
    for (size_t i = side->first; i < side->first + side->count; i++)
        if (side->promises[i].answer == WAITING)
            return &side->promises[i];
    return NULL;
}

static unsigned answer_of(unsigned outcome)
{
    static const unsigned answers[] = {
        [INGEST_STORED] = 0,     [INGEST_TAKEN] = 0,        [INGEST_FULL] = 0x97,
        [INGEST_REFUSED] = 0x99, [INGEST_TOO_LARGE] = 0x97, [INGEST_PENDING] = WAITING};
    return answers[outcome];
}

/* One record comes back from the pipeline. */
static void give_receipt(unsigned outcome)
{
    struct ingest_record *record = ingest_batch_next(batch, &answered_position);
    struct side *side = record ? side_of(record->connection) : NULL;
    if (!side)
        return;
    record->outcome = (uint8_t)outcome;
    bool open = side->session.state == SESSION_OPEN;
    bool fails =
        outcome == INGEST_PENDING || (answer_of(outcome) && side->session.out.level != MQTT_5_0);
    if (open && record->packet_id) {
        struct promise *promise = oldest_waiting(side);
        CHECK(promise && promise->packet_id == record->packet_id);
        promise->answer = answer_of(outcome);
    }
    turn_begin(side);
    int r = session_receive_receipt(&side->session, record, &turn);
    CHECK(open || side->out.len == 0);
    CHECK(r == (open && record->packet_id && fails ? SESSION_FAULT : 0));
    CHECK(turn.acknowledged == (open && record->packet_id && answer_of(outcome) == 0));
    check_out(side);
    if (r)
        side_end(side);
}

/* What the model expects of a packet before the session sees it. */
struct expectation {
    bool will, taken_back;
};

static struct expectation expect(const struct side *side, const struct mqtt_frame *frame)
{
    struct mqtt_connect connect;
    struct expectation e = {.will = side->will};
    if (side->session.state == SESSION_NEW && mqtt_frame_type(frame) == MQTT_CONNECT &&
        mqtt_connect_decode(frame, &connect, NULL) == 0)
        e.will = connect.has_will;
    e.taken_back = mqtt_frame_type(frame) == MQTT_DISCONNECT &&
                   (frame->body.len == 0 || frame->body.data[0] == MQTT_SUCCESS);
    return e;
}

/* Notes what a PUBLISH that was not a fault has promised. */
static void note_publish(struct side *side, const struct mqtt_frame *frame, uint32_t before,
                         size_t position)
{
    struct mqtt_dialect dialect = {.level = side->session.out.level, .sender = MQTT_FROM_CLIENT};
    struct mqtt_publish packet;
    CHECK(mqtt_publish_decode(frame, dialect, &packet, NULL) == 0);
    CHECK(packet.qos < 2 && batch->count - before <= 1);
    bool sent = batch->count > before;
    if (sent) {
        const struct ingest_record *record = ingest_batch_next(batch, &position);
        CHECK(record->connection == side->session.connection);
        CHECK(record->packet_id == packet.packet_id && record->qos == packet.qos);
        CHECK(record->topic_len && record->payload_len == packet.payload.len);
    }
    CHECK(turn.received_qos0 + turn.received_qos1 == sent);
    if (packet.qos)
        side->promises[side->first + side->count++] =
            (struct promise){.packet_id = packet.packet_id, .answer = sent ? WAITING : REFUSED};
}

static void take_over(struct side *side)
{
    struct side *other = &sides[side == sides];
    CHECK(turn.taken_over == &other->session && other->session.state == SESSION_OPEN);
    side_goodbye(other, MQTT_SESSION_TAKEN_OVER);
}

static void give_packet(struct side *side, const struct mqtt_frame *frame)
{
    struct expectation expected = expect(side, frame);
    bool was_open = side->session.state == SESSION_OPEN;
    size_t open = side->count, position = batch->bytes.len;
    uint32_t before = batch->count;
    turn_begin(side);
    int r = session_receive(&side->session, frame, &turn);
    CHECK(r >= 0 && r <= SESSION_FAULT && (r != 0) == (side->session.state == SESSION_ENDED));
    CHECK(turn.acknowledged == 0); /* only receipts acknowledge */
    if (r == 0 && was_open && mqtt_frame_type(frame) == MQTT_PUBLISH)
        note_publish(side, frame, before, position);
    else
        CHECK(batch->count == before);
    if (r && turn.reason == MQTT_RECEIVE_MAXIMUM_EXCEEDED)
        CHECK(open == RECEIVE_MAXIMUM && side->session.out.level == MQTT_5_0);
    if (was_open || r == 0)
        side->will = expected.will && !(r == SESSION_DISCONNECTED && expected.taken_back);
    struct session *taken_over = turn.taken_over;
    check_out(side);
    turn.taken_over = taken_over;
    if (taken_over)
        take_over(side);
    if (r)
        side_end(side);
}

static void obey(uint8_t order, size_t *at)
{
    if (order > 7)
        side_renew(&sides[*at]);
    if (order == 0) {
        *at = !*at;
    } else if (order <= 6) {
        give_receipt(order - 1u);
    } else if (order == 7) {
        while (answered_position < batch->bytes.len)
            give_receipt(INGEST_STORED);
        ingest_batch_reset(batch);
        answered_position = 0;
    } else if (order == 8) {
        side_end(&sides[*at]);
    } else {
        side_goodbye(&sides[*at], order == 9 ? MQTT_KEEP_ALIVE_TIMEOUT : MQTT_MALFORMED_PACKET);
    }
}

static void begin(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    CHECK(session_registry_init(&registry) == 0 && ingest_batch_new(NULL, &batch) == 0);
    answered_position = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        sides[i].out = (struct bytes)BYTES_INIT(OUT_MAX_BYTES);
        CHECK(bytes_reserve(&sides[i].out, 1) == 0); /* arithmetic wants no NULL */
        side_open(&sides[i]);
    }
}

static void end(void)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        side_goodbye(&sides[i], MQTT_SERVER_SHUTTING_DOWN);
        session_deinit(&sides[i].session);
        bytes_deinit(&sides[i].out);
    }
    session_registry_deinit(&registry);
    batch = ingest_batch_free(batch);
    bytes_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX_BYTES)
        return 0;
    begin();
    size_t side = 0;
    while (size) {
        struct mqtt_frame frame;
        size_t used = 1;
        if (*data < 0x10) {
            obey(*data, &side);
        } else {
            side_renew(&sides[side]);
            int r = mqtt_frame_next(slice_make(data, size),
                                    session_packet_max(&sides[side].session), &frame);
            if (r == MQTT_NEED_MORE)
                break;
            if (r) {
                side_goodbye(&sides[side], MQTT_MALFORMED_PACKET);
            } else {
                used = frame.consumed;
                give_packet(&sides[side], &frame);
            }
        }
        check_registry();
        data += used;
        size -= used;
    }
    end();
    return 0;
}
