/*
 * load: a fleet of MQTT publishers in one process, for tests and benchmarks.
 *
 * Each device is one connection that publishes at QoS 1 to PREFIX/DEVICE/telemetry, with a sequence
 * number per device in the payload. Either every device keeps its window full, or --rate spreads a
 * number of events per second over all of them. What is acknowledged is written to the ledger at
 * once. With --reconnect a lost connection is made again and everything not acknowledged is sent
 * again first, in order, as a new message of a new session: what a device with a queue does.
 *
 * Ends when --count events or --seconds are over and everything is acknowledged (or --drain seconds
 * later), or by SIGTERM. Prints one JSON object. Exit code: 0 all acknowledged, 1 not, 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "wire.h"

enum {
    WINDOW_MAX = 65535,
    OUTPUT_MAX_BYTES = 128 << 10,
    INPUT_MAX_BYTES = 16 << 10,
    PAYLOAD_MAX_BYTES = 64 << 10,
    LATENCY_MAX_US = 1 << 22, /* one bucket per microsecond, the last one takes the rest */
    RECONNECT_MS = 50
};

enum device_state { DEVICE_DOWN, DEVICE_CONNECTING, DEVICE_WAITING, DEVICE_OPEN };

struct slot { /* one sequence in flight */
    int64_t sent_us;
    bool answered;
};

struct device {
    enum device_state state;
    int fd;
    int64_t retry_us;   /* when DOWN */
    uint64_t base;      /* everything below is answered */
    uint64_t cursor;    /* next sequence to be written on this connection */
    uint64_t fresh;     /* next sequence never written on any connection */
    uint64_t target;    /* of fresh */
    struct slot *slots; /* by sequence & slot_mask */
    char topic[128];
    size_t topic_len;
    size_t output_at, output_len, input_len;
    uint8_t *output, input[INPUT_MAX_BYTES];
};

struct load {
    uint16_t port;
    uint32_t devices;
    unsigned level, window, payload_bytes, drain_s;
    double rate, seconds;
    uint64_t count;
    uint32_t capacity;
    bool reconnect, resume;
    const char *ledger_path, *prefix;

