/*
 * The tokens of JSON. Strings without escapes are slices of the text; others are decoded into one
 * buffer of the reader.
 */
#include "json/internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/utf8.h"

int json_refuse(struct json_reader *r, struct error *error, size_t offset, const char *mend,
                const char *format, ...)
{
    r->state = STATE_SPENT;
    if (!error)
        return JSON_REFUSED;
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    struct json_position p = json_position(r->text, offset);
    error_where(error, "%s:%zu:%zu", r->name, p.line, p.column);
    error_what(error, "%s", what);
    error_mend(error, "%s", mend);
    return JSON_REFUSED;
}

/* What stands at an offset, for messages. */
static const char *shown(const struct json_reader *r, size_t offset, char out[32])
{
    uint32_t c;
    if (offset >= r->text.len)
        snprintf(out, 32, "the end of the text");
    else if (!utf8_next(slice_make(r->text.data + offset, r->text.len - offset), &c))
        snprintf(out, 32, "the byte 0x%02x", r->text.data[offset]);
    else if (c > 0x20 && c < 0x7f)
        snprintf(out, 32, "'%c'", (char)c);
    else
        snprintf(out, 32, "U+%04X", c);
    return out;
}

int json_refuse_expected(struct json_reader *r, struct error *error, const char *expected)
{
    char buffer[32];
    const char *mend = "";
    if (r->at < r->text.len && r->text.data[r->at] == '/')
        mend = "comments are not part of JSON; remove it";
    else if (r->at < r->text.len && r->text.data[r->at] == '\'')
        mend = "write strings in double quotes";
    return json_refuse(r, error, r->at, mend, "expected %s, found %s", expected,
                       shown(r, r->at, buffer));
}

/* White space, and comments if they are allowed. */
int json_scan_space(struct json_reader *r, struct error *error)
{
    const uint8_t *d = r->text.data;
    size_t len = r->text.len;
    for (;;) {
        while (r->at < len &&
               (d[r->at] == ' ' || d[r->at] == '\n' || d[r->at] == '\t' || d[r->at] == '\r'))
            r->at++;
        if (!r->options.comments || len - r->at < 2 || d[r->at] != '/' ||
            (d[r->at + 1] != '/' && d[r->at + 1] != '*'))
            return 0;
        size_t start = r->at;
        bool block = d[start + 1] == '*';
        const uint8_t *end = block ? memmem(d + start + 2, len - start - 2, "*/", 2)
                                   : memchr(d + start, '\n', len - start);
        if (!end && block)
            return json_refuse(r, error, start, "close it with */", "this comment does not end");
        r->at = end ? (size_t)(end - d) + (block ? 2 : 0) : len;
        if (!utf8_valid(slice_make(d + start, r->at - start)))
            return json_refuse(r, error, start, "save the file as UTF-8",
                               "this comment is not UTF-8");
    }
}

/* Four hexadecimal digits at r->at. */
static int read_hex4(struct json_reader *r, struct error *error, uint32_t *ret)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t c = r->at < r->text.len ? r->text.data[r->at] : 0;
        uint32_t digit = c >= '0' && c <= '9'   ? c - (uint32_t)'0'
                         : c >= 'a' && c <= 'f' ? c - (uint32_t)'a' + 10
                         : c >= 'A' && c <= 'F' ? c - (uint32_t)'A' + 10
                                                : 16;
        if (digit == 16)
            return json_refuse_expected(r, error, "four hexadecimal digits after \\u");
        value = value << 4 | digit;
        r->at++;
    }
    *ret = value;
    return 0;
}

/* \uXXXX, with the "\u" already read; a pair of surrogates is one code point [RFC 8259 7]. */
static int read_unicode_escape(struct json_reader *r, struct error *error, uint32_t *ret)
{
    static const char mend[] = "write the character itself, or the pair \\uD800-\\uDBFF "
                               "\\uDC00-\\uDFFF";
    size_t start = r->at - 2;
    uint32_t c = 0, low = 0;
    int result = read_hex4(r, error, &c);
    if (result)
        return result;
    if (c >= 0xdc00 && c <= 0xdfff)
        return json_refuse(r, error, start, mend, "a low surrogate without a high one before it");
    if (c < 0xd800 || c > 0xdbff) {
        *ret = c;
        return 0;
    }
    if (r->text.len - r->at < 2 || r->text.data[r->at] != '\\' || r->text.data[r->at + 1] != 'u')
        return json_refuse(r, error, start, mend, "a high surrogate without a low one after it");
    r->at += 2;
    result = read_hex4(r, error, &low);
    if (result)
        return result;
    if (low < 0xdc00 || low > 0xdfff)
        return json_refuse(r, error, start, mend, "a high surrogate without a low one after it");
    *ret = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    return 0;
}

