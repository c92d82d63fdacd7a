// Forward and gradient of the network's parts, for training on a processor. One call works on one sample, on one
// thread.
//
// Intermediate activations are not stored; the backward pass recomputes them. A part is computed frame by frame, and
// only the frames that its convolutions reach are kept.
//
// Maps are [channels, frames, bins] with bins a multiple of 16, contiguous float32.
#include "bins.h"
#include "convolution.h"
#include "dense.h"
#include "feed_forward.h"
#include "mala.h"
#include "mala_gradient.h"

// Every function has the same form: sizes, the arrays that it reads, the arrays that it writes; the comments name them
// in their order. Parameters are in the order of the part's type (`Mala`, `DenseLayers`, ...). They return 0, or 1
// where there is not enough memory. Their names tell the instruction set: imse_avx512_dense, ...
#define JOINED(isa, name) imse_##isa##_##name
#define NAMED(isa, name) JOINED(isa, name)
#define KERNEL(name)                                                                                               \
  extern "C" __attribute__((visibility("default"))) int NAMED(ISA, name)(const int* sizes, const float* const* in, \
                                                                         float* const* out) noexcept

namespace imse::ISA {
namespace {

// Call a function: 0, or 1 where it throws. All that it can throw is std::bad_alloc.
template <class Function>
int guarded(const Function& function) noexcept {
  try {
    function();
    return 0;
  } catch (...) {
    return 1;
  }
}

}  // namespace
}  // namespace imse::ISA

using namespace imse::ISA;

// (channels, frames, bins, depth), (x, layers) -> (sums, stats, out)
KERNEL(dense) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    dense_forward(x, {in + 1, sizes[3]}, out[0], out[1], {out[2], x.channels, x.frames, x.bins});
  });
}

// (channels, frames, bins, depth), (x, sums, stats, gradient, layers) -> (of x, of the layers)
KERNEL(dense_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[3], sizes[0], sizes[1], sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    dense_backward(x, {in + 4, sizes[3]}, in[1], in[2], g, of_x, {out + 1, sizes[3]});
  });
}

// (channels, hidden, frames, bins), (x, parameters) -> (out)
KERNEL(feed_forward) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[2], sizes[3]};
    feed_forward(x, sizes[1], FeedForward(in + 1), {out[0], sizes[0], sizes[2], sizes[3]});
  });
}

// (channels, hidden, frames, bins), (x, gradient, parameters) -> (of x, of the parameters)
KERNEL(feed_forward_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[2], sizes[3]}, g{in[1], sizes[0], sizes[2], sizes[3]};
    const Map of_x{out[0], sizes[0], sizes[2], sizes[3]};
    feed_forward_gradient(x, sizes[1], FeedForward(in + 2), g, of_x, FeedForwardGradient(out + 1));
  });
}

// (channels, frames, bins), (x, rotary table, parameters) -> (sums, out)
KERNEL(mala) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    mala(x, in[1], Mala(in + 2), out[0], {out[1], sizes[0], sizes[1], sizes[2]});
  });
}

// (channels, frames, bins), (x, sums, gradient, rotary table, parameters) -> (of x, of the parameters)
KERNEL(mala_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[2], sizes[0], sizes[1], sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    mala_gradient(x, in[3], Mala(in + 4), in[1], g, of_x, MalaGradient(out + 1));
  });
}

// (inputs, outputs, frames and bins of the kernel, frames, bins), (x, weight, bias or null) -> (out)
KERNEL(convolution) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[4], sizes[5]};
    convolution(x, {sizes[2], sizes[3]}, in[1], in[2], {out[0], sizes[1], sizes[4], sizes[5]});
  });
}

// (as above), (x, gradient, weight) -> (of x or null, of the weight, of the bias or null)
KERNEL(convolution_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[4], sizes[5]}, g{in[1], sizes[1], sizes[4], sizes[5]};
    const Map of_x{out[0], sizes[0], sizes[4], sizes[5]};
    convolution_gradient(x, {sizes[2], sizes[3]}, in[2], g, of_x, out[1], out[2]);
  });
}

// Depthwise 3x3: (channels, frames, bins), (x, weight) -> (out)
KERNEL(depthwise) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    const Map y{out[0], sizes[0], sizes[1], sizes[2]};
    for (int c = 0; c < x.channels; c++) depthwise_channel<3, 3>(x, c, in[1] + 9L * c, nullptr, y);
  });
}

// (channels, frames, bins), (x, gradient, weight) -> (of x, of the weight)
KERNEL(depthwise_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[1], sizes[0], sizes[1], sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    for (int c = 0; c < x.channels; c++)
      depthwise_channel_gradient<3, 3>(x, c, in[2] + 9L * c, g, of_x, out[1] + 9L * c, nullptr);
  });
}

// (channels, frames, bins), (x, parameters) -> (out)
KERNEL(idconv) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    idconv(x, IDConv(in + 1), {out[0], sizes[0], sizes[1], sizes[2]});
  });
}

// (channels, frames, bins), (x, gradient, parameters) -> (of x, of the parameters)
KERNEL(idconv_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[1], sizes[0], sizes[1], sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    idconv_gradient(x, IDConv(in + 2), g, of_x, IDConvGradient(out + 1));
  });
}

// (channels, frames, bins), (x, parameters) -> (stats, out)
KERNEL(norm_prelu) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    norm_prelu(x, NormPReLU(in + 1), out[0], {out[1], sizes[0], sizes[1], sizes[2]});
  });
}

// (channels, frames, bins), (x, stats, gradient, parameters) -> (of x, of the parameters)
KERNEL(norm_prelu_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[2], sizes[0], sizes[1], sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    norm_prelu_gradient(x, NormPReLU(in + 3), in[1], g, of_x, NormPReLUGradient(out + 1));
  });
}

// (channels, frames, bins), (x, parameters) -> (out), of twice the bins
KERNEL(expand) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]};
    expand(x, Expand(in + 1), {out[0], sizes[0], sizes[1], 2 * sizes[2]});
  });
}

// (channels, frames, bins), (x, gradient, parameters) -> (of x, of the parameters)
KERNEL(expand_gradient) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], sizes[2]}, g{in[1], sizes[0], sizes[1], 2 * sizes[2]};
    const Map of_x{out[0], sizes[0], sizes[1], sizes[2]};
    expand_gradient(x, Expand(in + 2), g, of_x, ExpandGradient(out + 1));
  });
}

// (channels, frames, half the bins), (x) -> (out), the even and the odd bins apart
KERNEL(split_bins) {
  return guarded([=] {
    const ConstMap x{in[0], sizes[0], sizes[1], 2 * sizes[2]};
    split_bins(x, {out[0], 2 * sizes[0], sizes[1], sizes[2]});
  });
}

// (channels, frames, half the bins), (x, gradient) -> (of x)
KERNEL(split_bins_gradient) {
  return guarded([=] {
    const ConstMap g{in[1], 2 * sizes[0], sizes[1], sizes[2]};
    join_bins(g, {out[0], sizes[0], sizes[1], 2 * sizes[2]});
  });
}