    struct ledger ledger;
    struct device *fleet;
    uint64_t slot_mask;
    int epoll;
    int64_t started_us, end_us, last_ack_us;
    bool sending;  /* new events are still to be made */
    uint64_t made; /* new events so far, for the rate */
    uint32_t turn; /* whose turn it is under a rate */
    uint64_t acknowledged, refused, repeated, lost_connections, connects;
    unsigned last_reason; /* of a refusal or DISCONNECT */
    uint32_t *latency;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void device_down(struct load *load, struct device *device)
{
    if (device->fd >= 0)
        close(device->fd);
    if (device->state != DEVICE_DOWN && device->state != DEVICE_CONNECTING)
        load->lost_connections++;
    device->fd = -1;
    device->state = DEVICE_DOWN;
    device->retry_us = now_us() + RECONNECT_MS * 1000;
    device->input_len = device->output_at = device->output_len = 0;
    device->cursor = device->base;
}

/* Writes what is waiting. False: the connection is over. */
static bool device_flush(struct device *device)
{
    while (device->output_at < device->output_len) {
        ssize_t n = send(device->fd, device->output + device->output_at,
                         device->output_len - device->output_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        device->output_at += (size_t)n;
    }
    device->output_at = device->output_len = 0;
    return true;
}

static void device_connect(struct load *load, struct device *device)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(load->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.u32 = (uint32_t)(device - load->fleet)};
    int one = 1;
    device->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (device->fd < 0) {
        device_down(load, device);
        return;
    }
    setsockopt(device->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    device->state = DEVICE_CONNECTING;
    if ((connect(device->fd, (const struct sockaddr *)&to, sizeof to) < 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, device->fd, &event) < 0)
        device_down(load, device);
}

static void device_greet(struct load *load, struct device *device)
{
    char client[128];
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(device->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        device_down(load, device);
        return;
    }
    snprintf(client, sizeof client, "%s-%u", load->prefix, (unsigned)(device - load->fleet));
    device->output_len = wire_connect(device->output, client, load->level, true);
    device->state = DEVICE_WAITING;
    if (!device_flush(device))
        device_down(load, device);
}

static struct slot *device_slot(const struct load *load, const struct device *device, uint64_t seq)
{
    return &device->slots[seq & load->slot_mask];
}

/* A payload of payload_bytes (at least its mark), like that of a small sensor. What fills it up is
 * as good as random, so that compression finds little more in it than in real identifiers. */
static size_t make_payload(const struct load *load, uint32_t device, uint64_t sequence, char *out)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-";
    int n = snprintf(out, PAYLOAD_MAX_BYTES,
                     "{\"load\":\"%u/%lu\",\"temperature\":%lu.%lu,\"humidity\":%lu,\"note\":\"",
                     device, sequence, 15 + sequence * 7 % 20, sequence % 10,
                     30 + (sequence * 13 + device) % 60);
    size_t len = (size_t)n;
    uint64_t state = sequence * 0x9e3779b97f4a7c15 + device + 1;
    while (len + 2 < load->payload_bytes) {
        state ^= state << 13; /* xorshift64 */
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t bits = state;
        for (int i = 0; i < 10 && len + 2 < load->payload_bytes; i++, bits >>= 6)
            out[len++] = letters[bits & 63];
    }
    out[len++] = '"';
    out[len++] = '}';
    return len;
}

static void device_publish(struct load *load, struct device *device, int64_t now)
{
    static char payload[PAYLOAD_MAX_BYTES + 256];
    uint32_t number = (uint32_t)(device - load->fleet);
    uint64_t sequence = device->cursor++;
    struct slot *slot = device_slot(load, device, sequence);
    if (sequence < device->fresh) {
        if (slot->answered) { /* out of order, before the connection broke */
            device->base += device->base == sequence;
            return;
        }
        load->repeated++;
    } else {
        device->fresh++;
        load->made++;
        slot->answered = false;
        atomic_store_explicit(&load->ledger.device[number].sent, device->fresh,
                              memory_order_relaxed);
    }
    slot->sent_us = now;
    size_t len = make_payload(load, number, sequence, payload);
    device->output_len +=
        wire_publish(device->output + device->output_len, device->topic, device->topic_len,
                     (uint16_t)(sequence % WINDOW_MAX + 1), load->level, payload, len);
}

/* Whether the device may write one more, and has room for it. */
static bool device_ready(const struct load *load, const struct device *device)
{
    size_t room = wire_publish_max(device->topic_len, load->payload_bytes + 256);
    if (device->state != DEVICE_OPEN || device->cursor - device->base >= load->window ||
        device->output_len + room > OUTPUT_MAX_BYTES)
        return false;
    return device->cursor < device->fresh || (load->sending && device->fresh < device->target);
}

static void device_finish_write(struct load *load, struct device *device)
{
    if (device->output_len && !device_flush(device))
        device_down(load, device);
}

/* Window mode, and everything to be sent again: as much as the window and the buffer take. */
static void device_fill(struct load *load, struct device *device)
{
    int64_t now = now_us();
    if (device->output_at == 0)
        while (device_ready(load, device) && (load->rate == 0 || device->cursor < device->fresh))
            device_publish(load, device, now);
    device_finish_write(load, device);
}

/* Rate mode: what is due by now, one event per device in turn. */
static void fleet_pace(struct load *load)
{
    int64_t now = now_us();
    uint64_t due = (uint64_t)((double)(now - load->started_us) * load->rate / 1e6);
    uint32_t idle = 0;
    while (load->sending && load->made < due && idle < load->devices) {
        struct device *device = &load->fleet[load->turn];
        load->turn = (load->turn + 1) % load->devices;
        idle++;
        if (device->output_at == 0 && device->cursor == device->fresh &&
            device_ready(load, device)) {
            device_publish(load, device, now);
            idle = 0;
        }
    }
    for (uint32_t d = 0; d < load->devices; d++)
        if (load->fleet[d].state == DEVICE_OPEN)
            device_finish_write(load, &load->fleet[d]);
}

static void device_answered(struct load *load, struct device *device, uint16_t id, unsigned reason)
{
    uint64_t sequence = device->base - device->base % WINDOW_MAX + id - 1U;
    if (sequence < device->base)
        sequence += WINDOW_MAX;
    if (sequence >= device->cursor) {
        fprintf(stderr, "load: PUBACK for packet id %u, which is not in flight\n", id);
        exit(1);
    }
    struct slot *slot = device_slot(load, device, sequence);
    int64_t now = now_us();
    if (slot->answered)
        return;
    slot->answered = true;
    if (reason < 0x80) {
        int64_t us = now - slot->sent_us;
        load->latency[us < LATENCY_MAX_US ? us : LATENCY_MAX_US - 1]++;
        load->acknowledged++;
        load->last_ack_us = now;
        ledger_acknowledge(&load->ledger, (uint32_t)(device - load->fleet), sequence);
    } else {
        load->refused++;
        load->last_reason = reason;
    }
    while (device->base < device->cursor && device_slot(load, device, device->base)->answered)
        device->base++;
}

static bool device_handle(struct load *load, struct device *device,
                          const struct wire_packet *packet)
{
    const uint8_t *body = packet->body;
    if (packet->type == WIRE_CONNACK && device->state == DEVICE_WAITING && packet->body_len >= 2) {
        if (body[1])
            return load->last_reason = body[1], false;
        device->state = DEVICE_OPEN;
        load->connects++;
        return true;
    }
    if (packet->type == WIRE_PUBACK && packet->body_len >= 2) {
        device_answered(load, device, (uint16_t)(body[0] << 8 | body[1]),
                        packet->body_len > 2 ? body[2] : 0);
        return true;
    }
    if (packet->type == WIRE_DISCONNECT && packet->body_len)
        load->last_reason = body[0];
    return false;
}

static bool device_read(struct load *load, struct device *device)
{
    for (;;) {
        ssize_t n = recv(device->fd, device->input + device->input_len,
                         sizeof device->input - device->input_len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        device->input_len += (size_t)n;
        size_t used = 0;
        struct wire_packet packet;
        int r;
        while ((r = wire_next(device->input + used, device->input_len - used, &packet)) > 0) {
            if (!device_handle(load, device, &packet))
                return false;
            used += packet.bytes;
        }
        if (r < 0)
            return false;
        device->input_len -= used;
        memmove(device->input, device->input + used, device->input_len);
    }
}

static void device_dispatch(struct load *load, struct device *device)
{
    if (device->state == DEVICE_CONNECTING)
        device_greet(load, device);
    if (device->state == DEVICE_DOWN)
        return;
    if (!device_read(load, device) || !device_flush(device)) {
        device_down(load, device);
        return;
    }
    if (device->state == DEVICE_OPEN)
        device_fill(load, device);
}

static bool fleet_done(const struct load *load)
{
    for (uint32_t d = 0; d < load->devices; d++) {
        const struct device *device = &load->fleet[d];
        if (device->base < device->fresh || (load->sending && device->fresh < device->target))
            return false;
    }
    return true;
}

/* Makes lost connections again, at most a few at a time. False: one is lost for good. */
static bool fleet_reconnect(struct load *load)
{
    int64_t now = now_us();
    for (uint32_t d = 0; d < load->devices; d++) {
        struct device *device = &load->fleet[d];
        if (device->state != DEVICE_DOWN || device->retry_us > now)
            continue;
        if (device->retry_us && !load->reconnect)
            return false;
        device_connect(load, device);
    }
    return true;
}

static void run(struct load *load)
{
    struct epoll_event events[256];
    int64_t deadline = 0;
    load->started_us = load->last_ack_us = now_us();
    load->sending = true;
    while (!ended && !fleet_done(load)) {
        int64_t now = now_us();
        if (load->seconds > 0 && now - load->started_us > (int64_t)(load->seconds * 1e6))
            load->sending = false;
        if (!deadline && (!load->sending || (load->count && load->made >= load->count)))
            deadline = now + load->drain_s * INT64_C(1000000);
        if ((deadline && now > deadline) || !fleet_reconnect(load))
            break;
        if (load->rate > 0)
            fleet_pace(load);
        int n = epoll_wait(load->epoll, events, 256, load->rate > 0 ? 1 : 20);
        for (int i = 0; i < n; i++)
            device_dispatch(load, &load->fleet[events[i].data.u32]);
    }
    load->end_us = now_us();
}

static uint64_t percentile(const struct load *load, double part)
{
    uint64_t rank = (uint64_t)((double)load->acknowledged * part), below = 0;
    for (uint64_t us = 0; us < LATENCY_MAX_US; us++)
        if ((below += load->latency[us]) > rank)
            return us;
    return 0;
}

static int summary(const struct load *load)
{
    double seconds = (double)(load->last_ack_us - load->started_us) / 1e6;
    uint64_t open = 0;
    for (uint32_t d = 0; d < load->devices; d++)
        open += load->fleet[d].fresh - load->fleet[d].base;
    printf("{\"made\": %lu, \"acknowledged\": %lu, \"refused\": %lu, \"open\": %lu, "
           "\"repeated\": %lu, \"connects\": %lu, \"lost_connections\": %lu, "
           "\"last_reason\": %u, \"seconds\": %.3f, \"per_second\": %.0f, "
           "\"p50_us\": %lu, \"p99_us\": %lu, \"max_us\": %lu}\n",
           load->made, load->acknowledged, load->refused, open, load->repeated, load->connects,
           load->lost_connections, load->last_reason, seconds,
           seconds > 0 ? (double)load->acknowledged / seconds : 0.0, percentile(load, 0.5),
           percentile(load, 0.99), percentile(load, 0.999999));
    return open || load->refused || (load->count && load->made < load->count) ? 1 : 0;
}

static int fleet_init(struct load *load)
{
    uint64_t slots = 64;
    while (slots < load->window)
        slots *= 2;
    load->slot_mask = slots - 1;
    load->fleet = calloc(load->devices, sizeof *load->fleet);
    load->latency = calloc(LATENCY_MAX_US, sizeof *load->latency);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!load->fleet || !load->latency || load->epoll < 0)
        return -ENOMEM;
    for (uint32_t d = 0; d < load->devices; d++) {
        struct device *device = &load->fleet[d];
        uint64_t share = load->count / load->devices + (d < load->count % load->devices);
        device->fd = -1;
        device->fresh = device->base = device->cursor =
            atomic_load_explicit(&load->ledger.device[d].sent, memory_order_relaxed);
        device->target = load->count ? device->fresh + share : load->capacity;
        device->slots = calloc(slots, sizeof *device->slots);
        device->output = malloc(OUTPUT_MAX_BYTES);
        device->topic_len = (size_t)snprintf(device->topic, sizeof device->topic,
                                             "%.64s/%u/telemetry", load->prefix, d);
        if (!device->slots || !device->output)
            return -ENOMEM;
        if (device->target > load->capacity) {
            fprintf(stderr, "load: more events per device than --capacity\n");
            return -ERANGE;
        }
    }
    return 0;
}

static void fleet_deinit(struct load *load)
{
    uint8_t bye[2];
    for (uint32_t d = 0; d < load->devices; d++) {
        struct device *device = &load->fleet[d];
        if (device->state == DEVICE_OPEN && device->output_len == 0)
            send(device->fd, bye, wire_disconnect(bye), MSG_NOSIGNAL);
        if (device->fd >= 0)
            close(device->fd);
        free(device->slots);
        free(device->output);
    }
    free(load->fleet);
    free(load->latency);
    close(load->epoll);
    ledger_close(&load->ledger);
}

static int usage(void)
{
    fprintf(stderr,
            "usage: load --port P --ledger FILE [--devices N] [--window N] [--rate PER_SECOND]\n"
            "            [--count N] [--seconds S] [--drain S] [--payload BYTES] [--protocol 4|5]\n"
            "            [--prefix TOPIC] [--capacity N] [--reconnect] [--continue]\n"
            "  --window is per device; --rate is for all devices together; --continue goes on\n"
            "  with the sequences of an existing ledger\n");
    return 2;
}

static bool parse(int argc, char **argv, struct load *load)
{
    static const struct option options[] = {
        {"port", 1, NULL, 'p'},      {"ledger", 1, NULL, 'l'},   {"devices", 1, NULL, 'd'},
        {"window", 1, NULL, 'w'},    {"rate", 1, NULL, 'r'},     {"count", 1, NULL, 'n'},
        {"seconds", 1, NULL, 's'},   {"drain", 1, NULL, 'D'},    {"payload", 1, NULL, 'b'},
        {"protocol", 1, NULL, 'v'},  {"prefix", 1, NULL, 't'},   {"capacity", 1, NULL, 'c'},
        {"reconnect", 0, NULL, 'R'}, {"continue", 0, NULL, 'C'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            load->port = (uint16_t)atoi(optarg);
            break;
        case 'l':
            load->ledger_path = optarg;
            break;
        case 'd':
            load->devices = (uint32_t)atol(optarg);
            break;
        case 'w':
            load->window = (unsigned)atol(optarg);
            break;
        case 'r':
            load->rate = atof(optarg);
            break;
        case 'n':
            load->count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            load->seconds = atof(optarg);
            break;
        case 'D':
            load->drain_s = (unsigned)atol(optarg);
            break;
        case 'b':
            load->payload_bytes = (unsigned)atol(optarg);
            break;
        case 'v':
            load->level = (unsigned)atol(optarg);
            break;
        case 't':
            load->prefix = optarg;
            break;
        case 'c':
            load->capacity = (uint32_t)atol(optarg);
            break;
        case 'R':
            load->reconnect = true;
            break;
        case 'C':
            load->resume = true;
            break;
        default:
            return false;
        }
    return optind == argc && load->port && load->ledger_path && load->devices &&
           load->devices <= LEDGER_DEVICES_MAX && load->window && load->window <= WINDOW_MAX &&
           load->payload_bytes <= PAYLOAD_MAX_BYTES && (load->level == 4 || load->level == 5) &&
           load->capacity && load->capacity % 64 == 0 && load->capacity <= LEDGER_CAPACITY_MAX &&
           load->rate >= 0 && (load->count || load->seconds > 0);
}

int main(int argc, char **argv)
{
    static struct load load = {.devices = 1,
                               .window = 100,
                               .level = 4,
                               .payload_bytes = 200,
                               .drain_s = 30,
                               .capacity = LEDGER_CAPACITY_DEFAULT,
                               .prefix = "load"};
    if (!parse(argc, argv, &load))
        return usage();
    int r = ledger_open(load.ledger_path, load.devices, load.capacity, !load.resume, &load.ledger);
    if (r < 0) {
        fprintf(stderr, "load: ledger %s: %s\n", load.ledger_path, strerror(-r));
        return 1;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (fleet_init(&load) < 0)
        return 1;
    run(&load);
    r = summary(&load);
    fleet_deinit(&load);
    return r;
}
