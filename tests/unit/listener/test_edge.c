/* The promise of the edge: acknowledgements follow receipts, and only those; pacing; the end. */
#include "rig.h"

#include <sys/resource.h>

#include "event/event.h"

enum { NO_LIMIT = 1 << 30 };

static void test_nothing_is_acknowledged_before_the_receipt(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    peer_publish(peer, 4, 1);
    peer_publish(peer, 4, 2);
    rig_until(&rig, rig_held(&rig) == 2);
    rig_quiet(&rig);
    assert_int_equal(peer_poll(peer), 0);
    assert_true(edge_in_flight(rig.edge) > 0);
    assert_int_equal(rig_metric(&rig, METRIC_EVENTS_ACKNOWLEDGED), 0);
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x01\x40\x02\x00\x02");
    assert_int_equal(edge_in_flight(rig.edge), 0);
    assert_int_equal(rig_metric(&rig, METRIC_EVENTS_RECEIVED_QOS1), 2);
    assert_int_equal(rig_metric(&rig, METRIC_EVENTS_ACKNOWLEDGED), 2);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_one_read_makes_one_batch_and_one_write(void **state)
{
    (void)state;
    enum { MANY = 200 };
    static uint8_t packets[MANY * 32], acks[MANY * 4];
    size_t len = 0;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 5, "dev", 60);
    for (unsigned i = 1; i <= MANY; i++) {
        len += make_publish(packets + len, 5, i, "t", "payload");
        const uint8_t ack[] = {0x40, 2, (uint8_t)(i >> 8), (uint8_t)i};
        memcpy(acks + 4 * (i - 1), ack, 4);
    }
    peer_send(peer, packets, len);
    rig_until(&rig, rig_held(&rig) == MANY);
    assert_null(rig.taken->next);
    uint64_t sent = rig_metric(&rig, METRIC_SENT_BYTES);
    rig_answer_all(&rig);
    rig_until(&rig, rig_metric(&rig, METRIC_SENT_BYTES) > sent);
    assert_int_equal(rig_metric(&rig, METRIC_SENT_BYTES), sent + sizeof acks);
    peer_expect(peer, acks, sizeof acks);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_receipts_for_a_gone_connection_find_nobody(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    peer_publish(peer, 4, 7);
    rig_until(&rig, rig_held(&rig) == 1);
    peer_free(peer);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 0);
    struct peer *next = peer_open(&rig, 4, "dev", 60); /* takes the slot of the first */
    assert_int_equal(rig.edge->table.used, 1);
    rig_answer_all(&rig);
    rig_until(&rig, edge_in_flight(rig.edge) == 0);
    rig_quiet(&rig);
    assert_int_equal(peer_poll(next), 0);
    assert_int_equal(rig_metric(&rig, METRIC_EVENTS_UNACKNOWLEDGED_GONE), 1);
    assert_int_equal(rig_metric(&rig, METRIC_EVENTS_ACKNOWLEDGED), 0);
    peer_free(next);
    rig_deinit(&rig);
}

static void test_reading_pauses_at_the_mark_and_resumes_below_half(void **state)
{
    (void)state;
    enum { MARK = 4096 };
    struct rig rig;
    unsigned sent = 0;
    rig_init(&rig, MARK, NO_LIMIT, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    struct peer *other = peer_open(&rig, 4, "other", 60);
    while (edge_in_flight(rig.edge) < MARK) {
        peer_publish(peer, 4, ++sent);
        rig_until(&rig, rig_held(&rig) == sent);
    }
    peer_publish(peer, 4, ++sent);
    peer_publish(other, 4, 1);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_PAUSED) == 2);
    rig_quiet(&rig);
    assert_int_equal(rig_held(&rig), sent - 1);
    while (edge_in_flight(rig.edge) >= MARK / 2) { /* not before the low mark */
        assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_PAUSED), 2);
        size_t before = edge_in_flight(rig.edge);
        rig_answer_one(&rig, INGEST_STORED);
        rig_until(&rig, edge_in_flight(rig.edge) < before);
    }
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_PAUSED) == 0);
    do
        rig_answer_all(&rig);
    while (rig_round(&rig),
           edge_in_flight(rig.edge) > 0 || rig_metric(&rig, METRIC_EVENTS_ACKNOWLEDGED) < sent + 1);
    peer_expect_literal(other, "\x40\x02\x00\x01");
    peer_free(peer);
    peer_free(other);
    rig_deinit(&rig);
}

