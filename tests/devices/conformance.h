/* What every device must do, whoever wrote its driver. A device writer's own test is
 *
 *   int main(void) {
 *     return conformance_run(my_driver(), &my_config);
 *   }
 *
 * built with conformance.c and op_harness (tests/CMakeLists.txt: devices/test_conformance.c). */
#ifndef TENOR_TESTS_CONFORMANCE_H
#define TENOR_TESTS_CONFORMANCE_H

#include <tenor/driver.h>

/* Runs the suite on two devices of this driver; the number of tests that failed. `config`: the
 * driver's own, or NULL. Results of a driver that says no_compute are not looked at. */
int conformance_run(const tnr_driver *driver, const void *config);

#endif
