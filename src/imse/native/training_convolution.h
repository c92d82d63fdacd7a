// Single convolutions, "same" in time and frequency, dense or depthwise, and the inception depthwise convolution.

struct Kernel {
  int frames, bins;  // both odd
  int taps() const { return frames * bins; }
};

// Biases are [outputs] or none at all.
static void convolution(const float* x, int inputs, int outputs, Kernel kernel, int frames, int bins,
                        const float* weight, const float* bias, float* out) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const int ahead = kernel.frames / 2, size = inputs * kernel.taps();
  // Products over (frame of the tap, input, bin of the tap): a row is read several times in a row.
  const float* packed = pack(scratch, outputs, size, [&](int m, int k) {
    const int dt = k / (inputs * kernel.bins), input = k / kernel.bins % inputs, df = k % kernel.bins;
    return weight[((long(m) * inputs + input) * kernel.frames + dt) * kernel.bins + df];
  });
  const Frames ring(scratch, inputs, frames, bins, kernel.frames);
  const float** taps = scratch.take<const float*>(size);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames)
      for (int i = 0; i < inputs; i++)
        __builtin_memcpy(ring.write(t + ahead, i), x + i * map + long(t + ahead) * bins, bins * sizeof(float));
    if (t < 0) continue;
    int k = 0;
    for (int dt = -ahead; dt <= ahead; dt++)
      for (int i = 0; i < inputs; i++)
        for (int df = -(kernel.bins / 2); df <= kernel.bins / 2; df++) taps[k++] = ring.read(t + dt, i) + df;
    product(taps, size, bins, packed, outputs, [&](int m, int f, Vec y) {
      store(out + m * map + long(t) * bins + f, bias ? y + bias[m] : y);
    });
  }
}

// `of_x` or `of_bias` may be none.
static void convolution_gradient(const float* x, int inputs, int outputs, Kernel kernel, int frames, int bins,
                                 const float* weight, const float* g, float* of_x, float* of_weight, float* of_bias) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const int ahead = kernel.frames / 2, size = outputs * kernel.taps();
  const float* packed = pack(scratch, inputs, size, [&](int m, int k) {
    const int dt = k / (outputs * kernel.bins), output = k / kernel.bins % outputs, df = k % kernel.bins;
    return weight[((long(output) * inputs + m) * kernel.frames + dt) * kernel.bins + df];
  });
  const Frames ring(scratch, outputs, frames, bins, kernel.frames);
  const float** taps = scratch.take<const float*>(size);
  const float** rows = scratch.take<const float*>(inputs);
  Vec* sums = scratch.zeros<Vec>(long(inputs) * size);
  Vec* bias_sums = scratch.zeros<Vec>(outputs);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames)
      for (int m = 0; m < outputs; m++) {
        const float* row = g + m * map + long(t + ahead) * bins;
        __builtin_memcpy(ring.write(t + ahead, m), row, bins * sizeof(float));
        if (of_bias) add_row(row, bins, bias_sums + m);
      }
    if (t < 0) continue;
    int k = 0;
    for (int dt = -ahead; dt <= ahead; dt++)
      for (int m = 0; m < outputs; m++)
        for (int df = -(kernel.bins / 2); df <= kernel.bins / 2; df++) taps[k++] = ring.read(t - dt, m) - df;
    for (int i = 0; i < inputs; i++) rows[i] = x + i * map + long(t) * bins;
    outer(rows, inputs, taps, size, bins, sums);
    if (of_x)
      product(taps, size, bins, packed, inputs,
              [&](int m, int f, Vec y) { store(of_x + m * map + long(t) * bins + f, y); });
  }
  for (int m = 0; m < outputs; m++) {
    if (of_bias) of_bias[m] = total(bias_sums[m]);
    for (int i = 0; i < inputs; i++)
      for (int dt = 0; dt < kernel.frames; dt++)
        for (int df = 0; df < kernel.bins; df++)
          of_weight[((long(m) * inputs + i) * kernel.frames + dt) * kernel.bins + df] =
              total(sums[((long(i) * kernel.frames + dt) * outputs + m) * kernel.bins + df]);
  }
}

// One channel, [frames, bins]. `x` and `out` may be the same.
template <int TALL_KERNEL, int WIDE_KERNEL>
static void depthwise_map(const float* x, int frames, int bins, const float* weight, const float* bias, float* out) {
  Scratch scratch;
  constexpr int ahead = TALL_KERNEL / 2;
  const Frames ring(scratch, 1, frames, bins, TALL_KERNEL);
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames)
      __builtin_memcpy(ring.write(t + ahead, 0), x + long(t + ahead) * bins, bins * sizeof(float));
    if (t < 0) continue;
    const float* rows[TALL_KERNEL];
    for (int i = 0; i < TALL_KERNEL; i++) rows[i] = ring.read(t + i - ahead, 0);
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec y = depthwise<TALL_KERNEL, WIDE_KERNEL>(rows, weight, f);
      store(out + long(t) * bins + f, bias ? y + *bias : y);
    }
  }
}

