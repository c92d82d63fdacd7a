// Threads that share the frames of one map after another.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace imse {

class Pool {
 public:
  // Throws std::system_error where the system has no more threads; none is left behind then.
  explicit Pool(int workers) : workers_(workers) {
    try {
      threads_.reserve(workers - 1);
      for (int worker = 1; worker < workers; worker++) threads_.emplace_back([this, worker] { work(worker); });
    } catch (...) {
      stop();
      throw;
    }
  }

  ~Pool() { stop(); }

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int workers() const { return workers_; }

  // Call task(worker) once for each worker, one of them the caller, and wait for all.
  //
  // What a task throws is thrown here, after all have ended; of several exceptions, one.
  void run(const std::function<void(int)>& task) {
    if (workers_ == 1) return task(0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      left_ = workers_ - 1;
      round_++;
    }
    begun_.notify_all();
    attempt(task, 0);
    for (int spin = 0; spin < SPINS && left_.load() > 0; spin++) relax();
    std::exception_ptr error;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      ended_.wait(lock, [this] { return left_.load() == 0; });
      task_ = nullptr;
      std::swap(error, error_);
    }
    if (error) std::rethrow_exception(error);
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

  void attempt(const std::function<void(int)>& task, int worker) {
    try {
      task(worker);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      error_ = std::current_exception();
    }
  }

  void work(int worker) {
    for (unsigned seen = 0;;) {
      for (int spin = 0; spin < SPINS && round_.load() == seen; spin++) relax();
      const std::function<void(int)>* task = nullptr;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        begun_.wait(lock, [&] { return round_.load() != seen; });
        seen = round_;
        if (ending_) return;
        task = task_;
      }
      attempt(*task, worker);
      if (left_.fetch_sub(1) == 1) {
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_.notify_one();
      }
    }
  }

  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
      round_++;
    }
    begun_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  const int workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable begun_, ended_;
  const std::function<void(int)>* task_ = nullptr;
  std::exception_ptr error_;
  std::atomic<unsigned> round_{0};
  std::atomic<int> left_{0};
  bool ending_ = false;
};

}  // namespace imse
