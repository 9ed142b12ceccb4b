/*
 * check: the subscriber at the far end. Receives what load published, marks each sequence of each
 * device once, and holds it against load's ledger: an acknowledged sequence that has not arrived is
 * missing. Writes its findings to the report file five times a second (by rename, so a reader never
 * sees half of one) and a last time when it is told to end by SIGTERM.
 *
 *   duplicates    a sequence that had arrived before, delivered as a new message
 *   redelivered   the same with the DUP flag: the broker between us repeated it, not the gateway
 *   out_of_order  a first arrival behind a later sequence of the same device
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "wire.h"

enum { INPUT_MAX_BYTES = 1 << 20, OUTPUT_MAX_BYTES = 64 << 10, REPORT_EVERY_MS = 200 };

struct seat { /* one device */
    uint64_t *seen;
    uint64_t after; /* one more than the highest sequence that has arrived */
};

struct check {
    const char *ledger_path, *report_path, *client, *filter;
    uint16_t port;
    uint32_t devices, capacity;
    struct ledger ledger;
    struct seat *seats;
    int fd;
    bool subscribed;
    uint64_t received, distinct, duplicates, redelivered, out_of_order, unknown, connects;
    size_t input_len, output_len;
    uint8_t input[INPUT_MAX_BYTES], output[OUTPUT_MAX_BYTES];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void disconnect(struct check *check)
{
    if (check->fd >= 0)
        close(check->fd);
    check->fd = -1;
    check->subscribed = false;
    check->input_len = check->output_len = 0;
}

static bool send_all(struct check *check, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = send(check->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool connect_to_broker(struct check *check)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(check->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint8_t packet[WIRE_SMALL_MAX];
    int one = 1;
    check->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (check->fd < 0 || connect(check->fd, (const struct sockaddr *)&to, sizeof to) < 0 ||
        !send_all(check, packet, wire_connect(packet, check->client, 4, false))) {
        disconnect(check);
        return false;
    }
    setsockopt(check->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    check->connects++;
    return true;
}

/* Device and sequence of a payload: they follow "load":" as DEVICE/SEQUENCE, in raw and binary
 * envelopes as well as inside a structured one. */
static bool read_mark(const uint8_t *payload, size_t len, uint64_t *ret_device, uint64_t *ret_seq)
{
    static const char mark[] = "\"load\":\"";
    const uint8_t *at = memmem(payload, len, mark, sizeof mark - 1), *end = payload + len;
    uint64_t numbers[2] = {0, 0};
    if (!at)
        return false;
    at += sizeof mark - 1;
    for (int i = 0; i < 2; i++, at++) {
        const uint8_t *first = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            numbers[i] = numbers[i] * 10 + (uint64_t)(*at - '0');
        if (at == first || at == end || *at != (i == 0 ? '/' : '"'))
            return false;
    }
    *ret_device = numbers[0];
    *ret_seq = numbers[1];
    return true;
}

static void mark(struct check *check, const uint8_t *payload, size_t len, bool dup)
{
    uint64_t device, sequence;
    check->received++;
    if (!read_mark(payload, len, &device, &sequence) || device >= check->devices ||
        sequence >= check->capacity) {
        check->unknown++;
        return;
    }
    struct seat *seat = &check->seats[device];
    uint64_t *word = &seat->seen[sequence / 64], bit = UINT64_C(1) << sequence % 64;
    if (*word & bit) {
        if (dup)
            check->redelivered++;
        else
            check->duplicates++;
        return;
    }
    *word |= bit;
    check->distinct++;
    if (sequence < seat->after)
        check->out_of_order++;
    else
        seat->after = sequence + 1;
}

static bool handle(struct check *check, const struct wire_packet *packet)
{
    uint8_t out[WIRE_SMALL_MAX];
    const uint8_t *payload;
    size_t len;
    uint16_t id;
    if (packet->type == WIRE_CONNACK)
        return packet->body_len >= 2 && packet->body[1] == 0 &&
               send_all(check, out, wire_subscribe(out, check->filter, 4));
    if (packet->type == WIRE_SUBACK) {
        check->subscribed = packet->body_len >= 3 && packet->body[2] < 3;
        return check->subscribed;
    }
    if (packet->type != WIRE_PUBLISH || !wire_read_publish(packet, 4, &payload, &len, &id))
        return false;
    mark(check, payload, len, packet->flags & 8);
    if (!id)
        return true;
    if (check->output_len + 4 > sizeof check->output) {
        if (!send_all(check, check->output, check->output_len))
            return false;
        check->output_len = 0;
    }
    check->output_len += wire_puback(check->output + check->output_len, id);
    return true;
}

/* Reads what is there; acknowledgements leave together. False: the connection is over. */
static bool receive(struct check *check)
{
    ssize_t n =
        recv(check->fd, check->input + check->input_len, sizeof check->input - check->input_len, 0);
    if (n < 0 && errno == EINTR)
        return true;
    if (n <= 0)
        return false;
    check->input_len += (size_t)n;
    size_t used = 0;
    struct wire_packet packet;
    int r;
    while ((r = wire_next(check->input + used, check->input_len - used, &packet)) > 0) {
        if (!handle(check, &packet))
            return false;
        used += packet.bytes;
    }
    if (r < 0 || (used == 0 && check->input_len == sizeof check->input))
        return false;
    check->input_len -= used;
    memmove(check->input, check->input + used, check->input_len);
    size_t out = check->output_len;
    check->output_len = 0;
    return send_all(check, check->output, out);
}

struct missing {
    uint64_t count, acknowledged, first_device, first_sequence;
};

static struct missing count_missing(struct check *check)
{
    struct missing missing = {0};
    const struct ledger *ledger = &check->ledger;
    for (uint32_t d = 0; ledger->mapping && d < ledger->devices && d < check->devices; d++) {
        uint64_t sent = atomic_load_explicit(&ledger->device[d].sent, memory_order_relaxed);
        for (size_t w = 0; w * 64 < sent; w++) {
            uint64_t acknowledged = ledger_word(ledger, d, w);
            uint64_t lost = acknowledged & ~check->seats[d].seen[w];
            missing.acknowledged += (uint64_t)__builtin_popcountll(acknowledged);
            if (lost && missing.count == 0) {
                missing.first_device = d;
                missing.first_sequence = w * 64 + (uint64_t)__builtin_ctzll(lost);
            }
            missing.count += (uint64_t)__builtin_popcountll(lost);
        }
    }
    return missing;
}

static void report(struct check *check)
{
    char temporary[4096];
    if (!check->ledger.mapping && check->ledger_path)
        ledger_open_read(check->ledger_path, &check->ledger);
    if (check->ledger.mapping && check->ledger.capacity != check->capacity) {
        fprintf(stderr, "check: the ledger has another --capacity\n");
        exit(2);
    }
    struct missing missing = count_missing(check);
    snprintf(temporary, sizeof temporary, "%s.new", check->report_path);
    FILE *out = fopen(temporary, "we");
    if (!out)
        return;
    fprintf(out,
            "{\"subscribed\": %s, \"connects\": %lu, \"received\": %lu, \"distinct\": %lu, "
            "\"duplicates\": %lu, \"redelivered\": %lu, \"out_of_order\": %lu, \"unknown\": %lu, "
            "\"acknowledged\": %lu, \"missing\": %lu, \"first_missing\": [%lu, %lu]}\n",
            check->subscribed ? "true" : "false", check->connects, check->received, check->distinct,
            check->duplicates, check->redelivered, check->out_of_order, check->unknown,
            missing.acknowledged, missing.count, missing.first_device, missing.first_sequence);
    if (fclose(out) == 0)
        rename(temporary, check->report_path);
}

static void run(struct check *check)
{
    int64_t report_at = 0;
    while (!ended) {
        if (check->fd < 0 && !connect_to_broker(check))
            poll(NULL, 0, 50);
        struct pollfd poll_fd = {.fd = check->fd, .events = POLLIN};
        if (check->fd >= 0 && poll(&poll_fd, 1, REPORT_EVERY_MS / 2) > 0 && !receive(check))
            disconnect(check);
        if (now_ms() >= report_at) {
            report(check);
            report_at = now_ms() + REPORT_EVERY_MS;
        }
    }
    report(check);
}

static int usage(void)
{
    fprintf(stderr, "usage: check --port P --report FILE [--ledger FILE] [--devices N]\n"
                    "             [--capacity N] [--client ID] [--filter F]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'},     {"report", 1, NULL, 'r'},
                                            {"ledger", 1, NULL, 'l'},   {"devices", 1, NULL, 'd'},
                                            {"client", 1, NULL, 'i'},   {"filter", 1, NULL, 'f'},
                                            {"capacity", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
    static struct check check = {.client = "check",
                                 .filter = "load/#",
                                 .devices = 1024,
                                 .capacity = LEDGER_CAPACITY_DEFAULT,
                                 .fd = -1};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            check.port = (uint16_t)atoi(optarg);
            break;
        case 'r':
            check.report_path = optarg;
            break;
        case 'l':
            check.ledger_path = optarg;
            break;
        case 'd':
            check.devices = (uint32_t)atol(optarg);
            break;
        case 'c':
            check.capacity = (uint32_t)atol(optarg);
            break;
        case 'i':
            check.client = optarg;
            break;
        case 'f':
            check.filter = optarg;
            break;
        default:
            return usage();
        }
    if (optind < argc || !check.port || !check.report_path || !check.devices ||
        check.devices > LEDGER_DEVICES_MAX || !check.capacity || check.capacity % 64 ||
        check.capacity > LEDGER_CAPACITY_MAX)
        return usage();
    check.seats = calloc(check.devices, sizeof *check.seats);
    for (uint32_t d = 0; check.seats && d < check.devices; d++)
        if (!(check.seats[d].seen = calloc(check.capacity / 64, sizeof(uint64_t))))
            return 1;
    if (!check.seats)
        return 1;
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: it ends poll() */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    run(&check);
    disconnect(&check);
    ledger_close(&check.ledger);
    for (uint32_t d = 0; d < check.devices; d++)
        free(check.seats[d].seen);
    free(check.seats);
    return 0;
}
