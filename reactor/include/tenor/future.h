/* Futures: asking, waiting, combining. */
#ifndef TENOR_FUTURE_H
#define TENOR_FUTURE_H

#include <tenor/call.h>
#include <tenor/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The two moments of every result, in this order. A failed result passes both at once. */
typedef enum tnr_moment {
  TNR_CREATED, /* the tensor exists: shape, dtype, device, storage */
  TNR_COMPLETE /* its data is there, or it failed */
} tnr_moment;

/* Waits for *created*. The tensor (or tuple) of the future, owned by the caller; NULL with
 * tnr_error() when it failed. TNR_EDEADLK when it would have to wait on the dispatcher thread.
 * A plain input is returned retained. */
#define tnr_get(x) TNR_GET_(x, INT64_MAX)

/* The same, but gives up after `timeout_ns` with TNR_ETIMEDOUT; 0 asks without waiting. */
#define tnr_get_for(x, timeout_ns) TNR_GET_(x, timeout_ns)

/* Waits until the moment, or fails with TNR_ETIMEDOUT after `timeout_ns` (0 asks without waiting,
 * INT64_MAX waits for ever). Otherwise the result's own status; the error is tnr_error(). x: any
 * handle. */
#define tnr_wait(x, moment, timeout_ns) tnr_wait_value(TNR_VALUE(x), moment, timeout_ns)

/* True when the moment has passed (for failed results too). Never waits. */
#define tnr_passed(x, moment) tnr_passed_value(TNR_VALUE(x), moment)

/* The error of a future that failed, else NULL. Borrowed from the future. Never waits. */
#define tnr_future_error(x) tnr_value_error(TNR_VALUE(x))

/* A future of a tensor or tuple that exists: makes the calls that use it async. A future is
 * returned retained. */
#ifdef __cplusplus
#define tnr_to_async(x) tnr_async(x)
#else
#define tnr_to_async(x)                                                                            \
  _Generic((x), tnr_tensor *                                                                       \
           : tnr_to_async_tensor, tnr_tuple *                                                      \
           : tnr_to_async_tuple, tnr_future *                                                      \
           : tnr_to_async_future, tnr_future_tuple *                                               \
           : tnr_to_async_future_tuple, tnr_value                                                  \
           : tnr_to_async_value)(x)
#endif

/* Element `index` of a tuple (a tensor, retained), or of a future of one (a future; an index that
 * turns out not to exist fails it with TNR_EINVAL). */
#ifdef __cplusplus
#define tnr_at(x, index) tnr_at_overload(x, index, TNR_HERE)
#else
#define tnr_at(x, index)                                                                           \
  _Generic((x), tnr_tuple *                                                                        \
           : tnr_at_tuple, tnr_future_tuple *                                                      \
           : tnr_at_future, tnr_value                                                              \
           : tnr_at_value)(x, index, TNR_HERE)
#endif

/* All of `values` as one tuple, in order. Tensors only: a tuple. With a future among them: a future
 * tuple, created when all are created, complete when all are complete; it fails with the first
 * error as soon as one fails. */
TNR_API tnr_value tnr_all(const tnr_value *values, int count, tnr_site site) TNR_MUST_USE;

/* tnr_tuple_of(a, b, c): up to three of any kind as one typed tuple: tnr_tuple * of tensors, else
 * tnr_future_tuple *. For more, or for any number, tnr_all. */
#define tnr_tuple_of(...)                                                                          \
  TNR_TUPLE_COUNT_(__VA_ARGS__, TNR_TUPLE3_, TNR_TUPLE2_, TNR_TUPLE1_, 0)(__VA_ARGS__)
#define TNR_TUPLE_COUNT_(a, b, c, n, ...) n
#define TNR_TUPLE1_(a)                    TNR_MANY(tnr_all(TNR_INPUTS(a), 1, TNR_HERE), a)
#define TNR_TUPLE2_(a, b)                 TNR_MANY2(tnr_all(TNR_INPUTS(a, b), 2, TNR_HERE), a, b)
#define TNR_TUPLE3_(a, b, c)              TNR_MANY3(tnr_all(TNR_INPUTS(a, b, c), 3, TNR_HERE), a, b, c)

/* The first of `futures` that completes without error; fails, with the last error, when all fail.
 * NULL with tnr_error() when count is 0. */
