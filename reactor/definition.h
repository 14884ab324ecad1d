/* What records refer to by an index: call sites, groups and plans. Each is defined once in every
 * chunk that refers to it. */
#ifndef TENOR_REACTOR_DEFINITION_H
#define TENOR_REACTOR_DEFINITION_H

#include "group.h"
#include "plan.h"
#include "recording.h"

/* ---- all: the index in the current chunk, which has room for `words` more afterwards ---- */

/* Its index and sequence are not looked at. It is tape->last_site then. */
uint16_t tnr_define_site(tnr_tape *tape, const tnr_tape_site *site, unsigned words);

/* 1 + the index. */
uint16_t tnr_define_group(tnr_tape *tape, const tnr_group *group, unsigned words);

/* NULL: none. */
uint16_t tnr_define_other_plan(tnr_tape *tape, tnr_plan *plan, uint16_t device, unsigned words);

static inline uint16_t tnr_define_plan(tnr_tape *tape, tnr_plan *plan, uint16_t device,
                                       unsigned words) {
  tnr_tape_make_room(tape, words * sizeof(uint64_t));
  bool is_known = plan && plan->recorded_on == tape && plan->recorded_in == tape->sequence;
  return is_known ? plan->recorded_as : tnr_define_other_plan(tape, plan, device, words);
}

/* ---- a tensor, in a record ---- */

static inline unsigned tnr_desc_words(const tnr_desc *desc) {
  return 1 + (unsigned)desc->shape.rank;
}

/* Gives where the next thing goes. */
static inline uint64_t *tnr_put_desc(uint64_t *to, const tnr_desc *desc) {
  *to++ = (uint64_t)desc->dtype | (uint64_t)desc->shape.rank << 8;
  for (int i = 0; i < desc->shape.rank; i++)
    *to++ = (uint64_t)desc->shape.dims[i];
  return to;
}

#endif
