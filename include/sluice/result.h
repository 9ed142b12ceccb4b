#ifndef SLUICE_RESULT_H
#define SLUICE_RESULT_H
/*
 * Results of the public C interface: 0 is success, a negative value is -errno, a positive value is
 * one of these.
 */
#ifdef __cplusplus
extern "C" {
#endif

enum sluice_result {
    SLUICE_OK = 0,
    SLUICE_MALFORMED = 1,  /* the input is not what it claims to be */
    SLUICE_TOO_LARGE = 2,  /* the input exceeds a documented limit */
    SLUICE_UNSUPPORTED = 3 /* well-formed, but nothing this build can handle */
};

#ifdef __cplusplus
}
#endif
#endif
