// What the training kernels share: maps, frames with room between their rows, products over rows and their gradients.
#pragma once

#include "../common/channel_norm.h"
#include "../common/packing.h"
#include "../common/product.h"
#include "../common/rows.h"
#include "../common/simd.h"
#include "scratch.h"

namespace imse::ISA {

constexpr int GAP = 16;  // zeros between rows: a tap that reaches over the end of a row finds nothing of the next one

// A map of one sample, [channels, frames, bins], contiguous.
template <class Float>
struct BasicMap {
  Float* data;
  int channels, frames, bins;

  long size() const { return static_cast<long>(frames) * bins; }  // of a channel
  Float* channel(int c) const { return data + c * size(); }
  Float* row(int c, int t) const { return channel(c) + static_cast<long>(t) * bins; }
  BasicRows<Float> frame(int t) const { return {row(0, t), channels, bins, size()}; }
  operator BasicMap<const Float>() const { return {data, channels, frames, bins}; }
};
using Map = BasicMap<float>;
using ConstMap = BasicMap<const float>;

// The last `slots` frames of a map, rows apart by GAP zeros; frames outside the map are zeros.
class Frames {
 public:
  Frames(Scratch& scratch, int channels, int frames, int bins, int slots)
      : channels_(channels),
        frames_(frames),
        slots_(slots),
        pitch_(bins + GAP),
        data_(scratch.zeros((slots + 1L) * channels * pitch_ + GAP) + GAP),
        outside_(data_ + static_cast<long>(slots) * channels * pitch_) {}
  float* write(int t, int channel) const { return data_ + (long(t % slots_) * channels_ + channel) * pitch_; }
  const float* read(int t, int channel) const { return t < 0 || t >= frames_ ? outside_ : write(t, channel); }

 private:
  int channels_, frames_, slots_;
  long pitch_;
  float *data_, *outside_;
};

// Weights of `outputs` x `inputs` in the order that `product` reads.
template <class Weight>
static const float* pack(Scratch& scratch, int outputs, int inputs, const Weight& weight) {
  float* packed = scratch.take(static_cast<long>(outputs) * inputs);
  imse::pack(TALL, outputs, inputs, weight, packed);
  return packed;
}

// Gradient of a product with respect to its weights, from several frames: with a [frames, rows] and b [frames,
// columns], sums[m, k] += a[t, m] * b[t, k] over frames and bins, lane by lane.
struct Outer {
  const float* const* a;
  int rows;
  const float* const* b;
  int columns, bins, frames;
  Vec* sums;

  template <int HEIGHT, int COLUMNS>
  inline __attribute__((always_inline)) void tile(int first_row, int first_column) const {
    Vec* own = sums + long(first_row) * columns + first_column;
    Vec tile[HEIGHT][COLUMNS];
    for (int m = 0; m < HEIGHT; m++)
      for (int k = 0; k < COLUMNS; k++) tile[m][k] = own[long(m) * columns + k];
    for (int t = 0; t < frames; t++) {
      const float *left[HEIGHT], *right[COLUMNS];
      for (int m = 0; m < HEIGHT; m++) left[m] = a[t * rows + first_row + m];
      for (int k = 0; k < COLUMNS; k++) right[k] = b[t * columns + first_column + k];
      for (int f = 0; f < bins; f += WIDTH) {
        Vec y[COLUMNS];
        for (int k = 0; k < COLUMNS; k++) y[k] = load(right[k] + f);
        for (int m = 0; m < HEIGHT; m++) {
          const Vec x = load(left[m] + f);
          for (int k = 0; k < COLUMNS; k++) tile[m][k] += x * y[k];
        }
      }
    }
    for (int m = 0; m < HEIGHT; m++)
      for (int k = 0; k < COLUMNS; k++) own[long(m) * columns + k] = tile[m][k];
  }

  template <int HEIGHT>
  inline __attribute__((always_inline)) void band(int first_row) const {
    int k = 0;
    for (; columns - k == 3 || columns - k > 4; k += 3) tile<HEIGHT, 3>(first_row, k);
    for (; columns - k >= 2; k += 2) tile<HEIGHT, 2>(first_row, k);
    if (k < columns) tile<HEIGHT, 1>(first_row, k);
  }

