/* Ops that move data between devices: to_device, gather, shard, replicate. To the journey they are
 * ops whose output lives elsewhere and whose program is a copy. */
#ifndef TENOR_REACTOR_MOVEMENT_H
#define TENOR_REACTOR_MOVEMENT_H

#include "op.h"

extern const tnr_op_def tnr_movement_to_device, tnr_movement_gather, tnr_movement_shard,
    tnr_movement_replicate;

/* Any thread: a movement, not submitted yet; else as tnr_op_new. `to` is where the result will
 * live, NULL for gather when the input's mesh is not known. */
tnr_op *tnr_movement_new(tnr_runtime *runtime, const tnr_op_def *def, tnr_site site,
                         tnr_object *input, const tnr_mesh *to, int64_t dim);

/* Where it runs: on the devices it goes to, or, on the way to the host, on the first it comes from.
 * NULL while that is not known. */
const tnr_mesh *tnr_movement_exec(tnr_op *op);

/* The output, with storage. */
tnr_status tnr_movement_create(tnr_op *op, const tnr_tensor *in, tnr_tensor **out,
                               tnr_fault *fault);

/* Where the output will live, and what it takes there on each device. */
const tnr_mesh *tnr_movement_mesh(tnr_op *op, const tnr_tensor *in);
size_t tnr_movement_piece_bytes(tnr_op *op, const tnr_tensor *in);

/* On the worker of `device`: copies what belongs into piece `piece` of the output's mesh (all of
 * them when the output is on the host). */
tnr_status tnr_movement_run(tnr_device *device, const tnr_tensor *in, tnr_tensor *out, int piece,
                            tnr_fault *fault);

/* Whether it takes less time than telling of it. */
bool tnr_movement_is_quick(const tnr_device *device, const tnr_tensor *in);

/* Copies a whole tensor, dense, into `to`; for pieces in memory that this thread can reach. */
tnr_status tnr_movement_assemble(const tnr_tensor *in, void *to, tnr_fault *fault);

#endif
