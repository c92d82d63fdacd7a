// x + MALA(ChannelNorm(x)), see imse.nn.mala. Kept for the gradient: x and, for the attention is linear, its sums over
// all positions.

constexpr int HEAD = 8;  // channels

struct Mala {
  const float* norm;       // [channels]
  const float* qkvo;       // [4 channels, channels]
  const float* qkvo_bias;  // [4 channels]
  const float* lepe;       // [channels, 5, 5]
  const float* lepe_bias;  // [channels]
  const float* proj;       // [channels, channels]
  const float* proj_bias;  // [channels]
};
struct MalaGradient {
  float *norm, *qkvo, *qkvo_bias, *lepe, *lepe_bias, *proj, *proj_bias;
};

// Sums of all positions as they are used: key^T value * scale / positions of each head [HEAD (key), HEAD (value)], the
// means of keys (times scale) and of values. The gradients of these have the same form.
struct MalaSums {
  float *products, *keys, *values;
  MalaSums(float* data, int channels)
      : products(data), keys(data + channels * HEAD), values(keys + channels) {}
};


// Turn the pairs of a head's channels by the angles of `table` [2, HEAD / 2, frames, bins] at one frame, or back.
static void rotate(const float* table, long map, long at, int bins, float direction, const float* const* from,
                   float* const* to) {
  for (int pair = 0; pair < HEAD / 2; pair++) {
    const float *cosines = table + pair * map + at, *sines = cosines + HEAD / 2 * map;
    for (int f = 0; f < bins; f += WIDTH) {
      const Vec cosine = load(cosines + f), sine = load(sines + f) * direction;
      const Vec even = load(from[2 * pair] + f), odd = load(from[2 * pair + 1] + f);
      store(to[2 * pair] + f, even * cosine - odd * sine);
      store(to[2 * pair + 1] + f, odd * cosine + even * sine);
    }
  }
}

// The parts of qkvo's weights, the norm's weight taken in.
static const float* pack_part(Scratch& scratch, const Mala& weights, int part, int channels) {
  return pack(scratch, channels, channels, [&](int m, int k) {
    return weights.qkvo[(part * channels + m) * channels + k] * weights.norm[k];
  });
}

static void mala(const float* x, const float* table, int channels, int frames, int bins, const Mala& weights,
                 float* sums_data, float* out) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const int heads = channels / HEAD;
  const float scale = 1 / __builtin_sqrtf(HEAD);
  const float* packed[4];
  for (int part = 0; part < 4; part++) packed[part] = pack_part(scratch, weights, part, channels);
  const float* proj = pack(scratch, channels, channels, [&](int m, int k) { return weights.proj[m * channels + k]; });
  float* norms = scratch.take(channels * map);
  float** normed = scratch.take<float*>(channels * frames);
  for (int i = 0; i < channels * frames; i++) normed[i] = norms + long(i) * bins;
  const Frames values(scratch, channels, frames, bins, frames);
  float* rates = scratch.take(bins);
  float** keys = row_list(scratch, scratch.take(channels * bins), channels, bins);
  const float** value_rows = scratch.take<const float*>(channels);
  Vec* products = scratch.zeros<Vec>(channels * HEAD);
  Vec* key_sums = scratch.zeros<Vec>(channels);
  Vec* value_sums = scratch.zeros<Vec>(channels);
  for (int t = 0; t < frames; t++) {
    const long at = long(t) * bins;
    float** own = normed + t * channels;
    channel_norm(x + at, map, channels, bins, own, rates);
    product(own, channels, bins, packed[1], channels, [&](int m, int f, Vec y) {
      store(keys[m] + f, elu_plus_one(y + weights.qkvo_bias[channels + m]));
    });
    product(own, channels, bins, packed[2], channels, [&](int m, int f, Vec y) {
      store(values.write(t, m) + f, y + weights.qkvo_bias[2 * channels + m]);
    });
    for (int c = 0; c < channels; c++) {
      value_rows[c] = values.read(t, c);
      add_row(keys[c], bins, key_sums + c);
      add_row(value_rows[c], bins, value_sums + c);
    }
    for (int h = 0; h < heads; h++) {
      rotate(table, map, at, bins, 1, keys + h * HEAD, keys + h * HEAD);
      outer(keys + h * HEAD, HEAD, value_rows + h * HEAD, HEAD, bins, products + h * HEAD * HEAD);
    }
  }
  const MalaSums sums(sums_data, channels);
  for (int i = 0; i < channels * HEAD; i++) sums.products[i] = total(products[i]) * (scale / map);
  for (int c = 0; c < channels; c++) {
    sums.keys[c] = total(key_sums[c]) * (scale / map);
    sums.values[c] = total(value_sums[c]) / map;
  }

  const float** attend = scratch.take<const float*>(heads);
  for (int h = 0; h < heads; h++)
    attend[h] = pack(scratch, HEAD, HEAD, [&](int m, int k) { return sums.products[(h * HEAD + k) * HEAD + m]; });
  float** queries = keys;
  float** gates = row_list(scratch, scratch.take(channels * bins), channels, bins);
  float *z = scratch.take(bins), *beta = scratch.take(bins);
  for (int t = 0; t < frames; t++) {
    const long at = long(t) * bins;
    float** own = normed + t * channels;
    product(own, channels, bins, packed[0], channels, [&](int m, int f, Vec y) {
      store(queries[m] + f, elu_plus_one(y + weights.qkvo_bias[m]));
    });
    product(own, channels, bins, packed[3], channels, [&](int m, int f, Vec y) {
      store(gates[m] + f, y + weights.qkvo_bias[3 * channels + m]);
    });
    for (int h = 0; h < heads; h++) {
      float** q = queries + h * HEAD;
      for (int f = 0; f < bins; f += WIDTH) {
        Vec score = {};
        for (int j = 0; j < HEAD; j++) score += sums.keys[h * HEAD + j] * load(q[j] + f);
        store(z + f, score);
        store(beta + f, 1.0f + 1.0f / (score + 1e-6f));
      }
      rotate(table, map, at, bins, 1, q, q);
      product(q, HEAD, bins, attend[h], HEAD, [&](int m, int f, Vec y) {
        const int c = h * HEAD + m;
        const float* rows[5];
        for (int i = 0; i < 5; i++) rows[i] = values.read(t - 2 + i, c);
        const Vec local = depthwise<5, 5>(rows, weights.lepe + 25 * c, f) + weights.lepe_bias[c];
        const Vec attended = y * load(beta + f) - load(z + f) * sums.values[c];
        store(gates[c] + f, (attended + local) * load(gates[c] + f));
      });
    }
    product(gates, channels, bins, proj, channels, [&](int m, int f, Vec y) {
      const long place = m * map + at + f;
      store(out + place, load(x + place) + (y + weights.proj_bias[m]));
    });
  }
}

