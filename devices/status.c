#include <tenor/status.h>

#include <stdarg.h>
#include <stdio.h>

const char *tnr_status_name(tnr_status status) {
  switch (status) {
  case TNR_OK:
    return "TNR_OK";
  case TNR_EINVAL:
    return "TNR_EINVAL";
  case TNR_ESHAPE:
    return "TNR_ESHAPE";
  case TNR_EDTYPE:
    return "TNR_EDTYPE";
  case TNR_EDEVICE:
    return "TNR_EDEVICE";
  case TNR_EOVERFLOW:
    return "TNR_EOVERFLOW";
  case TNR_ENOMEM:
    return "TNR_ENOMEM";
  case TNR_EUNSUPPORTED:
    return "TNR_EUNSUPPORTED";
  case TNR_EKERNEL:
    return "TNR_EKERNEL";
  case TNR_ESYSTEM:
    return "TNR_ESYSTEM";
  case TNR_ECLOSED:
    return "TNR_ECLOSED";
  case TNR_ECANCELED:
    return "TNR_ECANCELED";
  case TNR_ETIMEDOUT:
    return "TNR_ETIMEDOUT";
  case TNR_EDEADLK:
    return "TNR_EDEADLK";
  case TNR_EAGAIN:
    return "TNR_EAGAIN";
  }
  return "unknown status";
}

tnr_status tnr_fail(tnr_fault *fault, tnr_status code, const char *format, ...) {
  if (!fault)
    return code;
  fault->code = code;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  return code;
}
