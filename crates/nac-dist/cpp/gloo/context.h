// The part of a gloo context that libtorch's header names: it holds contexts by pointer, and sets their timeout.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

} // namespace gloo
