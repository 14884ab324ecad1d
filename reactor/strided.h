/* Host memory with gaps: element [i, j, …] lies i * strides[0] + j * strides[1] + … elements behind
 * the first. Strides may be 0 or negative. */
#ifndef TENOR_REACTOR_STRIDED_H
#define TENOR_REACTOR_STRIDED_H

#include <tenor/shape.h>

/* True when the elements lie dense and row-major all the same. `shape` is valid. */
bool tnr_strided_is_dense(const tnr_shape *shape, const int64_t *strides);

/* Copies all elements, dense and row-major, into `to`. `desc` is valid; no element need be aligned.
 */
void tnr_strided_copy(const tnr_desc *desc, const void *from, const int64_t *strides, void *to);

#endif
