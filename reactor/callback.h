/* Callbacks of futures on their way to a future's chain, and in it. */
#ifndef TENOR_REACTOR_CALLBACK_H
#define TENOR_REACTOR_CALLBACK_H

#include <tenor/future.h>

typedef struct tnr_registration tnr_registration;

/* Any thread. Takes over the reference to the future, also when it fails: NULL with tnr_error(). */
tnr_registration *tnr_registration_new(tnr_future *future, tnr_moment moment, tnr_callback *fn,
                                       void *user);

/* Any thread → dispatcher. Destroys what is not taken; then with tnr_error(). */
tnr_status tnr_registration_put(tnr_registration *made) TNR_MUST_USE;

/* Dispatcher: takes it out of the chain that it waits in, and destroys it. */
void tnr_registration_withdraw(tnr_registration *made);

#endif
