#include "packet.h"

#include "mqtt/topic.h"

static bool name_valid(const char *s)
{
    return mqtt_topic_name_valid(slice_string(s));
}

static bool filter_valid(const char *s)
{
    return mqtt_topic_filter_valid(slice_string(s));
}

static bool matches(const char *filter, const char *name)
{
    return mqtt_topic_matches(slice_string(filter), slice_string(name));
}

static void test_names_have_no_wildcards_and_are_strings(void **state)
{
    (void)state; /* [MQTT-3.3.2-2], [MQTT-4.7.3-1..2] */
    assert_true(name_valid("a"));
    assert_true(name_valid("/"));
    assert_true(name_valid("$SYS/x"));
    assert_true(name_valid("site/sensor-17/temperature"));
    assert_true(name_valid("stra\xc3\x9f"
                           "e/\xf0\xaa\x9b\x94/long enough for the fast path"));
    assert_false(name_valid(""));
    assert_false(name_valid("\xed\xa0\x80"));
    assert_false(name_valid("a\xc3"));
}

static void test_a_bad_byte_is_found_at_every_place(void **state)
{
    (void)state; /* the check takes eight bytes at a time */
    static const uint8_t bad[] = {'+', '#', 0x00, 0x80, 0xff};
    uint8_t name[40];
    for (size_t len = 1; len <= sizeof name; len++)
        for (size_t at = 0; at < len; at++)
            for (size_t i = 0; i < sizeof bad; i++) {
                memset(name, 'x', len);
                assert_true(mqtt_topic_name_valid(slice_make(name, len)));
                name[at] = bad[i];
                assert_false(mqtt_topic_name_valid(slice_make(name, len)));
            }
}

static void test_every_other_ascii_character_may_stand_in_a_name(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        uint8_t name[16];
        memset(name, (int)c, sizeof name);
        assert_int_equal(mqtt_topic_name_valid(slice_make(name, sizeof name)),
                         c != '+' && c != '#');
    }
}

static void test_names_end_at_65535_bytes(void **state)
{
    (void)state; /* [MQTT-4.7.3-3] */
    static uint8_t name[65536];
    memset(name, 'a', sizeof name);
    assert_true(mqtt_topic_name_valid(slice_make(name, 65535)));
    assert_false(mqtt_topic_name_valid(slice_make(name, 65536)));
    assert_true(mqtt_topic_filter_valid(slice_make(name, 65535)));
    assert_false(mqtt_topic_filter_valid(slice_make(name, 65536)));
}

static void test_wildcards_fill_whole_levels_and_hash_is_last(void **state)
{
    (void)state; /* [MQTT-4.7.1-1..2] */
    static const char *const good[] = {"#",     "+", "a/#",  "+/+",    "/+",     "+/",
                                       "a/+/b", "/", "a//b", "$SYS/#", "$share", "/#"};
    static const char *const bad[] = {"",       "a#", "#/a", "a/#/b", "a+", "+a/b",
                                      "a/b+/c", "##", "++",  "a/#b",  "#/", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(filter_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(filter_valid(bad[i]));
    assert_false(mqtt_topic_filter_valid(SLICE_LITERAL("a\0b")));
}

static void test_shared_subscriptions_are_taken_apart(void **state)
{
    (void)state; /* [MQTT-4.8.2-1..2] */
    struct mqtt_topic_filter f;
    assert_true(mqtt_topic_filter_parse(SLICE_LITERAL("$share/group/a/+"), &f));
    assert_slice(f.group, "group");
    assert_slice(f.filter, "a/+");
    assert_true(f.wildcard);
    assert_true(mqtt_topic_filter_parse(SLICE_LITERAL("$share/g//"), &f));
    assert_slice(f.filter, "/");
    assert_false(f.wildcard);
    assert_true(mqtt_topic_filter_parse(SLICE_LITERAL("$shared/x"), &f));
    assert_int_equal(f.group.len, 0);
    assert_slice(f.filter, "$shared/x");
    static const char *const bad[] = {"$share/",     "$share/g",     "$share/g/",
                                      "$share//a",   "$share/g+/a",  "$share/#/a",
                                      "$share/g/a#", "$share/+/a/b", "$share/g/#/a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(filter_valid(bad[i]));
}

static void test_matching_follows_the_standards_examples(void **state)
{
    (void)state; /* sections 4.7.1 and 4.7.2 */
    assert_true(matches("sport/tennis/player1/#", "sport/tennis/player1"));
    assert_true(matches("sport/tennis/player1/#", "sport/tennis/player1/ranking"));
    assert_true(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
    assert_true(matches("sport/#", "sport"));
    assert_true(matches("#", "a/b/c"));
    assert_true(matches("sport/tennis/+", "sport/tennis/player1"));
    assert_false(matches("sport/tennis/+", "sport/tennis/player1/ranking"));
    assert_false(matches("sport/+", "sport"));
    assert_true(matches("sport/+", "sport/"));
    assert_true(matches("+/+", "/finance"));
    assert_true(matches("/+", "/finance"));
    assert_false(matches("+", "/finance"));
    assert_false(matches("#", "$SYS/x"));
    assert_false(matches("+/monitor/Clients", "$SYS/monitor/Clients"));
    assert_true(matches("$SYS/#", "$SYS/x"));
    assert_true(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
}

static void test_matching_compares_every_byte(void **state)
{
    (void)state; /* [MQTT-4.7.3-4] */
    assert_true(matches("a/b", "a/b"));
    assert_false(matches("a/b", "a/B"));
    assert_false(matches("a/b", "a/bc"));
    assert_false(matches("a/bc", "a/b"));
    assert_false(matches("a", "/a"));
    assert_false(matches("a", "a/"));
    assert_false(matches("a/", "a"));
    assert_true(matches("+/b/+", "a/b/"));
    assert_true(matches("+/#", "a"));
    assert_false(matches("a/+/#", "a"));
    assert_true(matches("a/+/#", "a/b"));
    assert_false(matches("a/b/#", "a/bb"));
    assert_false(matches("ab/#", "a"));
}

static void test_levels_may_be_empty(void **state)
{
    (void)state;
    struct slice rest = SLICE_LITERAL("/a//b/"), level;
    static const char *const levels[] = {"", "a", "", "b", ""};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        assert_true(mqtt_topic_level_next(&rest, &level));
        assert_slice(level, levels[i]);
    }
    assert_false(mqtt_topic_level_next(&rest, &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_have_no_wildcards_and_are_strings),
        cmocka_unit_test(test_a_bad_byte_is_found_at_every_place),
        cmocka_unit_test(test_every_other_ascii_character_may_stand_in_a_name),
        cmocka_unit_test(test_names_end_at_65535_bytes),
        cmocka_unit_test(test_wildcards_fill_whole_levels_and_hash_is_last),
        cmocka_unit_test(test_shared_subscriptions_are_taken_apart),
        cmocka_unit_test(test_matching_follows_the_standards_examples),
        cmocka_unit_test(test_matching_compares_every_byte),
        cmocka_unit_test(test_levels_may_be_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