TNR_API tnr_future *tnr_any(tnr_future *const *futures, int count, tnr_site site) TNR_MUST_USE;

/* The plain functions under the macros. */
TNR_API tnr_tensor *tnr_get_tensor(tnr_tensor *x, int64_t timeout_ns) TNR_MUST_USE;
TNR_API tnr_tuple *tnr_get_tuple(tnr_tuple *x, int64_t timeout_ns) TNR_MUST_USE;
TNR_API tnr_tensor *tnr_get_future(tnr_future *x, int64_t timeout_ns) TNR_MUST_USE;
TNR_API tnr_tuple *tnr_get_future_tuple(tnr_future_tuple *x, int64_t timeout_ns) TNR_MUST_USE;
TNR_API tnr_value tnr_get_value(tnr_value x, int64_t timeout_ns) TNR_MUST_USE;
TNR_API tnr_status tnr_wait_value(tnr_value x, tnr_moment moment, int64_t timeout_ns);
TNR_API bool tnr_passed_value(tnr_value x, tnr_moment moment);
TNR_API const tnr_error *tnr_value_error(tnr_value x);
TNR_API tnr_future *tnr_to_async_tensor(tnr_tensor *x) TNR_MUST_USE;
TNR_API tnr_future_tuple *tnr_to_async_tuple(tnr_tuple *x) TNR_MUST_USE;
TNR_API tnr_future *tnr_to_async_future(tnr_future *x) TNR_MUST_USE;
TNR_API tnr_future_tuple *tnr_to_async_future_tuple(tnr_future_tuple *x) TNR_MUST_USE;
TNR_API tnr_value tnr_to_async_value(tnr_value x) TNR_MUST_USE;
TNR_API tnr_tensor *tnr_at_tuple(tnr_tuple *x, int index, tnr_site site) TNR_MUST_USE;
TNR_API tnr_future *tnr_at_future(tnr_future_tuple *x, int index, tnr_site site) TNR_MUST_USE;
TNR_API tnr_value tnr_at_value(tnr_value x, int index, tnr_site site) TNR_MUST_USE;

#ifndef __cplusplus
#define TNR_GET_(x, timeout_ns)                                                                    \
  _Generic((x), tnr_tensor *                                                                       \
           : tnr_get_tensor, tnr_tuple *                                                           \
           : tnr_get_tuple, tnr_future *                                                           \
           : tnr_get_future, tnr_future_tuple *                                                    \
           : tnr_get_future_tuple, tnr_value                                                       \
           : tnr_get_value)(x, timeout_ns)
#else
}
#define TNR_GET_(x, timeout_ns) tnr_get_overload(x, timeout_ns)
inline tnr_tensor *tnr_get_overload(tnr_tensor *x, int64_t ns) {
  return tnr_get_tensor(x, ns);
}
inline tnr_tuple *tnr_get_overload(tnr_tuple *x, int64_t ns) {
  return tnr_get_tuple(x, ns);
}
inline tnr_tensor *tnr_get_overload(tnr_future *x, int64_t ns) {
  return tnr_get_future(x, ns);
}
inline tnr_tuple *tnr_get_overload(tnr_future_tuple *x, int64_t ns) {
  return tnr_get_future_tuple(x, ns);
}
inline tnr_value tnr_get_overload(tnr_value x, int64_t ns) {
  return tnr_get_value(x, ns);
}
inline tnr_future *tnr_async(tnr_tensor *x) {
  return tnr_to_async_tensor(x);
}
inline tnr_future_tuple *tnr_async(tnr_tuple *x) {
  return tnr_to_async_tuple(x);
}
inline tnr_future *tnr_async(tnr_future *x) {
  return tnr_to_async_future(x);
}
inline tnr_future_tuple *tnr_async(tnr_future_tuple *x) {
  return tnr_to_async_future_tuple(x);
}
inline tnr_value tnr_async(tnr_value x) {
  return tnr_to_async_value(x);
}
inline tnr_tensor *tnr_at_overload(tnr_tuple *x, int index, tnr_site site) {
  return tnr_at_tuple(x, index, site);
}
inline tnr_future *tnr_at_overload(tnr_future_tuple *x, int index, tnr_site site) {
  return tnr_at_future(x, index, site);
}
inline tnr_value tnr_at_overload(tnr_value x, int index, tnr_site site) {
  return tnr_at_value(x, index, site);
}
#endif
#endif
