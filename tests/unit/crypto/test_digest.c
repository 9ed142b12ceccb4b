#include "crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_digests_are_those_of_the_standard(void **state)
{
    (void)state;
    char text[DIGEST_SHA256_TEXT_BYTES];
    assert_int_equal(digest_sha256_text(SLICE_LITERAL("abc"), text), 0);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(digest_sha256_text(SLICE_EMPTY, text), 0);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_digests_are_those_of_the_standard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
