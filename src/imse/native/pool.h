// Threads that share the frames of one map after another.

#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class Pool {
 public:
  explicit Pool(int workers) : workers_(workers) {
    for (int i = 1; i < workers; i++) threads_.emplace_back([this, i] { work(i); });
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
      round_++;
    }
    begun_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int workers() const { return workers_; }

  // Call task(worker) once for each worker, one of them the caller, and wait for all.
  void run(const std::function<void(int)>& task) {
    if (workers_ == 1) return task(0);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      left_ = workers_ - 1;
      round_++;
    }
    begun_.notify_all();
    task(0);
    for (int spin = 0; spin < SPINS && left_.load() > 0; spin++) relax();
    if (left_.load() > 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      ended_.wait(lock, [this] { return left_.load() == 0; });
    }
  }

 private:
  // The next round mostly begins within microseconds, sooner than a sleeping thread wakes up.
  static constexpr int SPINS = 2000;

  static void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  void work(int worker) {
    for (int seen = 0;;) {
      for (int spin = 0; spin < SPINS && round_.load() == seen; spin++) relax();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        begun_.wait(lock, [&] { return round_.load() != seen; });
        seen = round_;
        if (ending_) return;
      }
      (*task_)(worker);
      if (left_.fetch_sub(1) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        ended_.notify_one();
      }
    }
  }

  const int workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  const std::function<void(int)>* task_ = nullptr;
  std::atomic<int> round_{0}, left_{0};
  bool ending_ = false;
};
