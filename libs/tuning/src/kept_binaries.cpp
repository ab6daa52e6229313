#include "kept_binaries.hpp"

#include <algorithm>
#include <utility>

namespace warpwright::tuning {

void KeptBinaries::keep(const Configuration& configuration, Binary binary, double objective) {
  const auto old =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.configuration == configuration; });
  if (old != kept_.end()) forget(old);
  size_.count += binary.image.size();
  kept_.push_back({configuration, std::move(binary), objective});
  while (kept_.size() > 1 && (size_ > limit_ || kept_.size() > most_))
    forget(std::max_element(kept_.begin(), kept_.end(),
                            [](const Kept& a, const Kept& b) { return a.objective < b.objective; }));
}

const Binary* KeptBinaries::find(const Configuration& configuration) const {
  const auto found =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return kept.configuration == configuration; });
  return found == kept_.end() ? nullptr : &found->binary;
}

void KeptBinaries::forget(std::vector<Kept>::iterator kept) {
  size_.count -= kept->binary.image.size();
  kept_.erase(kept);
}

}  // namespace warpwright::tuning
