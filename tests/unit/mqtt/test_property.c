#include "packet.h"

#include <stdlib.h>

#include "mqtt/property.h"
#include "mqtt/reader.h"

static int decode(uint32_t packet, const char *hex, struct mqtt_properties *ret)
{
    struct mqtt_frame f = test_frame(0x10, hex);
    struct mqtt_reader r = mqtt_reader_make(f.body);
    mqtt_read_properties(&r, packet, ret);
    return mqtt_reader_finish(&r, NULL);
}

static const uint32_t connect = UINT32_C(1) << MQTT_CONNECT;
static const uint32_t connack = UINT32_C(1) << (MQTT_CONNACK + 16);
static const uint32_t publish = UINT32_C(1) << MQTT_PUBLISH;
static const uint32_t subscribe = UINT32_C(1) << MQTT_SUBSCRIBE;

static void test_every_row_of_the_table_is_complete(void **state)
{
    (void)state;
    unsigned rows = 0;
    for (unsigned id = 0; id < MQTT_PROPERTY_COUNT; id++) {
        const struct mqtt_property_row *row = &mqtt_property_table[id];
        if (!row->name)
            continue;
        rows++;
        assert_true(row->packets);
        assert_non_null(row->misplaced);
        assert_true((row->repeats & ~row->packets) == 0);
        if (row->type <= MQTT_PROPERTY_VARINT) {
            assert_true(row->max > 0 && row->min <= row->max);
            assert_true(row->range_fault && row->out_of_range);
        }
        if (row->type != MQTT_PROPERTY_PAIR) {
            assert_true(row->offset >= offsetof(struct mqtt_properties, payload_format));
            for (unsigned other = 0; other < id; other++) /* no two share a field */
                assert_true(mqtt_property_table[other].offset != row->offset);
        }
    }
    assert_int_equal(rows, 27); /* table 2-4 */
}

/* One property with its least legal value, as hexadecimal text. */
static void sample(unsigned id, char hex[64])
{
    static const char *const value[] = {
        [MQTT_PROPERTY_BYTE] = "01",         [MQTT_PROPERTY_U16] = "0001",
        [MQTT_PROPERTY_U32] = "00000001",    [MQTT_PROPERTY_VARINT] = "01",
        [MQTT_PROPERTY_STRING] = "000161",   [MQTT_PROPERTY_BINARY] = "0000",
        [MQTT_PROPERTY_PAIR] = "00016b0000",
    };
    snprintf(hex, 64, "%02x%s", id, value[mqtt_property_table[id].type]);
}

static void test_each_property_stands_where_the_table_says_and_once(void **state)
{
    (void)state;
    for (unsigned id = 0; id < MQTT_PROPERTY_COUNT; id++) {
        const struct mqtt_property_row *row = &mqtt_property_table[id];
        if (!row->name)
            continue;
        char one[64], list[256];
        sample(id, one);
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t packet = UINT32_C(1) << bit;
            struct mqtt_properties p;
            /* data of an authentication needs its method, which is in front then */
            const char *method = id == MQTT_AUTHENTICATION_DATA ? "15000161" : "";
            size_t len = (strlen(one) + strlen(method)) / 2;
            snprintf(list, sizeof list, "%02zx%s%s", len, method, one);
            int r = decode(packet, list, &p);
            assert_int_equal(r, row->packets & packet ? 0 : MQTT_MALFORMED_PACKET);
            if (r)
                continue;
            assert_true(mqtt_has(&p, (enum mqtt_property)id));
            snprintf(list, sizeof list, "%02zx%s%s%s", len + strlen(one) / 2, method, one, one);
            assert_int_equal(decode(packet, list, &p),
                             row->repeats & packet ? 0 : MQTT_PROTOCOL_ERROR);
        }
    }
}

