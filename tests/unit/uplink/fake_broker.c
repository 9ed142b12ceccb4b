#include "fake_broker.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

struct talk { /* one connection, of the thread alone */
    int fd;
    uint8_t *in;
    size_t len, cap;
    bool mqtt5;
    unsigned publishes;
    uint16_t waiting[FAKE_BROKER_TEXT_MAX * 16];
    size_t waiting_index[FAKE_BROKER_TEXT_MAX * 16];
    unsigned waiting_count;
};

static void out(struct talk *t, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len) {
        ssize_t n = send(t->fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

static unsigned u16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static size_t varint(const uint8_t *p, size_t *value)
{
    size_t i = 0;
    *value = 0;
    do
        *value |= (size_t)(p[i] & 127) << (7 * i);
    while (p[i++] & 128 && i < 4);
    return i;
}

static void copy(char out_text[FAKE_BROKER_TEXT_MAX], const uint8_t *p, size_t len)
{
    if (len >= FAKE_BROKER_TEXT_MAX)
        len = FAKE_BROKER_TEXT_MAX - 1;
    memcpy(out_text, p, len);
    out_text[len] = '\0';
}

/* false: close */
static bool on_connect(struct fake_broker *b, struct talk *t, const uint8_t *p)
{
    b->level = p[6];
    t->mqtt5 = p[6] == 5;
    size_t properties = 0, at = 10;
    if (t->mqtt5) {
        at += varint(p + at, &properties);
        at += properties;
    }
    copy(b->client_id, p + at + 2, u16(p + at));
    if (t->mqtt5 && b->rules.refuse_5) {
        out(t, "\x20\x02\x00\x01", 4);
        return false;
    }
    uint8_t ack[32] = {0x20, 2, 0, (uint8_t)b->rules.connack_reason};
    size_t len = 4;
    if (t->mqtt5) {
        len = 5;
        if (b->rules.receive_maximum) {
            ack[len++] = 33;
            ack[len++] = (uint8_t)(b->rules.receive_maximum >> 8);
            ack[len++] = (uint8_t)b->rules.receive_maximum;
        }
        if (b->rules.maximum_packet) {
            ack[len++] = 39;
            for (int shift = 24; shift >= 0; shift -= 8)
                ack[len++] = (uint8_t)(b->rules.maximum_packet >> shift);
        }
        if (b->rules.maximum_qos >= 0) {
            ack[len++] = 36;
            ack[len++] = (uint8_t)b->rules.maximum_qos;
        }
        ack[4] = (uint8_t)(len - 5);
        ack[1] = (uint8_t)(len - 2);
    }
    out(t, ack, len);
    return b->rules.connack_reason == 0;
}

static void acknowledge(struct fake_broker *b, struct talk *t, uint16_t id, size_t index)
{
    struct fake_broker_message *m = &b->messages[index];
    unsigned reason = 0;
    if (b->rules.refuse_payload && b->rules.refuse_times &&
        strcmp(m->payload, b->rules.refuse_payload) == 0) {
        b->rules.refuse_times--;
        reason = b->rules.refuse_reason;
    }
    m->acknowledged = reason < 0x80;
    uint8_t ack[5] = {0x40, 2, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)reason};
    if (reason)
        ack[1] = 3;
    out(t, ack, reason ? 5 : 4);
    b->unacknowledged--;
}

static bool on_publish(struct fake_broker *b, struct talk *t, uint8_t flags, const uint8_t *p,
                       size_t len)
{
    assert(b->count < FAKE_BROKER_MESSAGES_MAX);
    size_t index = b->count++;
    struct fake_broker_message *m = &b->messages[index];
    size_t at = 2 + u16(p);
    copy(m->topic, p + 2, u16(p));
    uint16_t id = (uint16_t)u16(p + at);
    at += 2;
    size_t properties = 0;
    if (t->mqtt5) {
        at += varint(p + at, &properties);
        at += properties;
    }
    m->properties_bytes = (unsigned)properties;
    m->retain = flags & 1;
    m->connection = b->connections;
    copy(m->payload, p + at, len - at);
    if (++b->unacknowledged > b->unacknowledged_most)
        b->unacknowledged_most = b->unacknowledged;
    t->waiting[t->waiting_count] = id;
    t->waiting_index[t->waiting_count++] = index;
    if (!b->rules.silent && t->waiting_count >= b->rules.hold) {
        for (unsigned i = 0; i < t->waiting_count; i++)
            acknowledge(b, t, t->waiting[i], t->waiting_index[i]);
        t->waiting_count = 0;
    }
    return !(b->rules.close_after && ++t->publishes >= b->rules.close_after);
}

/* Handles every whole packet. false: close. */
static bool packets(struct fake_broker *b, struct talk *t)
{
    size_t at = 0;
    bool go_on = true;
    while (go_on && t->len - at >= 2) {
        size_t body, header = 1 + varint(t->in + at + 1, &body);
        if (t->len - at < header + body)
            break;
        const uint8_t *p = t->in + at + header;
        switch (t->in[at] >> 4) {
        case 1:
            go_on = on_connect(b, t, p);
            break;
        case 3:
            go_on = on_publish(b, t, t->in[at] & 15, p, body);
            break;
        case 12:
            out(t, "\xd0\x00", 2);
            break;
        case 14:
            b->disconnected = true;
            go_on = false;
            break;
        default:
            break;
        }
        at += header + body;
    }
    memmove(t->in, t->in + at, t->len - at);
    t->len -= at;
    return go_on;
}

static void serve(struct fake_broker *b, int fd)
{
    struct talk t = {.fd = fd, .cap = 1 << 20};
    t.in = malloc(t.cap);
    bool go_on = t.in != NULL;
    while (go_on) {
        ssize_t n = recv(fd, t.in + t.len, t.cap - t.len, 0);
        if (n <= 0)
            break;
        t.len += (size_t)n;
        pthread_mutex_lock(&b->lock);
        go_on = packets(b, &t);
        pthread_mutex_unlock(&b->lock);
    }
    free(t.in);
}

static void *run(void *data)
{
    struct fake_broker *b = data;
    for (;;) {
        int fd = accept(b->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&b->lock);
        bool deaf = b->rules.deaf;
        if (b->connections < 64)
            b->connect_us[b->connections] = clock_monotonic_us(&clock_system);
        b->connections++;
        b->disconnected = false;
        b->unacknowledged = 0;
        b->connection = fd;
        bool stop = b->stop;
        pthread_mutex_unlock(&b->lock);
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (!deaf && !stop)
            serve(b, fd);
        pthread_mutex_lock(&b->lock);
        b->connection = -1;
        pthread_mutex_unlock(&b->lock);
        close(fd);
    }
}

void fake_broker_start(struct fake_broker *b, const struct fake_broker_rules *rules)
{
    *b = (struct fake_broker){.connection = -1, .rules = *rules};
    pthread_mutex_init(&b->lock, NULL);
    b->messages = calloc(FAKE_BROKER_MESSAGES_MAX, sizeof(*b->messages));
    assert(b->messages);
    b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int r = bind(b->listener, (struct sockaddr *)&address, len);
    r |= listen(b->listener, 16);
    r |= getsockname(b->listener, (struct sockaddr *)&address, &len);
    assert(r == 0);
    b->port = ntohs(address.sin_port);
    r = pthread_create(&b->thread, NULL, run, b);
    assert(r == 0);
    (void)r;
}

void fake_broker_set(struct fake_broker *b, const struct fake_broker_rules *rules)
{
    pthread_mutex_lock(&b->lock);
    b->rules = *rules;
    pthread_mutex_unlock(&b->lock);
}

size_t fake_broker_count(struct fake_broker *b)
{
    pthread_mutex_lock(&b->lock);
    size_t n = b->count;
    pthread_mutex_unlock(&b->lock);
    return n;
}

bool fake_broker_disconnected(struct fake_broker *b)
{
    pthread_mutex_lock(&b->lock);
    bool disconnected = b->disconnected;
    pthread_mutex_unlock(&b->lock);
    return disconnected;
}

void fake_broker_stop(struct fake_broker *b)
{
    if (!b->messages)
        return;
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    shutdown(b->listener, SHUT_RDWR);
    if (b->connection >= 0)
        shutdown(b->connection, SHUT_RDWR);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    close(b->listener);
    free(b->messages);
    b->messages = NULL;
    pthread_mutex_destroy(&b->lock);
}
