#include "uplink/client.h"

#include <MQTTAsync.h>
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/result.h"
#include "uplink/envelope.h"

enum {
    CLIENT_SPARE = 16, /* what Paho takes beyond the window before it says it is full */
    CLIENT_URI_MAX_BYTES = UPSTREAM_HOST_MAX_BYTES + 16,
    CLIENT_WAKE_SHARE = 4, /* the uplink is woken when a quarter of what is in flight is answered */
    CLIENT_REST_MS = 5,    /* or looks by itself after so long */
    CLIENT_ANSWERED = 1 << 16 /* marks an answer in client_slot.answer */
};

/* One message in flight; Paho's context pointer for it. */
struct client_slot {
    struct client *client;
    _Atomic uint32_t answer; /* 0: none yet; else CLIENT_ANSWERED | reason, by Paho's threads */
    uint16_t lane, slot;
    bool used;
};

struct client {
    MQTTAsync handle;
    bool mqtt5;
    unsigned window, in_flight;
    struct queue *wake;
    atomic_bool woken;   /* a wake-up is on its way */
    atomic_uint answers; /* since the last client_attend() */
    atomic_uint wake_at; /* so many are worth a wake-up */
    atomic_bool ended;   /* somebody has reported the end; only the first one is heard */
    _Atomic int state;   /* enum client_state; the fields below are written before it */
    struct client_limits limits;
    int reason;
    char text[CLIENT_REASON_MAX_BYTES];
    unsigned scan; /* where client_next_answer() goes on */
    unsigned next_free;
    MQTTProperty *properties; /* of the message being sent; array kept */
    size_t properties_cap;
    struct client_slot slots[CLIENT_WINDOW_MAX];
};

void client_library_init(void)
{
    unsetenv("http_proxy");
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    MQTTAsync_global_init(&options);
}

/* ---- Paho's threads from here on ---- */

static void free_item(struct queue_item *item)
{
    free(item);
}

static void wake(struct client *c)
{
    if (atomic_exchange(&c->woken, true))
        return;
    struct queue_item *item = malloc(sizeof(*item));
    if (item) {
        *item = (struct queue_item){.bytes = 0, /* a queue full of batches must still take it */
                                    .kind = RANGE_CLIENT,
                                    .free = free_item};
        if (queue_push(c->wake, &item) == 0)
            return;
        free(item);
    }
    atomic_store(&c->woken, false);
}

static void end(struct client *c, enum client_state state, int reason, const char *text)
{
    if (atomic_exchange(&c->ended, true))
        return;
    c->reason = reason;
    snprintf(c->text, sizeof(c->text), "%s", text ? text : "");
    atomic_store(&c->state, (int)state);
    wake(c);
}

static void up(struct client *c, const struct client_limits *limits)
{
    c->limits = *limits;
    atomic_store(&c->state, CLIENT_CONNECTED);
    wake(c);
}

static const struct client_limits no_limits = {.receive_maximum = 65535,
                                               .maximum_packet_bytes = UINT32_MAX,
                                               .maximum_qos = 2,
                                               .retain_available = true};

static void on_connected_3(void *context, MQTTAsync_successData *response)
{
    (void)response;
    up(context, &no_limits);
}

/* The number a property of the CONNACK carries, or what its absence means [MQTT-3.2.2.3]. */
static unsigned number(MQTTProperties *p, enum MQTTPropertyCodes code, unsigned absent)
{
    return MQTTProperties_hasProperty(p, code) ? (unsigned)MQTTProperties_getNumericValue(p, code)
                                               : absent;
}

static void on_connected_5(void *context, MQTTAsync_successData5 *response)
{
    MQTTProperties *p = &response->properties;
    struct client_limits limits = {
        .receive_maximum = number(p, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, 65535),
        .maximum_packet_bytes = number(p, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX),
        .topic_alias_maximum = number(p, MQTTPROPERTY_CODE_TOPIC_ALIAS_MAXIMUM, 0),
        .maximum_qos = number(p, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2),
        .retain_available = number(p, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) != 0,
        .keep_alive_s = number(p, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0),
    };
    if (limits.receive_maximum == 0)
        limits.receive_maximum = 1;
    up(context, &limits);
}

