// What goes wrong, with the status that the C interface gives it.
#pragma once

#include <stdexcept>
#include <string>

#include "imse.h"

namespace imse {

class Error : public std::runtime_error {
 public:
  Error(imse_status status, const std::string& text) : std::runtime_error(text), status(status) {}

  const imse_status status;
};

}  // namespace imse
