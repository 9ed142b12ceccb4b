/* One connection: bytes in any cut, deadlines, takeover, every way to end. */
#include "rig.h"

#include "event/event.h"

enum { NO_LIMIT = 1 << 30, SECOND_US = 1000000 };

static void test_packets_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t packets[256];
    size_t len = make_connect(packets, 5, "dev", 60);
    len += make_publish(packets + len, 5, 1, "a/b", "first");
    len += make_publish(packets + len, 5, 2, "a/b", "second");
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_new(&rig);
    for (size_t i = 0; i < len; i++) {
        uint64_t before = rig_metric(&rig, METRIC_RECEIVED_BYTES);
        peer_send(peer, packets + i, 1);
        rig_until(&rig, rig_metric(&rig, METRIC_RECEIVED_BYTES) == before + 1);
    }
    peer_expect_connack(peer);
    rig_until(&rig, rig_held(&rig) == 2);
    static const char *const payloads[] = {"first", "second"};
    for (size_t i = 0; i < 2; i++) {
        struct ingest_batch *batch =
            (struct ingest_batch *)(void *)(i ? rig.taken->next : rig.taken);
        struct event event;
        size_t position = 0;
        ingest_record_event(batch, ingest_batch_next(batch, &position), &event);
        assert_true(slice_equal_string(event.topic, "a/b"));
        assert_true(slice_equal_string(event.payload, payloads[i]));
        assert_true(slice_equal_string(event.client, "dev"));
        assert_int_equal(event.received_us, rig.now_us);
    }
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x01\x40\x02\x00\x02");
    peer_free(peer);
    rig_deinit(&rig);
}

/* Cuts a stream of packets of all sizes around the limits of the buffers at odd places. */
static void test_packets_of_all_sizes_survive_any_cut(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     100,    2000,  16000, 16384,  16390, 65000,
                                   65536, 65600, 131000, 20000, 3,     100000, 16000, 16000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    struct rig rig;
    struct bytes stream = BYTES_INIT(8 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        uint32_t remaining = (uint32_t)sizes[i] + 3;
        const uint8_t head[] = {0x30,
                                (uint8_t)(remaining | 0x80),
                                (uint8_t)(remaining >> 7 | 0x80),
                                (uint8_t)(remaining >> 14),
                                0,
                                1,
                                't'};
        /* lengths must be minimal: three bytes, two, or one */
        size_t digits = remaining > 16383 ? 3 : remaining > 127 ? 2 : 1;
        assert_int_equal(bytes_append(&stream, head, 1 + digits), 0);
        stream.data[stream.len - 1] &= 0x7f;
        assert_int_equal(bytes_append(&stream, head + 4, 3), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(bytes_append_u8(&stream, (uint8_t)(i + j)), 0);
    }
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    for (size_t at = 0, cut = 1; at < stream.len; at += cut, cut = cut * 7 % 30011 + 1) {
        if (cut > stream.len - at)
            cut = stream.len - at;
        peer_send(peer, stream.data + at, cut);
        rig_round(&rig);
    }
    rig_until(&rig, rig_held(&rig) == COUNT);
    size_t i = 0;
    for (struct queue_item *item = rig.taken; item; item = item->next) {
        struct ingest_batch *batch = (struct ingest_batch *)(void *)item;
        struct ingest_record *record;
        size_t position = 0;
        while ((record = ingest_batch_next(batch, &position))) {
            struct event event;
            ingest_record_event(batch, record, &event);
            assert_int_equal(event.payload.len, sizes[i]);
            for (size_t j = 0; j < sizes[i]; j++)
                if (event.payload.data[j] != (uint8_t)(i + j))
                    fail_msg("packet %zu differs at %zu", i, j);
            i++;
        }
    }
    bytes_deinit(&stream);
    peer_free(peer);
    rig_deinit(&rig);
}

/* [MQTT-3.1.2-22] */
static void test_silent_client_is_given_up_after_one_and_a_half_keep_alive(void **state)
{
    (void)state;
    static const uint8_t ping[] = {0xc0, 0};
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 5, "dev", 10);
    struct peer *patient = peer_open(&rig, 5, "patient", 0);
    rig.now_us += 15 * SECOND_US;
    edge_sweep(rig.edge);
    peer_send(peer, ping, sizeof ping);
    peer_expect_literal(peer, "\xd0\x00");
    rig.now_us += 15 * SECOND_US;
    edge_sweep(rig.edge);
    rig_quiet(&rig);
    assert_int_equal(peer_poll(peer), 0);
    rig.now_us += 1;
    edge_sweep(rig.edge);
    peer_expect_goodbye(peer, MQTT_KEEP_ALIVE_TIMEOUT);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_KEEP_ALIVE), 1);
    peer_poll(patient);
    assert_false(patient->ended);
    peer_free(peer);
    peer_free(patient);
    rig_deinit(&rig);
}

