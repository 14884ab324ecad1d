/* A device with a layout of its own: every second run of a program leaves its results back to
 * front, and takes what it left so as it lies; the others ask for rows, and write them. Results are
 * those of the plain kernels. */
#ifndef TENOR_TESTS_MIRROR_H
#define TENOR_TESTS_MIRROR_H

#include <tenor/driver.h>

const tnr_driver *mirror_driver(void);

#endif
