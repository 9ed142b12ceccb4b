#include "packet.h"

#include "mqtt/reader.h"

static void test_integers_are_big_endian(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0, "01 0203 04050607");
    struct mqtt_reader r = mqtt_reader_make(f.body);
    assert_int_equal(mqtt_read_u8(&r), 1);
    assert_int_equal(mqtt_read_u16(&r), 0x203);
    assert_int_equal(mqtt_read_u32(&r), 0x4050607);
    assert_int_equal(mqtt_reader_finish(&r, NULL), 0);
}

static void test_the_first_failure_stays_and_stops_reading(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0, "0005 61 62");
    struct mqtt_reader r = mqtt_reader_make(f.body);
    assert_int_equal(mqtt_read_binary(&r).len, 0);
    assert_true(mqtt_reader_failed(&r));
    assert_int_equal(mqtt_read_u8(&r), 0);
    mqtt_reader_fail(&r, MQTT_PROTOCOL_ERROR, "second");
    const char *detail = NULL;
    assert_int_equal(mqtt_reader_finish(&r, &detail), MQTT_MALFORMED_PACKET);
    assert_string_not_equal(detail, "second");
}

static void test_bytes_left_over_are_malformed(void **state)
{
    (void)state;
    struct mqtt_frame f = test_frame(0, "00 00");
    struct mqtt_reader r = mqtt_reader_make(f.body);
    mqtt_read_u8(&r);
    assert_int_equal(mqtt_reader_finish(&r, NULL), MQTT_MALFORMED_PACKET);
}

static void test_variable_byte_integers_go_there_and_back(void **state)
{
    (void)state; /* table 1-1 */
    static const uint32_t values[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455};
    static const size_t sizes[] = {1, 1, 1, 2, 2, 3, 3, 4, 4};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t memory[4];
        struct mqtt_writer w = {.at = memory};
        mqtt_write_varint(&w, values[i]);
        assert_false(w.invalid);
        assert_int_equal(w.len, sizes[i]);
        struct mqtt_reader r = mqtt_reader_make(slice_make(memory, w.len));
        assert_int_equal(mqtt_read_varint(&r), values[i]);
        assert_int_equal(mqtt_reader_finish(&r, NULL), 0);
    }
    struct mqtt_writer count = {.at = NULL};
    mqtt_write_varint(&count, 268435456);
    assert_true(count.invalid);
}

static void test_longer_forms_and_five_bytes_are_malformed(void **state)
{
    (void)state; /* [MQTT-1.5.5-1] */
    static const char *const bad[] = {"8000", "ff00", "80808000", "ffffffff7f", "80", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mqtt_frame f = test_frame(0, bad[i]);
        struct mqtt_reader r = mqtt_reader_make(f.body);
        mqtt_read_varint(&r);
        assert_int_equal(mqtt_reader_finish(&r, NULL), MQTT_MALFORMED_PACKET);
    }
}

static void test_strings_are_utf8_without_nul(void **state)
{
    (void)state; /* [MQTT-1.5.4-1..3] */
    assert_true(mqtt_string_valid(SLICE_EMPTY));
    assert_true(mqtt_string_valid(SLICE_LITERAL("\xef\xbb\xbf"
                                                "a"))); /* U+FEFF stays */
    assert_true(mqtt_string_valid(SLICE_LITERAL("a\x01\x7f")));
    assert_false(mqtt_string_valid(SLICE_LITERAL("a\0")));
    assert_false(mqtt_string_valid(SLICE_LITERAL("\xed\xa0\x80")));
    assert_false(mqtt_string_valid(SLICE_LITERAL("\xc0\x80")));
    static uint8_t large[65536];
    memset(large, 'a', sizeof large);
    assert_true(mqtt_string_valid(slice_make(large, 65535)));
    assert_false(mqtt_string_valid(slice_make(large, 65536)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_big_endian),
        cmocka_unit_test(test_the_first_failure_stays_and_stops_reading),
        cmocka_unit_test(test_bytes_left_over_are_malformed),
        cmocka_unit_test(test_variable_byte_integers_go_there_and_back),
        cmocka_unit_test(test_longer_forms_and_five_bytes_are_malformed),
        cmocka_unit_test(test_strings_are_utf8_without_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
