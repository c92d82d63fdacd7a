#include "weights.h"

// From weights_files.S.
extern "C" const unsigned char imse_weights_default[], imse_weights_small[], imse_weights_end[];

namespace imse_plugin {

Bytes bytes_of(Weights weights) {
  const unsigned char* const begins[] = {imse_weights_default, imse_weights_small, imse_weights_end};
  return {begins[weights], static_cast<std::size_t>(begins[weights + 1] - begins[weights])};
}

}  // namespace imse_plugin