static void test_keep_alive_stands_still_while_paused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 1, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 5, "dev", 10);
    peer_publish(peer, 5, 1);
    rig_until(&rig, rig_held(&rig) == 1);
    peer_publish(peer, 5, 2);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_PAUSED) == 1);
    rig.now_us += 1000 * (int64_t)SECOND_US;
    edge_sweep(rig.edge);
    rig_answer_all(&rig);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0);
    edge_sweep(rig.edge);
    rig_until(&rig, rig_held(&rig) == 1);
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x01\x40\x02\x00\x02");
    assert_false(peer->ended);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_connect_must_come_in_time(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "\"connect_timeout\": \"5s\"");
    struct peer *peer = peer_new(&rig);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 1);
    rig.now_us += 5 * SECOND_US - 1;
    edge_sweep(rig.edge);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 1);
    rig.now_us += 1;
    edge_sweep(rig.edge);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 0);
    peer_expect_end(peer);
    peer_free(peer);
    rig_deinit(&rig);
}

/* [MQTT-3.1.4-3] */
static void test_takeover_ends_the_older_connection(void **state)
{
    (void)state;
    static const uint8_t with_will[] = {0x10, 25, 0,  4,   'M', 'Q', 'T', 'T', 5,
                                        0x06, 0,  60, 0,   0,   3,   'd', 'e', 'v',
                                        0,    0,  1,  'w', 0,   3,   'o', 'f', 'f'};
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *old = peer_new(&rig);
    peer_send(old, with_will, sizeof with_will);
    peer_expect_connack(old);
    struct peer *new = peer_open(&rig, 4, "dev", 60);
    peer_expect_goodbye(old, MQTT_SESSION_TAKEN_OVER);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_TAKEOVER), 1);
    rig_until(&rig, rig_held(&rig) == 1);
    peer_publish(new, 4, 3);
    rig_until(&rig, rig_held(&rig) == 2);
    rig_answer_all(&rig);
    peer_expect_literal(new, "\x40\x02\x00\x03");
    peer_free(old);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 1);
    peer_free(new);
    rig_deinit(&rig);
}

static void test_lost_connection_publishes_the_will(void **state)
{
    (void)state;
    static const uint8_t with_will[] = {0x10, 23,  0,  4, 'M', 'Q', 'T', 'T', 4,
                                        0x06, 0,   60, 0, 3,   'd', 'e', 'v', 0,
                                        1,    'w', 0,  3, 'o', 'f', 'f'};
    struct rig rig;
    struct event event;
    size_t position = 0;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_new(&rig);
    peer_send(peer, with_will, sizeof with_will);
    peer_expect_connack(peer);
    peer_free(peer);
    rig_until(&rig, rig_held(&rig) == 1);
    struct ingest_batch *batch = (struct ingest_batch *)(void *)rig.taken;
    ingest_record_event(batch, ingest_batch_next(batch, &position), &event);
    assert_true(slice_equal_string(event.topic, "w"));
    assert_true(slice_equal_string(event.payload, "off"));
    rig_answer_all(&rig); /* nobody to tell, nothing to trip over */
    rig_until(&rig, edge_in_flight(rig.edge) == 0);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_CLIENT), 1);
    rig_deinit(&rig);
}

