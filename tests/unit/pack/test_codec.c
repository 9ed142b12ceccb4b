#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pack/codec.h"

enum { TEXT_BYTES = 20000 };

static struct pack_context *context;

static int setup(void **state)
{
    (void)state;
    return pack_context_new(&context);
}

static int teardown(void **state)
{
    (void)state;
    context = pack_context_free(context);
    return 0;
}

/* Compressible text, the same each time. */
static void fill_text(uint8_t *out, size_t n)
{
    static const char word[] = "{\"temperature\":21.5,\"humidity\":";
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(i % 97 ? word[i % (sizeof(word) - 1)] : '0' + (int)(i / 97 % 10));
}

static void fill_noise(uint8_t *out, size_t n)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)x;
    }
}

static void test_every_codec_of_the_build_returns_what_it_was_given(void **state)
{
    (void)state;
    uint8_t text[TEXT_BYTES];
    fill_text(text, sizeof(text));
    const size_t sizes[] = {0, 1, 2, 255, 4096, TEXT_BYTES};
    for (int codec = 0; codec < PACK_CODEC_COUNT; codec++) {
        if (!pack_codec_available(codec))
            continue;
        assert_non_null(pack_codec_name(codec));
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct bytes packed = BYTES_INIT(1 << 20), raw = BYTES_INIT(1 << 20);
            assert_int_equal(bytes_append_u8(&raw, 'x'), 0);
            struct slice in = slice_make(text, sizes[i]);
            assert_int_equal(pack_compress(context, codec, in, 1 << 19, &packed), 0);
            assert_int_equal(pack_decompress(context, codec, bytes_slice(&packed), in.len, &raw),
                             0);
            assert_int_equal(raw.len, in.len + 1);
            assert_int_equal(raw.data[0], 'x');
            assert_memory_equal(raw.data + 1, text, in.len);
            bytes_deinit(&packed);
            bytes_deinit(&raw);
        }
    }
}

static void test_a_result_over_the_limit_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    uint8_t noise[4096];
    fill_noise(noise, sizeof(noise));
    struct bytes out = BYTES_INIT(1 << 20);
    for (int codec = 0; codec < PACK_CODEC_COUNT; codec++) {
        if (!pack_codec_available(codec))
            continue;
        assert_int_equal(pack_compress(context, codec, slice_make(noise, sizeof(noise)),
                                       sizeof(noise) - sizeof(noise) / 16, &out),
                         PACK_EXCEEDS);
        assert_int_equal(out.len, 0);
    }
    struct bytes small = BYTES_INIT(100);
    assert_int_equal(pack_compress(context, PACK_NONE, slice_make(noise, 101), 4096, &small),
                     PACK_EXCEEDS);
    bytes_deinit(&small);
    bytes_deinit(&out);
}

static void test_zstd_compresses_text_when_it_is_in_the_build(void **state)
{
    (void)state;
    uint8_t text[TEXT_BYTES];
    fill_text(text, sizeof(text));
    struct bytes out = BYTES_INIT(1 << 20);
    int r = pack_compress(context, PACK_ZSTD, slice_make(text, sizeof(text)), sizeof(text), &out);
    if (pack_codec_available(PACK_ZSTD)) {
        assert_int_equal(r, 0);
        assert_true(out.len < sizeof(text) / 4);
    } else {
        assert_int_equal(r, -ENOTSUP);
        assert_null(pack_codec_name(PACK_ZSTD));
    }
    bytes_deinit(&out);
}

static void test_a_wrong_raw_size_is_damage_and_allocates_no_more_than_the_bound(void **state)
{
    (void)state;
    uint8_t text[1000];
    fill_text(text, sizeof(text));
    for (int codec = 0; codec < PACK_CODEC_COUNT; codec++) {
        if (!pack_codec_available(codec))
            continue;
        struct bytes packed = BYTES_INIT(1 << 20), raw = BYTES_INIT(2000);
        assert_int_equal(
            pack_compress(context, codec, slice_make(text, sizeof(text)), 4096, &packed), 0);
        const size_t wrong[] = {0, 999, 1001, 2001, SIZE_MAX};
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            assert_int_equal(pack_decompress(context, codec, bytes_slice(&packed), wrong[i], &raw),
                             -EBADMSG);
            assert_int_equal(raw.len, 0);
            assert_true(raw.cap <= 2000);
        }
        bytes_deinit(&packed);
        bytes_deinit(&raw);
    }
}

static void test_every_flipped_byte_is_refused_or_yields_the_stated_size(void **state)
{
    (void)state;
    uint8_t text[1500];
    fill_text(text, sizeof(text));
    for (int codec = 0; codec < PACK_CODEC_COUNT; codec++) {
        if (!pack_codec_available(codec))
            continue;
        struct bytes packed = BYTES_INIT(1 << 20);
        assert_int_equal(
            pack_compress(context, codec, slice_make(text, sizeof(text)), 4096, &packed), 0);
        for (size_t i = 0; i < packed.len; i++) {
            packed.data[i] ^= 0xFF;
            struct bytes raw = BYTES_INIT(4096);
            int r = pack_decompress(context, codec, bytes_slice(&packed), sizeof(text), &raw);
            assert_true(r == -EBADMSG || (r == 0 && raw.len == sizeof(text)));
            bytes_deinit(&raw);
            packed.data[i] ^= 0xFF;
        }
        bytes_deinit(&packed);
    }
}

static void test_unknown_codecs_are_not_supported(void **state)
{
    (void)state;
    struct bytes out = BYTES_INIT(100);
    const int unknown[] = {-1, PACK_GZIP, PACK_CODEC_COUNT, 1000};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_false(pack_codec_available(unknown[i]));
        assert_int_equal(pack_compress(context, unknown[i], SLICE_LITERAL("x"), 10, &out),
                         -ENOTSUP);
        assert_int_equal(pack_decompress(context, unknown[i], SLICE_LITERAL("x"), 1, &out),
                         -ENOTSUP);
    }
    bytes_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_codec_of_the_build_returns_what_it_was_given),
        cmocka_unit_test(test_a_result_over_the_limit_is_refused_and_leaves_nothing),
        cmocka_unit_test(test_zstd_compresses_text_when_it_is_in_the_build),
        cmocka_unit_test(test_a_wrong_raw_size_is_damage_and_allocates_no_more_than_the_bound),
        cmocka_unit_test(test_every_flipped_byte_is_refused_or_yields_the_stated_size),
        cmocka_unit_test(test_unknown_codecs_are_not_supported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
