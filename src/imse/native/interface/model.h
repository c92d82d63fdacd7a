// Weights, ready to be run by several callers at once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../engine/session.h"
#include "../engine/weights.h"
#include "../signal/transform.h"
#include "imse.h"
#include "weights_file.h"

namespace imse {

class Model {
 public:
  // Throws Error for weights that are not those of a network, and for a number of threads that is none.
  Model(WeightsFile file, int threads);
  ~Model() { forget_sessions_of_parent(); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  imse_description describe() const;
  const char* metadata(const std::string& key) const;

  // Call function(session) with a session that nobody else uses. Throws Error where there is no room for its threads.
  template <class Function>
  void with_session(const Function& function) {
    std::unique_ptr<Session> session = take();
    function(*session);
    give_back(std::move(session));
  }

  // Enhance a segment, as imse_enhance_segment says.
  void enhance_segment(const float* noisy, size_t samples, float* enhanced, float* high_band = nullptr);

 private:
  std::unique_ptr<Session> take();
  void give_back(std::unique_ptr<Session> session);
  void forget_sessions_of_parent();

  const std::map<std::string, std::string> metadata_;
  const std::int64_t parameters_;
  const int blocks_, threads_;
  const Network network_;
  const Transform transform_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_;
  long process_;
};

}  // namespace imse
