/* The devices that come with the library, and one that leaves results in a layout of its own,
 * through the suite for all devices. */
#include "conformance.h"
#include "mirror.h"

int main(void) {
  return conformance_run(tnr_cpu_driver(), NULL) + conformance_run(tnr_null_driver(), NULL) +
         conformance_run(tnr_sim_driver(), NULL) + conformance_run(mirror_driver(), NULL);
}
