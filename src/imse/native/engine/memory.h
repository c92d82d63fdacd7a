// The memory that a segment takes on its way through the network.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "../common/rows.h"

namespace imse {

// Zeros behind each row, in floats: a cache line.
constexpr int PAD = 16;

// Numbers too small for the normal format take a processor a hundred times as long; here they mean nothing.
class FlushDenormals {
#if defined(__SSE__)
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  // Bits of the control register MXCSR.
  static constexpr unsigned FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x40;

  const unsigned before_;
#else
 public:
  FlushDenormals() {}
#endif
};

// Memory from the start of a page on, so that no vector of a row lies on two cache lines.
struct PageAligned {
  static constexpr std::size_t PAGE = 4096;

  void operator()(float* memory) const { ::operator delete(memory, std::align_val_t(PAGE)); }
};
using AlignedFloats = std::unique_ptr<float, PageAligned>;

// Uninitialised. Throws std::bad_alloc.
inline AlignedFloats allocate_floats(std::size_t count) {
  const std::size_t bytes = count * sizeof(float);
  AlignedFloats floats(static_cast<float*>(::operator new(bytes, std::align_val_t(PageAligned::PAGE), std::nothrow)));
  if (!floats) throw std::bad_alloc();
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // Maps are read once in each pass, and a page of 4 KiB holds half a frame. Where there are no huge pages, this fails
  // and nothing changes.
  madvise(floats.get(), bytes, MADV_HUGEPAGE);
#endif
  return floats;
}

// The frames of a map. A segment has no others than those that are computed; in a stream, some come before them.
struct Frames {
  int begin, first, end;  // from `first` on they are computed

  int computed() const { return end - first; }
  bool contain(int t) const { return t >= begin && t < end; }
};

// Rows [frames][channels][bins], each with zeros behind it, and zeros in front of the first.
struct Map {
  float* data;
  int channels, bins;
  Frames frames;
  int mask = -1;  // of a ring, in which later frames take the place of earlier ones: its size, a power of two, less one

  long stride() const { return bins + PAD; }
  long frame_size() const { return channels * stride(); }
  Rows frame(int t) const { return {data + (t & mask) * frame_size(), channels, bins, stride()}; }
};

// Fetch a frame to the cache ahead of its use: a map is larger than the cache, and the processor does not foresee the
// next frame by itself, as it lies on other pages.
inline void prefetch(const Map& map, int t) {
  if (!map.frames.contain(t)) return;
  const float* frame = map.frame(t).data;
  for (long i = 0; i < map.frame_size(); i += PAD) __builtin_prefetch(frame + i, 0, 2);
}

// What one thread needs for the frame it is at. Its parts are handed out one after another, never cleared.
class Scratch {
 public:
  Scratch(size_t floats, size_t pointers) : size_(floats), floats_(allocate_floats(floats)), pointers_(pointers) {
    std::memset(floats_.get(), 0, floats * sizeof(float));
  }

  // All parts are given back.
  void reset() { used_ = PAD; }

  // With room for PAD zeros behind each and in front of the first.
  Rows rows(int channels, int bins) {
    const long stride = bins + PAD;
    return {floats(channels * stride + PAD), channels, bins, stride};
  }

  // Whole cache lines.
  float* floats(size_t count) {
    if (count > size_ - used_) throw std::logic_error("too little scratch memory");
    float* taken = floats_.get() + used_;
    used_ += (count + PAD - 1) / PAD * PAD;
    return taken;
  }

  // One list of rows, the same memory at every call.
  const float** row_list(size_t count) {
    if (count > pointers_.size()) throw std::logic_error("too little scratch memory for a list of rows");
    return pointers_.data();
  }

  // A list of all rows of a frame.
  const float* const* row_list(ConstRows frame) {
    const float** list = row_list(frame.channels);
    for (int c = 0; c < frame.channels; c++) list[c] = frame.row(c);
    return list;
  }

 private:
  const size_t size_;  // a multiple of PAD
  AlignedFloats floats_;
  std::vector<const float*> pointers_;
  size_t used_ = PAD;
};

// Make the padding of rows zeros.
inline void clear_padding(Rows rows) {
  std::memset(rows.data - PAD, 0, PAD * sizeof(float));
  for (int c = 0; c < rows.channels; c++) std::memset(rows.row(c) + rows.bins, 0, PAD * sizeof(float));
}

}  // namespace imse
