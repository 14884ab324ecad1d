/* Result codes, shared by every layer, and how a layer says what went wrong. */
#ifndef TENOR_STATUS_H
#define TENOR_STATUS_H

#if defined(__GNUC__)
#define TNR_API                   __attribute__((visibility("default")))
#define TNR_MUST_USE              __attribute__((warn_unused_result))
#define TNR_PRINTF(string, first) __attribute__((format(printf, string, first)))
#else
#define TNR_API
#define TNR_MUST_USE
#define TNR_PRINTF(string, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tnr_status {
  TNR_OK = 0,
  TNR_EINVAL,       /* an argument makes no sense: attribute, index, NULL */
  TNR_ESHAPE,       /* shapes do not fit the op or each other */
  TNR_EDTYPE,       /* dtypes do not fit the op or each other */
  TNR_EDEVICE,      /* inputs live on different devices, or split over them differently */
  TNR_EOVERFLOW,    /* a size does not fit into 63 bits */
  TNR_ENOMEM,       /* out of memory, on the host or on a device */
  TNR_EUNSUPPORTED, /* valid, but this device (or this build) cannot do it */
  TNR_EKERNEL,      /* a kernel failed while it ran */
  TNR_ESYSTEM,      /* the operating system refused a thread, a descriptor, … */
  TNR_ECLOSED,      /* the runtime has been closed */
  TNR_ECANCELED,    /* the work was given up before it started */
  TNR_ETIMEDOUT,    /* the time allowed ran out */
  TNR_EDEADLK,      /* the call would block the thread that it waits for */
  TNR_EAGAIN        /* as much is in flight as the limits allow; later there is room */
} tnr_status;

/* The constant's name, such as "TNR_ESHAPE". Never NULL. Any thread. */
TNR_API const char *tnr_status_name(tnr_status status);

enum { TNR_FAULT_MESSAGE_MAX = 256 };

/* What code below the reactor (devices, kernels, an op's functions) fills in when it fails: a code
 * and a sentence without op, shapes or call site, which the reactor adds. Caller's memory. */
typedef struct tnr_fault {
  tnr_status code;
  char message[TNR_FAULT_MESSAGE_MAX];
} tnr_fault;

/* Fills `fault` (NULL is fine) and returns `code`: `return tnr_fail(fault, TNR_ESHAPE, "…", …);`.
 * A message longer than the buffer is cut. */
TNR_API tnr_status tnr_fail(tnr_fault *fault, tnr_status code, const char *format, ...)
    TNR_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
