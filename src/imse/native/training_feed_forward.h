// x + GatedFeedForward(ChannelNorm(x)): 1x1 convolution to 2 h rows, depthwise 3x3, gelu of the first h times the
// others, 1x1 convolution back. Only x is kept for the gradient.

struct FeedForward {
  const float* norm;       // [channels]
  const float* in;         // [2 hidden, channels]
  const float* depthwise;  // [2 hidden, 3, 3]
  const float* out;        // [channels, hidden]
};
struct FeedForwardGradient {
  float *norm, *in, *depthwise, *out;
};

// Standard normal distribution: up to x, and density. Absolute errors are below 2e-7.
struct Normal {
  Vec below, density;
  explicit Normal(Vec x) {
    const Vec away = maximum(x, -x), t = 1.0f / (1.0f + 0.32f * away), e = exponential(-0.5f * away * away);
    // A fit of the tail over its e^(-x^2 / 2).
    Vec p = splat(0.045832846f);
    p = p * t - 0.24116938f;
    p = p * t + 0.4091212f;
    p = p * t - 0.16716182f;
    p = p * t + 0.21898413f;
    p = p * t + 0.104576975f;
    p = p * t + 0.12981606f;
    const Vec tail = p * t * e;
    below = select(x < 0, tail, 1.0f - tail);
    density = 0.39894228f * e;
  }
};

static void feed_forward(const float* x, int channels, int hidden, int frames, int bins, const FeedForward& weights,
                         float* out) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const float* in = pack(scratch, 2 * hidden, channels,
                         [&](int m, int k) { return weights.in[m * channels + k] * weights.norm[k]; });
  const float* back = pack(scratch, channels, hidden, [&](int m, int k) { return weights.out[m * hidden + k]; });
  const Frames wide(scratch, 2 * hidden, frames, bins, 3);
  float** normed = row_list(scratch, scratch.take(channels * bins), channels, bins);
  float** gated = row_list(scratch, scratch.take(hidden * bins), hidden, bins);
  float* rates = scratch.take(bins);
  for (int t = -1; t < frames; t++) {
    if (const int ahead = t + 1; ahead < frames) {
      channel_norm(x + long(ahead) * bins, map, channels, bins, normed, rates);
      product(normed, channels, bins, in, 2 * hidden, [&](int m, int f, Vec y) { store(wide.write(ahead, m) + f, y); });
    }
    if (t < 0) continue;
    for (int j = 0; j < hidden; j++) {
      const float *gates[3], *values[3];
      for (int i = 0; i < 3; i++) {
        gates[i] = wide.read(t - 1 + i, j);
        values[i] = wide.read(t - 1 + i, hidden + j);
      }
      for (int f = 0; f < bins; f += WIDTH) {
        const Vec gate = depthwise<3, 3>(gates, weights.depthwise + 9 * j, f);
        const Vec value = depthwise<3, 3>(values, weights.depthwise + 9 * (hidden + j), f);
        store(gated[j] + f, gate * Normal(gate).below * value);
      }
    }
    const long at = long(t) * bins;
    product(gated, hidden, bins, back, channels,
            [&](int m, int f, Vec y) { store(out + m * map + at + f, load(x + m * map + at + f) + y); });
  }
}

