// Scratch memory of the training kernels.
#pragma once

#include <cstring>
#include <new>

#include "../common/aligned.h"

namespace imse::ISA {

// The memory that a thread keeps between calls.
struct ScratchBlock {
  char* memory = nullptr;
  long size = 0, used = 0, wanted = 0;

  ScratchBlock() = default;
  ScratchBlock(const ScratchBlock&) = delete;
  ScratchBlock& operator=(const ScratchBlock&) = delete;
  ~ScratchBlock() { aligned_free(memory); }

  // Null where there is no room; `used` counts on, to know how much is wanted.
  void* take(long bytes) {
    const long at = used;
    used += bytes;
    if (used > wanted) wanted = used;
    return used <= size ? memory + at : nullptr;
  }

  // To the most that was wanted; where the system does not have that, there is none.
  void grow() {
    if (wanted <= size) return;
    aligned_free(memory);
    memory = static_cast<char*>(aligned_allocate(wanted));
    if (!memory) wanted = 0;
    size = wanted;
  }
};

// Memory of one call, or of a part of it: given back in the opposite order. It comes out of a block which its thread
// keeps, as fresh pages would cost more than many a kernel. What does not fit in the block comes from the system, and
// the next call finds a larger block.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() {
    while (extra_) {
      Extra* next = extra_->next;
      aligned_free(extra_);
      extra_ = next;
    }
    block_.used = start_;
    if (start_ == 0) block_.grow();
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` items, aligned to a cache line. Throws std::bad_alloc.
  template <class Item = float>
  Item* take(long count) {
    const long bytes = (count * static_cast<long>(sizeof(Item)) + LINE - 1) / LINE * LINE;
    if (void* memory = block_.take(bytes)) return static_cast<Item*>(memory);
    char* memory = static_cast<char*>(aligned_allocate(LINE + bytes));
    if (!memory) throw std::bad_alloc();
    extra_ = new (memory) Extra{extra_};  // in the first line
    return static_cast<Item*>(static_cast<void*>(memory + LINE));
  }

  template <class Item = float>
  Item* zeros(long count) {
    Item* items = take<Item>(count);
    std::memset(static_cast<void*>(items), 0, count * sizeof(Item));
    return items;
  }

 private:
  static constexpr long LINE = CACHE_LINE;

  // Memory beside the block, in a list of this call's.
  struct Extra {
    Extra* next;
  };

  inline static thread_local ScratchBlock block_;

  const long start_ = block_.used;
  Extra* extra_ = nullptr;
};

}  // namespace imse::ISA
