/* How the library itself puts handles into scopes. */
#ifndef TENOR_REACTOR_SCOPE_H
#define TENOR_REACTOR_SCOPE_H

#include <tenor/scope.h>

#include "thread.h"

/* Every call that gives a new reference to the user ends with this: the innermost scope, if one is
 * open, owns it from now on. Returns the handle; NULL, after releasing it, when out of memory. */
void *tnr_scope_adopt(void *handle);

/* Makes sure that the next tnr_scope_adopt on this thread succeeds. False with tnr_error(). */
bool tnr_scope_reserve(void);

/* The caller's own reference: if the innermost scope owns it, it does not any more. */
void tnr_scope_disown(const void *handle);

/* Closes the innermost scope, but what it returns is moved out: the caller, or the scope around it,
 * owns a reference to `handle` afterwards, also when the scope did not. NULL when out of memory. */
void *tnr_scope_close_keeping(void *handle);

/* Closes all scopes of a thread that ends. */
void tnr_scope_abandon_all(tnr_thread *thread);

#endif
