/* The registry with many sessions: growth, takeover, release in any order. */
#include "client.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 1000, ID_MAX_BYTES = 16 };

static void name(struct session *session, unsigned number)
{
    char id[ID_MAX_BYTES];
    session_init(session, &client_limits, NULL, number);
    session->client_id_len = (uint16_t)snprintf(id, sizeof id, "dev-%u", number);
    session->client_id = strdup(id);
    assert_non_null(session->client_id);
}

static void test_registry_finds_the_holder_among_many(void **state)
{
    static struct session first[MANY], second[MANY];
    struct session_registry *registry = *state;
    for (unsigned i = 0; i < MANY; i++) {
        name(&first[i], i);
        assert_null(session_registry_claim(registry, &first[i]));
    }
    assert_int_equal(registry->count, MANY);
    assert_true(registry->bucket_count >= MANY / 2); /* it has grown */
    for (unsigned i = 0; i < MANY; i += 2) {
        name(&second[i], i);
        assert_ptr_equal(session_registry_claim(registry, &second[i]), &first[i]);
        assert_false(first[i].registered);
    }
    assert_int_equal(registry->count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        session_registry_release(registry, &first[i]); /* does not throw out the new holder */
        session_deinit(&first[i]);
    }
    assert_int_equal(registry->count, MANY / 2);
    for (unsigned i = 0; i < MANY; i += 2) {
        session_registry_release(registry, &second[i]);
        session_deinit(&second[i]);
    }
    assert_int_equal(registry->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        registry_test(test_registry_finds_the_holder_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