static void test_disconnect_is_answered_by_closing(void **state)
{
    (void)state;
    static const uint8_t disconnect[] = {0xe0, 0};
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 5, "dev", 60);
    peer_send(peer, disconnect, sizeof disconnect);
    peer_expect_end(peer);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 0);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_CLIENT), 1);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_bytes_that_are_no_packet_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        unsigned reason;
    } rows[] = {{"\x00\x00", 2, MQTT_MALFORMED_PACKET},
                {"\x36\x05", 2, MQTT_MALFORMED_PACKET},                 /* QoS 3 */
                {"\x30\xff\xff\xff\xff\x7f", 6, MQTT_MALFORMED_PACKET}, /* length */
                {"\x30\x80\x80\x80\x01", 5, MQTT_PACKET_TOO_LARGE},     /* 2 MiB */
                {"\xd0\x00", 2, MQTT_PROTOCOL_ERROR}};
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "\"max_packet_bytes\": \"1MiB\"");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer *peer = peer_open(&rig, 5, "dev", 60);
        peer_send(peer, rows[i].bytes, rows[i].len);
        peer_expect_goodbye(peer, rows[i].reason);
        peer_free(peer);
        rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 0);
        struct peer *mute = peer_open(&rig, 4, "dev", 60);
        peer_send(mute, rows[i].bytes, rows[i].len);
        peer_expect_end(mute);
        peer_free(mute);
        struct peer *early = peer_new(&rig); /* before CONNECT */
        peer_send(early, rows[i].bytes, rows[i].len);
        peer_expect_end(early);
        peer_free(early);
    }
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_ERROR), 15);
    rig_deinit(&rig);
}

static void test_refused_client_is_told_before_the_close(void **state)
{
    (void)state;
    static const uint8_t old[] = {0x10, 17, 0, 6,  'M', 'Q', 'I', 's', 'd', 'p',
                                  3,    2,  0, 60, 0,   3,   'd', 'e', 'v'};
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_new(&rig);
    peer_send(peer, old, sizeof old);
    peer_expect_literal(peer, "\x20\x02\x00\x01");
    peer_expect_end(peer);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_REFUSED), 1);
    peer_free(peer);
    rig_deinit(&rig);
}

/* A socket that lingers after the goodbye is closed by the clock, whatever the peer does. */
static void test_lingering_socket_has_a_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 5, "dev", 60);
    peer_send(peer, "\xd0\x00", 2);
    peer_expect_goodbye(peer, MQTT_PROTOCOL_ERROR);
    rig_quiet(&rig);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 1); /* waits for the peer's close */
    rig.now_us += CONN_DRAIN_US;
    edge_sweep(rig.edge);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 0);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_client_that_does_not_read_is_closed(void **state)
{
    (void)state;
    enum { TRIES = 64 };
    static uint8_t pings[1 << 20];
    struct rig rig;
    int small = 4096;
    bool closed = false;
    for (size_t i = 0; i < sizeof pings; i += 2)
        pings[i] = 0xc0;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (size_t i = 0, at = 0; i < TRIES * sizeof pings && !closed;) {
        ssize_t n = send(peer->fd, pings + at, sizeof pings - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            i += (size_t)n;
            at = (at + (size_t)n) % sizeof pings;
        }
        rig_round(&rig);
        closed = rig_metric(&rig, METRIC_CONNECTIONS) == 0;
    }
    assert_true(closed);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_ERROR), 1);
    peer_free(peer);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets_may_come_byte_by_byte),
        cmocka_unit_test(test_packets_of_all_sizes_survive_any_cut),
        cmocka_unit_test(test_silent_client_is_given_up_after_one_and_a_half_keep_alive),
        cmocka_unit_test(test_keep_alive_stands_still_while_paused),
        cmocka_unit_test(test_connect_must_come_in_time),
        cmocka_unit_test(test_takeover_ends_the_older_connection),
        cmocka_unit_test(test_lost_connection_publishes_the_will),
        cmocka_unit_test(test_disconnect_is_answered_by_closing),
        cmocka_unit_test(test_bytes_that_are_no_packet_end_the_connection),
        cmocka_unit_test(test_refused_client_is_told_before_the_close),
        cmocka_unit_test(test_lingering_socket_has_a_deadline),
        cmocka_unit_test(test_client_that_does_not_read_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
