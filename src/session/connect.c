/*
 * CONNECT [MQTT-3.1.4]: judged whole before anything is changed, then adopted, then answered.
 */
#include "session/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/result.h"
#include "event/event.h"
#include "mqtt/connect.h"
#include "mqtt/writer.h"
#include "session/message.h"
#include "session/registry.h"
#include "session/will.h"

enum { ASSIGNED_RANDOM_BYTES = 12 };

/* Answers a CONNECT that is not accepted, in the words of its level if it has any. */
static int refuse(struct session *session, const struct mqtt_frame *frame, enum mqtt_reason reason,
                  const char *detail, struct session_turn *turn)
{
    turn->reason = reason;
    turn->detail = detail;
    struct mqtt_dialect dialect = session->out;
    struct mqtt_connack packet = {.reason = (uint8_t)reason};
    if (!mqtt_connect_answer(frame, (uint8_t)reason, &dialect.level))
        return SESSION_REFUSED;
    if (dialect.level == MQTT_5_0 && detail)
        mqtt_property_set_slice(&packet.properties, MQTT_REASON_STRING, slice_string(detail));
    int r = mqtt_connack_encode(&packet, dialect, turn->out);
    if (r == MQTT_ENCODE_TOO_LARGE) { /* [MQTT-3.2.2-19] */
        mqtt_properties_clear(&packet.properties);
        r = mqtt_connack_encode(&packet, dialect, turn->out);
    }
    return r < 0 ? result_trace(r) : SESSION_REFUSED; /* what cannot be said is not said */
}

/* MQTT_SUCCESS or why this client is not accepted. Who it is comes before what it wants. */
static enum mqtt_reason judge(const struct session *session, const struct mqtt_connect *connect,
                              const char **ret_detail)
{
    const struct mqtt_will *will = &connect->will;
    bool five = connect->level == MQTT_5_0;
    const struct {
        bool wrong;
        enum mqtt_reason reason;
        const char *detail;
    } checks[] = {
        {mqtt_has(&connect->properties, MQTT_AUTHENTICATION_METHOD), MQTT_BAD_AUTHENTICATION_METHOD,
         "enhanced authentication is not offered"},
        {!session->limits.anonymous, MQTT_NOT_AUTHORIZED,
         "this listener does not accept anonymous clients"},
        {connect->client_id.len > SESSION_CLIENT_ID_MAX_BYTES, MQTT_CLIENT_IDENTIFIER_NOT_VALID,
         "client identifier is longer than 256 bytes"},
        {connect->has_user_name && connect->user_name.len > SESSION_USERNAME_MAX_BYTES,
         MQTT_BAD_USER_NAME_OR_PASSWORD, "user name is longer than 1024 bytes"},
        {connect->has_will && five && will->qos > 1, MQTT_QOS_NOT_SUPPORTED,
         "will with QoS 2, but the server's Maximum QoS is 1 [MQTT-3.2.2-12]"},
        {connect->has_will && !message_topic_allowed(will->topic), MQTT_TOPIC_NAME_INVALID,
         "will topic belongs to the gateway itself"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].wrong) {
            *ret_detail = checks[i].detail;
            return checks[i].reason;
        }
    return MQTT_SUCCESS;
}

/* A client identifier that nobody else has [MQTT-3.1.3-6]. NULL without memory or randomness. */
static char *assign_client_id(void)
{
    uint8_t random[ASSIGNED_RANDOM_BYTES];
    char text[sizeof "auto-" + 2 * sizeof random] = "auto-";
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return NULL;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + sizeof "auto-" - 1 + 2 * i, 3, "%02x", random[i]);
    return slice_duplicate(slice_string(text));
}

static uint16_t keep_alive(const struct session *session, const struct mqtt_connect *connect)
{
    uint16_t wanted = connect->keep_alive_s, maximum = session->limits.keep_alive_max_s;
    if (connect->level != MQTT_5_0 || maximum == UINT16_MAX)
        return wanted;
    return wanted == 0 || wanted > maximum ? maximum : wanted;
}

