/* What the tests of the cpu device share: a problem is a primitive with shapes, which is run
 * through the driver as a worker would and compared with naive code. */
#ifndef TENOR_TEST_CPU_PROBLEM_H
#define TENOR_TEST_CPU_PROBLEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tenor/driver.h>

#include "devices/derived.h"

enum { MAX_INPUTS = 3 };

typedef struct fixture {
  void *device;
  unsigned random;
} fixture;

typedef struct problem {
  tnr_primitive primitive;
  tnr_desc in[MAX_INPUTS], out;
  int in_count;
  void *data[MAX_INPUTS];
} problem;

/* Set-up and teardown of a test: *state is a fixture whose device this thread is the worker of. */
int open_device(void **state);
int close_device(void **state);

/* A tensor of f32. */
tnr_desc of(tnr_shape shape);

problem unary(tnr_primitive primitive, tnr_shape in, tnr_shape out);
problem binary(tnr_primitive primitive, tnr_shape a, tnr_shape b, tnr_shape out);

/* Random contents for a tensor. The caller frees them. */
void *random_data(fixture *f, const tnr_desc *desc);

/* The driver's program for `spec`, which the program refers to. Its kernel is set here: it does
 * nothing but count in `fallbacks` that the program does not run on oneDNN. */
tnr_program *program_for(fixture *f, const problem *p, tnr_program_spec *spec);
extern int fallbacks;

/* Asserts that `got` is what the problem's inputs give. */
void compare(const problem *p, const void *got);

/* A buffer, and how its contents lie. */
typedef struct laid_out {
  void *data;
  const tnr_layout *layout; /* NULL: dense */
} laid_out;

/* Runs the program as a worker does; NULL `derived`: nothing is kept. The caller frees the data. */
laid_out run_kept(tnr_program *program, const problem *p, const laid_out *in,
                  tnr_derived_list *const *derived);

/* Brings contents of that shape into rows; the data may be another afterwards. */
void make_dense(const tnr_desc *desc, laid_out *data);

/* Runs a problem both ways, twice, on either dtype, with inputs of its own, and compares. In f32 it
 * must have run on oneDNN; whether it does in bf16 depends on the machine. */
void check(fixture *f, problem p);

/* The same with places for what the device derives from its inputs. */
void check_derived(fixture *f, problem p, tnr_derived_list *const *derived);

#endif