/* code > 0 is what the server said: 1..5 of 3.1.1, 0x80.. of 5.0. A server that knows no 5.0
 * answers it with the 3.1.1 code 1 [MQTT 3.1.1 3.1.2.2]. */
static void failed(struct client *c, int code, const char *text)
{
    bool version = code == 1 || code == MQTTREASONCODE_UNSUPPORTED_PROTOCOL_VERSION;
    end(c,
        version    ? CLIENT_VERSION_REFUSED
        : code > 0 ? CLIENT_REFUSED
                   : CLIENT_UNREACHABLE,
        code > 0 ? code : 0,
        code >= 0x80 ? MQTTReasonCode_toString((enum MQTTReasonCodes)code) : text);
}

static void on_connect_failed_3(void *context, MQTTAsync_failureData *response)
{
    failed(context, response ? response->code : 0, response ? response->message : NULL);
}

static void on_connect_failed_5(void *context, MQTTAsync_failureData5 *response)
{
    int code = !response                                        ? 0
               : response->reasonCode != MQTTREASONCODE_SUCCESS ? (int)response->reasonCode
                                                                : response->code;
    failed(context, code, response ? response->message : NULL);
}

static void on_lost(void *context, char *cause)
{
    end(context, CLIENT_LOST, 0, cause ? cause : "connection closed");
}

/* A DISCONNECT from a 5.0 server. */
static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    (void)properties;
    end(context, CLIENT_LOST, (int)reason, MQTTReasonCode_toString(reason));
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    (void)context;
    (void)topic_len;
    MQTTAsync_freeMessage(&message); /* nothing was subscribed to */
    MQTTAsync_free(topic);
    return 1;
}

static void answer(struct client_slot *slot, unsigned reason)
{
    struct client *c = slot->client;
    atomic_store_explicit(&slot->answer, CLIENT_ANSWERED | reason, memory_order_release);
    if (atomic_fetch_add(&c->answers, 1) + 1 >= atomic_load(&c->wake_at))
        wake(c);
}

static void on_delivered_3(void *context, MQTTAsync_successData *response)
{
    (void)response;
    answer(context, 0);
}

static void on_delivered_5(void *context, MQTTAsync_successData5 *response)
{
    answer(context, response ? (unsigned)response->reasonCode : 0);
}

static void on_not_sent_3(void *context, MQTTAsync_failureData *response)
{
    (void)response;
    answer(context, CLIENT_NOT_SENT);
}

static void on_not_sent_5(void *context, MQTTAsync_failureData5 *response)
{
    int reason = response ? (int)response->reasonCode : 0;
    answer(context, reason >= 0x80 && reason <= 0xff ? (unsigned)reason : CLIENT_NOT_SENT);
}

/* ---- the uplink's thread from here on ---- */

static int connect_start(struct client *c, const struct client_options *o)
{
    MQTTAsync_connectOptions connect5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions connect3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions *connect = o->mqtt5 ? &connect5 : &connect3;
    if (o->mqtt5) {
        connect->cleanstart = 1; /* what is unacknowledged is known here, not in the session */
        connect->onSuccess5 = on_connected_5;
        connect->onFailure5 = on_connect_failed_5;
    } else {
        connect->cleansession = 1;
        connect->MQTTVersion = MQTTVERSION_3_1_1; /* never 3.1 */
        connect->onSuccess = on_connected_3;
        connect->onFailure = on_connect_failed_3;
    }
    connect->context = c;
    connect->keepAliveInterval = (int)o->keep_alive_s;
    connect->connectTimeout = (int)o->connect_timeout_s;
    connect->maxInflight = (int)o->window;
    connect->username = o->username;
    if (o->password) {
        connect->binarypwd.len = (int)strlen(o->password);
        connect->binarypwd.data = o->password;
    }
    int r = MQTTAsync_connect(c->handle, connect);
    return r == MQTTASYNC_SUCCESS ? 0 : result_origin(-EIO);
}

