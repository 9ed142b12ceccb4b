/*
 * The conformance data of malformed packets (conformance/mqtt-malformed.json below SLUICE_SHARED)
 * as far as the codec alone can decide: what must end the connection must be refused, what the
 * connection must survive must be read. Left to the session: the order of packets, what a
 * DISCONNECT ends, and aliases that were never set.
 */
#include "packet.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "mqtt/ack.h"
#include "mqtt/connect.h"
#include "mqtt/disconnect.h"
#include "mqtt/publish.h"
#include "mqtt/subscribe.h"

enum { DATA_MAX_BYTES = 1 << 24, CASES_MIN = 500 };

enum verdict { READ, REFUSED, SESSION_DECIDES };

static int any_decode(const struct mqtt_frame *f, struct mqtt_dialect d, bool *ret_session)
{
    struct mqtt_connect connect;
    struct mqtt_publish publish;
    struct mqtt_ack ack;
    struct mqtt_subscribe subscribe;
    struct mqtt_unsubscribe unsubscribe;
    struct mqtt_disconnect disconnect;
    struct mqtt_auth auth;
    int r = 0;
    switch (mqtt_frame_type(f)) {
    case MQTT_CONNECT:
        return mqtt_connect_decode(f, &connect, NULL);
    case MQTT_PUBLISH:
        r = mqtt_publish_decode(f, d, &publish, NULL);
        *ret_session = !r && !publish.topic.len;
        return r;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return mqtt_ack_decode(f, d, &ack, NULL);
    case MQTT_SUBSCRIBE:
        return mqtt_subscribe_decode(f, d, &subscribe, NULL);
    case MQTT_UNSUBSCRIBE:
        return mqtt_unsubscribe_decode(f, d, &unsubscribe, NULL);
    case MQTT_DISCONNECT:
        r = mqtt_disconnect_decode(f, d, &disconnect, NULL);
        *ret_session = !r;
        return r;
    case MQTT_AUTH:
        return mqtt_auth_decode(f, d, &auth, NULL);
    case MQTT_PINGREQ:
        return mqtt_ping_decode(f, NULL);
    case MQTT_CONNACK:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
    case MQTT_PINGRESP:
        break;
    }
    return MQTT_PROTOCOL_ERROR;
}

static enum verdict judge(struct slice in, struct mqtt_dialect dialect, bool connected)
{
    bool session = false;
    while (in.len) {
        struct mqtt_frame f;
        int r = mqtt_frame_next(in, 1 << 20, &f);
        if (r == MQTT_NEED_MORE)
            return READ;
        if (r || !mqtt_type_expected(mqtt_frame_type(&f), dialect))
            return REFUSED;
        if (any_decode(&f, dialect, &session))
            return REFUSED;
        if (connected == (mqtt_frame_type(&f) == MQTT_CONNECT))
            session = true;
        connected = true;
        in = slice_make(in.data + f.consumed, in.len - f.consumed);
    }
    return session ? SESSION_DECIDES : READ;
}

static char *data_load(void)
{
    const char *shared = getenv("SLUICE_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/conformance/mqtt-malformed.json",
             shared ? shared : SOURCE_ROOT "/../shared");
    FILE *f = fopen(path, "rb");
    if (!f) {
        const char *ci = getenv("CI");
        if (ci && strcmp(ci, "true") == 0)
            fail_msg("no conformance data at %s: set SLUICE_SHARED", path);
        return NULL;
    }
    char *text = calloc(1, DATA_MAX_BYTES);
    assert_non_null(text);
    assert_true(fread(text, 1, DATA_MAX_BYTES - 1, f) < DATA_MAX_BYTES - 1);
    fclose(f);
    return text;
}

/* The bytes of the single send step; 0 if there are more steps of the tester. */
static size_t case_bytes(const cJSON *one, uint8_t *out)
{
    const cJSON *step;
    size_t n = 0;
    unsigned sends = 0;
    cJSON_ArrayForEach(step, cJSON_GetObjectItem(one, "steps"))
    {
        const cJSON *send = cJSON_GetObjectItem(step, "send");
        if (send && ++sends == 1)
            n = test_unhex(send->valuestring, out);
        if (cJSON_GetObjectItem(step, "publish_from_other_client"))
            sends = 2;
    }
    return sends == 1 ? n : 0;
}

static bool case_check(const cJSON *one)
{
    static uint8_t memory[TEST_PACKET_MAX_BYTES];
    size_t n = case_bytes(one, memory);
    int level = cJSON_GetObjectItem(one, "ver")->valueint;
    if (!n || level < MQTT_3_1_1 || cJSON_GetObjectItem(one, "choice"))
        return false;
    struct mqtt_dialect dialect = {.level = (enum mqtt_level)level, .sender = MQTT_FROM_CLIENT};
    enum verdict v = judge(slice_make(memory, n), dialect,
                           cJSON_IsTrue(cJSON_GetObjectItem(one, "connect_first")));
    if (v == SESSION_DECIDES)
        return false;
    bool closed = strcmp(cJSON_GetObjectItem(one, "then")->valuestring, "closed") == 0;
    if (closed != (v == REFUSED))
        fail_msg("%s: %s", cJSON_GetObjectItem(one, "id")->valuestring,
                 closed ? "must be refused, was read" : "must be read, was refused");
    return true;
}

static void test_malformed_packets_of_the_conformance_data_are_refused(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = data_load();
    if (!text)
        skip();
    cJSON *data = cJSON_Parse(text);
    assert_non_null(data);
    unsigned checked = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, cJSON_GetObjectItem(data, "cases")) checked += case_check(one);
    cJSON_Delete(data);
    print_message("%u cases decided by the codec\n", checked);
    assert_true(checked >= CASES_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_packets_of_the_conformance_data_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
