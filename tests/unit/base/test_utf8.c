#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_well_formed_text_is_valid(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",         "plain ascii, longer than eight", "é", "€", "𝄞", "a\x7f", "\xf4\x8f\xbf\xbf",
        "12345678é"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(slice_string(good[i])));
    assert_true(utf8_valid(slice_make("a\0b", 3)));
}

static void test_ill_formed_text_is_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xc0\xaf",     "\xc1\x81",         "\xe0\x9f\xbf",     "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xe2\x82",     "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "12345678\xc3", "é\xc3(",           "abc\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(slice_string(bad[i])));
}

static void test_every_scalar_value_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        uint8_t out[4];
        uint32_t back = ~c;
        unsigned n = utf8_encode(c, out);
        if (utf8_next(slice_make(out, n), &back) != n || back != c)
            fail_msg("U+%04X", c);
        if (utf8_next(slice_make(out, n - 1), &back))
            fail_msg("U+%04X cut short was taken", c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_well_formed_text_is_valid),
        cmocka_unit_test(test_ill_formed_text_is_invalid),
        cmocka_unit_test(test_every_scalar_value_survives_a_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
