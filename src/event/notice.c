#include "event/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "event/event.h"
#include "json/text.h"

enum { KIND_MAX_BYTES = 16 };

static const char *const kinds[] = {
    [NOTICE_GAP] = "gap",     [NOTICE_EPOCH] = "epoch", [NOTICE_STATE] = "state",
    [NOTICE_ALARM] = "alarm", [NOTICE_AUDIT] = "audit",
};

static const char *const types[] = {
    [NOTICE_GAP] = "sluice.gap",     [NOTICE_EPOCH] = "sluice.epoch",
    [NOTICE_STATE] = "sluice.state", [NOTICE_ALARM] = "sluice.alarm",
    [NOTICE_AUDIT] = "sluice.audit",
};

void notice_init(struct notice *n, enum notice_kind kind)
{
    *n = (struct notice){.kind = kind, .json = BYTES_INIT(NOTICE_MAX_BYTES)};
}

void notice_deinit(struct notice *n)
{
    bytes_deinit(&n->json);
}

static void keep(struct notice *n, int r)
{
    if (!n->failure)
        n->failure = r;
}

static void begin_member(struct notice *n, const char *name)
{
    keep(n, bytes_append_format(&n->json, "%s\"%s\":", n->json.len ? "," : "{", name));
}

void notice_add_slice(struct notice *n, const char *name, struct slice text)
{
    begin_member(n, name);
    keep(n, json_append_string(&n->json, text));
}

void notice_add_text(struct notice *n, const char *name, const char *text)
{
    if (text)
        notice_add_slice(n, name, slice_string(text));
    else
        notice_add_null(n, name);
}

void notice_add_number(struct notice *n, const char *name, uint64_t number)
{
    begin_member(n, name);
    keep(n, bytes_append_format(&n->json, "%" PRIu64, number));
}

void notice_add_integer(struct notice *n, const char *name, int64_t number)
{
    begin_member(n, name);
    keep(n, bytes_append_format(&n->json, "%" PRId64, number));
}

void notice_add_null(struct notice *n, const char *name)
{
    begin_member(n, name);
    keep(n, bytes_append_format(&n->json, "null"));
}

void notice_add_bool(struct notice *n, const char *name, bool value)
{
    begin_member(n, name);
    keep(n, bytes_append_format(&n->json, value ? "true" : "false"));
}

void notice_topic(const char *gateway_id, const char *kind, char out[NOTICE_TOPIC_MAX_BYTES])
{
    size_t len = (size_t)snprintf(out, NOTICE_TOPIC_MAX_BYTES, "sluice/");
    for (const char *p = gateway_id; *p && len < NOTICE_TOPIC_MAX_BYTES - KIND_MAX_BYTES; p++)
        out[len++] = strchr("/+#", *p) || (unsigned char)*p < 0x20 ? '_' : *p;
    snprintf(out + len, NOTICE_TOPIC_MAX_BYTES - len, "/%s", kind);
}

int notice_finish(struct notice *n, const char *gateway_id, const struct clock_stamp *stamp,
                  struct event *ret)
{
    keep(n, bytes_append_format(&n->json, "%s}", n->json.len ? "" : "{"));
    if (n->failure)
        return n->failure;
    notice_topic(gateway_id, kinds[n->kind], n->topic);
    *ret = (struct event){
        .topic = slice_string(n->topic),
        .device = slice_string(gateway_id),
        .type = slice_string(types[n->kind]),
        .content_type = SLICE_LITERAL("application/json"),
        .payload = bytes_slice(&n->json),
        .received_us = stamp->wall_us,
        .time_us = EVENT_NO_TIME,
        .quality = stamp->quality,
        .qos = 1,
        .payload_utf8 = true,
    };
    return 0;
}