static int handle_create(struct client *c, const struct client_options *o)
{
    char uri[CLIENT_URI_MAX_BYTES];
    snprintf(uri, sizeof(uri), strchr(o->host, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", o->host,
             o->port);
    MQTTAsync_createOptions create5 = MQTTAsync_createOptions_initializer5;
    MQTTAsync_createOptions create3 = MQTTAsync_createOptions_initializer;
    MQTTAsync_createOptions *create = o->mqtt5 ? &create5 : &create3;
    create->maxBufferedMessages = (int)(o->window + CLIENT_SPARE);
    if (!o->mqtt5)
        create->MQTTVersion = MQTTVERSION_3_1_1;
    int r = MQTTAsync_createWithOptions(&c->handle, uri, o->client_id, MQTTCLIENT_PERSISTENCE_NONE,
                                        NULL, create);
    if (r == MQTTASYNC_SUCCESS)
        r = MQTTAsync_setCallbacks(c->handle, c, on_lost, on_message, NULL);
    if (r == MQTTASYNC_SUCCESS && o->mqtt5)
        r = MQTTAsync_setDisconnected(c->handle, c, on_disconnected);
    return r == MQTTASYNC_SUCCESS ? 0 : result_origin(-EIO);
}

int client_open(const struct client_options *options, struct client **ret)
{
    assert(options->window >= 1 && options->window <= CLIENT_WINDOW_MAX);
    struct client *c = calloc(1, sizeof(*c));
    if (!c)
        return result_origin(-ENOMEM);
    c->mqtt5 = options->mqtt5;
    c->window = options->window;
    c->wake = options->wake;
    c->limits = no_limits;
    atomic_store(&c->state, CLIENT_CONNECTING);
    for (unsigned i = 0; i < CLIENT_WINDOW_MAX; i++)
        c->slots[i].client = c;
    int r = handle_create(c, options);
    if (!r)
        r = connect_start(c, options);
    if (r) {
        client_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

struct client *client_close(struct client *client)
{
    if (!client)
        return NULL;
    if (client->handle)
        MQTTAsync_destroy(&client->handle); /* says DISCONNECT if it can; reports nothing later */
    free(client->properties);
    free(client);
    return NULL;
}

void client_attend(struct client *client)
{
    atomic_store(&client->answers, 0);
    atomic_store(&client->woken, false);
}

int client_rest_ms(struct client *client)
{
    unsigned wake_at = client->in_flight / CLIENT_WAKE_SHARE;
    atomic_store(&client->wake_at, wake_at ? wake_at : 1);
    if (wake_at <= 1)
        return -1;
    return atomic_load(&client->answers) >= wake_at ? 0 : CLIENT_REST_MS;
}

enum client_state client_get_state(const struct client *client, struct client_limits *ret_limits)
{
    int state = atomic_load(&client->state);
    if (ret_limits && state == CLIENT_CONNECTED)
        *ret_limits = client->limits;
    return (enum client_state)state;
}

int client_get_reason(const struct client *client, char text[CLIENT_REASON_MAX_BYTES])
{
    int state = atomic_load(&client->state);
    bool ended = state != CLIENT_CONNECTING && state != CLIENT_CONNECTED;
    snprintf(text, CLIENT_REASON_MAX_BYTES, "%s", ended ? client->text : "");
    return ended ? client->reason : 0;
}

/* Paho copies what it is given and changes nothing; its structs just know no const. */
static char *unconst(const void *p)
{
    return (char *)(uintptr_t)p;
}

static MQTTLenString len_string(struct slice s)
{
    return (MQTTLenString){.len = (int)s.len, .data = unconst(s.data ? s.data : (const void *)"")};
}

static void add_property(MQTTProperties *p, enum MQTTPropertyCodes code, struct slice name,
                         struct slice value)
{
    MQTTProperty *property = &p->array[p->count++];
    *property = (MQTTProperty){.identifier = code};
    property->value.data = len_string(name);
    property->value.value = len_string(value);
}

/* Paho's property list over our memory, without its one allocation per string. */
static int fill_properties(struct client *c, const struct envelope *m, MQTTProperties *ret)
{
    size_t most = m->user_count + 4;
    if (most > c->properties_cap) {
        MQTTProperty *more = realloc(c->properties, most * sizeof(*more));
        if (!more)
            return result_origin(-ENOMEM);
        c->properties = more;
        c->properties_cap = most;
    }
    MQTTProperties p = {.count = 0, .max_count = (int)c->properties_cap, .array = c->properties};
    if (m->payload_utf8) {
        p.array[p.count] = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR};
        p.array[p.count++].value.byte = 1;
    }
    if (m->content_type.len)
        add_property(&p, MQTTPROPERTY_CODE_CONTENT_TYPE, m->content_type, SLICE_EMPTY);
    if (m->response_topic.len)
        add_property(&p, MQTTPROPERTY_CODE_RESPONSE_TOPIC, m->response_topic, SLICE_EMPTY);
    if (m->correlation_data.len)
        add_property(&p, MQTTPROPERTY_CODE_CORRELATION_DATA, m->correlation_data, SLICE_EMPTY);
    for (size_t i = 0; i < m->user_count; i++)
        add_property(&p, MQTTPROPERTY_CODE_USER_PROPERTY, m->user[i].name, m->user[i].value);
    *ret = p;
    return 0;
}

static struct client_slot *free_slot(struct client *c)
{
    for (unsigned i = 0; i < c->window; i++) {
        struct client_slot *slot = &c->slots[(c->next_free + i) % c->window];
        if (!slot->used) {
            c->next_free = (c->next_free + i + 1) % c->window;
            return slot;
        }
    }
    return NULL;
}

static int send_outcome(int r)
{
    switch (r) {
    case MQTTASYNC_SUCCESS:
        return 0;
    case MQTTASYNC_MAX_MESSAGES_INFLIGHT:
    case MQTTASYNC_MAX_BUFFERED_MESSAGES:
    case MQTTASYNC_NO_MORE_MSGIDS:
        return CLIENT_BUSY;
    case MQTTASYNC_BAD_UTF8_STRING:
    case MQTTASYNC_TOPICNAME_TRUNCATED:
    case MQTTASYNC_BAD_MQTT_OPTION:
        return CLIENT_UNSENDABLE;
    default:
        return CLIENT_GONE;
    }
}

int client_send(struct client *client, const struct envelope *message, unsigned lane, unsigned slot)
{
    struct client_slot *s = free_slot(client);
    if (!s)
        return CLIENT_BUSY;
    MQTTAsync_message m = MQTTAsync_message_initializer;
    m.payload = unconst(message->payload.len ? message->payload.data : (const void *)"");
    m.payloadlen = (int)message->payload.len;
    m.qos = 1;
    m.retained = message->retain && client->limits.retain_available;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = s;
    if (client->mqtt5) {
        int r = fill_properties(client, message, &m.properties);
        if (r)
            return r;
        response.onSuccess5 = on_delivered_5;
        response.onFailure5 = on_not_sent_5;
    } else {
        response.onSuccess = on_delivered_3;
        response.onFailure = on_not_sent_3;
    }
    s->lane = (uint16_t)lane;
    s->slot = (uint16_t)slot;
    s->used = true;
    int r = send_outcome(
        MQTTAsync_sendMessage(client->handle, (const char *)message->topic.data, &m, &response));
    if (r)
        s->used = false;
    else
        client->in_flight++;
    return r;
}

bool client_next_answer(struct client *client, struct client_answer *ret)
{
    while (client->scan < client->window) {
        struct client_slot *s = &client->slots[client->scan++];
        uint32_t a = s->used ? atomic_load_explicit(&s->answer, memory_order_acquire) : 0;
        if (!a)
            continue;
        *ret = (struct client_answer){
            .lane = s->lane, .slot = s->slot, .reason = a & ~(uint32_t)CLIENT_ANSWERED};
        atomic_store_explicit(&s->answer, 0, memory_order_relaxed);
        s->used = false;
        client->in_flight--;
        return true;
    }
    client->scan = 0;
    return false;
}

unsigned client_in_flight(const struct client *client)
{
    return client->in_flight;
}
