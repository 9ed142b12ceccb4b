#ifndef SLUICE_ADMIN_ADMIN_CONFIG_H
#define SLUICE_ADMIN_ADMIN_CONFIG_H
/* Settings of the admin room: section "admin". Read-only once read; any thread. */
#include "config/key.h"

struct admin_config {
    char *socket;              /* path of the unix socket; NULL: the gateway decides */
    struct config_address tcp; /* host NULL: no TCP */
};

extern const struct config_section admin_section;

#endif