template <int TALL_KERNEL, int WIDE_KERNEL>
static void depthwise_map_gradient(const float* x, int frames, int bins, const float* weight, const float* g,
                                   float* of_x, float* of_weight, float* of_bias) {
  Scratch scratch;
  constexpr int ahead = TALL_KERNEL / 2;
  const Frames ring(scratch, 1, frames, bins, TALL_KERNEL);
  Vec sums[TALL_KERNEL * WIDE_KERNEL] = {}, bias_sum = {};
  for (int t = -ahead; t < frames; t++) {
    if (t + ahead < frames) {
      const float* row = g + long(t + ahead) * bins;
      __builtin_memcpy(ring.write(t + ahead, 0), row, bins * sizeof(float));
      if (of_bias) add_row(row, bins, &bias_sum);
    }
    if (t < 0) continue;
    const float* rows[TALL_KERNEL];
    for (int i = 0; i < TALL_KERNEL; i++) rows[i] = ring.read(t + ahead - i, 0);
    depthwise_gradient<TALL_KERNEL, WIDE_KERNEL>(rows, x + long(t) * bins, weight, bins, of_x + long(t) * bins, sums);
  }
  for (int i = 0; i < TALL_KERNEL * WIDE_KERNEL; i++) of_weight[i] = total(sums[i]);
  if (of_bias) *of_bias = total(bias_sum);
}

// 1x1 convolution, then the last three groups of channels pass a depthwise convolution each.
struct IDConv {
  const float* pointwise;  // [channels, channels]
  const float* square;     // [group, 3, 3]
  const float* square_bias;
  const float* frequency;  // [group, 11]
  const float* frequency_bias;
  const float* time;  // [group, 11]
  const float* time_bias;
};
struct IDConvGradient {
  float *pointwise, *square, *square_bias, *frequency, *frequency_bias, *time, *time_bias;
};

static void idconv(const float* x, int channels, int frames, int bins, const IDConv& weights, float* out) {
  const long map = long(frames) * bins;
  const int group = channels / 8, first = channels - 3 * group;
  convolution(x, channels, channels, {1, 1}, frames, bins, weights.pointwise, nullptr, out);
  for (int i = 0; i < group; i++) {
    float *square = out + (first + i) * map, *frequency = square + group * map, *time = frequency + group * map;
    depthwise_map<3, 3>(square, frames, bins, weights.square + 9 * i, weights.square_bias + i, square);
    depthwise_map<1, 11>(frequency, frames, bins, weights.frequency + 11 * i, weights.frequency_bias + i, frequency);
    depthwise_map<11, 1>(time, frames, bins, weights.time + 11 * i, weights.time_bias + i, time);
  }
}

static void idconv_gradient(const float* x, int channels, int frames, int bins, const IDConv& weights, const float* g,
                            float* of_x, const IDConvGradient& gradient) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const int group = channels / 8, first = channels - 3 * group;
  float* inner = scratch.take(3 * group * map);
  float* of_inner = scratch.take(channels * map);
  convolution(x, channels, 3 * group, {1, 1}, frames, bins, weights.pointwise + first * channels, nullptr, inner);
  __builtin_memcpy(of_inner, g, first * map * sizeof(float));
  for (int i = 0; i < group; i++) {
    const long square = i * map, frequency = square + group * map, time = frequency + group * map;
    const float* of = g + first * map;
    float* to = of_inner + first * map;
    depthwise_map_gradient<3, 3>(inner + square, frames, bins, weights.square + 9 * i, of + square, to + square,
                                 gradient.square + 9 * i, gradient.square_bias + i);
    depthwise_map_gradient<1, 11>(inner + frequency, frames, bins, weights.frequency + 11 * i, of + frequency,
                                  to + frequency, gradient.frequency + 11 * i, gradient.frequency_bias + i);
    depthwise_map_gradient<11, 1>(inner + time, frames, bins, weights.time + 11 * i, of + time, to + time,
                                  gradient.time + 11 * i, gradient.time_bias + i);
  }
  convolution_gradient(x, channels, channels, {1, 1}, frames, bins, weights.pointwise, of_inner, of_x,
                       gradient.pointwise, nullptr);
}
