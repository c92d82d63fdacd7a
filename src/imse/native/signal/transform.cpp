#include "transform.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "../common/packing.h"
#include "kaiser.h"

namespace imse {
namespace {

constexpr float TINY = 1e-30f;
constexpr int BINS = SPECTRUM_BINS, MIDDLE = N_FFT / 2;

// Frames that overlap at a sample, at most.
constexpr int OVERLAPPING = (N_FFT + HOP_LENGTH - 1) / HOP_LENGTH;

// A position outside of a waveform as the one that mirrors it, at the first or the last sample.
long reflected(long position, long samples) {
  if (samples == 1) return 0;
  const long period = 2 * (samples - 1);
  const long inside = (position % period + period) % period;
  return std::min(inside, period - inside);
}

}  // namespace

Transform::Transform(const Kernels& kernels) : kernels_(kernels) {
  for (int i = 0; i < N_FFT; i++) window_.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * PI * i / N_FFT)));
  float cosine[N_FFT], minus_sine[N_FFT];
  for (int i = 0; i < N_FFT; i++) {
    cosine[i] = static_cast<float>(std::cos(2 * PI * i / N_FFT));
    // Exactly zero where it should be: the first and the last bin are real.
    minus_sine[i] = i % MIDDLE ? static_cast<float>(-std::sin(2 * PI * i / N_FFT)) : 0.0f;
  }
  for (int n = 0; n < BINS; n++)
    for (int k = 0; k < BINS; k++) {
      cosines_.push_back(cosine[n * k % N_FFT]);
      minus_sines_.push_back(minus_sine[n * k % N_FFT]);
    }
  std::minstd_rand generator(5);
  for (int n = 0; n < BINS; n++) {
    cosine_rows_.push_back(&cosines_[static_cast<long>(n) * BINS]);
    minus_sine_rows_.push_back(&minus_sines_[static_cast<long>(n) * BINS]);
    // The first and the last bin are real in every frame, and have phase pi.
    sides_.push_back(n % MIDDLE && generator() & 0x4000 ? -TINY : TINY);
    scale_.push_back((n % MIDDLE ? 2.0f : 1.0f) / N_FFT);  // bins but the first and the last stand for two
  }
}

void Transform::multiply(const std::vector<const float*>& matrix, ConstRows rows, int count, Scratch& scratch,
                         Rows out) const {
  float* packed = scratch.floats(static_cast<size_t>(count) * BINS);
  pack(
      kernels_.tall, count, BINS, [&](int m, int k) { return rows.row(m)[k]; }, packed);
  kernels_.product(matrix.data(), {packed, count, BINS}, {}, out);
}

void Transform::analyse(const float* waveform, long samples, int begin, int end, Scratch& scratch, float* magnitude,
                        float* phase) const {
  for (int first = begin; first < end; first += kernels_.tall) {
    scratch.reset();
    const int count = std::min(kernels_.tall, end - first);
    const Rows even = scratch.rows(count, BINS), odd = scratch.rows(count, BINS);
    const Rows real = scratch.rows(count, BINS), imag = scratch.rows(count, BINS);
    for (int i = 0; i < count; i++) {
      const long start = static_cast<long>(first + i) * HOP_LENGTH - MIDDLE;
      float frame[N_FFT];
      if (start >= 0 && start + N_FFT <= samples)
        std::copy_n(waveform + start, N_FFT, frame);
      else
        for (int n = 0; n < N_FFT; n++) frame[n] = waveform[reflected(start + n, samples)];
      for (int n = 0; n < N_FFT; n++) frame[n] *= window_[n];
      float *sums = even.row(i), *differences = odd.row(i);
      for (int n = 1; n < MIDDLE; n++) {
        sums[n] = frame[n] + frame[N_FFT - n];
        differences[n] = frame[n] - frame[N_FFT - n];
      }
      sums[0] = frame[0], sums[MIDDLE] = frame[MIDDLE];
      differences[0] = differences[MIDDLE] = 0;
    }
    multiply(cosine_rows_, even, count, scratch, real);
    multiply(minus_sine_rows_, odd, count, scratch, imag);
    for (int i = 0; i < count; i++) {
      const long at = static_cast<long>(first + i) * BINS;
      kernels_.compress(real.row(i), imag.row(i), sides_.data(), BINS, magnitude + at, phase + at);
    }
  }
}

void Transform::synthesise(const float* magnitude, float* real, float* imag, int begin, int end, Scratch& scratch,
                           float* windowed) const {
  for (int first = begin; first < end; first += kernels_.tall) {
    scratch.reset();
    const int count = std::min(kernels_.tall, end - first);
    const long at = static_cast<long>(first) * BINS;
    for (int i = 0; i < count; i++) {
      const long row = at + static_cast<long>(i) * BINS;
      kernels_.expand(magnitude + row, scale_.data(), BINS, real + row, imag + row);
    }
    const Rows even = scratch.rows(count, BINS), odd = scratch.rows(count, BINS);
    multiply(cosine_rows_, {real + at, count, BINS, BINS}, count, scratch, even);
    multiply(minus_sine_rows_, {imag + at, count, BINS, BINS}, count, scratch, odd);
    for (int i = 0; i < count; i++) {
      const float *sums = even.row(i), *differences = odd.row(i);
      float* frame = windowed + static_cast<long>(first + i) * FRAME;
      frame[0] = 0;  // as is the window
      frame[MIDDLE] = sums[MIDDLE] * window_[MIDDLE];
      for (int n = 1; n < MIDDLE; n++) {
        frame[n] = (sums[n] + differences[n]) * window_[n];
        frame[N_FFT - n] = (sums[n] - differences[n]) * window_[N_FFT - n];
      }
    }
  }
}

void Transform::overlap_add(const float* windowed, int frames, long begin, long end, float* waveform) const {
  // Positions are counted from the start of the first frame, which is MIDDLE samples before the waveform.
  for (long position = begin + MIDDLE; position < end + MIDDLE;) {
    const long hop = position / HOP_LENGTH, stop = std::min((hop + 1) * HOP_LENGTH, end + MIDDLE);
    float sums[HOP_LENGTH] = {}, squares[HOP_LENGTH] = {};
    const auto last = static_cast<int>(std::min<long>(hop, frames - 1));
    for (int t = static_cast<int>(std::max(0L, hop - OVERLAPPING + 1)); t <= last; t++) {
      const auto offset = static_cast<int>(position - static_cast<long>(t) * HOP_LENGTH);
      const auto count = static_cast<int>(std::min(stop - position, static_cast<long>(N_FFT - offset)));
      const float* frame = windowed + static_cast<long>(t) * FRAME + offset;
      for (int i = 0; i < count; i++) {
        sums[i] += frame[i];
        squares[i] += window_[offset + i] * window_[offset + i];
      }
    }
    for (int i = 0; i < stop - position; i++) waveform[position - MIDDLE + i] = sums[i] / squares[i];
    position = stop;
  }
}

}  // namespace imse
