#include "json/text.h"

#include <stdint.h>

#include "base/utf8.h"

int json_append_string(struct bytes *out, struct slice s)
{
    int r = bytes_append_u8(out, '"');
    size_t start = 0, i = 0;
    while (!r && i < s.len) {
        uint8_t c = s.data[i];
        uint32_t point;
        unsigned n = c < 0x80 ? 1 : utf8_next(slice_make(s.data + i, s.len - i), &point);
        if (n && c >= 0x20 && c != '"' && c != '\\') {
            i += n;
            continue;
        }
        if (i > start)
            r = bytes_append(out, s.data + start, i - start);
        if (!r && n == 0)
            r = bytes_append(out, "\xef\xbf\xbd", 3);
        else if (!r && (c == '"' || c == '\\'))
            r = bytes_append(out, (char[]){'\\', (char)c}, 2);
        else if (!r)
            r = bytes_append_format(out, "\\u%04x", c);
        start = ++i;
    }
    if (!r && s.len > start)
        r = bytes_append(out, s.data + start, s.len - start);
    return r ? r : bytes_append_u8(out, '"');
}
