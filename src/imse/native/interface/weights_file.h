// The content of a .safetensors file of imse, which may be any bytes: nothing is taken from it unchecked.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "../engine/tensors.h"

namespace imse {

struct WeightsFile {
  // Throws Error with IMSE_UNSUPPORTED_WEIGHTS or IMSE_INVALID_WEIGHTS.
  WeightsFile(const void* content, size_t size);

  int channels = 0, blocks = 0;
  std::map<std::string, std::string> metadata;
  Tensors tensors;
};

}  // namespace imse
