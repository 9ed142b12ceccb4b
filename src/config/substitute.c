#include "config/substitute.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/result.h"
#include "base/utf8.h"
#include "config/file.h"
#include "config/key.h"
#include "config/load.h"

#define MACHINE_ID_PATH "/etc/machine-id"

enum { MACHINE_ID_DIGITS = 32 }; /* machine-id(5) */

struct substitution {
    const char *directory;
    struct bytes out;
    unsigned origin;
    struct error *error;
};

static int append(struct substitution *s, struct slice text)
{
    int r = bytes_append_slice(&s->out, text);
    if (r == BYTES_FULL) {
        error_what(s->error, "the value is longer than %d bytes once substituted",
                   CONFIG_STRING_MAX_BYTES);
        return result_origin(-EINVAL);
    }
    if (r)
        error_what(s->error, "out of memory");
    return r;
}

/* Text from outside, which must be fit for a C string in a JSON document. */
static int append_outside(struct substitution *s, struct slice text, const char *source)
{
    if ((text.len && memchr(text.data, 0, text.len)) || !utf8_valid(text)) {
        error_what(s->error, "what %s holds is not UTF-8 text", source);
        return result_origin(-EINVAL);
    }
    return append(s, text);
}

static int put_env(struct substitution *s, struct slice argument)
{
    char name[256];
    bool ok = argument.len && argument.len < sizeof name && !isdigit(argument.data[0]);
    for (size_t i = 0; i < argument.len && ok; i++)
        ok = isalnum(argument.data[i]) || argument.data[i] == '_';
    if (!ok) {
        error_what(s->error, "\"%.*s\" is not the name of an environment variable",
                   argument.len < 64 ? (int)argument.len : 64, (const char *)argument.data);
        return result_origin(-EINVAL);
    }
    snprintf(name, sizeof name, "%.*s", SLICE_PRINT(argument));
    const char *value = getenv(name);
    if (!value) {
        error_what(s->error, "the environment variable %s is not set", name);
        error_mend(s->error, "set it where the service is started (systemd: Environment=%s=…)",
                   name);
        return result_origin(-EINVAL);
    }
    s->origin |= CONFIG_FROM_ENV;
    return append_outside(s, slice_string(value), name);
}

static struct slice without_line_break(struct slice text)
{
    if (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    if (text.len && text.data[text.len - 1] == '\r')
        text.len--;
    return text;
}

static int put_file(struct substitution *s, struct slice argument)
{
    char path[PATH_MAX];
    bool absolute = argument.len && argument.data[0] == '/';
    bool joined = !absolute && s->directory[0];
    int n = snprintf(path, sizeof path, "%s%s%.*s", joined ? s->directory : "", joined ? "/" : "",
                     SLICE_PRINT(argument));
    if (!argument.len || n < 0 || (size_t)n >= sizeof path) {
        error_what(s->error, "${file:…} needs a path of less than %d bytes", PATH_MAX);
        return result_origin(-EINVAL);
    }
    struct bytes content = BYTES_INIT(CONFIG_SECRET_MAX_BYTES + 1);
    struct config_file_options options = {.max_bytes = CONFIG_SECRET_MAX_BYTES, .secret = true};
    int r = config_file_read(path, &options, &content, NULL, s->error);
    if (!r)
        r = append_outside(s, without_line_break(bytes_slice(&content)), path);
    if (content.data)
        explicit_bzero(content.data, content.cap);
    bytes_deinit(&content);
    s->origin |= CONFIG_FROM_FILE;
    return r;
}

static int put_machine_id(struct substitution *s, struct slice argument)
{
    (void)argument;
    struct bytes content = BYTES_INIT(256);
    struct config_file_options options = {.max_bytes = 255};
    int r = config_file_read(MACHINE_ID_PATH, &options, &content, NULL, s->error);
    struct slice id = without_line_break(bytes_slice(&content));
    bool ok = id.len == MACHINE_ID_DIGITS;
    for (size_t i = 0; i < id.len && ok; i++)
        ok = isxdigit(id.data[i]);
    if (!r && !ok) {
        error_what(s->error, MACHINE_ID_PATH " holds no machine id");
        r = result_origin(-EINVAL);
    }
    if (r)
        error_mend(s->error, "create it with systemd-machine-id-setup, or give a fixed value");
    else
        r = append(s, id);
    bytes_deinit(&content);
    return r;
}

static const struct {
    const char *prefix; /* up to the argument; an argument ends at "}" */
    int (*put)(struct substitution *s, struct slice argument);
} forms[] = {{"${env:", put_env}, {"${file:", put_file}, {"${machine_id", put_machine_id}};

enum { FORM_COUNT = sizeof forms / sizeof forms[0] };

static size_t form_at(const char *text)
{
    size_t i = 0;
    while (i < FORM_COUNT && strncmp(text, forms[i].prefix, strlen(forms[i].prefix)) != 0)
        i++;
    /* "${machine_id" takes no argument: anything but "}" behind it is somebody else's. */
    if (i < FORM_COUNT && forms[i].put == put_machine_id && text[strlen(forms[i].prefix)] != '}')
        i = FORM_COUNT;
    return i;
}

bool config_substitute_needed(const char *text)
{
    for (const char *p = strchr(text, '$'); p; p = strchr(p + 1, '$'))
        if (strncmp(p, "$${", 3) == 0 || form_at(p) < FORM_COUNT)
            return true;
    return false;
}

/* Replaces what stands at *text, or copies up to the next "$"; moves *text on. */
static int put_next(struct substitution *s, const char **text)
{
    const char *p = *text;
    if (strncmp(p, "$${", 3) == 0) {
        *text = p + 3;
        return append(s, SLICE_LITERAL("${"));
    }
    size_t form = form_at(p);
    if (form == FORM_COUNT) {
        const char *end = strchr(p + 1, '$');
        *text = end ? end : p + strlen(p);
        return append(s, slice_make(p, (size_t)(*text - p)));
    }
    const char *argument = p + strlen(forms[form].prefix), *close = strchr(argument, '}');
    if (!close) {
        error_what(s->error, "%s is not closed by }", forms[form].prefix);
        error_mend(s->error, "write $${ for a literal ${");
        return result_origin(-EINVAL);
    }
    *text = close + 1;
    return forms[form].put(s, slice_make(argument, (size_t)(close - argument)));
}

int config_substitute(const char *text, const char *directory, struct error *error,
                      unsigned *ret_origin, char **ret)
{
    struct substitution s = {
        .directory = directory, .out = BYTES_INIT(CONFIG_STRING_MAX_BYTES), .error = error};
    int r = 0;
    while (*text && !r)
        r = put_next(&s, &text);
    char *result = r ? NULL : slice_duplicate(bytes_slice(&s.out));
    if (!r && !result) {
        error_what(error, "out of memory");
        r = result_origin(-ENOMEM);
    }
    if (s.out.data)
        explicit_bzero(s.out.data, s.out.cap);
    bytes_deinit(&s.out);
    if (r)
        return r;
    *ret_origin = s.origin;
    *ret = result;
    return 0;
}
