#include "command.h"

#include <stdarg.h>
#include <stdio.h>

#include <tenor/error.h>

static void print_sentence(const char *format, va_list arguments) {
  fflush(stdout);
  fputs("tenor: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

int command_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_sentence(format, arguments);
  va_end(arguments);
  return COMMAND_FAILED;
}

int command_misused(const char *command) {
  fprintf(stderr, "Try 'tenor %s%s--help'.\n", command, *command ? " " : "");
  return COMMAND_MISUSED;
}

int command_misuse(const char *command, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_sentence(format, arguments);
  va_end(arguments);
  return command_misused(command);
}

tnr_status command_take_error(tnr_fault *fault) {
  return tnr_fail(fault, tnr_error_code(tnr_error()), "%s", tnr_error_message(tnr_error()));
}
