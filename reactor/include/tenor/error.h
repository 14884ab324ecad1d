/* Errors are values: what went wrong, in which op, with which shapes, called from where. */
#ifndef TENOR_ERROR_H
#define TENOR_ERROR_H

#include <tenor/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable. Counted (tnr_retain, tnr_release); any thread. Strings live as long as the error. */
typedef struct tnr_error tnr_error;

/* The calling thread's last error from a call that returned NULL or a status, or NULL. Borrowed:
 * valid until the thread's next failing call; retain it to keep it longer. A call that is given
 * NULL for an earlier failure leaves it as it is, so that a chain of calls is checked once, at its
 * end. */
TNR_API const tnr_error *tnr_last_error(void);
#define tnr_error() tnr_last_error()

/* Forgets the calling thread's last error. */
TNR_API void tnr_error_clear(void);

/* NULL gives TNR_OK, "", and 0. */
TNR_API tnr_status tnr_error_code(const tnr_error *error);

/* One sentence with everything: "matmul: inner dimensions differ: 4 and 5; inputs f32 [3, 4],
 * f32 [5, 6] (model.c:42)". */
TNR_API const char *tnr_error_message(const tnr_error *error);

TNR_API const char *
tnr_error_reason(const tnr_error *error);                 /* "inner dimensions differ: 4 and 5" */
TNR_API const char *tnr_error_op(const tnr_error *error); /* "matmul", "linear/matmul", or "" */
TNR_API const char *tnr_error_shapes(const tnr_error *error); /* "f32 [3, 4], f32 [5, 6]", or "" */
TNR_API const char *
tnr_error_file(const tnr_error *error); /* of the call that submitted it, or "" */
TNR_API int tnr_error_line(const tnr_error *error);

#ifdef __cplusplus
}
#endif
#endif