  void add() const {
    int m = 0;
    for (; m + TALL <= rows; m += TALL) band<TALL>(m);
    if (TALL > 4)
      for (; m + 4 <= rows; m += 4) band<4>(m);
    for (; m < rows; m++) band<1>(m);
  }
};

static inline void outer(const float* const* a, int rows, const float* const* b, int columns, int bins, Vec* sums,
                         int frames = 1) {
  Outer{a, rows, b, columns, bins, frames, sums}.add();
}

static inline float** row_list(Scratch& scratch, float* data, int rows, long pitch) {
  float** list = scratch.take<float*>(rows);
  for (int i = 0; i < rows; i++) list[i] = data + i * pitch;
  return list;
}

static inline float** new_rows(Scratch& scratch, int rows, int bins) {
  return row_list(scratch, scratch.take(static_cast<long>(rows) * bins), rows, bins);
}

// Depthwise convolution at one place: rows of the taps, at their middle, and their weights [TALL_KERNEL, WIDE_KERNEL].
template <int TALL_KERNEL, int WIDE_KERNEL>
static inline __attribute__((always_inline)) Vec depthwise(const float* const* rows, const float* weight, int f) {
  Vec sum = {};
  for (int i = 0; i < TALL_KERNEL; i++) {
    Vec of_row = {};  // sums that need not wait for each other
    for (int j = 0; j < WIDE_KERNEL; j++)
      of_row += weight[i * WIDE_KERNEL + j] * load(rows[i] + f + j - WIDE_KERNEL / 2);
    sum += of_row;
  }
  return sum;
}

// Rows of a kernel whose sums fit in the registers at once: of those, AVX-512 has 32, AVX2 and SSE 16.
constexpr int MOST_SUMS = WIDTH == 16 ? 25 : 11;
static constexpr int rows_at_once(int tall, int wide) { return tall * wide <= MOST_SUMS ? tall : 1; }

// Its gradient. `g` [TALL_KERNEL] are the rows of the result's gradient to which the taps lead from the row `x`; the
// gradient with respect to `x` is written, that of the weights is added to `of_weight`, lane by lane.
template <int TALL_KERNEL, int WIDE_KERNEL>
static inline void depthwise_gradient(const float* const* g, const float* x, const float* weight, int bins, float* of_x,
                                      Vec* of_weight) {
  constexpr int ROWS = rows_at_once(TALL_KERNEL, WIDE_KERNEL);
  for (int first = 0; first < TALL_KERNEL; first += ROWS) {
    Vec sums[ROWS * WIDE_KERNEL];
    for (int k = 0; k < ROWS * WIDE_KERNEL; k++) sums[k] = of_weight[first * WIDE_KERNEL + k];
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec own = load(x + f);
      Vec of_own = first == 0 ? Vec{} : load(of_x + f);
      for (int i = 0; i < ROWS; i++) {
        Vec of_row = {};
        for (int j = 0; j < WIDE_KERNEL; j++) {
          const Vec of_place = load(g[first + i] + f - (j - WIDE_KERNEL / 2));
          of_row += weight[(first + i) * WIDE_KERNEL + j] * of_place;
          sums[i * WIDE_KERNEL + j] += own * of_place;
        }
        of_own += of_row;
      }
      store(of_x + f, of_own);
    }
    for (int k = 0; k < ROWS * WIDE_KERNEL; k++) of_weight[first * WIDE_KERNEL + k] = sums[k];
  }
}

static inline void add_row(const float* row, int bins, Vec* sum) {
  Vec added = {};
  for (int f = 0; f < bins; f += WIDTH) added += load(row + f);
  *sum += added;
}

// x over its standard deviation over channels, at one frame; also 1 / deviation. The norm's weight is left to the
// product behind it.
static inline void channel_norm(ConstRows x, float* const* rows, float* rates) {
  for (int f = 0; f < x.bins; f += WIDTH) {
    const Vec rate = inverse_deviation(x, f);
    store(rates + f, rate);
    for (int c = 0; c < x.channels; c++) store(rows[c] + f, load(x.row(c) + f) * rate);
  }
}

// Its gradient added to that of the sum behind the block's part, which is where x goes, too.
static inline void channel_norm_gradient(ConstRows x, const float* const* of_rows, const float* rates, ConstRows of_out,
                                         Rows of_x) {
  const float share = 1.0f / static_cast<float>(x.channels);
  for (int f = 0; f < x.bins; f += WIDTH) {
    const Vec rate = load(rates + f);
    Vec sum = {}, along = {};
    for (int c = 0; c < x.channels; c++) {
      const Vec own = load(x.row(c) + f);
      sum += own;
      along += own * load(of_rows[c] + f);
    }
    const Vec mean = sum * share, pull = rate * rate * rate * along * share;
    for (int c = 0; c < x.channels; c++)
      store(of_x.row(c) + f,
            load(of_out.row(c) + f) + load(of_rows[c] + f) * rate - pull * (load(x.row(c) + f) - mean));
  }
}

// Gradients of a norm's weight [channels] and of the weights [outputs, channels] behind it, from the sums [outputs,
// channels] that are the gradient of their product.
static inline void normed_weight_gradient(const Vec* sums, int outputs, int channels, const float* norm,
                                          const float* weight, float* of_norm, float* of_weight) {
  for (int c = 0; c < channels; c++) of_norm[c] = 0;
  for (int m = 0; m < outputs; m++)
    for (int c = 0; c < channels; c++) {
      const float sum = total(sums[m * channels + c]);
      of_weight[m * channels + c] = sum * norm[c];
      of_norm[c] += sum * weight[m * channels + c];
    }
}

}  // namespace imse::ISA