/* Copies what outlives the packet. 0, BYTES_FULL (the will's properties), -ENOMEM. */
static int adopt(struct session *session, const struct mqtt_connect *connect,
                 struct session_turn *turn)
{
    bool five = connect->level == MQTT_5_0;
    session->client_id =
        connect->client_id.len ? slice_duplicate(connect->client_id) : assign_client_id();
    if (!session->client_id)
        return result_origin(-ENOMEM);
    session->client_id_len = (uint16_t)strlen(session->client_id);
    if (connect->has_user_name) {
        session->username = slice_duplicate(connect->user_name);
        if (!session->username)
            return result_origin(-ENOMEM);
        session->username_len = (uint16_t)connect->user_name.len;
    }
    session->keep_alive_s = keep_alive(session, connect);
    session->session_expiry =
        mqtt_property_integer(&connect->properties, MQTT_SESSION_EXPIRY, 0) != 0;
    alias_table_init(&session->aliases, five ? session->limits.topic_alias_max : 0);
    return connect->has_will ? will_new(&connect->will, turn->scratch, &session->will) : 0;
}

/* What a 5.0 client must know about us. Defaults of the standard are said, too: they are what the
 * next version changes. */
static void describe_server(const struct session *session, const struct mqtt_connect *connect,
                            struct mqtt_properties *ret)
{
    const struct session_limits *limits = &session->limits;
    const struct {
        enum mqtt_property id;
        uint32_t value;
        bool say;
    } rows[] = {
        {MQTT_SESSION_EXPIRY, 0, session->session_expiry}, /* [MQTT-3.2.2.3.2] */
        {MQTT_RECEIVE_MAXIMUM, limits->receive_maximum, true},
        {MQTT_MAXIMUM_QOS, 1, true},
        {MQTT_RETAIN_AVAILABLE, 1, true},
        {MQTT_MAXIMUM_PACKET_SIZE, limits->max_packet_bytes, true},
        {MQTT_TOPIC_ALIAS_MAXIMUM, limits->topic_alias_max, true},
        {MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, 0, true},
        {MQTT_SUBSCRIPTION_ID_AVAILABLE, 0, true},
        {MQTT_SHARED_SUBSCRIPTION_AVAILABLE, 0, true},
        {MQTT_SERVER_KEEP_ALIVE, session->keep_alive_s,
         session->keep_alive_s != connect->keep_alive_s}, /* [MQTT-3.1.2-21] */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].say)
            mqtt_property_set_integer(ret, rows[i].id, rows[i].value);
    if (connect->client_id.len == 0) /* [MQTT-3.2.2-16] */
        mqtt_property_set_slice(ret, MQTT_ASSIGNED_CLIENT_ID, session_client(session));
}

static int accept(struct session *session, const struct mqtt_frame *frame,
                  const struct mqtt_connect *connect, struct session_turn *turn)
{
    struct mqtt_connack packet = {.session_present = false}; /* no session is kept yet */
    if (connect->level == MQTT_5_0)
        describe_server(session, connect, &packet.properties);
    int r = mqtt_connack_encode(&packet, session->out, turn->out);
    if (r == MQTT_ENCODE_TOO_LARGE)
        return refuse(session, frame, MQTT_PACKET_TOO_LARGE,
                      "the client takes no packet as large as CONNACK", turn);
    if (r)
        return result_fold(r);
    turn->taken_over = session_registry_claim(session->registry, session);
    return 0;
}

int session_receive_connect(struct session *session, const struct mqtt_frame *frame,
                            struct session_turn *turn)
{
    struct mqtt_connect connect;
    const char *detail = NULL;
    int r = mqtt_connect_decode(frame, &connect, &detail);
    if (r)
        return refuse(session, frame, (enum mqtt_reason)r, detail, turn);
    session->out.level = connect.level;
    session->out.max_packet_bytes =
        mqtt_property_integer(&connect.properties, MQTT_MAXIMUM_PACKET_SIZE, 0);
    enum mqtt_reason reason = judge(session, &connect, &detail);
    if (reason != MQTT_SUCCESS)
        return refuse(session, frame, reason, detail, turn);
    r = adopt(session, &connect, turn);
    if (r == BYTES_FULL)
        return refuse(session, frame, MQTT_QUOTA_EXCEEDED, "the will's properties are too large",
                      turn);
    if (!r)
        r = accept(session, frame, &connect, turn);
    if (r)
        session->will = will_free(session->will); /* belongs to accepted connections only */
    return r < 0 ? result_trace(r) : r;
}
