#include "cli/quantity.h"

#include <inttypes.h>
#include <stdio.h>

const char *quantity_bytes(uint64_t bytes, char out[QUANTITY_TEXT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    double value = (double)bytes;
    /* 1023.95 would be printed as 1024.0 of the smaller unit */
    for (; value >= (unit ? 1023.95 : 1024.0) && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1024;
    snprintf(out, QUANTITY_TEXT_MAX, "%.*f %s", unit ? 1 : 0, value, units[unit]);
    return out;
}

const char *quantity_duration(uint64_t seconds, char out[QUANTITY_TEXT_MAX])
{
    uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (days)
        snprintf(out, QUANTITY_TEXT_MAX, "%" PRIu64 " d %02" PRIu64 " h", days, hours % 24);
    else if (hours)
        snprintf(out, QUANTITY_TEXT_MAX, "%" PRIu64 " h %02" PRIu64 " min", hours, minutes % 60);
    else if (minutes)
        snprintf(out, QUANTITY_TEXT_MAX, "%" PRIu64 " min %02" PRIu64 " s", minutes, seconds % 60);
    else
        snprintf(out, QUANTITY_TEXT_MAX, "%" PRIu64 " s", seconds);
    return out;
}
