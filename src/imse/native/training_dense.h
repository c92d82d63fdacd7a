// Convolution, instance norm over time and frequency, PReLU: one layer, and blocks of them in which each layer reads
// all maps before it. Bias and norm: the norm takes any constant off again, so the bias has no effect and a gradient of
// zero.
//
// All maps are of one sample, [channels, frames, bins].

// What a layer is made of.
struct DenseLayer {
  const float* weight;  // [channels, inputs, 3, 3], the newest map first among the inputs
  const float* bias;    // [channels]
  const float* scale;   // [channels] of the norm
  const float* shift;   // [channels] of the norm
  const float* slope;   // [channels] of the PReLU
};
// Their gradients, to be written.
struct DenseGradient {
  float *weight, *bias, *scale, *shift, *slope;
};
// Mean and 1 / standard deviation of each channel.
struct Moments {
  float mean, rate;
};

static Moments moments(const float* map, long count) {
  Vec sums[4] = {};
  const long whole = count / (4 * WIDTH) * (4 * WIDTH);
  for (long i = 0; i < whole; i += 4 * WIDTH)
    for (int j = 0; j < 4; j++) sums[j] += load(map + i + j * WIDTH);
  for (long i = whole; i < count; i += WIDTH) sums[0] += load(map + i);
  const float mean = total((sums[0] + sums[1]) + (sums[2] + sums[3])) / count;
  Vec squares[4] = {};
  for (long i = 0; i < whole; i += 4 * WIDTH)
    for (int j = 0; j < 4; j++) {
      const Vec off = load(map + i + j * WIDTH) - mean;
      squares[j] += off * off;
    }
  for (long i = whole; i < count; i += WIDTH) {
    const Vec off = load(map + i) - mean;
    squares[0] += off * off;
  }
  const float variance = total((squares[0] + squares[1]) + (squares[2] + squares[3])) / count;
  return {mean, 1 / __builtin_sqrtf(variance + EPSILON)};
}

// Norm and PReLU of a channel.
struct Activation {
  float factor, offset, slope;
  Activation(Moments m, float scale, float shift, float slope_of_negative)
      : factor(scale * m.rate), offset(shift - m.mean * factor), slope(slope_of_negative) {}
  Vec operator()(Vec x) const {
    const Vec n = x * factor + offset;
    return select(n > 0, n, n * slope);
  }
};

// Where the channels of a list of maps come from: the input as it is, or a layer's convolution, to be activated.
static void dense_rows(const float* x, const float* sums, const Moments* stats, const DenseLayer* layers, int layer,
                       int channels, int t, int frames, int bins, float* const* rows) {
  const long map = long(frames) * bins;
  for (int j = layer - 1; j >= 0; j--)
    for (int c = 0; c < channels; c++) {
      const Activation activate(stats[j * channels + c], layers[j].scale[c], layers[j].shift[c], layers[j].slope[c]);
      const float* from = sums + (long(j) * channels + c) * map + long(t) * bins;
      float* row = *rows++;
      for (int f = 0; f < bins; f += WIDTH) store(row + f, activate(load(from + f)));
    }
  for (int c = 0; c < channels; c++) __builtin_memcpy(*rows++, x + c * map + long(t) * bins, bins * sizeof(float));
}

