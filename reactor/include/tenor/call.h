/* How a call by macro becomes a call of a plain function, with the result's type decided at compile
 * time: any tnr_value in gives tnr_value out, else any future in gives a future out, else plain. */
#ifndef TENOR_CALL_H
#define TENOR_CALL_H

#include <tenor/value.h>

#ifdef __cplusplus
#include <type_traits>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Where in the user's source a call stands; file must live as long as the runtime (a literal). */
typedef struct tnr_site {
  const char *file;
  int line;
} tnr_site;

#ifdef __cplusplus
}
#define TNR_HERE (tnr_site{__FILE__, __LINE__})
#else
#define TNR_HERE ((tnr_site){__FILE__, __LINE__})
#endif

/* Stands behind each member of an attributes struct, so that C++ does not warn of members that a
 * call does not name. */
#ifdef __cplusplus
#define TNR_ZERO                                                                                   \
  {}
#else
#define TNR_ZERO
#endif

/* TNR_ATTRS(struct_type, .member = value, …): the address of attributes that live until the end of
 * the call; what is not named is zero. */
#ifdef __cplusplus
template <class T> static inline const T *tnr_address_of(const T &attrs) {
  return &attrs;
}
#define TNR_ATTRS(type, ...) (tnr_address_of(type{__VA_ARGS__}))
#else
#define TNR_ATTRS(type, ...) (&(type){__VA_ARGS__})
#endif

/* TNR_ONE(call, a), TNR_ONE2(call, a, b), TNR_ONE3(call, a, b, c): `call` yields a tnr_value with
 * one tensor in it; the whole has the type that follows from the inputs' types. TNR_MANY… likewise
 * for calls that yield a tuple. Inputs are not evaluated here. */
#ifdef __cplusplus

template <class A, class B> struct tnr_async_of { typedef B type; };
template <class B> struct tnr_async_of<tnr_value, B> { typedef tnr_value type; };
template <> struct tnr_async_of<tnr_future *, tnr_value> { typedef tnr_value type; };
template <> struct tnr_async_of<tnr_future_tuple *, tnr_value> { typedef tnr_value type; };
template <> struct tnr_async_of<tnr_value, tnr_value> { typedef tnr_value type; };
template <class B> struct tnr_async_of<tnr_future *, B> { typedef tnr_future *type; };
template <class B> struct tnr_async_of<tnr_future_tuple *, B> { typedef tnr_future *type; };

template <class T> struct tnr_result_of;
template <> struct tnr_result_of<tnr_value> {
  static tnr_value one(tnr_value v) {
    return v;
  }
  static tnr_value many(tnr_value v) {
    return v;
  }
};
template <> struct tnr_result_of<tnr_future *> {
  static tnr_future *one(tnr_value v) {
    return tnr_value_future(v);
  }
  static tnr_future_tuple *many(tnr_value v) {
    return tnr_value_future_tuple(v);
  }
};
template <> struct tnr_result_of<tnr_future_tuple *> : tnr_result_of<tnr_future *> {};
template <> struct tnr_result_of<tnr_tensor *> {
  static tnr_tensor *one(tnr_value v) {
    return tnr_value_tensor(v);
  }
  static tnr_tuple *many(tnr_value v) {
    return tnr_value_tuple(v);
  }
};
template <> struct tnr_result_of<tnr_tuple *> : tnr_result_of<tnr_tensor *> {};

template <class A, class B>
struct tnr_result2 : tnr_result_of<typename tnr_async_of<A, B>::type> {};
template <class A, class B, class C>
struct tnr_result3
    : tnr_result_of<typename tnr_async_of<A, typename tnr_async_of<B, C>::type>::type> {};

#define TNR_TYPE_(x)             std::decay<decltype(x)>::type
#define TNR_ONE(call, a)         (tnr_result_of<TNR_TYPE_(a)>::one(call))
#define TNR_ONE2(call, a, b)     (tnr_result2<TNR_TYPE_(a), TNR_TYPE_(b)>::one(call))
#define TNR_ONE3(call, a, b, c)  (tnr_result3<TNR_TYPE_(a), TNR_TYPE_(b), TNR_TYPE_(c)>::one(call))
#define TNR_MANY(call, a)        (tnr_result_of<TNR_TYPE_(a)>::many(call))
#define TNR_MANY2(call, a, b)    (tnr_result2<TNR_TYPE_(a), TNR_TYPE_(b)>::many(call))
#define TNR_MANY3(call, a, b, c) (tnr_result3<TNR_TYPE_(a), TNR_TYPE_(b), TNR_TYPE_(c)>::many(call))

#else

#define TNR_PICK_(x, value, async, plain)                                                          \
  _Generic((x), tnr_value                                                                          \
           : value, tnr_future *                                                                   \
           : async, tnr_future_tuple *                                                             \
           : async, default                                                                        \
           : plain)
#define TNR_PICK1_(a, value, async, plain) TNR_PICK_(a, value, async, plain)
#define TNR_PICK2_(a, b, value, async, plain)                                                      \
  TNR_PICK_(a, value, TNR_PICK_(b, value, async, async), TNR_PICK_(b, value, async, plain))
#define TNR_PICK3_(a, b, c, value, async, plain)                                                   \
  TNR_PICK_(a, value, TNR_PICK2_(b, c, value, async, async), TNR_PICK2_(b, c, value, async, plain))

#define TNR_ONE_                 tnr_value_of_value, tnr_value_future, tnr_value_tensor
#define TNR_MANY_                tnr_value_of_value, tnr_value_future_tuple, tnr_value_tuple
#define TNR_EXPAND_(macro, ...)  macro(__VA_ARGS__)
#define TNR_ONE(call, a)         TNR_EXPAND_(TNR_PICK1_, a, TNR_ONE_)(call)
#define TNR_ONE2(call, a, b)     TNR_EXPAND_(TNR_PICK2_, a, b, TNR_ONE_)(call)
#define TNR_ONE3(call, a, b, c)  TNR_EXPAND_(TNR_PICK3_, a, b, c, TNR_ONE_)(call)
#define TNR_MANY(call, a)        TNR_EXPAND_(TNR_PICK1_, a, TNR_MANY_)(call)
#define TNR_MANY2(call, a, b)    TNR_EXPAND_(TNR_PICK2_, a, b, TNR_MANY_)(call)
#define TNR_MANY3(call, a, b, c) TNR_EXPAND_(TNR_PICK3_, a, b, c, TNR_MANY_)(call)
#endif
#endif
