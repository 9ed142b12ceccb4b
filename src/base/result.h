#ifndef SLUICE_BASE_RESULT_H
#define SLUICE_BASE_RESULT_H
/*
 * How functions fail. A function returns int:
 *
 *      0       it worked
 *    < 0       -errno: the system failed. Passed up unchanged to the containment point of its
 *              room (house rules), never matched before it.
 *    > 0       a named outcome (an enum of that function's header): part of the contract, handled
 *              by the caller right there, never forwarded.
 *
 * What a person must read (configuration, files, certificates) is a struct error (error.h) beside
 * the result. A function either logs or returns a failure, never both; the trace lines below are
 * debug output.
 */

/* Marks where a negative result comes into being; logs the place at debug level. Returns r. */
#define result_origin(r) result_note((r), "origin", __FILE__, __LINE__, __func__)

/* Passes a result up; logs the place at debug level if it is negative. Returns r. */
#define result_trace(r) result_note((r), "trace", __FILE__, __LINE__, __func__)

/* For callers that have no use for named outcomes: a positive r is a broken contract and becomes
 * -ENOTRECOVERABLE. */
#define result_fold(r) result_fold_at((r), __FILE__, __LINE__, __func__)

int result_note(int r, const char *kind, const char *file, int line, const char *function);
int result_fold_at(int r, const char *file, int line, const char *function);

#endif
