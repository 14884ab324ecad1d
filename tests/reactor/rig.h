/* What the reactor's tests run on: a runtime with a few devices, ops whose kernels wait, fail or
 * add, and a log of callbacks. Kernels and callbacks record; the main thread asserts. */
#ifndef TENOR_TESTS_RIG_H
#define TENOR_TESTS_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

/* A test with a runtime of its own as *state: devices cpu:0 to cpu:3, which compute in host memory,
 * and sim:0 and sim:1, which have memory of their own. A scope is open on the main thread; the
 * teardown closes it, opens the gate and asserts that nothing is left. */
#define rig_test(function) cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)
int rig_setup(void **state);
int rig_teardown(void **state);

/* For tests that end their runtime themselves: no runtime, no scope. */
#define rig_bare_test(function)                                                                    \
  cmocka_unit_test_setup_teardown(function, rig_bare_setup, rig_bare_teardown)
int rig_bare_setup(void **state);
int rig_bare_teardown(void **state);

/* The same devices. */
tnr_runtime *rig_runtime(void);

tnr_device *rig_cpu(tnr_runtime *runtime, int index);
tnr_device *rig_sim(tnr_runtime *runtime, int index);
const tnr_mesh *rig_cpus(tnr_runtime *runtime, int count);

/* Without threads, waiting for a log or a counter steps this runtime too, besides those of the rig.
 * It lives until the test ends, or waits for nothing any more. */
void rig_step_also(tnr_runtime *runtime);

/* Without threads: a step of these. False when there was nothing to do, and with threads. */
bool rig_step(void);

/* ---- numbers ---- */

enum { RIG_ELEMENTS = 4 };

/* f32 [4], all of one number. */
tnr_tensor *rig_tensor(tnr_device *device, float number);

/* Asserts that a handle of any kind holds one tensor of f32 that are all this number. */
#define assert_number(x, number) rig_check_number(TNR_VALUE(x), number, __FILE__, __LINE__)
void rig_check_number(tnr_value x, float number, const char *file, int line);

/* ---- ops; f32 of any shape ---- */

extern const tnr_op_def rig_plus_one_op, rig_sum_op, rig_two_op, rig_fail_op, rig_fail_late_op,
    rig_hold_op, rig_on_worker_op;

#define rig_plus_one(x) TNR_OP1(&rig_plus_one_op, x, tnr_no_attrs, )

/* The sum of two, or of all elements of a tuple. */
#define rig_sum(a, b)    TNR_OP2(&rig_sum_op, a, b, tnr_no_attrs, )
#define rig_sum_of(many) TNR_OP1(&rig_sum_op, many, tnr_no_attrs, )

/* A tuple: x + 1, x + 2. */
#define rig_two(x) TNR_OP1_TUPLE(&rig_two_op, x, tnr_no_attrs, )

/* The kernel fails with TNR_EKERNEL, "no"; the late one waits at the gate first. */
#define rig_fail(x)      TNR_OP1(&rig_fail_op, x, tnr_no_attrs, )
#define rig_fail_late(x) TNR_OP1(&rig_fail_late_op, x, tnr_no_attrs, )

/* x, after waiting on its worker until the gate is open. The gate is closed when a test begins.
 * Without threads the kernel cannot wait, and fails: there nothing runs before a test waits for
 * something, so it has to open the gate before. */
#define rig_hold(x) TNR_OP1(&rig_hold_op, x, tnr_no_attrs, )
void rig_open_gate(void);
void rig_close_gate(void);
/* Until so many kernels in all have come to the gate; for tests that need threads. */
void rig_await_held(int count);

/* Futures of ops on cpu:0: of 2, which comes by itself, and of 1, which is held until the gate
 * opens. */
tnr_future *rig_soon(tnr_runtime *runtime);
tnr_future *rig_held(tnr_runtime *runtime);

/* Until the dispatcher has done what it was about to do. Uses the last cpu device. */
void rig_await_turn(tnr_runtime *runtime);

/* x, after calling this function on the worker. */
#define rig_on_worker(x) TNR_OP1(&rig_on_worker_op, x, tnr_no_attrs, )
extern void (*rig_worker_function)(void);

/* x + 2, made by a composite whose body runs once the shape of x is known. */
#define rig_deferred(x) TNR_COMPOSITE1(&rig_deferred_def, x, tnr_no_attrs, )
extern const tnr_composite_def rig_deferred_def;

/* For ops of a test's own: any input will do, and an output like the first. */
tnr_status rig_any_input(const tnr_op_call *call, tnr_fault *fault);
tnr_status rig_like_input(const tnr_op_call *call, tnr_op_outputs *outputs, tnr_fault *fault);

/* A device that stands still: its worker is in an op that waits at the gate. From then on
 * rig_runs counts what rig_on_worker runs. */
tnr_future *rig_block(tnr_runtime *runtime, int index);
extern atomic_int rig_runs;

/* ---- data in memory ---- */

/* 0: the host; 1: a device that computes in host memory; 2: one with memory of its own. */
tnr_device *rig_place(tnr_runtime *runtime, int index);

extern const int32_t rig_counting[12]; /* 0, 1, 2, … */

/* Asserts that x is made and reads as these bytes, at most 255, and no more is written. */
void rig_assert_reads(tnr_tensor *x, const void *expected, size_t bytes);

/* ---- the log ---- */

typedef struct rig_entry {
  int what;               /* as registered */
  tnr_value future;       /* not retained: only to be compared */
  const tnr_error *error; /* likewise */
  tnr_status code;        /* the error's */
  bool created, complete; /* what had passed */
  pthread_t thread;
} rig_entry;

/* A callback that logs; `user` is RIG_WHAT(number). */
#define RIG_WHAT(number) ((void *)(intptr_t)(number))
void rig_log(tnr_value future, void *user);

/* Waits until there are so many entries in all, and fails when they do not come. */
void rig_await_log(int count);
int rig_log_count(void);
rig_entry rig_log_at(int index);

/* ---- waiting ---- */

/* Waits until an atomic int that others count up is at least `count`; fails after a minute. */
#define rig_await(counter, count) rig_check_await(counter, count, #counter, __FILE__, __LINE__)
void rig_check_await(atomic_int *counter, int count, const char *name, const char *file, int line);

void rig_sleep_ms(int ms);
int64_t rig_now_ns(void);

/* From now on threads are made with stacks of so many KiB (more under sanitizers, whose frames are
 * larger); 0: as before. */
void rig_limit_stacks(int kib);

/* Runs function(user, index) on `count` threads and waits for them. */
void rig_threads(int count, void (*function)(void *user, int index), void *user);

#endif