// Forward of a dense block. `sums` [depth, channels, frames, bins] and `stats` [depth, channels] are for the gradient.
static void dense_forward(const float* x, int channels, int frames, int bins, int depth, const DenseLayer* layers,
                          float* sums, Moments* stats, float* out) {
  const long map = long(frames) * bins;
  for (int layer = 0; layer < depth; layer++) {
    Scratch scratch;
    const int inputs = channels * (layer + 1), dilation = 1 << layer, slots = 2 * dilation + 1;
    // Products over (frame of the tap, input, bin of the tap): one row is read three times in a row.
    const float* weight = layers[layer].weight;
    const float* packed = pack(scratch, channels, 9 * inputs, [&](int m, int k) {
      const int dt = k / (3 * inputs), input = k / 3 % inputs, df = k % 3;
      return weight[((long(m) * inputs + input) * 3 + dt) * 3 + df];
    });
    const Frames ring(scratch, inputs, frames, bins, slots);
    const float** taps = scratch.take<const float*>(9 * inputs);
    float** rows = scratch.take<float*>(inputs);
    float* convolved = sums + layer * channels * map;
    for (int t = -dilation; t < frames; t++) {
      if (const int ahead = t + dilation; ahead < frames) {
        for (int i = 0; i < inputs; i++) rows[i] = ring.write(ahead, i);
        dense_rows(x, sums, stats, layers, layer, channels, ahead, frames, bins, rows);
      }
      if (t < 0) continue;
      int k = 0;
      for (int dt = -1; dt <= 1; dt++)
        for (int i = 0; i < inputs; i++)
          for (int df = -1; df <= 1; df++) taps[k++] = ring.read(t + dt * dilation, i) + df;
      product(taps, 9 * inputs, bins, packed, channels,
              [&](int m, int f, Vec y) { store(convolved + m * map + long(t) * bins + f, y); });
    }
    for (int c = 0; c < channels; c++) stats[layer * channels + c] = moments(convolved + c * map, map);
  }
  const DenseLayer& last = layers[depth - 1];
  for (int c = 0; c < channels; c++) {
    const int at = (depth - 1) * channels + c;
    const Activation activate(stats[at], last.scale[c], last.shift[c], last.slope[c]);
    for (long i = 0; i < map; i += WIDTH) store(out + c * map + i, activate(load(sums + at * map + i)));
  }
}

// Gradient through norm and PReLU of a channel: first the sums over the map, then each position.
struct ActivationGradient {
  Moments at;
  float scale, shift, slope;
  float of_convolved, of_gradient, constant;

  // g: gradient of the channel's activation; x: its convolution, both [count].
  ActivationGradient(Moments m, float scale_, float shift_, float slope_, const float* g, const float* x, long count,
                     float* of_scale, float* of_shift, float* of_slope)
      : at(m), scale(scale_), shift(shift_), slope(slope_) {
    Vec by_scale[2] = {}, by_shift[2] = {}, by_slope[2] = {};
    const auto add = [&](long i, int j) {
      const Vec normed = (load(x + i) - at.mean) * at.rate, n = normed * scale + shift, in = load(g + i);
      by_slope[j] += select(n > 0, Vec{}, in * n);
      const Vec through = select(n > 0, in, in * slope);
      by_shift[j] += through;
      by_scale[j] += through * normed;
    };
    long i = 0;
    for (; i + 2 * WIDTH <= count; i += 2 * WIDTH)
      for (int j = 0; j < 2; j++) add(i + j * WIDTH, j);
    for (; i < count; i += WIDTH) add(i, 0);
    *of_scale = total(by_scale[0] + by_scale[1]);
    *of_shift = total(by_shift[0] + by_shift[1]);
    *of_slope = total(by_slope[0] + by_slope[1]);
    // scale * rate * (through - mean(through) - normed * mean(through * normed))
    of_gradient = scale * at.rate;
    of_convolved = -of_gradient * at.rate * *of_scale / count;
    constant = -of_gradient * *of_shift / count - of_convolved * at.mean;
  }
  Vec operator()(Vec g, Vec x) const {
    const Vec n = (x - at.mean) * at.rate * scale + shift;
    return select(n > 0, g, g * slope) * of_gradient + (x * of_convolved + constant);
  }
};

