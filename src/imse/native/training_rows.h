// What the training kernels share: scratch memory, maps with room between their rows, products over rows and their
// gradients. Included once for each instruction set, after simd.h and product.h.

constexpr int GAP = 16;         // zeros between rows, so that a tap which reaches over the end of a row finds none of the next
constexpr float EPSILON = 1e-5f;  // of both norms

// Memory of one call, or of a part of it: given back in the opposite order. It comes out of a block which its thread keeps,
// as fresh pages would cost more than many a kernel.
class Scratch {
 public:
  Scratch() : start_(top_), extra_(nullptr) {}
  ~Scratch() {
    while (extra_) {
      void** next = static_cast<void**>(*extra_);
      free(extra_);
      extra_ = next;
    }
    top_ = start_;
    if (top_ == 0 && wanted_ > size_) {
      free(kept_);
      kept_ = static_cast<char*>(aligned(wanted_));
      size_ = wanted_;
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` items, aligned to a cache line.
  template <class Item = float>
  Item* take(long count) {
    const long bytes = (count * long(sizeof(Item)) + 63) / 64 * 64, at = top_;
    top_ += bytes;
    if (top_ > wanted_) wanted_ = top_;
    if (top_ <= size_) return reinterpret_cast<Item*>(kept_ + at);
    void** block = static_cast<void**>(aligned(bytes + 64));  // its first line links the blocks of this call
    *block = extra_;
    extra_ = block;
    return reinterpret_cast<Item*>(reinterpret_cast<char*>(block) + 64);
  }

  template <class Item = float>
  Item* zeros(long count) {
    Item* items = take<Item>(count);
    __builtin_memset(static_cast<void*>(items), 0, count * sizeof(Item));
    return items;
  }

 private:
  static void* aligned(long bytes) {
    void* block = aligned_alloc(64, bytes);
    if (!block) abort();
    return block;
  }
  static thread_local char* kept_;
  static thread_local long size_, top_, wanted_;
  const long start_;
  void** extra_;
};
thread_local char* Scratch::kept_ = nullptr;
thread_local long Scratch::size_ = 0, Scratch::top_ = 0, Scratch::wanted_ = 0;

// The last `slots` frames of a map, rows apart by GAP zeros; frames outside the map are zeros.
class Frames {
 public:
  Frames(Scratch& scratch, int channels, int frames, int bins, int slots)
      : channels_(channels), frames_(frames), slots_(slots), pitch_(bins + GAP) {
    data_ = scratch.zeros(long(slots + 1) * channels * pitch_ + GAP) + GAP;
    outside_ = data_ + long(slots) * channels * pitch_;
  }
  float* write(int t, int channel) const { return data_ + (long(t % slots_) * channels_ + channel) * pitch_; }
  const float* read(int t, int channel) const { return t < 0 || t >= frames_ ? outside_ : write(t, channel); }

 private:
  int channels_, frames_, slots_, pitch_;
  float *data_, *outside_;
};

// Weights of `outputs` x `inputs` in the order that `product` reads.
template <class Weight>
static float* pack(Scratch& scratch, int outputs, int inputs, const Weight& weight) {
  float* packed = scratch.take(long(outputs) * inputs);
  float* at = packed;
  for (int first = 0, group; first < outputs; first += group) {
    const int left = outputs - first;
    group = left >= TALL ? TALL : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    for (int k = 0; k < inputs; k++)
      for (int m = 0; m < group; m++) *at++ = weight(first + m, k);
  }
  return packed;
}

// Gradient of a product with respect to its weights: sums[m, k] += a[m] * b[k] over the bins, lane by lane.
template <int HEIGHT, int COLUMNS>
static inline __attribute__((always_inline)) void outer_tile(const float* const* a, const float* const* b, int bins,
                                                             Vec* sums, int stride) {
  Vec tile[HEIGHT][COLUMNS];
  const float *left[HEIGHT], *right[COLUMNS];
  for (int m = 0; m < HEIGHT; m++) left[m] = a[m];
  for (int k = 0; k < COLUMNS; k++) right[k] = b[k];
  for (int m = 0; m < HEIGHT; m++)
    for (int k = 0; k < COLUMNS; k++) tile[m][k] = sums[m * stride + k];
  for (int f = 0; f < bins; f += WIDTH) {
    Vec y[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) y[k] = load(right[k] + f);
    for (int m = 0; m < HEIGHT; m++) {
      const Vec x = load(left[m] + f);
      for (int k = 0; k < COLUMNS; k++) tile[m][k] += x * y[k];
    }
  }
  for (int m = 0; m < HEIGHT; m++)
    for (int k = 0; k < COLUMNS; k++) sums[m * stride + k] = tile[m][k];
}

template <int HEIGHT>
static inline __attribute__((always_inline)) void outer_band(const float* const* a, const float* const* b, int columns,
                                                             int bins, Vec* sums) {
  int k = 0;
  for (; columns - k == 3 || columns - k > 4; k += 3) outer_tile<HEIGHT, 3>(a, b + k, bins, sums + k, columns);
  for (; columns - k >= 2; k += 2) outer_tile<HEIGHT, 2>(a, b + k, bins, sums + k, columns);
  if (k < columns) outer_tile<HEIGHT, 1>(a, b + k, bins, sums + k, columns);
}

static void outer(const float* const* a, int rows, const float* const* b, int columns, int bins, Vec* sums) {
  int m = 0;
  for (; m + TALL <= rows; m += TALL) outer_band<TALL>(a + m, b, columns, bins, sums + m * columns);
  if (TALL > 4)
    for (; m + 4 <= rows; m += 4) outer_band<4>(a + m, b, columns, bins, sums + m * columns);
  for (; m < rows; m++) outer_band<1>(a + m, b, columns, bins, sums + m * columns);
}

static float** row_list(Scratch& scratch, float* data, int rows, long pitch) {
  float** list = scratch.take<float*>(rows);
  for (int i = 0; i < rows; i++) list[i] = data + i * pitch;
  return list;
}

// Depthwise convolution at one place: rows of the taps, at their middle, and their weights [TALL_KERNEL, WIDE_KERNEL].
template <int TALL_KERNEL, int WIDE_KERNEL>
static inline __attribute__((always_inline)) Vec depthwise(const float* const* rows, const float* weight, int f) {
  Vec sum = {};
  for (int i = 0; i < TALL_KERNEL; i++)
    for (int j = 0; j < WIDE_KERNEL; j++)
      sum += weight[i * WIDE_KERNEL + j] * load(rows[i] + f + j - WIDE_KERNEL / 2);
  return sum;
}

// Its gradient, for one row and the taps of one frame: the gradient's row `g` is the one that this tap led to. The
// gradient with respect to the row `x` is added to `of_x`, that of the weights to `of_weight`, lane by lane.
template <int WIDE_KERNEL>
static inline void depthwise_gradient(const float* g, const float* x, const float* weight, int bins, float* of_x,
                                      Vec* of_weight) {
  Vec sums[WIDE_KERNEL];
  for (int j = 0; j < WIDE_KERNEL; j++) sums[j] = of_weight[j];
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec own = load(x + f);
    Vec of_own = load(of_x + f);
    for (int j = 0; j < WIDE_KERNEL; j++) {
      const Vec of_place = load(g + f - (j - WIDE_KERNEL / 2));
      of_own += weight[j] * of_place;
      sums[j] += own * of_place;
    }
    store(of_x + f, of_own);
  }
  for (int j = 0; j < WIDE_KERNEL; j++) of_weight[j] = sums[j];
}

static void add_row(const float* row, int bins, Vec* sum) {
  Vec added = {};
  for (int f = 0; f < bins; f += WIDTH) added += load(row + f);
  *sum += added;
}

// x over its standard deviation over channels, at one frame; also 1 / deviation. The norm's weight is left to the product
// behind it.
static void channel_norm(const float* x, long map, int channels, int bins, float* const* rows, float* rates) {
  for (int f = 0; f < bins; f += WIDTH) {
    Vec sum = {}, squares = {};
    for (int c = 0; c < channels; c++) sum += load(x + c * map + f);
    const Vec mean = sum / float(channels);
    for (int c = 0; c < channels; c++) {
      const Vec off = load(x + c * map + f) - mean;
      squares += off * off;
    }
    const Vec rate = 1.0f / square_root(squares / float(channels) + EPSILON);
    store(rates + f, rate);
    for (int c = 0; c < channels; c++) store(rows[c] + f, load(x + c * map + f) * rate);
  }
}

// Its gradient added to that of the sum behind the block's part, which is where x goes, too.
static void channel_norm_gradient(const float* x, long map, int channels, int bins, const float* const* of_rows,
                                  const float* rates, const float* of_out, float* of_x) {
  for (int f = 0; f < bins; f += WIDTH) {
    const Vec rate = load(rates + f);
    Vec sum = {}, along = {};
    for (int c = 0; c < channels; c++) {
      const Vec own = load(x + c * map + f);
      sum += own;
      along += own * load(of_rows[c] + f);
    }
    const Vec mean = sum / float(channels), pull = rate * rate * rate * along / float(channels);
    for (int c = 0; c < channels; c++)
      store(of_x + c * map + f, load(of_out + c * map + f) + load(of_rows[c] + f) * rate -
                                    pull * (load(x + c * map + f) - mean));
  }
}

// Gradients of a norm's weight [channels] and of the weights [outputs, channels] behind it, from the sums [outputs,
// channels] that are the gradient of their product.
static void normed_weight_gradient(const Vec* sums, int outputs, int channels, const float* norm, const float* weight,
                                   float* of_norm, float* of_weight) {
  for (int c = 0; c < channels; c++) of_norm[c] = 0;
  for (int m = 0; m < outputs; m++)
    for (int c = 0; c < channels; c++) {
      const float sum = total(sums[m * channels + c]);
      of_weight[m * channels + c] = sum * norm[c];
      of_norm[c] += sum * weight[m * channels + c];
    }
}
