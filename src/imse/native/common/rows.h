// Views of feature maps: pointers with their sizes, which own nothing.
//
// Their functions are always inlined. They are compiled for several instruction sets, and a copy that is shared by all
// of the program must not end up being the one for AVX-512.
#pragma once

namespace imse {

#define IMSE_INLINE inline __attribute__((always_inline))

// One frame: a row of `bins` floats for each channel, `stride` floats from one row to the next.
template <class Float>
struct BasicRows {
  Float* data;
  int channels, bins;
  long stride;

  IMSE_INLINE Float* row(int channel) const { return data + channel * stride; }
  IMSE_INLINE operator BasicRows<const Float>() const { return {data, channels, bins, stride}; }
};
using Rows = BasicRows<float>;
using ConstRows = BasicRows<const float>;

}  // namespace imse
