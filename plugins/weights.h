// The .safetensors files that are in the file of the plug-in.
#pragma once

#include <cstddef>

namespace imse_plugin {

enum Weights { DEFAULT, SMALL, WEIGHTS };

struct Bytes {
  const void* begin;
  std::size_t size;
};

Bytes bytes_of(Weights weights);

}  // namespace imse_plugin