static void mala_gradient(const float* x, const float* table, int channels, int frames, int bins, const Mala& weights,
                          float* sums_data, const float* of_out, float* of_x, const MalaGradient& gradient) {
  Scratch scratch;
  const long map = long(frames) * bins;
  const int heads = channels / HEAD;
  const float scale = 1 / __builtin_sqrtf(HEAD);
  const MalaSums sums(sums_data, channels);
  const float* packed[4];
  for (int part = 0; part < 4; part++) packed[part] = pack_part(scratch, weights, part, channels);
  const float* of_qkvo = pack(scratch, channels, 4 * channels, [&](int m, int k) {
    return weights.qkvo[k * channels + m] * weights.norm[m];
  });
  const float* of_proj =
      pack(scratch, channels, channels, [&](int m, int k) { return weights.proj[k * channels + m]; });
  const float** attend = scratch.take<const float*>(heads);
  const float** of_attend = scratch.take<const float*>(heads);
  for (int h = 0; h < heads; h++) {
    const float* own = sums.products + h * HEAD * HEAD;
    attend[h] = pack(scratch, HEAD, HEAD, [&](int m, int k) { return own[k * HEAD + m]; });
    of_attend[h] = pack(scratch, HEAD, HEAD, [&](int m, int k) { return own[m * HEAD + k]; });
  }

  float* norms = scratch.take(channels * map);
  float** normed = scratch.take<float*>(channels * frames);
  for (int i = 0; i < channels * frames; i++) normed[i] = norms + long(i) * bins;
  float* rates = scratch.take(map);
  const Frames values(scratch, channels, frames, bins, frames);
  for (int t = 0; t < frames; t++) {
    const long at = long(t) * bins;
    channel_norm(x + at, map, channels, bins, normed + t * channels, rates + at);
    product(normed + t * channels, channels, bins, packed[2], channels, [&](int m, int f, Vec y) {
      store(values.write(t, m) + f, y + weights.qkvo_bias[2 * channels + m]);
    });
  }

  // From the output back to queries, gates, lepe and the sums.
  const Frames of_local(scratch, channels, frames, bins, frames);
  float* of_queries = scratch.take(channels * map);  // [frames, channels, bins], as those of the gates
  float* of_gates = scratch.take(channels * map);
  const auto room = [&](int rows) { return row_list(scratch, scratch.take(long(rows) * bins), rows, bins); };
  float **queries = room(channels), **turned = room(channels), **gates = room(channels), **linear = room(channels);
  float **of_gated = room(channels), **of_linear = room(channels), **of_turned = room(HEAD);
  float *z = scratch.take(bins), *beta = scratch.take(bins), *of_z = scratch.take(bins);
  const float** of_sums = scratch.take<const float*>(channels);
  Vec* proj_sums = scratch.zeros<Vec>(channels * channels);
  Vec* proj_bias_sums = scratch.zeros<Vec>(channels);
  Vec* lepe_bias_sums = scratch.zeros<Vec>(channels);
  Vec* of_products = scratch.zeros<Vec>(channels * HEAD);
  Vec* of_key_means = scratch.zeros<Vec>(channels);
  Vec* of_value_means = scratch.zeros<Vec>(channels);
  for (int t = 0; t < frames; t++) {
    const long at = long(t) * bins;
    float** own = normed + t * channels;
    product(own, channels, bins, packed[0], channels, [&](int m, int f, Vec y) {
      store(queries[m] + f, elu_plus_one(y + weights.qkvo_bias[m]));
    });
    product(own, channels, bins, packed[3], channels, [&](int m, int f, Vec y) {
      store(gates[m] + f, y + weights.qkvo_bias[3 * channels + m]);
    });
    for (int c = 0; c < channels; c++) {
      of_sums[c] = of_out + c * map + at;
      add_row(of_sums[c], bins, proj_bias_sums + c);
    }
    product(of_sums, channels, bins, of_proj, channels, [&](int m, int f, Vec y) { store(of_gated[m] + f, y); });
    for (int h = 0; h < heads; h++) {
      const int first = h * HEAD;
      for (int f = 0; f < bins; f += WIDTH) {
        Vec score = {};
        for (int j = 0; j < HEAD; j++) score += sums.keys[first + j] * load(queries[first + j] + f);
        store(z + f, score);
        store(beta + f, 1.0f / (score + 1e-6f));
        store(of_z + f, Vec{});
      }
      rotate(table, map, at, bins, 1, queries + first, turned + first);
      product(turned + first, HEAD, bins, attend[h], HEAD, [&](int m, int f, Vec y) { store(linear[m] + f, y); });
      for (int m = 0; m < HEAD; m++) {
        const int c = first + m;
        const float* rows[5];
        for (int i = 0; i < 5; i++) rows[i] = values.read(t - 2 + i, c);
        float* local_row = of_local.write(t, c);
        float* of_gate = of_gates + (long(t) * channels + c) * bins;
        Vec of_mean = {}, of_bias = {};
        for (int f = 0; f < bins; f += WIDTH) {
          const Vec score = load(z + f), inverse = load(beta + f), product_row = load(linear[m] + f);
          const Vec local = depthwise<5, 5>(rows, weights.lepe + 25 * c, f) + weights.lepe_bias[c];
          const Vec sum = product_row * (1.0f + inverse) - score * sums.values[c] + local;
          const Vec gate = load(gates[c] + f), of_product = load(of_gated[c] + f), g = of_product * gate;
          store(of_gate + f, of_product * sum);
          store(local_row + f, g);
          store(gates[c] + f, gate * sum);
          store(of_linear[c] + f, g * (1.0f + inverse));
          store(of_z + f, load(of_z + f) - g * (product_row * inverse * inverse + sums.values[c]));
          of_mean -= g * score;
          of_bias += g;
        }
        of_value_means[c] += of_mean;
        lepe_bias_sums[c] += of_bias;
      }
      outer(turned + first, HEAD, of_linear + first, HEAD, bins, of_products + first * HEAD);
      product(of_linear + first, HEAD, bins, of_attend[h], HEAD,
              [&](int m, int f, Vec y) { store(of_turned[m] + f, y); });
      rotate(table, map, at, bins, -1, of_turned, of_turned);
      for (int m = 0; m < HEAD; m++) {
        const int c = first + m;
        float* row = of_queries + (long(t) * channels + c) * bins;
        Vec of_mean = {};
        for (int f = 0; f < bins; f += WIDTH) {
          const Vec query = load(queries[c] + f), by_score = load(of_z + f);
          of_mean += by_score * query;
          store(row + f, (load(of_turned[m] + f) + by_score * sums.keys[c]) * minimum(query, splat(1.0f)));
        }
        of_key_means[c] += of_mean;
      }
    }
    outer(of_sums, channels, gates, channels, bins, proj_sums);
  }
  for (int i = 0; i < channels * channels; i++) gradient.proj[i] = total(proj_sums[i]);
  for (int c = 0; c < channels; c++) {
    gradient.proj_bias[c] = total(proj_bias_sums[c]);
    gradient.lepe_bias[c] = total(lepe_bias_sums[c]);
  }
  const MalaSums of(scratch.take(channels * (HEAD + 2)), channels);
  for (int i = 0; i < channels * HEAD; i++) of.products[i] = total(of_products[i]) * (scale / map);
  for (int c = 0; c < channels; c++) {
    of.keys[c] = total(of_key_means[c]) * (scale / map);
    of.values[c] = total(of_value_means[c]) / map;
  }

  // From the sums and lepe back to keys and values, and on to x.
  const float** of_keys = scratch.take<const float*>(heads);
  const float** of_values = scratch.take<const float*>(heads);
  for (int h = 0; h < heads; h++) {
    const float* own = of.products + h * HEAD * HEAD;
    of_keys[h] = pack(scratch, HEAD, HEAD, [&](int m, int k) { return own[m * HEAD + k]; });
    of_values[h] = pack(scratch, HEAD, HEAD, [&](int m, int k) { return own[k * HEAD + m]; });
  }
  float **keys = queries, **of_key_rows = gates, **of_value_rows = linear, **of_normed = of_gated;
  const float** of_rows = scratch.take<const float*>(4 * channels);
  const float** value_rows = of_sums;
  Vec* lepe_sums = scratch.zeros<Vec>(channels * 25);
  Vec* qkvo_sums = scratch.zeros<Vec>(4 * channels * channels);
  Vec* qkvo_bias_sums = scratch.zeros<Vec>(4 * channels);
  for (int t = 0; t < frames; t++) {
    const long at = long(t) * bins;
    float** own = normed + t * channels;
    product(own, channels, bins, packed[1], channels, [&](int m, int f, Vec y) {
      store(keys[m] + f, elu_plus_one(y + weights.qkvo_bias[channels + m]));
    });
    for (int c = 0; c < channels; c++) {
      value_rows[c] = values.read(t, c);
      const float* g[5];
      for (int i = 0; i < 5; i++) g[i] = of_local.read(t + 2 - i, c);
      depthwise_gradient<5, 5>(g, value_rows[c], weights.lepe + 25 * c, bins, of_value_rows[c], lepe_sums + 25 * c);
    }
    for (int h = 0; h < heads; h++) {
      const int first = h * HEAD;
      rotate(table, map, at, bins, 1, keys + first, turned + first);
      product(turned + first, HEAD, bins, of_values[h], HEAD, [&](int m, int f, Vec y) {
        float* row = of_value_rows[first + m] + f;
        store(row, load(row) + (y + of.values[first + m]));
      });
      product(value_rows + first, HEAD, bins, of_keys[h], HEAD,
              [&](int m, int f, Vec y) { store(of_turned[m] + f, y); });
      rotate(table, map, at, bins, -1, of_turned, of_turned);
      for (int m = 0; m < HEAD; m++) {
        const int c = first + m;
        for (int f = 0; f < bins; f += WIDTH)
          store(of_key_rows[c] + f,
                (load(of_turned[m] + f) + of.keys[c]) * minimum(load(keys[c] + f), splat(1.0f)));
      }
    }
    for (int c = 0; c < channels; c++) {
      of_rows[c] = of_queries + (long(t) * channels + c) * bins;
      of_rows[channels + c] = of_key_rows[c];
      of_rows[2 * channels + c] = of_value_rows[c];
      of_rows[3 * channels + c] = of_gates + (long(t) * channels + c) * bins;
    }
    for (int m = 0; m < 4 * channels; m++) add_row(of_rows[m], bins, qkvo_bias_sums + m);
    outer(of_rows, 4 * channels, own, channels, bins, qkvo_sums);
    product(of_rows, 4 * channels, bins, of_qkvo, channels, [&](int m, int f, Vec y) { store(of_normed[m] + f, y); });
    channel_norm_gradient(x + at, map, channels, bins, of_normed, rates + at, of_out + at, of_x + at);
  }
  normed_weight_gradient(qkvo_sums, 4 * channels, channels, weights.norm, weights.qkvo, gradient.norm, gradient.qkvo);
  for (int m = 0; m < 4 * channels; m++) gradient.qkvo_bias[m] = total(qkvo_bias_sums[m]);
  for (int i = 0; i < channels * 25; i++) gradient.lepe[i] = total(lepe_sums[i]);
}
