/* A mailbox of the test's own, and looking at its descriptor. */
#ifndef TENOR_TESTS_POST_H
#define TENOR_TESTS_POST_H

#include "rig.h"

tnr_mailbox *post_box(tnr_runtime *runtime);

/* Asserts that it has nothing for anybody, and destroys it. */
void post_close(tnr_mailbox *box);

/* Does poll(2) say so now? */
bool post_is_readable(tnr_mailbox *box);

/* Waits for that; fails after a minute. */
void post_await(tnr_mailbox *box);

/* Has the completion of f logged there. */
void post_log(tnr_mailbox *box, tnr_future *f, int what);

/* Dispatches when there is something until so many callbacks have run; asserts that there are no
 * more. */
void post_run(tnr_mailbox *box, int callbacks);

/* What the kernel says of the eventfd: how often it was written since it was last read. */
int post_writes(tnr_mailbox *box);

#endif
