// Forward and gradient of the network's parts, for training on a processor. One call works on one sample, on one thread.
//
// What is between the convolutions of a part never becomes a map in memory: a part goes through the frames once, keeps the
// few that its convolutions reach, and computes them once more for the gradient instead of storing them.
//
// Maps are [channels, frames, bins] with bins a multiple of 16, contiguous float32. See imse.nn.compiled for the other side.

#include <stdlib.h>

namespace {
#include "simd.h"
#include "product.h"
#include "training_rows.h"
#include "training_dense.h"
#include "training_feed_forward.h"
#include "training_mala.h"
}  // namespace

// Every function has the same form: sizes, what it reads, what it writes; the comments name them in order.
extern "C" {

// (channels, frames, bins, depth), (x, weight, bias, scale, shift and slope of each layer) -> (sums, stats, out)
void imse_dense_forward(const int* sizes, const float* const* in, float* const* out) {
  dense_forward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], reinterpret_cast<const DenseLayer*>(in + 1), out[0],
                reinterpret_cast<Moments*>(out[1]), out[2]);
}

// (channels, frames, bins, depth), (x, sums, stats, gradient, weights as above) -> (of x, of the weights)
void imse_dense_backward(const int* sizes, const float* const* in, float* const* out) {
  dense_backward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], reinterpret_cast<const DenseLayer*>(in + 4), in[1],
                 reinterpret_cast<const Moments*>(in[2]), in[3], out[0],
                 reinterpret_cast<const DenseGradient*>(out + 1));
}

// (channels, hidden, frames, bins), (x, norm, in, depthwise, out) -> (out)
void imse_feed_forward(const int* sizes, const float* const* in, float* const* out) {
  feed_forward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], *reinterpret_cast<const FeedForward*>(in + 1), out[0]);
}

// (channels, hidden, frames, bins), (x, gradient, weights as above) -> (of x, of the weights)
void imse_feed_forward_gradient(const int* sizes, const float* const* in, float* const* out) {
  feed_forward_gradient(in[0], sizes[0], sizes[1], sizes[2], sizes[3], *reinterpret_cast<const FeedForward*>(in + 2),
                        in[1], out[0], *reinterpret_cast<const FeedForwardGradient*>(out + 1));
}

// (channels, frames, bins), (x, table, norm, qkvo, its bias, lepe, its bias, proj, its bias) -> (sums, out)
void imse_mala(const int* sizes, const float* const* in, float* const* out) {
  mala(in[0], in[1], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Mala*>(in + 2), out[0], out[1]);
}

// (channels, frames, bins), (x, sums, gradient, table, weights as above) -> (of x, of the weights)
void imse_mala_gradient(const int* sizes, const float* const* in, float* const* out) {
  mala_gradient(in[0], in[3], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Mala*>(in + 4),
                const_cast<float*>(in[1]), in[2], out[0], *reinterpret_cast<const MalaGradient*>(out + 1));
}

}  // extern "C"
