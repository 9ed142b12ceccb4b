#include "admin/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_config.h"
#include "admin/api.h"
#include "admin/door.h"
#include "admin/seats.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/result.h"

/* A door with what evhttp needs behind it. */
struct entrance {
    struct admin *admin;
    struct door door;
    struct evhttp *http;             /* owns the listener; NULL: closed */
    struct evconnlistener *listener; /* borrowed */
    struct seats seats;
    struct event *turn; /* after accepting, and while not accepting: see entrance_turn() */
};

enum { ENTRANCE_UNIX, ENTRANCE_TCP, ENTRANCE_COUNT };

struct admin {
    struct admin_options options;
    struct entrance entrances[ENTRANCE_COUNT];
};

/* Counts who came and went, and accepts if there is a free seat; else the kernel keeps the others
 * waiting while this looks again. */
static void entrance_turn(evutil_socket_t fd, short what, void *data)
{
    struct entrance *entrance = data;
    (void)fd;
    (void)what;
    seats_settle(&entrance->seats);
    if (seats_full(&entrance->seats)) {
        static const struct timeval pause = {.tv_usec = ADMIN_FULL_PAUSE_MS * 1000};
        seats_evict(&entrance->seats, clock_monotonic_us(&clock_system) - ADMIN_HOLD_MAX_US);
        evconnlistener_disable(entrance->listener);
        evtimer_add(entrance->turn, &pause);
    } else {
        evconnlistener_enable(entrance->listener);
    }
}

/* evhttp asks for the bufferevent of a connection just accepted, and gives it the socket then. */
static struct bufferevent *on_accept(struct event_base *base, void *data)
{
    struct entrance *entrance = data;
    struct bufferevent *made = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!made)
        return NULL; /* evhttp tries likewise, and closes the connection */
    seats_take(&entrance->seats, made);
    if (seats_full(&entrance->seats)) {
        evconnlistener_disable(entrance->listener);
        log_warn("admin", "as many connections as may be", "door=%s connections=%d",
                 entrance->door.path[0] ? "unix" : "tcp", ADMIN_CONNECTIONS_MAX);
    }
    event_active(entrance->turn, EV_TIMEOUT, 0);
    return made;
}

/* accept() failed: no descriptors, no memory. Trying again at once would spin. */
static void on_accept_error(struct evconnlistener *listener, void *data)
{
    struct entrance *entrance = data;
    static const struct timeval pause = {.tv_usec = ADMIN_ACCEPT_PAUSE_MS * 1000};
    int e = EVUTIL_SOCKET_ERROR();
    log_warn("admin", "cannot accept, waiting", "errno=%d ms=%d", e, ADMIN_ACCEPT_PAUSE_MS);
    evconnlistener_disable(listener);
    evtimer_add(entrance->turn, &pause);
}

