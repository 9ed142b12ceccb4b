#include "event/id.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static size_t decimal(uint64_t number, char out[20])
{
    char reversed[20];
    size_t n = 0;
    do
        reversed[n++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

size_t id_format(const char *stream, uint64_t offset, char out[ID_TEXT_MAX_BYTES])
{
    size_t len = strlen(stream);
    assert(len <= ID_STREAM_MAX_BYTES);
    memcpy(out, stream, len);
    out[len++] = '/';
    len += decimal(offset, out + len);
    out[len] = '\0';
    return len;
}

int id_parse(struct slice text, struct slice *ret_stream, uint64_t *ret_offset)
{
    size_t digits = 0;
    while (digits < text.len && text.data[text.len - 1 - digits] >= '0' &&
           text.data[text.len - 1 - digits] <= '9')
        digits++;
    size_t stream_len = text.len - digits;
    if (digits == 0 || stream_len < 2 || text.data[stream_len - 1] != '/')
        return -EINVAL;
    if (digits > 1 && text.data[stream_len] == '0')
        return -EINVAL; /* one number has one spelling, else one event has several ids */
    uint64_t offset = 0;
    for (size_t i = stream_len; i < text.len; i++)
        if (__builtin_mul_overflow(offset, 10, &offset) ||
            __builtin_add_overflow(offset, text.data[i] - '0', &offset))
            return -EINVAL;
    *ret_stream = slice_make(text.data, stream_len - 1);
    *ret_offset = offset;
    return 0;
}

size_t id_sequence(uint64_t offset, char out[ID_SEQUENCE_BYTES])
{
    for (size_t i = ID_SEQUENCE_BYTES - 1; i-- > 0; offset /= 10)
        out[i] = (char)('0' + offset % 10);
    out[ID_SEQUENCE_BYTES - 1] = '\0';
    return ID_SEQUENCE_BYTES - 1;
}

/* unreserved characters of RFC 3986 2.3 */
static int stands_for_itself(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

size_t id_source(const char *gateway, const char *epoch, char out[ID_SOURCE_MAX_BYTES])
{
    static const char hex[] = "0123456789ABCDEF";
    size_t gateway_len = strlen(gateway), epoch_len = strlen(epoch);
    assert(gateway_len <= 127 && epoch_len <= 16);
    size_t len = sizeof("/gateways/") - 1;
    memcpy(out, "/gateways/", len);
    for (size_t i = 0; i < gateway_len; i++) {
        unsigned char c = (unsigned char)gateway[i];
        if (stands_for_itself(c)) {
            out[len++] = (char)c;
            continue;
        }
        out[len++] = '%';
        out[len++] = hex[c >> 4];
        out[len++] = hex[c & 15];
    }
    out[len++] = '/';
    memcpy(out + len, epoch, epoch_len + 1);
    return len + epoch_len;
}
