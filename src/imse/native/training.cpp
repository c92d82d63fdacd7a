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
#include "training_convolution.h"
#include "training_bins.h"
}  // namespace

// Every function has the same form: sizes, what it reads, what it writes; the comments name them in order. Their names tell
// the instruction set: imse_avx512_dense, ...
#define JOINED(isa, name) imse_##isa##_##name
#define NAMED(isa, name) JOINED(isa, name)
#define KERNEL(name) extern "C" __attribute__((visibility("default"))) void NAMED(ISA, name)

// (channels, frames, bins, depth), (x, weight, bias, scale, shift and slope of each layer) -> (sums, stats, out)
KERNEL(dense)(const int* sizes, const float* const* in, float* const* out) {
  dense_forward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], reinterpret_cast<const DenseLayer*>(in + 1), out[0],
                reinterpret_cast<Moments*>(out[1]), out[2]);
}

// (channels, frames, bins, depth), (x, sums, stats, gradient, weights as above) -> (of x, of the weights)
KERNEL(dense_gradient)(const int* sizes, const float* const* in, float* const* out) {
  dense_backward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], reinterpret_cast<const DenseLayer*>(in + 4), in[1],
                 reinterpret_cast<const Moments*>(in[2]), in[3], out[0],
                 reinterpret_cast<const DenseGradient*>(out + 1));
}

// (channels, hidden, frames, bins), (x, norm, in, depthwise, out) -> (out)
KERNEL(feed_forward)(const int* sizes, const float* const* in, float* const* out) {
  feed_forward(in[0], sizes[0], sizes[1], sizes[2], sizes[3], *reinterpret_cast<const FeedForward*>(in + 1), out[0]);
}

// (channels, hidden, frames, bins), (x, gradient, weights as above) -> (of x, of the weights)
KERNEL(feed_forward_gradient)(const int* sizes, const float* const* in, float* const* out) {
  feed_forward_gradient(in[0], sizes[0], sizes[1], sizes[2], sizes[3], *reinterpret_cast<const FeedForward*>(in + 2),
                        in[1], out[0], *reinterpret_cast<const FeedForwardGradient*>(out + 1));
}

// (channels, frames, bins), (x, table, norm, qkvo, its bias, lepe, its bias, proj, its bias) -> (sums, out)
KERNEL(mala)(const int* sizes, const float* const* in, float* const* out) {
  mala(in[0], in[1], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Mala*>(in + 2), out[0], out[1]);
}

// (channels, frames, bins), (x, sums, gradient, table, weights as above) -> (of x, of the weights)
KERNEL(mala_gradient)(const int* sizes, const float* const* in, float* const* out) {
  mala_gradient(in[0], in[3], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Mala*>(in + 4),
                const_cast<float*>(in[1]), in[2], out[0], *reinterpret_cast<const MalaGradient*>(out + 1));
}

// (inputs, outputs, frames and bins of the kernel, frames, bins), (x, weight, bias or null) -> (out)
KERNEL(convolution)(const int* sizes, const float* const* in, float* const* out) {
  convolution(in[0], sizes[0], sizes[1], {sizes[2], sizes[3]}, sizes[4], sizes[5], in[1], in[2], out[0]);
}

// (as above), (x, gradient, weight) -> (of x or null, of the weight, of the bias or null)
KERNEL(convolution_gradient)(const int* sizes, const float* const* in, float* const* out) {
  convolution_gradient(in[0], sizes[0], sizes[1], {sizes[2], sizes[3]}, sizes[4], sizes[5], in[2], in[1], out[0],
                       out[1], out[2]);
}

// Depthwise 3x3: (channels, frames, bins), (x, weight) -> (out)
KERNEL(depthwise)(const int* sizes, const float* const* in, float* const* out) {
  const long map = long(sizes[1]) * sizes[2];
  for (int c = 0; c < sizes[0]; c++)
    depthwise_map<3, 3>(in[0] + c * map, sizes[1], sizes[2], in[1] + 9 * c, nullptr, out[0] + c * map);
}

// (channels, frames, bins), (x, gradient, weight) -> (of x, of the weight)
KERNEL(depthwise_gradient)(const int* sizes, const float* const* in, float* const* out) {
  const long map = long(sizes[1]) * sizes[2];
  for (int c = 0; c < sizes[0]; c++)
    depthwise_map_gradient<3, 3>(in[0] + c * map, sizes[1], sizes[2], in[2] + 9 * c, in[1] + c * map, out[0] + c * map,
                                 out[1] + 9 * c, nullptr);
}

// (channels, frames, bins), (x, pointwise, then kernel and bias of square, frequency, time) -> (out)
KERNEL(idconv)(const int* sizes, const float* const* in, float* const* out) {
  idconv(in[0], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const IDConv*>(in + 1), out[0]);
}

// (channels, frames, bins), (x, gradient, weights as above) -> (of x, of the weights)
KERNEL(idconv_gradient)(const int* sizes, const float* const* in, float* const* out) {
  idconv_gradient(in[0], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const IDConv*>(in + 2), in[1], out[0],
                  *reinterpret_cast<const IDConvGradient*>(out + 1));
}

// (channels, frames, bins), (x, scale, shift, slope) -> (stats, out)
KERNEL(norm_prelu)(const int* sizes, const float* const* in, float* const* out) {
  norm_prelu(in[0], sizes[0], long(sizes[1]) * sizes[2], *reinterpret_cast<const NormPReLU*>(in + 1),
             reinterpret_cast<Moments*>(out[0]), out[1]);
}

// (channels, frames, bins), (x, stats, gradient, weights as above) -> (of x, of the weights)
KERNEL(norm_prelu_gradient)(const int* sizes, const float* const* in, float* const* out) {
  norm_prelu_gradient(in[0], sizes[0], long(sizes[1]) * sizes[2], *reinterpret_cast<const NormPReLU*>(in + 3),
                      reinterpret_cast<const Moments*>(in[1]), in[2], out[0],
                      *reinterpret_cast<const NormPReLUGradient*>(out + 1));
}

// (channels, frames, bins), (x, expand, depthwise) -> (out)
KERNEL(expand)(const int* sizes, const float* const* in, float* const* out) {
  expand(in[0], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Expand*>(in + 1), out[0]);
}

// (channels, frames, bins), (x, gradient, weights as above) -> (of x, of the weights)
KERNEL(expand_gradient)(const int* sizes, const float* const* in, float* const* out) {
  expand_gradient(in[0], sizes[0], sizes[1], sizes[2], *reinterpret_cast<const Expand*>(in + 2), in[1], out[0],
                  *reinterpret_cast<const ExpandGradient*>(out + 1));
}

// (channels, frames, half the bins), (x) -> (out), the even and the odd bins apart
KERNEL(split_bins)(const int* sizes, const float* const* in, float* const* out) {
  split_bins(in[0], sizes[0], sizes[1], sizes[2], out[0]);
}

// (channels, frames, half the bins), (x, gradient) -> (of x)
KERNEL(split_bins_gradient)(const int* sizes, const float* const* in, float* const* out) {
  join_bins(in[1], sizes[0], sizes[1], sizes[2], out[0]);
}