/* An escape at r->at (the backslash), decoded to the end of r->decoded. */
static int read_escape(struct json_reader *r, struct error *error)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    r->at++;
    uint8_t c = r->at < r->text.len ? r->text.data[r->at] : 0;
    const char *found = c ? strchr(names, c) : NULL;
    if (found) {
        r->at++;
        return bytes_append_u8(&r->decoded, (uint8_t)values[found - names]);
    }
    if (c != 'u')
        return json_refuse_expected(r, error, "one of \" \\ / b f n r t u after a backslash");
    r->at++;
    uint32_t code = 0;
    uint8_t encoded[4];
    int result = read_unicode_escape(r, error, &code);
    if (result)
        return result;
    return bytes_append(&r->decoded, encoded, utf8_encode(code, encoded));
}

/* Advances over ordinary characters to the next quote, backslash or mistake. */
static int read_plain(struct json_reader *r, struct error *error)
{
    while (r->at < r->text.len) {
        uint8_t c = r->text.data[r->at];
        uint32_t code;
        if (c == '"' || c == '\\')
            return 0;
        if (c < 0x20)
            return json_refuse(r, error, r->at, "escape it (\\n, \\t, \\u00XX)",
                               "a control character (0x%02x) in a string", c);
        unsigned n =
            c < 0x80 ? 1 : utf8_next(slice_make(r->text.data + r->at, r->text.len - r->at), &code);
        if (!n)
            return json_refuse(r, error, r->at, "save the text as UTF-8",
                               "the byte 0x%02x here is not UTF-8", c);
        r->at += n;
    }
    return json_refuse(r, error, r->at, "close it with a double quote", "a string does not end");
}

/* A string at r->at (its quote). */
int json_scan_string(struct json_reader *r, struct error *error, struct json_token *token)
{
    bool escaped = false;
    token->offset = r->at++;
    r->decoded.len = 0;
    for (;;) {
        size_t start = r->at;
        int result = read_plain(r, error);
        if (result)
            return result;
        bool end = r->text.data[r->at] == '"';
        if (end && !escaped) {
            token->string = slice_make(r->text.data + start, r->at - start);
        } else {
            escaped = true;
            result = bytes_append(&r->decoded, r->text.data + start, r->at - start);
            if (!result && !end)
                result = read_escape(r, error);
            if (result) /* the buffer is as long as a text may be: BYTES_FULL cannot come */
                return result;
            token->string = bytes_slice(&r->decoded);
        }
        if (end)
            break;
    }
    r->at++;
    token->len = r->at - token->offset;
    return 0;
}

static size_t digits(const struct json_reader *r, size_t at)
{
    size_t start = at;
    while (at < r->text.len && r->text.data[at] >= '0' && r->text.data[at] <= '9')
        at++;
    return at - start;
}

int json_scan_number(struct json_reader *r, struct error *error, struct json_token *token)
{
    const uint8_t *d = r->text.data;
    size_t len = r->text.len;
    token->offset = r->at;
    if (d[r->at] == '-')
        r->at++;
    size_t n = digits(r, r->at);
    if (!n)
        return json_refuse_expected(r, error, "a digit");
    if (n > 1 && d[r->at] == '0')
        return json_refuse(r, error, r->at, "remove the zero", "a number with a leading zero");
    r->at += n;
    if (r->at < len && d[r->at] == '.') {
        r->at++;
        n = digits(r, r->at);
        if (!n)
            return json_refuse_expected(r, error, "a digit after the decimal point");
        r->at += n;
    }
    if (r->at < len && (d[r->at] == 'e' || d[r->at] == 'E')) {
        r->at++;
        if (r->at < len && (d[r->at] == '+' || d[r->at] == '-'))
            r->at++;
        n = digits(r, r->at);
        if (!n)
            return json_refuse_expected(r, error, "a digit in the exponent");
        r->at += n;
    }
    token->type = JSON_NUMBER;
    token->len = r->at - token->offset;
    token->string = slice_make(d + token->offset, token->len);
    return 0;
}

int json_scan_word(struct json_reader *r, struct error *error, struct json_token *token)
{
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].word);
        if (r->text.len - r->at >= n && memcmp(r->text.data + r->at, words[i].word, n) == 0) {
            *token = (struct json_token){.type = words[i].type, .offset = r->at, .len = n};
            r->at += n;
            return 0;
        }
    }
    return json_refuse_expected(r, error, "a value");
}
