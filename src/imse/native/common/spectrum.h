// The spectrum that the network sees. `imse.signal.spectrum` has the same constants; a test compares the two.
#pragma once

namespace imse {

constexpr int SAMPLE_RATE = 16000;
// Samples of a frame, and from one frame to the next.
constexpr int N_FFT = 510;
constexpr int HOP_LENGTH = 100;
constexpr int SPECTRUM_BINS = N_FFT / 2 + 1;
// The magnitude is taken to this power.
constexpr float COMPRESSION = 0.3f;

}  // namespace imse
