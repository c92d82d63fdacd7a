#include "past.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../common/rotation.h"

namespace imse {
namespace {

// Frames are numbered from here on, and again from here on when they have come to the double of it: a multiple of the
// size of every ring.
constexpr int ORIGIN = 1 << 20;

// Where the products of keys and values begin in the sums of a head.
constexpr int KEYS_BY_VALUES = 2 * HEAD_SIZE;

int power_of_two(int least) {
  int size = 1;
  while (size < least) size *= 2;
  return size;
}

}  // namespace

void NormTotals::add(const float* statistics, int channels) {
  means.resize(channels), squares.resize(channels), deviations.resize(channels);
  for (int c = 0; c < channels; c++) {
    const double mean = statistics[2L * c];
    means[c] += mean;
    squares[c] += mean * mean;
    deviations[c] += statistics[2L * c + 1];
  }
  frames++;
}

void NormTotals::leave(double kept) {
  frames *= kept;
  for (auto* sums : {&means, &squares, &deviations})
    for (double& sum : *sums) sum *= kept;
}

void AttentionTotals::add(const float* of_heads, const float* rotation) {
  for (size_t head = 0; head < sums.size(); head += HEAD_SUMS) {
    const float* from = of_heads + head;
    double* to = &sums[head];
    for (int i = 0; i < KEYS_BY_VALUES; i++) to[i] += from[i];
    from += KEYS_BY_VALUES, to += KEYS_BY_VALUES;
    for (int pair = 0; pair < ROTARY_PAIRS; pair++)
      for (int j = 0; j < HEAD_SIZE; j++) {
        const int even = 2 * pair * HEAD_SIZE + j, odd = even + HEAD_SIZE;
        float x = from[even], y = from[odd];
        rotate(x, y, rotation[pair], rotation[ROTARY_PAIRS + pair]);
        to[even] += x;
        to[odd] += y;
      }
    for (int i = 2 * ROTARY_PAIRS * HEAD_SIZE; i < HEAD_SIZE * HEAD_SIZE; i++) to[i] += from[i];
  }
  frames++;
}

void AttentionTotals::leave(const float* rotation, double kept) {
  frames *= kept;
  for (double& sum : sums) sum *= kept;
  for (size_t head = 0; head < sums.size(); head += HEAD_SUMS)
    for (int pair = 0; pair < ROTARY_PAIRS; pair++) {
      double* even = &sums[head + KEYS_BY_VALUES + 2UL * pair * HEAD_SIZE];
      for (int j = 0; j < HEAD_SIZE; j++)
        rotate<double>(even[j], even[HEAD_SIZE + j], rotation[pair], -rotation[ROTARY_PAIRS + pair]);
    }
}

Past::Past(int computed, int leaving, double memory)
    : computed_(computed), leaving_(leaving), kept_(std::exp(-leaving / memory)) {
  reset();
}

void Past::reset() {
  frames_ = {ORIGIN, ORIGIN - leaving_, ORIGIN - leaving_ + computed_};
  norms_.clear();
  attentions_.clear();
}

Frames Past::next_step() {
  map_ = norm_ = attention_ = 0;
  frames_.first += leaving_, frames_.end += leaving_;
  if (frames_.first >= 2 * ORIGIN)
    frames_ = {std::max(frames_.begin - ORIGIN, 0), frames_.first - ORIGIN, frames_.end - ORIGIN};
  return frames_;
}

Map Past::map(int channels, const Frames& frames, int bins) {
  AlignedFloats& ring = next(maps_, map_);
  const int capacity = power_of_two(frames.computed() + REACH);
  Map map{
      nullptr, channels, bins, {std::max(frames.begin, frames.first - REACH), frames.first, frames.end}, capacity - 1};
  if (!ring) {
    const size_t floats = capacity * map.frame_size() + 2 * PAD;
    ring = allocate_floats(floats);
    std::memset(ring.get(), 0, floats * sizeof(float));
  }
  map.data = ring.get() + PAD;
  return map;
}

}  // namespace imse
