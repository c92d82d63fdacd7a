// The norm over the channels of each position.
#pragma once

#include "architecture.h"
#include "rows.h"
#include "simd.h"

namespace imse::ISA {

// ChannelNorm without its weight is x times this: 1 / sqrt(variance over channels + epsilon), at the bins from f on.
static inline Vec inverse_deviation(ConstRows x, int f) {
  const float share = 1.0f / static_cast<float>(x.channels);
  Vec sum = {};
  for (int c = 0; c < x.channels; c++) sum += load(x.row(c) + f);
  const Vec mean = sum * share;
  Vec squares = {};
  for (int c = 0; c < x.channels; c++) {
    const Vec deviation = load(x.row(c) + f) - mean;
    squares += deviation * deviation;
  }
  return 1.0f / square_root(squares * share + NORM_EPSILON);
}

}  // namespace imse::ISA
