// Even and odd bins taken apart and put together, and the sub-pixel convolution that doubles the bins.

static void apart(const float* __restrict row, int half, float* __restrict even, float* __restrict odd) {
  for (int f = 0; f < half; f++) {
    even[f] = row[2 * f];
    odd[f] = row[2 * f + 1];
  }
}

static void together(const float* __restrict even, const float* __restrict odd, int half, float* __restrict row) {
  for (int f = 0; f < half; f++) {
    row[2 * f] = even[f];
    row[2 * f + 1] = odd[f];
  }
}

// [channels, frames, 2 half] to [channels, 2, frames, half].
static void split_bins(const float* x, int channels, int frames, int half, float* out) {
  const long map = long(frames) * half;
  for (int c = 0; c < channels; c++, x += 2 * map, out += 2 * map)
    for (int t = 0; t < frames; t++) apart(x + 2l * t * half, half, out + long(t) * half, out + map + long(t) * half);
}

static void join_bins(const float* x, int channels, int frames, int half, float* out) {
  const long map = long(frames) * half;
  for (int c = 0; c < channels; c++, x += 2 * map, out += 2 * map)
    for (int t = 0; t < frames; t++) together(x + long(t) * half, x + map + long(t) * half, half, out + 2l * t * half);
}

// imse.nn.decoders.Expand: of the 4 channels that 1x1 convolution makes of each, the first two are the even and the odd
// bins; the other two go to frames that are dropped. Then a depthwise convolution over three bins.
struct Expand {
  const float* expand;     // [4 channels, channels]
  const float* depthwise;  // [channels, 3]
};
struct ExpandGradient {
  float *expand, *depthwise;
};

static void expand(const float* x, int channels, int frames, int bins, const Expand& weights, float* out) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const float* packed = pack(scratch, 2 * channels, channels, [&](int m, int k) {
    return weights.expand[(m / 2 * 4 + m % 2) * channels + k];
  });
  float** halves = row_list(scratch, scratch.take(2 * channels * bins), 2 * channels, bins);
  const Frames doubled(scratch, channels, 1, 2 * bins, 1);
  const float** rows = scratch.take<const float*>(channels);
  for (int t = 0; t < frames; t++) {
    for (int c = 0; c < channels; c++) rows[c] = x + c * map + long(t) * bins;
    product(rows, channels, bins, packed, 2 * channels, [&](int m, int f, Vec y) { store(halves[m] + f, y); });
    for (int c = 0; c < channels; c++) {
      float* row = doubled.write(0, c);
      together(halves[2 * c], halves[2 * c + 1], bins, row);
      for (int f = 0; f < 2 * bins; f += WIDTH)
        store(out + 2 * (c * map + long(t) * bins) + f, depthwise<1, 3>(&row, weights.depthwise + 3 * c, f));
    }
  }
}

static void expand_gradient(const float* x, int channels, int frames, int bins, const Expand& weights, const float* g,
                            float* of_x, const ExpandGradient& gradient) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const auto weight = [&](int m, int k) { return weights.expand[(m / 2 * 4 + m % 2) * channels + k]; };
  const float* packed = pack(scratch, 2 * channels, channels, weight);
  const float* of_packed = pack(scratch, channels, 2 * channels, [&](int m, int k) { return weight(k, m); });
  float** halves = row_list(scratch, scratch.take(2 * channels * bins), 2 * channels, bins);
  float** of_halves = row_list(scratch, scratch.take(2 * channels * bins), 2 * channels, bins);
  const Frames of_doubled(scratch, 1, 1, 2 * bins, 1);
  float *doubled = scratch.take(2 * bins), *of_row = scratch.take(2 * bins);
  const float** rows = scratch.take<const float*>(channels);
  Vec* sums = scratch.zeros<Vec>(2 * channels * channels);
  Vec* depthwise_sums = scratch.zeros<Vec>(3 * channels);
  for (int t = 0; t < frames; t++) {
    for (int c = 0; c < channels; c++) rows[c] = x + c * map + long(t) * bins;
    product(rows, channels, bins, packed, 2 * channels, [&](int m, int f, Vec y) { store(halves[m] + f, y); });
    for (int c = 0; c < channels; c++) {
      together(halves[2 * c], halves[2 * c + 1], bins, doubled);
      __builtin_memcpy(of_doubled.write(0, 0), g + 2 * (c * map + long(t) * bins), 2 * bins * sizeof(float));
      const float* row = of_doubled.read(0, 0);
      depthwise_gradient<1, 3>(&row, doubled, weights.depthwise + 3 * c, 2 * bins, of_row, depthwise_sums + 3 * c);
      apart(of_row, bins, of_halves[2 * c], of_halves[2 * c + 1]);
    }
    outer(of_halves, 2 * channels, rows, channels, bins, sums);
    product(of_halves, 2 * channels, bins, of_packed, channels,
            [&](int m, int f, Vec y) { store(of_x + m * map + long(t) * bins + f, y); });
  }
  for (int m = 0; m < 4 * channels; m++)
    for (int k = 0; k < channels; k++)
      gradient.expand[m * channels + k] = m % 4 < 2 ? total(sums[(m / 4 * 2 + m % 4) * channels + k]) : 0;
  for (int i = 0; i < 3 * channels; i++) gradient.depthwise[i] = total(depthwise_sums[i]);
}
