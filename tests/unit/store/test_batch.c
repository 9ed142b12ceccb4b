#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/attribute.h"
#include "event/event.h"
#include "store/batch.h"
#include "store/crc32c.h"

static struct bytes attributes = BYTES_INIT(4096);

static struct event full_event(void)
{
    return (struct event){.topic = SLICE_LITERAL("plant/dev-7/telemetry"),
                          .device = SLICE_LITERAL("dev-7"),
                          .type = SLICE_LITERAL("acme.telemetry"),
                          .client = SLICE_LITERAL("client-dev-7"),
                          .content_type = SLICE_LITERAL("application/json"),
                          .attributes = bytes_slice(&attributes),
                          .payload = SLICE_LITERAL("{\"n\":12345678901234567890}\0\xff"),
                          .received_us = 1700000000123456,
                          .time_us = 1699999999000000,
                          .quality = CLOCK_CORRECTED,
                          .qos = 2,
                          .retain = true,
                          .payload_utf8 = true};
}

static struct event bare_event(void)
{
    return (struct event){.topic = SLICE_LITERAL("t"),
                          .device = SLICE_LITERAL("t"),
                          .type = SLICE_LITERAL("x"),
                          .received_us = -5,
                          .time_us = EVENT_NO_TIME,
                          .quality = CLOCK_UNSYNCED};
}

static void assert_same(const struct event *a, const struct event *b)
{
    assert_true(slice_equal(a->topic, b->topic));
    assert_true(slice_equal(a->device, b->device));
    assert_true(slice_equal(a->type, b->type));
    assert_true(slice_equal(a->client, b->client));
    assert_true(slice_equal(a->content_type, b->content_type));
    assert_true(slice_equal(a->attributes, b->attributes));
    assert_true(slice_equal(a->payload, b->payload));
    assert_true(a->received_us == b->received_us);
    assert_true(a->time_us == b->time_us);
    assert_int_equal(a->quality, b->quality);
    assert_int_equal(a->qos, b->qos);
    assert_int_equal(a->retain, b->retain);
    assert_int_equal(a->payload_utf8, b->payload_utf8);
}

static int setup(void **state)
{
    (void)state;
    const struct attribute a = {ATTRIBUTE_USER, SLICE_LITERAL("key"), SLICE_LITERAL("value")};
    return attribute_append(&attributes, &a);
}

static int teardown(void **state)
{
    (void)state;
    bytes_deinit(&attributes);
    return 0;
}

/* A batch of extremes: times jump across the whole range, strings are empty or long. */
static unsigned make_events(struct event events[8])
{
    static uint8_t large[70000];
    memset(large, 'a', sizeof(large));
    unsigned n = 0;
    events[n++] = full_event();
    events[n++] = bare_event();
    events[n] = bare_event();
    events[n++].received_us = INT64_MAX;
    events[n] = full_event();
    events[n].received_us = INT64_MIN;
    events[n++].time_us = INT64_MAX;
    events[n] = bare_event();
    events[n].topic = slice_make(large, 65535);
    events[n].client = SLICE_LITERAL("not in it");
    events[n++].payload = slice_make(large, sizeof(large));
    events[n++] = full_event();
    return n;
}

static struct batch *make_batch(const struct event *events, unsigned count)
{
    struct batch *batch;
    assert_int_equal(batch_new(7, 0, &batch), 0);
    for (unsigned i = 0; i < count; i++) {
        size_t before = batch->records.len;
        assert_int_equal(batch_append(batch, &events[i]), 0);
        assert_true(batch->records.len - before <= batch_record_bound(&events[i]));
    }
    assert_int_equal(batch->count, count);
    return batch;
}

static void test_records_come_back_as_they_were(void **state)
{
    (void)state;
    struct event events[8];
    unsigned count = make_events(events);
    struct batch *batch = make_batch(events, count);
    assert_true(batch->t_min_us == INT64_MIN && batch->t_max_us == INT64_MAX);
    size_t position = 0;
    int64_t received_us = 0;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        assert_int_equal(
            batch_decode(bytes_slice(&batch->records), &position, &received_us, &event), 0);
        assert_same(&event, &events[i]);
    }
    assert_int_equal(position, batch->records.len);
    batch_free(batch);
}

static void test_device_type_and_client_cost_no_bytes_when_the_topic_has_them(void **state)
{
    (void)state;
    struct event event = bare_event();
    event.topic = SLICE_LITERAL("plant/device-0123456789/telemetry");
    event.device = SLICE_LITERAL("device-0123456789");
    event.type = slice_make(event.topic.data + 24, 9); /* cut out of the topic itself */
    event.client = event.device;
    event.received_us = 1;
    struct batch *batch = make_batch(&event, 1);
    /* 2 fixed, received, topic length, three times offset and length, payload length */
    assert_int_equal(batch->records.len, 2 + 1 + 1 + 3 * 2 + 1 + event.topic.len);
    batch_free(batch);
}

