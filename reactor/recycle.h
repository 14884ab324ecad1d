/* Memory of what nobody can read any more goes back on the worker that has used it last, where it
 * is in the cache and the next op wants some, and not once the dispatcher has heard of it. */
#ifndef TENOR_REACTOR_RECYCLE_H
#define TENOR_REACTOR_RECYCLE_H

#include "op.h"

/* The worker, after it has executed the op's part on piece `piece` of its mesh. */
void tnr_op_recycle(tnr_op *op, int piece);

#endif
