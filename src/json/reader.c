/*
 * The grammar is a state ("what may come next") and, for what encloses it, one bit per open array
 * or object. The tokens themselves are read by scan.c.
 */
#include "json/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/result.h"
#include "json/internal.h"

void json_reader_init(struct json_reader *r, struct slice text, const char *name,
                      const struct json_options *options)
{
    *r = (struct json_reader){.text = text, .name = name, .state = STATE_START};
    if (options)
        r->options = *options;
    if (!r->options.depth_max)
        r->options.depth_max = JSON_DEPTH_DEFAULT;
    if (r->options.depth_max > JSON_DEPTH_LIMIT)
        r->options.depth_max = JSON_DEPTH_LIMIT;
    if (!r->options.text_max_bytes)
        r->options.text_max_bytes = JSON_TEXT_DEFAULT_BYTES;
    if (r->options.text_max_bytes >= UINT32_MAX)
        r->options.text_max_bytes = UINT32_MAX;
    r->decoded.max = r->escaped_keys.max = r->options.text_max_bytes; /* decoding never lengthens */
}

void json_reader_deinit(struct json_reader *r)
{
    bytes_deinit(&r->decoded);
    bytes_deinit(&r->escaped_keys);
    free(take_ptr(r->keys));
    r->key_count = r->key_cap = 0;
    r->state = STATE_SPENT;
}

struct json_position json_position(struct slice text, size_t offset)
{
    struct json_position position = {.line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n') {
            position.line++;
            position.column = 1;
        } else if ((text.data[i] & 0xc0) != 0x80) { /* continuation bytes belong to their first */
            position.column++;
        }
    }
    return position;
}

static int open_container(struct json_reader *r, struct error *error, struct json_token *token)
{
    bool object = r->text.data[r->at] == '{';
    if (r->depth == r->options.depth_max)
        return json_refuse(r, error, r->at, "", "nested deeper than %u arrays and objects",
                           r->options.depth_max);
    uint8_t bit = (uint8_t)(1u << r->depth % 8);
    if (object)
        r->is_object[r->depth / 8] |= bit;
    else
        r->is_object[r->depth / 8] &= (uint8_t)~bit;
    r->depth++;
    *token = (struct json_token){
        .type = object ? JSON_OBJECT_OPEN : JSON_ARRAY_OPEN, .offset = r->at++, .len = 1};
    r->state = object ? STATE_KEY_OR_CLOSE : STATE_VALUE_OR_CLOSE;
    if (!object || r->options.repeated_keys)
        return 0;
    return json_keys_open(r);
}

static bool inside_object(const struct json_reader *r)
{
    return r->depth && (r->is_object[(r->depth - 1) / 8] >> (r->depth - 1) % 8 & 1);
}

static void after_value(struct json_reader *r)
{
    r->state = r->depth ? STATE_COMMA_OR_CLOSE : STATE_DONE;
}

static int close_container(struct json_reader *r, struct error *error, struct json_token *token)
{
    bool object = inside_object(r);
    int result = object ? json_keys_close(r, error) : 0;
    if (result)
        return result;
    r->depth--;
    *token = (struct json_token){
        .type = object ? JSON_OBJECT_CLOSE : JSON_ARRAY_CLOSE, .offset = r->at++, .len = 1};
    after_value(r);
    return 0;
}

static int read_value(struct json_reader *r, struct error *error, struct json_token *token)
{
    uint8_t c = r->at < r->text.len ? r->text.data[r->at] : 0;
    int result;
    if (c == '{' || c == '[')
        return open_container(r, error, token);
    token->type = JSON_STRING;
    if (c == '"')
        result = json_scan_string(r, error, token);
    else if (c == '-' || (c >= '0' && c <= '9'))
        result = json_scan_number(r, error, token);
    else
        result = json_scan_word(r, error, token);
    if (!result)
        after_value(r);
    return result;
}

/* A key and the colon behind it. */
static int read_key(struct json_reader *r, struct error *error, struct json_token *token)
{
    if (r->at >= r->text.len || r->text.data[r->at] != '"')
        return json_refuse_expected(r, error, "a key in double quotes");
    int result = json_scan_string(r, error, token);
    if (!result && !r->options.repeated_keys)
        result = json_keys_add(r, token);
    if (!result)
        result = json_scan_space(r, error);
    if (result)
        return result;
    if (r->at >= r->text.len || r->text.data[r->at] != ':')
        return json_refuse_expected(r, error, "':' after the key");
    r->at++;
    token->type = JSON_KEY;
    r->state = STATE_VALUE;
    return 0;
}

static int read_start(struct json_reader *r, struct error *error)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (r->text.len > r->options.text_max_bytes)
        return json_refuse(r, error, 0, "", "the text has %zu bytes, more than the allowed %zu",
                           r->text.len, r->options.text_max_bytes);
    if (r->text.len >= sizeof mark && memcmp(r->text.data, mark, sizeof mark) == 0)
        return json_refuse(r, error, 0, "save it as UTF-8 without a byte order mark",
                           "the text begins with a byte order mark");
    r->state = STATE_VALUE;
    return 0;
}

/* Behind a value inside something: a comma and what follows it, or the end of the enclosing. */
static int read_comma_or_close(struct json_reader *r, struct error *error, struct json_token *token)
{
    bool object = inside_object(r);
    uint8_t close = object ? '}' : ']';
    uint8_t c = r->at < r->text.len ? r->text.data[r->at] : 0;
    if (c == close)
        return close_container(r, error, token);
    if (c != ',')
        return json_refuse_expected(r, error, object ? "',' or '}'" : "',' or ']'");
    size_t comma = r->at++;
    int result = json_scan_space(r, error);
    if (result)
        return result;
    if (r->at < r->text.len && r->text.data[r->at] == close)
        return json_refuse(r, error, comma, "remove the comma", "a comma before '%c'", close);
    return object ? read_key(r, error, token) : read_value(r, error, token);
}

int json_reader_next(struct json_reader *r, struct error *error, struct json_token *ret)
{
    int result = r->state == STATE_START ? read_start(r, error) : 0;
    if (!result && r->state != STATE_SPENT)
        result = json_scan_space(r, error);
    if (result)
        return result;
    uint8_t c = r->at < r->text.len ? r->text.data[r->at] : 0;
    struct json_token token = {.type = JSON_END, .offset = r->at};
    switch ((enum json_state)r->state) {
    case STATE_START:
    case STATE_SPENT:
        return JSON_REFUSED;
    case STATE_DONE:
        if (r->at < r->text.len)
            result = json_refuse_expected(r, error, "nothing after the value");
        break;
    case STATE_KEY_OR_CLOSE:
    case STATE_VALUE_OR_CLOSE:
        if (c == (r->state == STATE_KEY_OR_CLOSE ? '}' : ']'))
            result = close_container(r, error, &token);
        else if (r->state == STATE_KEY_OR_CLOSE)
            result = read_key(r, error, &token);
        else
            result = read_value(r, error, &token);
        break;
    case STATE_VALUE:
        result = read_value(r, error, &token);
        break;
    case STATE_COMMA_OR_CLOSE:
        result = read_comma_or_close(r, error, &token);
        break;
    }
    if (!result)
        *ret = token;
    return result;
}

int json_check(struct slice text, const char *name, const struct json_options *options,
               struct error *error)
{
    struct json_reader reader;
    struct json_token token = {.type = JSON_NULL};
    int result = 0;
    json_reader_init(&reader, text, name, options);
    while (!result && token.type != JSON_END)
        result = json_reader_next(&reader, error, &token);
    json_reader_deinit(&reader);
    return result;
}
