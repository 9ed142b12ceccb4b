#include "admin/api.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "admin/info.h"
#include "admin/metrics_text.h"
#include "admin/status.h"
#include "base/result.h"
#include "json/document.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"

/* A method appends its body and may change the status, which is 200. 0, BYTES_FULL, -ENOMEM. */
typedef int method_function(const struct admin_info *info, struct api_answer *answer);

static method_function healthz, readyz, metrics, status;

static const struct api_method {
    const char *path;
    const char *allow; /* verbs as in the Allow header; GET brings HEAD with it */
    const char *content_type;
    method_function *run;
} methods[] = {
    {"/healthz", "GET, HEAD", TYPE_TEXT, healthz},
    {"/readyz", "GET, HEAD", TYPE_TEXT, readyz},
    {"/metrics", "GET, HEAD", METRICS_TEXT_TYPE, metrics},
    {"/api/v1/status", "GET, HEAD", TYPE_JSON, status},
};

enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

static int healthz(const struct admin_info *info, struct api_answer *answer)
{
    (void)info;
    return bytes_append_format(&answer->body, "ok\n");
}

static int readyz(const struct admin_info *info, struct api_answer *answer)
{
    if (status_ready(info))
        return bytes_append_format(&answer->body, "ok\n");
    answer->status = 503;
    return bytes_append_format(&answer->body, "%s: %s\n", status_state(info), status_trouble(info));
}

static int metrics(const struct admin_info *info, struct api_answer *answer)
{
    return metrics_text_write(info->version, &answer->body);
}

static int status(const struct admin_info *info, struct api_answer *answer)
{
    return status_write(info, &answer->body);
}

/* {"error": text, "methods": [ path ]}: whoever guessed wrong sees what there is. */
static int refuse(struct api_answer *answer, int http_status, const char *text)
{
    answer->status = http_status;
    answer->content_type = TYPE_JSON;
    cJSON *root = cJSON_CreateObject();
    cJSON *paths = NULL;
    if (root && cJSON_AddStringToObject(root, "error", text))
        paths = cJSON_AddArrayToObject(root, "methods");
    for (size_t i = 0; paths && i < METHOD_COUNT; i++)
        cJSON_AddItemToArray(paths, cJSON_CreateString(methods[i].path));
    char *printed = paths ? cJSON_PrintUnformatted(root) : NULL;
    int r = printed ? bytes_append(&answer->body, printed, strlen(printed)) : -ENOMEM;
    cJSON_free(printed);
    cJSON_Delete(root);
    return r;
}

static bool allowed(const char *allow, const char *verb)
{
    size_t len = strlen(verb);
    while (*allow) {
        size_t word = strcspn(allow, ",");
        if (word == len && memcmp(allow, verb, len) == 0)
            return true;
        allow += word;
        allow += strspn(allow, ", ");
    }
    return false;
}

static int run(const struct admin_info *info, const char *verb, const char *path,
               struct api_answer *answer)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        const struct api_method *method = &methods[i];
        if (strcmp(method->path, path) != 0)
            continue;
        if (!allowed(method->allow, verb)) {
            answer->allow = method->allow;
            return refuse(answer, 405, "this method does not take that verb");
        }
        answer->status = 200;
        answer->content_type = method->content_type;
        return method->run(info, answer);
    }
    return refuse(answer, 404, "no such method");
}

int api_request(const struct admin_info *info, const char *verb, const char *path,
                struct api_answer *answer)
{
    int r = run(info, verb, path, answer);
    if (r == BYTES_FULL)
        return result_origin(-EMSGSIZE);
    return result_fold(r);
}

void api_answer_deinit(struct api_answer *answer)
{
    bytes_deinit(&answer->body);
    *answer = (struct api_answer)API_ANSWER_INIT;
}