/* A packet of any size goes through an empty edge, byte for byte. */
static void test_packet_larger_than_the_mark_passes(void **state)
{
    (void)state;
    enum { PAYLOAD = 3 << 20 };
    struct rig rig;
    struct event event;
    size_t position = 0;
    uint8_t *payload = malloc(PAYLOAD);
    const uint32_t remaining = PAYLOAD + 3;
    const uint8_t head[] = {0x30,
                            (uint8_t)(remaining | 0x80),
                            (uint8_t)(remaining >> 7 | 0x80),
                            (uint8_t)(remaining >> 14 | 0x80),
                            (uint8_t)(remaining >> 21),
                            0,
                            1,
                            't'};
    assert_non_null(payload);
    for (size_t i = 0; i < PAYLOAD; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    rig_init(&rig, 1024, 4096, "");
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    peer_send(peer, head, sizeof head);
    peer_send(peer, payload, PAYLOAD);
    peer_publish(peer, 4, 5);
    rig_until(&rig, rig_held(&rig) >= 1);
    struct ingest_batch *batch = (struct ingest_batch *)(void *)rig.taken;
    struct ingest_record *record = ingest_batch_next(batch, &position);
    ingest_record_event(batch, record, &event);
    assert_int_equal(event.payload.len, PAYLOAD);
    assert_memory_equal(event.payload.data, payload, PAYLOAD);
    rig_answer_all(&rig);
    rig_until(&rig, rig_held(&rig) == 1);
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x05");
    assert_true(rig.edge->partial_bytes <= CONN_KEEP_BYTES); /* the memory went back */
    free(payload);
    peer_free(peer);
    rig_deinit(&rig);
}

/* Memory follows the bytes that came, not the lengths that were claimed, and has a bound. */
static void test_unfinished_packets_are_bounded_together(void **state)
{
    (void)state;
    enum { PEERS = 8, CHUNK = 1000 * 1000 };
    static const uint8_t head[] = {0x30, 0xf0, 0xff, 0x3f}; /* claims 1 MiB - 16 */
    static uint8_t chunk[CHUNK];
    struct rig rig;
    struct peer *peers[PEERS];
    size_t refused = 0;
    chunk[1] = 1;
    chunk[2] = 't';
    rig_init(&rig, 1, NO_LIMIT, "\"max_packet_bytes\": \"1MiB\"");
    rig.edge->partial_max_bytes = 4 << 20;
    for (size_t i = 0; i < PEERS; i++) {
        char id[8];
        snprintf(id, sizeof id, "dev%zu", i);
        peers[i] = peer_open(&rig, 5, id, 60);
        peer_send(peers[i], head, sizeof head);
    }
    rig_quiet(&rig);
    assert_true(rig.edge->partial_bytes <= PEERS * 64);
    for (size_t i = 0; i < PEERS; i++) {
        uint64_t before = rig_metric(&rig, METRIC_RECEIVED_BYTES);
        peer_send(peers[i], chunk, CHUNK);
        rig_until(&rig, (peer_poll(peers[i]), peers[i]->ended) ||
                            rig_metric(&rig, METRIC_RECEIVED_BYTES) >= before + CHUNK);
        assert_true(rig.edge->partial_bytes <= (4 << 20) + (1 << 20));
        if (peers[i]->ended) {
            peer_expect_goodbye(peers[i], MQTT_QUOTA_EXCEEDED);
            refused++;
        }
    }
    assert_in_range(refused, 1, PEERS - 2);
    for (size_t i = 0; i < PEERS; i++)
        peer_free(peers[i]);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 0);
    assert_int_equal(rig.edge->partial_bytes, 0);
    rig_deinit(&rig);
}

