// A network's parameters by their names, of which every one has to be used.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../common/error.h"

namespace imse {

class Tensors {
 public:
  using Shape = std::vector<std::int64_t>;

  // Trained weights stay below 10. Beyond this a file is damaged, and what it computes is noise, though it is finite.
  static constexpr int LARGEST_VALUE = 1000;

  // As many values as the shape says.
  void add(const std::string& name, std::vector<float> values, Shape shape) {
    if (!tensors_.emplace(name, Tensor{std::move(values), std::move(shape)}).second)
      throw Error(IMSE_INVALID_WEIGHTS, "two tensors '" + name + "'");
  }

  // Values of all tensors.
  std::int64_t count() const {
    std::int64_t sum = 0;
    for (const auto& [name, tensor] : tensors_) sum += static_cast<std::int64_t>(tensor.values.size());
    return sum;
  }

  // A tensor's values. Throws Error where it is missing, has another shape, or a value that is not finite
  // or beyond LARGEST_VALUE.
  const float* find(const std::string& name, const Shape& shape) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Error(IMSE_INVALID_WEIGHTS, "no tensor '" + name + "'");
    Tensor& tensor = found->second;
    if (tensor.shape != shape)
      throw Error(IMSE_INVALID_WEIGHTS,
                  "tensor '" + name + "' is " + text(tensor.shape) + " instead of " + text(shape));
    for (const float value : tensor.values) {
      if (!std::isfinite(value))
        throw Error(IMSE_INVALID_WEIGHTS, "tensor '" + name + "' has a value that is not finite");
      if (std::fabs(value) > LARGEST_VALUE)
        throw Error(IMSE_INVALID_WEIGHTS,
                    "tensor '" + name + "' has a value beyond " + std::to_string(LARGEST_VALUE) + ": damaged weights");
    }
    tensor.used = true;
    return tensor.values.data();
  }

  std::vector<float> copy(const std::string& name, const Shape& shape) {
    find(name, shape);
    return tensors_.at(name).values;
  }

  // Throws Error where a tensor was never asked for.
  void expect_all_used() const {
    for (const auto& [name, tensor] : tensors_)
      if (!tensor.used) throw Error(IMSE_INVALID_WEIGHTS, "unexpected tensor '" + name + "'");
  }

 private:
  struct Tensor {
    std::vector<float> values;
    Shape shape;
    bool used = false;
  };

  static std::string text(const Shape& shape) {
    std::string joined;
    for (const std::int64_t length : shape) joined += (joined.empty() ? "" : ", ") + std::to_string(length);
    return "[" + joined + "]";
  }

  std::unordered_map<std::string, Tensor> tensors_;
};

}  // namespace imse
