#include "model.h"

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "../common/error.h"
#include "../signal/gain.h"
#include "../signal/level.h"
#include "../signal/segments.h"
#include "levelled.h"
#include "process.h"

namespace imse {
namespace {

constexpr int MAX_THREADS = 1024;

static_assert(SHORTEST_LEVELLED == IMSE_SHORTEST_SEGMENT && SPECTRUM_BINS == IMSE_BINS && HOP_LENGTH == IMSE_HOP &&
                  SAMPLE_RATE == IMSE_SAMPLE_RATE,
              "what imse.h says");

int checked(int threads) {
  if (threads < 1 || threads > MAX_THREADS)
    throw Error(IMSE_INVALID_ARGUMENT, "threads must be 1 to " + std::to_string(MAX_THREADS));
  return threads;
}

}  // namespace

Model::Model(WeightsFile file, int threads)
    : metadata_(std::move(file.metadata)),
      parameters_(file.tensors.count()),
      blocks_(file.blocks),
      threads_(checked(threads)),
      network_(file.tensors, file.channels, file.blocks, IMSE_BINS),
      transform_(network_.kernels),
      process_(process_id()) {}

imse_description Model::describe() const { return {network_.channels, blocks_, network_.bins, threads_, parameters_}; }

const char* Model::metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : found->second.c_str();
}

std::unique_ptr<Session> Model::take() {
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
    return std::make_unique<Session>(network_, transform_, threads_);
  } catch (const std::system_error&) {
    throw Error(IMSE_OUT_OF_MEMORY, "the system has no room for " + std::to_string(threads_) + " threads: use fewer");
  }
}

// Sessions are kept for the next calls: as many as can be of use at once, with the memory for an ordinary segment.
void Model::give_back(std::unique_ptr<Session> session) {
  session->trim(static_cast<int>(Transform::frames(LONGEST_SEGMENT)));
  const size_t most = std::max(1U, std::thread::hardware_concurrency() / static_cast<unsigned>(threads_));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < most) idle_.push_back(std::move(session));
}

// In a forked process there are sessions, but not their threads, for which their ends would wait for ever: their memory
// is given up.
void Model::forget_sessions_of_parent() {
  if (process_ == process_id()) return;
  for (auto& session : idle_) static_cast<void>(session.release());
  idle_.clear();
  process_ = process_id();
}

void Model::enhance_segment(const float* noisy, size_t samples, float* enhanced, float* high_band) {
  const std::vector<float> original(noisy, noisy + samples);
  const Levelled levelled(noisy, samples);
  std::vector<float> output(samples), guide;
  with_session([&](Session& session) {
    const auto count = static_cast<long>(samples);
    const auto spectrum = session.run(levelled.samples.data(), count, output.data());
    guide = guide_gain(spectrum.noisy, spectrum.enhanced, spectrum.frames, count);
  });
  if (high_band) std::copy(guide.begin(), guide.end(), high_band);
  levelled.restore(0, output);
  follow_guide(levelled.centred, guide, output);
  const std::vector<float> limit = limiting_gain(least_powers(original, levelled.centred), hop_powers(output), samples);
  for (size_t i = 0; i < samples; i++) enhanced[i] = output[i] * limit[i];
}

}  // namespace imse
