#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H
/*
 * What a service manager is told, by the protocol of sd_notify(3): one datagram to the socket in
 * $NOTIFY_SOCKET. Without one every call does nothing. Spoken here in thirty lines, since
 * libsystemd would be the largest library of a small daemon. The main thread.
 */
#include <stdint.h>

/* Sends "KEY=VALUE" lines ("READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…"). Failures are
 * ignored: nobody is there to be told. */
void supervisor_notify(const char *state);

/* How often WATCHDOG=1 is to be sent: half of what the manager asked for, in microseconds; 0 if it
 * did not ask ($WATCHDOG_USEC, $WATCHDOG_PID). */
int64_t supervisor_watchdog_interval_us(void);

#endif