static const char *verb_text(enum evhttp_cmd_type type)
{
    static const struct {
        enum evhttp_cmd_type type;
        const char *text;
    } verbs[] = {
        {EVHTTP_REQ_GET, "GET"},     {EVHTTP_REQ_POST, "POST"},     {EVHTTP_REQ_HEAD, "HEAD"},
        {EVHTTP_REQ_PUT, "PUT"},     {EVHTTP_REQ_DELETE, "DELETE"}, {EVHTTP_REQ_OPTIONS, "OPTIONS"},
        {EVHTTP_REQ_PATCH, "PATCH"},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (verbs[i].type == type)
            return verbs[i].text;
    return "";
}

static void add_header(struct evhttp_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

static void send_answer(struct evhttp_request *request, const struct api_answer *answer)
{
    char length[24];
    snprintf(length, sizeof length, "%zu", answer->body.len);
    add_header(request, "Content-Type", answer->content_type);
    add_header(request, "Content-Length", length);
    add_header(request, "Cache-Control", "no-store");
    add_header(request, "X-Content-Type-Options", "nosniff");
    if (answer->allow)
        add_header(request, "Allow", answer->allow);
    if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
        evbuffer_add(evhttp_request_get_output_buffer(request), answer->body.data,
                     answer->body.len);
    evhttp_send_reply(request, answer->status, NULL, NULL);
}

/* Containment: whatever goes wrong with one request ends here. */
static void on_request(struct evhttp_request *request, void *data)
{
    struct entrance *entrance = data;
    const struct admin_options *options = &entrance->admin->options;
    struct api_answer answer = API_ANSWER_INIT;
    struct admin_info info = {.state = ADMIN_STARTING};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *verb = verb_text(evhttp_request_get_command(request));
    options->info(options->data, &info);
    int r = api_request(&info, verb, path ? path : "", &answer);
    if (r) {
        log_error("admin", "request failed", "result=%d", r);
        evhttp_send_error(request, 500, NULL);
    } else {
        send_answer(request, &answer);
    }
    api_answer_deinit(&answer);
}

int admin_new(const struct admin_options *options, struct admin **ret)
{
    struct admin *admin = calloc(1, sizeof *admin);
    if (!admin)
        return result_origin(-ENOMEM);
    admin->options = *options;
    for (int i = 0; i < ENTRANCE_COUNT; i++) {
        admin->entrances[i].admin = admin;
        admin->entrances[i].door = (struct door)DOOR_INIT;
        seats_init(&admin->entrances[i].seats);
    }
    *ret = admin;
    return 0;
}

static void entrance_close(struct entrance *entrance)
{
    if (entrance->turn)
        event_free(take_ptr(entrance->turn));
    seats_deinit(&entrance->seats);
    if (entrance->http)
        evhttp_free(take_ptr(entrance->http)); /* with the listener and all connections */
    entrance->listener = NULL;
    door_close(&entrance->door);
}

/* Puts evhttp behind an open door. */
static int entrance_open(struct entrance *entrance)
{
    struct event_base *base = entrance->admin->options.event_base;
    entrance->turn = evtimer_new(base, entrance_turn, entrance);
    entrance->http = evhttp_new(base);
    if (!entrance->turn || !entrance->http)
        return result_origin(-ENOMEM);
    struct evhttp *http = entrance->http;
    evhttp_set_timeout(http, ADMIN_TIMEOUT_S);
    evhttp_set_max_headers_size(http, ADMIN_HEADER_MAX_BYTES);
    evhttp_set_max_body_size(http, ADMIN_BODY_MAX_BYTES);
    /* All that have a name: the method table says 405 itself. */
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                         EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                         EVHTTP_REQ_PATCH);
    evhttp_set_bevcb(http, on_accept, entrance);
    evhttp_set_gencb(http, on_request, entrance);
    struct evconnlistener *listener = evconnlistener_new(
        base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, entrance->door.fd);
    if (!listener)
        return result_origin(-ENOMEM);
    entrance->door.fd = -1; /* the listener closes it now */
    if (!evhttp_bind_listener(http, listener)) {
        evconnlistener_free(listener);
        return result_origin(-ENOMEM);
    }
    entrance->listener = listener;
    evconnlistener_set_error_cb(listener, on_accept_error);
    return 0;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static int start_unix(struct admin *admin, struct error *error)
{
    struct entrance *entrance = &admin->entrances[ENTRANCE_UNIX];
    const char *path = admin->options.config->socket;
    int r = door_open_unix(&entrance->door, path ? path : admin->options.default_socket, error);
    if (r)
        return r;
    return entrance_open(entrance);
}

static int start_tcp(struct admin *admin, struct error *error)
{
    struct entrance *entrance = &admin->entrances[ENTRANCE_TCP];
    const struct config_address *address = &admin->options.config->tcp;
    if (!address->host)
        return 0;
    int r = door_open_tcp(&entrance->door, address, error);
    if (r)
        return r;
    if (!is_loopback(address->host))
        log_warn("admin", "health, metrics and status are readable from the network",
                 "address=%s:%u", LOG_QUOTE(slice_string(address->host)), entrance->door.port);
    return entrance_open(entrance);
}

int admin_start(struct admin *admin, struct error *error)
{
    int r = start_unix(admin, error);
    if (!r)
        r = start_tcp(admin, error);
    if (r) {
        if (r == -ENOMEM)
            error_what(error, "no memory");
        admin_stop(admin);
        return result_trace(r);
    }
    log_info("admin", "listening", "socket=%s port=%u", admin_socket(admin), admin_port(admin));
    return 0;
}

void admin_stop(struct admin *admin)
{
    for (int i = 0; i < ENTRANCE_COUNT; i++)
        entrance_close(&admin->entrances[i]);
}

struct admin *admin_free(struct admin *admin)
{
    if (admin)
        admin_stop(admin);
    free(admin);
    return NULL;
}

const char *admin_socket(const struct admin *admin)
{
    return admin->entrances[ENTRANCE_UNIX].door.path;
}

uint16_t admin_port(const struct admin *admin)
{
    return admin->entrances[ENTRANCE_TCP].door.port;
}
