// A stream of imse.h for a thread that may not wait for the network, such as the audio thread of a host.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "imse.h"

namespace imse_plugin {

// What has a network in common: it is closed with the last stream.
using SharedNetwork = std::shared_ptr<imse_network>;

// The network takes most of a hop for a hop, and all of it falls due at once. So it runs on a thread of its own, and
// the output is later by one hop than a stream's. A host that is faster than the processor waits: the output is always
// the same.
class LiveStream {
 public:
  // Throws std::runtime_error where the library opens no stream, and std::bad_alloc.
  LiveStream(SharedNetwork network, const imse_stream_settings& settings);
  ~LiveStream() { stop(); }
  LiveStream(const LiveStream&) = delete;
  LiveStream& operator=(const LiveStream&) = delete;

  // Samples by which the output is late.
  std::size_t latency() const { return latency_; }

  // Begin with silence. Throws std::system_error where the system has no more threads.
  void start();
  void stop();

  // The next samples of the input, and as many of the output; the two may be the same array. Samples that are no finite
  // numbers count as silence. Nothing is allocated. The output is silent before start().
  //
  // kept  Share of the input in the output, 0 to 1; a change takes some 20 ms.
  void run(const float* noisy, float* output, std::size_t samples, float kept);

 private:
  struct Closer {
    void operator()(imse_stream* stream) const { imse_stream_close(stream); }
  };

  // The samples of a signal by their numbers, of which only the newest are there.
  class Ring {
   public:
    explicit Ring(std::size_t size) : samples_(size) {}
    float& operator[](std::uint64_t number) { return samples_[number % samples_.size()]; }

   private:
    std::vector<float> samples_;
  };

  void run_part(const float* noisy, float* output, std::size_t samples, float kept);
  void hand_over();
  void work();
  std::uint64_t enhance(std::uint64_t begin, std::uint64_t end, std::uint64_t made);

  const SharedNetwork network_;  // closed after the stream
  const std::unique_ptr<imse_stream, Closer> stream_;
  // Samples of a hop; those that are handed over to the thread at once; those of the whole delay.
  const std::size_t hop_, grain_, latency_;
  const float smoothing_;

  // Of the audio thread.
  Ring noisy_;
  std::uint64_t received_ = 0;
  float kept_ = -1;  // none yet

  // Of the other thread.
  Ring enhanced_;
  std::vector<float> fed_, written_;

  // Of both. Samples below `handed_` are read by the other thread, those below `made_` are written by it.
  std::mutex mutex_;
  std::condition_variable handed_over_, made_more_;
  std::uint64_t handed_ = 0, made_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace imse_plugin
