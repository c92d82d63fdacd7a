// Waveform to compressed spectrum and back: the short-time Fourier transform of `imse.signal.spectrum`.
//
// It is centred with reflect padding, with a Hann window. The discrete Fourier transform of 510 points is a product
// with two matrices: of a frame folded about its middle, the even part by cosines gives the real parts, the odd part by
// sines the imaginary ones. Both are symmetric, 256 by 256, so the same two lead back.
#pragma once

#include <vector>

#include "../common/spectrum.h"
#include "../engine/kernels.h"
#include "../engine/memory.h"

namespace imse {

class Transform {
 public:
  // Floats from one frame to the next of what `synthesise` writes: N_FFT, and some to spare.
  static constexpr int FRAME = 512;

  explicit Transform(const Kernels& kernels);

  // Frames of a waveform.
  static long frames(long samples) { return 1 + samples / HOP_LENGTH; }

  // Frames begin ... end - 1 of a waveform as compressed magnitude and phase, [frames, SPECTRUM_BINS] each.
  void analyse(const float* waveform, long samples, int begin, int end, Scratch& scratch, float* magnitude,
               float* phase) const;

  // The same frames of a spectrum, whose phase is given as direction (real, imag), in time: windowed, [frames, FRAME].
  // `real` and `imag` are overwritten.
  void synthesise(const float* magnitude, float* real, float* imag, int begin, int end, Scratch& scratch,
                  float* windowed) const;

  // Samples begin ... end - 1 of the waveform: the frames added up, over the sum of their squared windows.
  void overlap_add(const float* windowed, int frames, long begin, long end, float* waveform) const;

 private:
  // A matrix product with one of the two matrices: of `count` rows of SPECTRUM_BINS values to as many.
  void multiply(const std::vector<const float*>& matrix, ConstRows rows, int count, Scratch& scratch, Rows out) const;

  const Kernels& kernels_;
  std::vector<float> window_, cosines_, minus_sines_, scale_;
  // A frame that is symmetric about its middle, as the first one is by reflection, has real bins. Whether a negative
  // one has phase pi or -pi is up to rounding in other transforms, so the network has seen both, and always pi would
  // make a difference. These are the signs of its bins, half of them each, times a tiny number.
  std::vector<float> sides_;
  std::vector<const float*> cosine_rows_, minus_sine_rows_;
};

}  // namespace imse