static void test_small_unfinished_packet_takes_the_place_of_the_largest(void **state)
{
    (void)state;
    enum { HOGS = 4, CHUNK = 1000 * 1000, SMALL = 4000 };
    static const uint8_t head[] = {0x30, 0xf0, 0xff, 0x3f}; /* claims 1 MiB - 16 */
    static const uint8_t small[SMALL + 3] = {0x30, (SMALL & 0x7f) | 0x80, SMALL >> 7, 0, 1, 't'};
    static uint8_t chunk[CHUNK] = {0, 1, 't'};
    struct rig rig;
    struct peer *hogs[HOGS];
    size_t ended = 0;
    rig_init(&rig, 0, NO_LIMIT, "\"max_packet_bytes\": \"1MiB\"");
    rig.edge->partial_max_bytes = HOGS << 20;
    for (unsigned i = 0; i < HOGS; i++) {
        char id[8];
        snprintf(id, sizeof id, "hog%u", i);
        hogs[i] = peer_open(&rig, 4, id, 60);
        uint64_t before = rig_metric(&rig, METRIC_RECEIVED_BYTES);
        peer_send(hogs[i], head, sizeof head);
        peer_send(hogs[i], chunk, CHUNK);
        rig_until(&rig, rig_metric(&rig, METRIC_RECEIVED_BYTES) == before + sizeof head + CHUNK);
    }
    assert_int_equal(rig.edge->partial_bytes, HOGS << 20);
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    peer_send(peer, small, SMALL - 500);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_ERROR) == 1);
    assert_true(rig.edge->partial_bytes <= HOGS << 20);
    peer_send(peer, small + SMALL - 500, 503);
    rig_until(&rig, rig_held(&rig) == 1);
    rig_quiet(&rig);
    for (unsigned i = 0; i < HOGS; i++) {
        peer_poll(hogs[i]);
        ended += hogs[i]->ended;
        peer_free(hogs[i]);
    }
    assert_int_equal(ended, 1);
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_full_queue_is_tried_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, 1, ""); /* takes one batch at a time */
    struct peer *peer = peer_open(&rig, 4, "dev", 60);
    peer_publish(peer, 4, 1);
    rig_until(&rig, queue_bytes(&rig.pipeline) > 0);
    peer_publish(peer, 4, 2);
    rig_until(&rig, rig.edge->intake.blocked);
    peer_publish(peer, 4, 3);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS_PAUSED) == 1);
    rig_until(&rig, rig_held(&rig) == 3); /* takes and so makes room */
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03");
    peer_free(peer);
    rig_deinit(&rig);
}

static void test_shutdown_answers_what_it_received_and_says_goodbye(void **state)
{
    (void)state;
    static const uint8_t with_will[] = {0x10, 25, 0,  4,   'M', 'Q', 'T', 'T', 5,
                                        0x06, 0,  60, 0,   0,   3,   'd', 'e', 'v',
                                        0,    0,  1,  'w', 0,   3,   'o', 'f', 'f'};
    struct rig rig;
    uint8_t late[64];
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_new(&rig);
    peer_send(peer, with_will, sizeof with_will);
    peer_expect_connack(peer);
    struct peer *old = peer_open(&rig, 4, "old", 60);
    peer_publish(peer, 5, 1);
    rig_until(&rig, rig_held(&rig) == 1);
    edge_stop_reading(rig.edge);
    peer_send(peer, late, make_publish(late, 5, 2, "t", "late"));
    rig_quiet(&rig);
    assert_int_equal(rig_held(&rig), 1);
    assert_true(edge_in_flight(rig.edge) > 0);
    rig_answer_all(&rig);
    peer_expect_literal(peer, "\x40\x02\x00\x01");
    assert_int_equal(edge_in_flight(rig.edge), 0);
    edge_shutdown(rig.edge);
    peer_expect_goodbye(peer, MQTT_SERVER_SHUTTING_DOWN);
    peer_expect_end(old);
    assert_int_equal(rig_held(&rig), 1); /* the will */
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 0);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_CLOSED_SHUTDOWN), 2);
    peer_free(peer);
    peer_free(old);
    rig_deinit(&rig);
}