// Gradient of a dense block. `of_x` and `gradients` are written.
static void dense_backward(const float* x, int channels, int frames, int bins, int depth, const DenseLayer* layers,
                           const float* sums, const Moments* stats, const float* of_out, float* of_x,
                           const DenseGradient* gradients) {
  const long map = long(frames) * bins;
  Scratch block_scratch;
  float* of_maps = block_scratch.take((depth - 1) * channels * map);  // of the activations of all layers but the last
  for (int layer = depth - 1; layer >= 0; layer--) {
    Scratch scratch;
    const int inputs = channels * (layer + 1), dilation = 1 << layer;
    const int together = bins < 512 ? 512 / bins : 1;  // frames whose products for the weights are added at once
    const int slots = 2 * dilation + together;
    const DenseLayer& own = layers[layer];
    const float* g = layer == depth - 1 ? of_out : of_maps + layer * channels * map;
    const float* convolved = sums + layer * channels * map;
    const auto through = [&](int c) {
      return ActivationGradient(stats[layer * channels + c], own.scale[c], own.shift[c], own.slope[c], g + c * map,
                                convolved + c * map, map, gradients[layer].scale + c, gradients[layer].shift + c,
                                gradients[layer].slope + c);
    };
    auto* activations = scratch.take<ActivationGradient>(channels);
    for (int c = 0; c < channels; c++) activations[c] = through(c);

    // Taps of the gradient: (frame, channel, bin), at the places from which the forward's taps led here.
    const float* packed = pack(scratch, inputs, 9 * channels, [&](int m, int k) {
      const int dt = k / (3 * channels), channel = k / 3 % channels, df = k % 3;
      return own.weight[((long(channel) * inputs + m) * 3 + dt) * 3 + df];
    });
    const Frames ring(scratch, channels, frames, bins, slots);
    const float** tap_lists = scratch.take<const float*>(together * 9 * channels);
    float** row_lists = row_list(scratch, scratch.take(long(together) * inputs * bins), together * inputs, bins);
    float** of_inputs = scratch.take<float*>(inputs);
    for (int i = 0; i < inputs; i++) {
      const int from = layer - 1 - i / channels, c = i % channels;
      of_inputs[i] = (from < 0 ? of_x : of_maps + from * channels * map) + c * map;
    }
    Vec* of_weight = scratch.zeros<Vec>(9l * channels * inputs);
    const bool first = layer == depth - 1;  // whose inputs are all maps: it is the first to write to them
    for (int t = -dilation; t < frames; t++) {
      if (const int ahead = t + dilation; ahead < frames)
        for (int c = 0; c < channels; c++) {
          float* row = ring.write(ahead, c);
          const long at = c * map + long(ahead) * bins;
          for (int f = 0; f < bins; f += WIDTH)
            store(row + f, activations[c](load(g + at + f), load(convolved + at + f)));
        }
      if (t < 0) continue;
      const float** taps = tap_lists + t % together * 9 * channels;
      int k = 0;
      for (int dt = -1; dt <= 1; dt++)
        for (int c = 0; c < channels; c++)
          for (int df = -1; df <= 1; df++) taps[k++] = ring.read(t - dt * dilation, c) - df;
      dense_rows(x, sums, stats, layers, layer, channels, t, frames, bins, row_lists + t % together * inputs);
      if (t % together == together - 1 || t == frames - 1)
        outer(row_lists, inputs, tap_lists, 9 * channels, bins, of_weight, t % together + 1);
      product(taps, 9 * channels, bins, packed, inputs, [&](int m, int f, Vec y) {
        float* to = of_inputs[m] + long(t) * bins + f;
        store(to, first ? y : load(to) + y);
      });
    }
    __builtin_memset(gradients[layer].bias, 0, channels * sizeof(float));
    for (int c = 0; c < channels; c++)
      for (int i = 0; i < inputs; i++)
        for (int dt = 0; dt < 3; dt++)
          for (int df = 0; df < 3; df++)
            gradients[layer].weight[((long(c) * inputs + i) * 3 + dt) * 3 + df] =
                total(of_weight[(long(i) * 3 + dt) * 3 * channels + c * 3 + df]);
  }
}

// Norm and PReLU alone.
struct NormPReLU {
  const float *scale, *shift, *slope;
};
struct NormPReLUGradient {
  float *scale, *shift, *slope;
};

static void norm_prelu(const float* x, int channels, long map, const NormPReLU& weights, Moments* stats, float* out) {
  for (int c = 0; c < channels; c++, x += map, out += map) {
    stats[c] = moments(x, map);
    const Activation activate(stats[c], weights.scale[c], weights.shift[c], weights.slope[c]);
    for (long i = 0; i < map; i += WIDTH) store(out + i, activate(load(x + i)));
  }
}

static void norm_prelu_gradient(const float* x, int channels, long map, const NormPReLU& weights, const Moments* stats,
                                const float* g, float* of_x, const NormPReLUGradient& gradient) {
  for (int c = 0; c < channels; c++, x += map, g += map, of_x += map) {
    const ActivationGradient through(stats[c], weights.scale[c], weights.shift[c], weights.slope[c], g, x, map,
                                     gradient.scale + c, gradient.shift + c, gradient.slope + c);
    for (long i = 0; i < map; i += WIDTH) store(of_x + i, through(load(g + i), load(x + i)));
  }
}
