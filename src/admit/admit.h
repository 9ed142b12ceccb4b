#ifndef SLUICE_ADMIT_ADMIT_H
#define SLUICE_ADMIT_ADMIT_H
/*
 * Admission: what is this message, and may it come in? A pure function of (event, snapshot), so
 * that it can be fanned out by device later; allocates nothing, any thread.
 *
 * Without profiles every event is accepted, and its topic says what it is:
 *
 *   topic               device        type
 *   tele/boiler/SENSOR  tele/boiler   SENSOR
 *   boiler              boiler        boiler
 *   boiler/             boiler        message     (the last level is empty)
 *   /boiler             /boiler       boiler      (nothing stands before the last level)
 *
 * The device is the partition key: everything below one parent topic keeps its order.
 */
struct event;

enum admit_verdict {
    ADMIT_ACCEPT = 0 /* device and type are set */
};

/* Judges an event that has topic and payload and fills in device and type (slices of the topic or
 * static text). */
enum admit_verdict admit_event(struct event *event);

#endif
