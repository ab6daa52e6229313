#include <warpwright/base/clock.hpp>

namespace warpwright {

Nanoseconds SteadyClock::now() const { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace warpwright
