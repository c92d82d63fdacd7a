#include "api.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "session.h"
#include "tensors.h"
#include "weights.h"

#ifndef FINGERPRINT
#error "FINGERPRINT must be that of the sources, see build.py"
#endif

namespace imse {
namespace {

constexpr int MAX_THREADS = 1024, MAX_FRAMES = 1 << 24;

// A network and a session for each of those who use it at the same time.
class Handle {
 public:
  Handle(Tensors& tensors, int channels, int blocks, int bins, int threads)
      : threads_(checked(threads)), network_(tensors, channels, blocks, bins), process_(getpid()) {}
  ~Handle() { forget_sessions_of_parent(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  std::unique_ptr<Session> take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      forget_sessions_of_parent();
      if (!idle_.empty()) {
        std::unique_ptr<Session> session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    try {
      return std::make_unique<Session>(network_, threads_);
    } catch (const std::system_error&) {
      throw std::runtime_error("the system has no room for " + std::to_string(threads_) + " threads: use fewer");
    }
  }

  void give_back(std::unique_ptr<Session> session) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back(std::move(session));
  }

 private:
  static int checked(int threads) {
    if (threads < 1 || threads > MAX_THREADS)
      throw std::runtime_error("threads must be 1 to " + std::to_string(MAX_THREADS));
    return threads;
  }

  // In a forked process there are sessions, but not their threads, for which their ends would wait for ever: their
  // memory is given up.
  void forget_sessions_of_parent() {
    if (process_ == getpid()) return;
    for (auto& session : idle_) static_cast<void>(session.release());
    idle_.clear();
    process_ = getpid();
  }

  const int threads_;
  const Network network_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_;
  pid_t process_;
};

// Call a function; where it throws, write why to `message` and return what stands for failure.
template <class Result, class Function>
Result guarded(Result failure, char* message, int size, const Function& function) noexcept {
  const auto explain = [&](const char* reason) {
    if (size > 0) std::snprintf(message, size, "%s", reason);
    return failure;
  };
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return explain("not enough memory");
  } catch (const std::exception& error) {
    return explain(error.what());
  } catch (...) {
    return explain("unknown error");
  }
}

}  // namespace
}  // namespace imse

const char* imse_fingerprint() noexcept { return FINGERPRINT; }

const char* imse_instruction_set(char* message, int message_size) noexcept {
  return imse::guarded<const char*>(nullptr, message, message_size, [] { return imse::chosen_kernels().name; });
}

void* imse_open(int channels, int blocks, int bins, int threads, int count, const char* const* names,
                const float* const* values, const int* ranks, const std::int64_t* shapes, char* message,
                int message_size) noexcept {
  return imse::guarded<void*>(nullptr, message, message_size, [&] {
    imse::Tensors tensors;
    for (int i = 0; i < count; i++) {
      tensors.add(names[i], values[i], {shapes, shapes + ranks[i]});
      shapes += ranks[i];
    }
    return std::make_unique<imse::Handle>(tensors, channels, blocks, bins, threads).release();
  });
}

int imse_run(void* network, const float* magnitude, const float* phase, int frames, float* enhanced, float* real,
             float* imag, char* message, int message_size) noexcept {
  return imse::guarded(1, message, message_size, [&] {
    if (frames < 1 || frames > imse::MAX_FRAMES)
      throw std::runtime_error("frames must be 1 to " + std::to_string(imse::MAX_FRAMES));
    auto* handle = static_cast<imse::Handle*>(network);
    std::unique_ptr<imse::Session> session = handle->take();
    session->run(magnitude, phase, frames, enhanced, real, imag);
    handle->give_back(std::move(session));
    return 0;
  });
}

void imse_close(void* network) noexcept { delete static_cast<imse::Handle*>(network); }
