// What the training kernels share: scratch memory, maps with room between their rows, products over rows and their
// gradients. Included once for each instruction set, after simd.h and product.h.

constexpr int GAP = 16;         // zeros between rows, so that a tap which reaches over the end of a row finds none of the next
constexpr float EPSILON = 1e-5f;  // of both norms

// Memory of one call. It comes out of a block which its thread keeps, as fresh pages would cost more than many a kernel.
class Scratch {
 public:
  Scratch() : used_(0), extra_(nullptr) {}
  ~Scratch() {
    while (extra_) {
      void** next = static_cast<void**>(*extra_);
      __builtin_free(extra_);
      extra_ = next;
    }
    if (used_ > size_) {
      __builtin_free(kept_);
      kept_ = static_cast<char*>(aligned(used_));
      size_ = used_;
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` items, aligned to a cache line.
  template <class Item = float>
  Item* take(long count) {
    const long bytes = (count * long(sizeof(Item)) + 63) / 64 * 64;
    const long at = used_;
    used_ += bytes;
    if (used_ <= size_) return reinterpret_cast<Item*>(kept_ + at);
    void** block = static_cast<void**>(aligned(bytes + 64));  // its first line links the blocks of this call
    *block = extra_;
    extra_ = block;
    return reinterpret_cast<Item*>(reinterpret_cast<char*>(block) + 64);
  }

  template <class Item = float>
  Item* zeros(long count) {
    Item* items = take<Item>(count);
    __builtin_memset(items, 0, count * sizeof(Item));
    return items;
  }

 private:
  static void* aligned(long bytes) {
    void* block = aligned_alloc(64, bytes);
    if (!block) abort();
    return block;
  }
  static thread_local char* kept_;
  static thread_local long size_;
  long used_;
  void** extra_;
};
thread_local char* Scratch::kept_ = nullptr;
thread_local long Scratch::size_ = 0;

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
  for (; k + 3 <= columns; k += 3) outer_tile<HEIGHT, 3>(a, b + k, bins, sums + k, columns);
  for (; k < columns; k++) outer_tile<HEIGHT, 1>(a, b + k, bins, sums + k, columns);
}

static void outer(const float* const* a, int rows, const float* const* b, int columns, int bins, Vec* sums) {
  int m = 0;
  for (; m + TALL <= rows; m += TALL) outer_band<TALL>(a + m, b, columns, bins, sums + m * columns);
  if (TALL > 4)
    for (; m + 4 <= rows; m += 4) outer_band<4>(a + m, b, columns, bins, sums + m * columns);
  for (; m < rows; m++) outer_band<1>(a + m, b, columns, bins, sums + m * columns);
}
