// Memory that begins with a cache line, by what every platform has: MinGW has no std::aligned_alloc.
#pragma once

#include <cstddef>
#include <new>

namespace imse {

constexpr std::size_t CACHE_LINE = 64;

// Null where there is no room.
inline void* aligned_allocate(std::size_t bytes) {
  return ::operator new(bytes, std::align_val_t(CACHE_LINE), std::nothrow);
}

inline void aligned_free(void* memory) { ::operator delete(memory, std::align_val_t(CACHE_LINE)); }

}  // namespace imse