static void test_unknown_identifiers_are_malformed(void **state)
{
    (void)state;
    for (unsigned id = 0; id < 128; id++) {
        if (id < MQTT_PROPERTY_COUNT && mqtt_property_table[id].name)
            continue;
        char list[16];
        struct mqtt_properties p;
        snprintf(list, sizeof list, "05%02x00000001", id);
        assert_int_equal(decode(connect, list, &p), MQTT_MALFORMED_PACKET);
    }
    struct mqtt_properties p;
    assert_int_equal(decode(connect, "06 9100 00000001", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(connect, "06 9101 00000001", &p), MQTT_MALFORMED_PACKET);
}

static void test_values_keep_their_range(void **state)
{
    (void)state;
    static const struct {
        uint32_t packet;
        const char *list;
    } bad[] = {
        {connect, "03 210000"},     /* Receive Maximum 0 */
        {connect, "05 2700000000"}, /* Maximum Packet Size 0 */
        {connect, "02 1702"},       /* Request Problem Information 2 */
        {connect, "02 1902"},       /* Request Response Information 2 */
        {connack, "02 2402"},       /* Maximum QoS 2 */
        {connack, "02 25ff"},       /* Retain Available 255 */
        {publish, "02 0102"},       /* Payload Format Indicator 2 */
        {subscribe, "02 0b00"},     /* Subscription Identifier 0 */
        {publish, "04 08 0001 2b"}, /* Response Topic + [MQTT-3.3.2-14] */
        {publish, "03 08 0000"},    /* Response Topic empty */
        {connect, "04 16 0001 61"}, /* Authentication Data without a method */
    };
    struct mqtt_properties p;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode(bad[i].packet, bad[i].list, &p), MQTT_PROTOCOL_ERROR);
    assert_int_equal(decode(publish, "03 230000", &p), MQTT_TOPIC_ALIAS_INVALID);
    assert_int_equal(decode(subscribe, "05 0b ffffff7f", &p), 0);
    assert_int_equal(p.subscription_id, 268435455);
    assert_int_equal(decode(subscribe, "06 0b ffffff8001", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(subscribe, "03 0b 8100", &p), MQTT_MALFORMED_PACKET);
}

static void test_strings_are_checked_in_both_halves_of_a_pair(void **state)
{
    (void)state; /* [MQTT-1.5.4-1..2], [MQTT-1.5.7-1] */
    struct mqtt_properties p;
    assert_int_equal(decode(publish, "07 26 0001 61 0001 ff", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "07 26 0001 00 0001 61", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "05 03 0002 c080", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "05 09 0002 c080", &p), 0); /* binary */
    assert_int_equal(decode(publish, "05 26 0000 0000", &p), 0);
}

static void test_lengths_are_kept_inside_and_outside(void **state)
{
    (void)state;
    struct mqtt_properties p = {.present = 77};
    assert_int_equal(decode(publish, "", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "02 01", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "01 01", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "04 03 0002 61 61", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "8000", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(p.present, 77); /* untouched */
    assert_int_equal(decode(publish, "00", &p), 0);
    assert_int_equal(p.present, 0);
}

static void test_five_thousand_user_properties_keep_their_order(void **state)
{
    (void)state; /* [MQTT-3.3.2-18] */
    struct bytes raw = BYTES_INIT(1 << 20);
    char name[16];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(mqtt_user_property_append(&raw, slice_string(name), SLICE_LITERAL("v")),
                         0);
    }
    struct bytes list = BYTES_INIT(1 << 20);
    uint8_t length[3] = {(uint8_t)(0x80 | (raw.len & 0x7f)),
                         (uint8_t)(0x80 | (raw.len >> 7 & 0x7f)), (uint8_t)(raw.len >> 14)};
    assert_int_equal(bytes_append(&list, length, sizeof length), 0);
    assert_int_equal(bytes_append_slice(&list, bytes_slice(&raw)), 0);
    struct mqtt_properties p;
    struct mqtt_reader r = mqtt_reader_make(bytes_slice(&list));
    mqtt_read_properties(&r, publish, &p);
    assert_int_equal(mqtt_reader_finish(&r, NULL), 0);
    struct slice rest = p.raw;
    struct mqtt_user_property u;
    int n = 0;
    while (mqtt_user_property_next(&rest, &u)) {
        snprintf(name, sizeof name, "n%d", n++);
        assert_slice(u.name, name);
        assert_slice(u.value, "v");
    }
    assert_int_equal(n, 5000);
    bytes_deinit(&list);
    bytes_deinit(&raw);
}

static void test_what_is_not_a_string_is_not_appended(void **state)
{
    (void)state;
    uint8_t memory[8];
    static uint8_t large[65536];
    memset(large, 'a', sizeof large);
    struct bytes raw = mqtt_memory(memory, sizeof memory);
    assert_int_equal(mqtt_user_property_append(&raw, SLICE_LITERAL("\xff"), SLICE_LITERAL("v")),
                     MQTT_ENCODE_INVALID);
    assert_int_equal(
        mqtt_user_property_append(&raw, SLICE_LITERAL("a"), slice_make(large, sizeof large)),
        MQTT_ENCODE_INVALID);
    assert_int_equal(mqtt_user_property_append(&raw, SLICE_LITERAL("abc"), SLICE_LITERAL("v")),
                     MQTT_ENCODE_FULL);
    assert_int_equal(raw.len, 0);
    assert_int_equal(mqtt_user_property_append(&raw, SLICE_LITERAL("ab"), SLICE_LITERAL("v")), 0);
    assert_packet(&raw, "26 0002 6162 0001 76");
}

static void test_only_user_properties_are_taken_from_raw(void **state)
{
    (void)state; /* the fields count: what was cleared is not written */
    struct mqtt_properties p;
    assert_int_equal(decode(publish, "0d 230005 26000161000162 010100", &p), MQTT_MALFORMED_PACKET);
    assert_int_equal(decode(publish, "0c 230005 26000161000162 0101", &p), 0);
    p.present &= ~MQTT_PRESENT(MQTT_TOPIC_ALIAS);
    struct mqtt_writer count = {.at = NULL};
    mqtt_write_properties(&count, &p, publish);
    assert_false(count.invalid);
    assert_int_equal(count.len, 1 + 7 + 2);
    p.present &= ~MQTT_PRESENT(MQTT_USER_PROPERTY);
    count = (struct mqtt_writer){.at = NULL};
    mqtt_write_properties(&count, &p, publish);
    assert_int_equal(count.len, 1 + 2);
}

static void test_authentication_data_needs_its_method_when_written_too(void **state)
{
    (void)state;
    struct mqtt_properties p = {.present = 0};
    mqtt_property_set_slice(&p, MQTT_AUTHENTICATION_DATA, SLICE_LITERAL("x"));
    struct mqtt_writer count = {.at = NULL};
    mqtt_write_properties(&count, &p, connect);
    assert_true(count.invalid);
    mqtt_property_set_slice(&p, MQTT_AUTHENTICATION_METHOD, SLICE_LITERAL("m"));
    count = (struct mqtt_writer){.at = NULL};
    mqtt_write_properties(&count, &p, connect);
    assert_false(count.invalid);
    assert_int_equal(count.len, 1 + 4 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_of_the_table_is_complete),
        cmocka_unit_test(test_each_property_stands_where_the_table_says_and_once),
        cmocka_unit_test(test_unknown_identifiers_are_malformed),
        cmocka_unit_test(test_values_keep_their_range),
        cmocka_unit_test(test_strings_are_checked_in_both_halves_of_a_pair),
        cmocka_unit_test(test_lengths_are_kept_inside_and_outside),
        cmocka_unit_test(test_five_thousand_user_properties_keep_their_order),
        cmocka_unit_test(test_what_is_not_a_string_is_not_appended),
        cmocka_unit_test(test_only_user_properties_are_taken_from_raw),
        cmocka_unit_test(test_authentication_data_needs_its_method_when_written_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