static void feed_forward_gradient(const float* x, int channels, int hidden, int frames, int bins,
                                  const FeedForward& weights, const float* of_out, float* of_x,
                                  const FeedForwardGradient& gradient) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const auto in_weight = [&](int m, int k) { return weights.in[m * channels + k] * weights.norm[k]; };
  const float* in = pack(scratch, 2 * hidden, channels, in_weight);
  const float* of_in = pack(scratch, channels, 2 * hidden, [&](int m, int k) { return in_weight(k, m); });
  const float* of_back = pack(scratch, hidden, channels, [&](int m, int k) { return weights.out[k * hidden + m]; });
  const Frames wide(scratch, 2 * hidden, frames, bins, 3), of_wide(scratch, 2 * hidden, frames, bins, 3);
  float* norms = scratch.take(3 * channels * bins);
  float** normed[3];  // frame t is in t % 3
  for (int i = 0; i < 3; i++) normed[i] = row_list(scratch, norms + i * channels * bins, channels, bins);
  float* rates = scratch.take(3 * bins);
  float** gated = row_list(scratch, scratch.take(hidden * bins), hidden, bins);
  float** of_gated = row_list(scratch, scratch.take(hidden * bins), hidden, bins);
  float** of_rows = row_list(scratch, scratch.take(2 * hidden * bins), 2 * hidden, bins);
  float** of_normed = row_list(scratch, scratch.take(channels * bins), channels, bins);
  const float** of_sums = scratch.take<const float*>(channels);
  Vec* sums_in = scratch.zeros<Vec>(2 * hidden * channels);
  Vec* sums_depthwise = scratch.zeros<Vec>(2 * hidden * 9);
  Vec* sums_out = scratch.zeros<Vec>(channels * hidden);

  // Three frames apart: what is computed again, the gradient up to the depthwise convolution, and on to x.
  for (int last = -2; last < frames; last++) {
    if (const int t = last + 2; t < frames) {
      channel_norm(x + long(t) * bins, map, channels, bins, normed[t % 3], rates + t % 3 * bins);
      product(normed[t % 3], channels, bins, in, 2 * hidden,
              [&](int m, int f, Vec y) { store(wide.write(t, m) + f, y); });
    }
    if (const int t = last + 1; t >= 0 && t < frames) {
      for (int c = 0; c < channels; c++) of_sums[c] = of_out + c * map + long(t) * bins;
      product(of_sums, channels, bins, of_back, hidden, [&](int m, int f, Vec y) { store(of_gated[m] + f, y); });
      for (int j = 0; j < hidden; j++) {
        const float *gates[3], *values[3];
        for (int i = 0; i < 3; i++) {
          gates[i] = wide.read(t - 1 + i, j);
          values[i] = wide.read(t - 1 + i, hidden + j);
        }
        float *of_gate = of_wide.write(t, j), *of_value = of_wide.write(t, hidden + j);
        for (int f = 0; f < bins; f += WIDTH) {
          const Vec gate = depthwise<3, 3>(gates, weights.depthwise + 9 * j, f);
          const Vec value = depthwise<3, 3>(values, weights.depthwise + 9 * (hidden + j), f);
          const Normal normal(gate);
          const Vec gelu = gate * normal.below, g = load(of_gated[j] + f);
          store(gated[j] + f, gelu * value);
          store(of_value + f, g * gelu);
          store(of_gate + f, g * value * (normal.below + gate * normal.density));
        }
      }
      outer(of_sums, channels, gated, hidden, bins, sums_out);
    }
    if (const int t = last; t >= 0) {
      for (int j = 0; j < 2 * hidden; j++) {
        const float* g[3];
        for (int i = 0; i < 3; i++) g[i] = of_wide.read(t + 1 - i, j);
        depthwise_gradient<3, 3>(g, wide.read(t, j), weights.depthwise + 9 * j, bins, of_rows[j],
                                 sums_depthwise + 9 * j);
      }
      outer(of_rows, 2 * hidden, normed[t % 3], channels, bins, sums_in);
      product(of_rows, 2 * hidden, bins, of_in, channels, [&](int m, int f, Vec y) { store(of_normed[m] + f, y); });
      const long at = long(t) * bins;
      channel_norm_gradient(x + at, map, channels, bins, of_normed, rates + t % 3 * bins, of_out + at, of_x + at);
    }
  }
  normed_weight_gradient(sums_in, 2 * hidden, channels, weights.norm, weights.in, gradient.norm, gradient.in);
  for (int i = 0; i < 2 * hidden * 9; i++) gradient.depthwise[i] = total(sums_depthwise[i]);
  for (int i = 0; i < channels * hidden; i++) gradient.out[i] = total(sums_out[i]);
}