/* A CONNECT of level 4 whose will has the longest payload. */
static void send_large_will(struct peer *peer, unsigned number)
{
    static uint8_t packet[1 << 17];
    uint8_t head[] = {0x10, 0, 0,  0, 0, 4, 'M', 'Q', 'T', 'T',  4,
                      6,    0, 60, 0, 1, 0, 0,   1,   'w', 0xff, 0xff};
    size_t body = sizeof head - 4 + UINT16_MAX;
    head[1] = (uint8_t)(0x80 | (body & 0x7f));
    head[2] = (uint8_t)(0x80 | (body >> 7 & 0x7f));
    head[3] = (uint8_t)(body >> 14);
    head[16] = (uint8_t)('a' + number);
    memset(packet, 'x', sizeof packet);
    memcpy(packet, head, sizeof head);
    peer_send(peer, packet, sizeof head + UINT16_MAX);
}

/* Opens clients with large wills, ends them all at once by end, and expects the wills in batches of
 * ordinary size. */
static void expect_wills_in_batches(void (*end)(struct rig *, struct peer **, size_t))
{
    enum { CLIENTS = 12 };
    struct rig rig;
    struct peer *peers[CLIENTS];
    rig_init(&rig, 0, NO_LIMIT, "");
    for (unsigned i = 0; i < CLIENTS; i++) {
        peers[i] = peer_new(&rig);
        send_large_will(peers[i], i);
        peer_expect_connack(peers[i]);
    }
    end(&rig, peers, CLIENTS);
    rig_until(&rig, rig_held(&rig) == CLIENTS);
    size_t largest = 0;
    for (struct queue_item *item = rig.taken; item; item = item->next)
        largest = item->bytes > largest ? item->bytes : largest;
    assert_in_range(largest, UINT16_MAX, INGEST_BATCH_TARGET_BYTES + 2 * UINT16_MAX);
    for (unsigned i = 0; i < CLIENTS; i++)
        peer_free(peers[i]);
    rig_deinit(&rig);
}

static void end_by_shutdown(struct rig *rig, struct peer **peers, size_t count)
{
    (void)peers;
    (void)count;
    edge_shutdown(rig->edge);
}

static void end_by_peers(struct rig *rig, struct peer **peers, size_t count)
{
    (void)rig;
    for (size_t i = 0; i < count; i++)
        shutdown(peers[i]->fd, SHUT_RDWR);
}

static void end_by_time(struct rig *rig, struct peer **peers, size_t count)
{
    (void)peers;
    (void)count;
    rig->now_us += INT64_C(100000000); /* beyond one and a half times their keep-alive */
    edge_sweep(rig->edge);
}

static void test_many_wills_at_once_make_batches_of_ordinary_size(void **state)
{
    (void)state;
    expect_wills_in_batches(end_by_shutdown);
    expect_wills_in_batches(end_by_peers);
    expect_wills_in_batches(end_by_time);
}

