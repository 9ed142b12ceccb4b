#ifndef SLUICE_PIPELINE_AUDIT_H
#define SLUICE_PIPELINE_AUDIT_H
/*
 * The audit trail: who asked for what and what came of it, in stream "$audit". Each record carries
 * in "prev" the SHA-256 of the payload of the record before it, so that whoever changes or removes
 * one in the middle breaks the chain; "sluice audit" checks it. "prev" is null in the first record
 * and "unknown" where the one before could not be read. Belongs to the pipeline's thread; pipeline
 * room only.
 */
#include <stdbool.h>

#include "crypto/digest.h"

struct notice;
struct store;

struct audit {
    bool known;                          /* prev holds what the next record has to say */
    char prev[DIGEST_SHA256_TEXT_BYTES]; /* "": there is no record before */
};

/* Ends the record of kind NOTICE_AUDIT and appends it to the store's open batch. What cannot be
 * stored is logged and counted by the store. The notice stays the caller's. */
void audit_add(struct audit *audit, struct store *store, struct notice *notice);

#endif
