// A network's parameters by their names, of which every one has to be used.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace imse {

class Tensors {
 public:
  using Shape = std::vector<std::int64_t>;

  // Trained weights stay below 10. Beyond this a file is damaged, and what it computes is noise, though it is finite.
  static constexpr int LARGEST_VALUE = 1000;

  // `values` stay the caller's, and have to last as long as this.
  void add(const std::string& name, const float* values, Shape shape) {
    if (!tensors_.emplace(name, Tensor{values, std::move(shape)}).second)
      throw std::runtime_error("two tensors '" + name + "'");
  }

  // A tensor's values. Throws std::runtime_error where it is missing, has another shape, or a value that is not finite
  // or beyond LARGEST_VALUE.
  const float* find(const std::string& name, const Shape& shape) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::runtime_error("no tensor '" + name + "'");
    Tensor& tensor = found->second;
    if (tensor.shape != shape)
      throw std::runtime_error("tensor '" + name + "' is " + text(tensor.shape) + " instead of " + text(shape));
    for (std::int64_t i = 0; i < size(shape); i++) {
      if (!std::isfinite(tensor.values[i]))
        throw std::runtime_error("tensor '" + name + "' has a value that is not finite");
      if (std::fabs(tensor.values[i]) > LARGEST_VALUE)
        throw std::runtime_error("tensor '" + name + "' has a value beyond " + std::to_string(LARGEST_VALUE) +
                                 ": damaged weights");
    }
    tensor.used = true;
    return tensor.values;
  }

  std::vector<float> copy(const std::string& name, const Shape& shape) {
    const float* values = find(name, shape);
    return {values, values + size(shape)};
  }

  // Throws std::runtime_error where a tensor was never asked for.
  void expect_all_used() const {
    for (const auto& [name, tensor] : tensors_)
      if (!tensor.used) throw std::runtime_error("unexpected tensor '" + name + "'");
  }

 private:
  struct Tensor {
    const float* values;
    Shape shape;
    bool used = false;
  };

  static std::int64_t size(const Shape& shape) {
    std::int64_t product = 1;
    for (const std::int64_t length : shape) product *= length;
    return product;
  }

  static std::string text(const Shape& shape) {
    std::string joined;
    for (const std::int64_t length : shape) joined += (joined.empty() ? "" : ", ") + std::to_string(length);
    return "[" + joined + "]";
  }

  std::unordered_map<std::string, Tensor> tensors_;
};

}  // namespace imse