static void test_no_connection_is_accepted_after_stop(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(edge_port(rig.edge, rig.name)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    edge_stop_reading(rig.edge);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    rig_deinit(&rig);
}

static void test_new_limits_are_for_new_connections(void **state)
{
    (void)state;
    struct rig rig;
    char text[128];
    struct listener_config config;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *old = peer_open(&rig, 5, "old", 60);
    snprintf(text, sizeof text, "{\"name\": \"%s\", \"anonymous\": true, \"receive_maximum\": 1}",
             rig.name);
    assert_int_equal(config_read_text(&listener_section, text, NULL, &config), 0);
    edge_reconfigure(rig.edge, &config, 1);
    config_section_deinit(&listener_section, &config);
    struct peer *new = peer_open(&rig, 5, "new", 60);
    for (unsigned id = 1; id <= 2; id++) {
        peer_publish(old, 5, id);
        peer_publish(new, 5, id);
    }
    peer_expect_goodbye(new, MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    rig_until(&rig, rig_held(&rig) == 3);
    assert_int_equal(peer_poll(old), 0);
    assert_false(old->ended);
    peer_free(old);
    peer_free(new);
    rig_deinit(&rig);
}

static void test_port_in_use_is_explained(void **state)
{
    (void)state;
    struct rig rig;
    char text[128], address[32];
    struct listener_config config;
    struct error error = ERROR_INIT;
    rig_init(&rig, 0, NO_LIMIT, "");
    unsigned port = edge_port(rig.edge, rig.name);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    snprintf(text, sizeof text, "{\"name\": \"lan\", \"bind\": \"%s\", \"anonymous\": true}",
             address);
    assert_int_equal(config_read_text(&listener_section, text, NULL, &config), 0);
    assert_int_equal(edge_listen(rig.edge, &config, &error), -EADDRINUSE);
    assert_non_null(strstr(error.where, "lan"));
    assert_non_null(strstr(error.what, address));
    assert_non_null(strstr(error.what, "in use"));
    assert_non_null(strstr(error.mend, "\"bind\""));
    config_section_deinit(&listener_section, &config);
    rig_deinit(&rig);
}

static void test_foreign_address_is_explained(void **state)
{
    (void)state;
    struct rig rig;
    struct listener_config config;
    struct error error = ERROR_INIT;
    rig_init(&rig, 0, NO_LIMIT, "");
    assert_int_equal(config_read_text(&listener_section,
                                      "{\"bind\": \"192.0.2.1:1883\", \"anonymous\": true}", NULL,
                                      &config),
                     0);
    assert_int_equal(edge_listen(rig.edge, &config, &error), -EADDRNOTAVAIL);
    assert_non_null(strstr(error.what, "192.0.2.1:1883"));
    assert_true(strlen(error.mend) > 0);
    config_section_deinit(&listener_section, &config);
    rig_deinit(&rig);
}

static void test_localhost_is_listened_on(void **state)
{
    (void)state;
    struct rig rig;
    struct listener_config config;
    struct error error = ERROR_INIT;
    rig_init(&rig, 0, NO_LIMIT, "");
    assert_int_equal(config_read_text(&listener_section,
                                      "{\"bind\": \"localhost:0\", \"anonymous\": true}", NULL,
                                      &config),
                     0);
    assert_int_equal(edge_listen(rig.edge, &config, &error), 0);
    assert_true(edge_port(rig.edge, "localhost:0") > 0);
    config_section_deinit(&listener_section, &config);
    rig_deinit(&rig);
}

static void test_connections_beyond_the_maximum_are_closed(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, 0, NO_LIMIT, "\"max_connections\": 1");
    struct peer *first = peer_open(&rig, 4, "a", 60);
    struct peer *second = peer_new(&rig);
    peer_expect_end(second);
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS_REFUSED), 1);
    peer_free(first);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 0);
    struct peer *third = peer_open(&rig, 4, "c", 60);
    peer_free(second);
    peer_free(third);
    rig_deinit(&rig);
}

static void test_lack_of_descriptors_pauses_accepting(void **state)
{
    (void)state;
    struct rig rig;
    struct rlimit limit, low;
    rig_init(&rig, 0, NO_LIMIT, "");
    struct peer *peer = peer_new(&rig); /* in the backlog, not accepted */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)peer->fd + 1; /* no further descriptor */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rig_until(&rig, metric_set_get_trouble(rig.metrics));
    assert_int_equal(rig_metric(&rig, METRIC_CONNECTIONS), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    rig_until(&rig, rig_metric(&rig, METRIC_CONNECTIONS) == 1);
    assert_null(metric_set_get_trouble(rig.metrics));
    peer_free(peer);
    rig_deinit(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_acknowledged_before_the_receipt),
        cmocka_unit_test(test_one_read_makes_one_batch_and_one_write),
        cmocka_unit_test(test_receipts_for_a_gone_connection_find_nobody),
        cmocka_unit_test(test_reading_pauses_at_the_mark_and_resumes_below_half),
        cmocka_unit_test(test_packet_larger_than_the_mark_passes),
        cmocka_unit_test(test_unfinished_packets_are_bounded_together),
        cmocka_unit_test(test_small_unfinished_packet_takes_the_place_of_the_largest),
        cmocka_unit_test(test_full_queue_is_tried_again),
        cmocka_unit_test(test_shutdown_answers_what_it_received_and_says_goodbye),
        cmocka_unit_test(test_many_wills_at_once_make_batches_of_ordinary_size),
        cmocka_unit_test(test_no_connection_is_accepted_after_stop),
        cmocka_unit_test(test_new_limits_are_for_new_connections),
        cmocka_unit_test(test_port_in_use_is_explained),
        cmocka_unit_test(test_foreign_address_is_explained),
        cmocka_unit_test(test_localhost_is_listened_on),
        cmocka_unit_test(test_connections_beyond_the_maximum_are_closed),
        cmocka_unit_test(test_lack_of_descriptors_pauses_accepting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
