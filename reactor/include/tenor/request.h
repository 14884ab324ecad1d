/* Requests: how urgent ops are, how long they may wait to start, and which belong together, to be
 * waited for, counted and cancelled as one. And cancelling what is not needed any more. */
#ifndef TENOR_REQUEST_H
#define TENOR_REQUEST_H

#include <tenor/future.h>
#include <tenor/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- cancelling ---- */

/* Any thread; never blocks. x: a future, or a tensor or tuple whose data is not there yet. Unless
 * it is complete by then, x soon fails with TNR_ECANCELED, which names the op, the call that
 * submitted it and this call; so does, with the same error, whatever descends from it and is not
 * complete. Then what only these needed, and has not started, is not run either: what no handle of
 * the user's and no callback refers to, no other op uses, and nobody waits for. Siblings go on. A
 * kernel that runs already runs to its end; its result is dropped.
 *
 * - An element of a tuple: the tuple goes on for whoever needs it, and the element fails, at the
 *   latest when the tuple is complete. When nobody else needs the tuple, it is cancelled.
 * - tnr_to_async(tensor), tnr_all, tnr_any, and a composite that has to wait for shapes: fail
 *   themselves; what they wait for is cancelled when nobody else needs it. To an op that it was
 *   given to, tnr_to_async(tensor) is the tensor and tnr_all are its members, and the op goes on.
 * - A promise's future: fails, and whoever would fulfil it is told so; a tensor that it has been
 *   fulfilled with goes on for whoever else needs it. As long as somebody could fulfil it, it is
 *   needed.
 * - A tensor or tuple: the ops that make its data.
 *
 * TNR_OK also when x is complete already. TNR_EINVAL: x is NULL. TNR_ENOMEM, TNR_ECLOSED: nothing
 * has happened. Errors also in tnr_error(). */
#define tnr_cancel(x) tnr_cancel_value(TNR_VALUE(x), TNR_HERE)
TNR_API tnr_status tnr_cancel_value(tnr_value x, tnr_site site);

/* ---- terms: under which ops are submitted ---- */

/* An op of a higher priority starts before all that are queued on its device with a lower one, and
 * its callbacks run first. Nothing starves: once 16 of higher priorities have passed over the first
 * op in the queue of its priority, that one is next. What an op needs keeps its own priority, and
 * the op waits for it. A device does not stand still for a priority: where hundreds of ops of it
 * are queued that end faster than the dispatcher hands over the next, others run meanwhile. With
 * the runtime option worker_waits all are alike. */
typedef enum tnr_priority {
  TNR_PRIORITY_INHERITED = 0, /* the surrounding terms', else the group's, else normal */
  TNR_PRIORITY_HIGH,
  TNR_PRIORITY_NORMAL,
  TNR_PRIORITY_LOW
} tnr_priority;

enum { TNR_NO_TIMEOUT = -1 };

typedef struct tnr_terms {
  tnr_group *group TNR_ZERO; /* whom the ops belong to; NULL: as in the surrounding terms */

  /* ns from an op's submission. An op that has not started by then, because it waits for its inputs
   * or in a queue, fails with TNR_ETIMEDOUT, shortly after and never before; what only it needed
   * is not run, as in tnr_cancel. One that has started runs to its end. 0: as in the surrounding
   * terms, else the runtime's op_timeout_ns; TNR_NO_TIMEOUT: none, but for the group's. */
  int64_t timeout_ns TNR_ZERO;
  tnr_priority priority TNR_ZERO;
} tnr_terms;

/* tnr_terms_open(.priority = TNR_PRIORITY_HIGH, …): from now on the calling thread submits under
 * these terms, until the matching tnr_terms_close; what is not named is inherited. They nest. They
 * hold for the body of a composite that is called under them, whenever it runs, but not for what
 * callbacks submit: these may open terms of their own. While terms with a group are open, calls for
 * another runtime than the group's fail with TNR_EINVAL. TNR_EINVAL, TNR_ENOMEM, with tnr_error():
 * nothing was opened. */
#define tnr_terms_open(...) tnr_terms_open_with(TNR_ATTRS(tnr_terms, __VA_ARGS__))
TNR_API tnr_status tnr_terms_open_with(const tnr_terms *terms) TNR_MUST_USE;

/* TNR_EINVAL with tnr_error() when none are open on this thread. */
TNR_API tnr_status tnr_terms_close(void);

/* ---- groups ---- */

typedef struct tnr_group_options {
  const char *name TNR_ZERO;      /* for errors and dumps; copied; cut after 47 bytes */
  int64_t timeout_ns TNR_ZERO;    /* from now on: none of its ops starts later; as in tnr_terms, but
                                   * all end at the same time. 0: none */
  tnr_priority priority TNR_ZERO; /* of ops under terms that do not name another */

  /* Its ops count as the parent's too, end with the parent's time, and are cancelled with it;
   * retained. */
  tnr_group *parent TNR_ZERO;
} tnr_group_options;

/* tnr_group_create(runtime, .timeout_ns = …): a group without ops; NULL runtime: the default one.
 * What tnr_terms_open(.group = it) is open for belongs to it. The caller owns it. NULL with
 * tnr_error() on failure. */
#define tnr_group_create(runtime, ...)                                                             \
  tnr_group_create_with(runtime, TNR_ATTRS(tnr_group_options, __VA_ARGS__))
TNR_API tnr_group *tnr_group_create_with(tnr_runtime *runtime,
                                         const tnr_group_options *options) TNR_MUST_USE;

/* Cancels all of its ops, as tnr_cancel does, and every op that is submitted to it from now on. */
#define tnr_group_cancel(group) tnr_group_cancel_at(group, TNR_HERE)
TNR_API tnr_status tnr_group_cancel_at(tnr_group *group, tnr_site site);

/* A future of an empty tuple, complete as soon as everything that was submitted to the group is
 * complete, whether it failed or not: for tnr_on, tnr_wait and so on. The caller owns it. NULL with
 * tnr_error() when out of memory, or closed. */
TNR_API tnr_future_tuple *tnr_group_done(tnr_group *group) TNR_MUST_USE;

/* Waits for that; TNR_ETIMEDOUT after `timeout_ns` (INT64_MAX: waits for ever). TNR_EDEADLK where a
 * thread must not block. Errors also in tnr_error(). */
TNR_API tnr_status tnr_group_wait(tnr_group *group, int64_t timeout_ns);

/* Ops, each in one of these, as far as the dispatcher has heard of them; together they may be a
 * moment apart. Zeroes for NULL. Any thread. */
typedef struct tnr_group_stats {
  uint64_t submitted; /* all of them */
  uint64_t waiting;   /* for what they need */
  uint64_t queued;    /* on their device's queue */
  uint64_t running;
  uint64_t completed; /* without error */
  uint64_t failed;    /* with another error than TNR_ECANCELED */
  uint64_t canceled;
} tnr_group_stats;
TNR_API tnr_group_stats tnr_group_get_stats(const tnr_group *group);

#ifdef __cplusplus
}
#endif
#endif