/* Decodes everything there is; whatever comes must lie within the bytes. Returns the records. */
static unsigned decode_all(struct slice records)
{
    size_t position = 0;
    int64_t received_us = 0;
    struct event event;
    unsigned n = 0;
    int r = 0;
    while (position < records.len &&
           !(r = batch_decode(records, &position, &received_us, &event))) {
        const struct slice parts[] = {event.topic,  event.device,     event.type,
                                      event.client, event.attributes, event.payload};
        for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (!parts[i].len)
                continue;
            assert_true(parts[i].data >= records.data);
            assert_true(parts[i].data + parts[i].len <= records.data + records.len);
        }
        n++;
    }
    assert_true(r == 0 || r == -EBADMSG);
    return n;
}

static void test_decoding_survives_every_flipped_byte(void **state)
{
    (void)state;
    const struct event events[] = {full_event(), bare_event(), full_event()};
    struct batch *batch = make_batch(events, 3);
    assert_int_equal(decode_all(bytes_slice(&batch->records)), 3);
    for (size_t i = 0; i < batch->records.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            batch->records.data[i] ^= (uint8_t)(1u << bit);
            decode_all(bytes_slice(&batch->records));
            batch->records.data[i] ^= (uint8_t)(1u << bit);
        }
        uint8_t kept = batch->records.data[i];
        batch->records.data[i] = 0xFF;
        decode_all(bytes_slice(&batch->records));
        batch->records.data[i] = kept;
    }
    batch_free(batch);
}

static void test_decoding_refuses_every_truncation(void **state)
{
    (void)state;
    const struct event event = full_event();
    struct batch *batch = make_batch(&event, 1);
    for (size_t len = 0; len < batch->records.len; len++) {
        /* An allocation of exactly that size, so that reading beyond it is seen. */
        uint8_t *copy = malloc(len ? len : 1);
        memcpy(copy, batch->records.data, len);
        size_t position = 0;
        int64_t received_us = 0;
        struct event ignored;
        assert_int_equal(batch_decode(slice_make(copy, len), &position, &received_us, &ignored),
                         -EBADMSG);
        assert_int_equal(position, 0);
        free(copy);
    }
    batch_free(batch);
}

static void test_decoding_survives_noise(void **state)
{
    (void)state;
    uint64_t x = 88172645463325252u;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t noise[96];
        for (size_t i = 0; i < sizeof(noise); i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            noise[i] = (uint8_t)(x & (round % 2 ? 0x1F : 0xFF));
        }
        noise[0] &= 0x3F;
        noise[1] &= 0x7F;
        decode_all(slice_make(noise, sizeof(noise)));
    }
}

static void test_crc32c_is_that_of_the_standard(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, SLICE_LITERAL("123456789")), 0xE3069283u);
    assert_int_equal(crc32c(0, slice_make(bytes, 32)), 0x8A9136AAu); /* RFC 3720 B.4 */
    memset(bytes, 0xFF, sizeof(bytes));
    assert_int_equal(crc32c(0, slice_make(bytes, 32)), 0x62A8AB43u);
    /* In two pieces at every place it is the same. */
    static const char digits[] = "123456789";
    for (size_t i = 0; i <= 9; i++)
        assert_int_equal(crc32c(crc32c(0, slice_make(digits, i)), slice_make(digits + i, 9 - i)),
                         0xE3069283u);
}

static void test_the_checksum_of_a_row_covers_every_column(void **state)
{
    (void)state;
    struct batch_row row = {1, 2, 3, 4, 5, 6, 7, 8};
    uint32_t crc = batch_row_crc(&row, SLICE_LITERAL("data"));
    int64_t *columns[] = {&row.key,   &row.n,         &row.t_min_us,  &row.t_max_us,
                          &row.codec, &row.raw_bytes, &row.end_bytes, &row.end_stored};
    for (unsigned i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        *columns[i] ^= 1;
        assert_int_not_equal(batch_row_crc(&row, SLICE_LITERAL("data")), crc);
        *columns[i] ^= 1;
    }
    assert_int_not_equal(batch_row_crc(&row, SLICE_LITERAL("Data")), crc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back_as_they_were),
        cmocka_unit_test(test_device_type_and_client_cost_no_bytes_when_the_topic_has_them),
        cmocka_unit_test(test_decoding_survives_every_flipped_byte),
        cmocka_unit_test(test_decoding_refuses_every_truncation),
        cmocka_unit_test(test_decoding_survives_noise),
        cmocka_unit_test(test_crc32c_is_that_of_the_standard),
        cmocka_unit_test(test_the_checksum_of_a_row_covers_every_column),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
