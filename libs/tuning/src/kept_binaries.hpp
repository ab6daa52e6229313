// The binaries that a session may need again at its end: those of its best configurations. In memory and bounded, so
// that what was compiled is not compiled again where there is no cache on the disk; the worst are forgotten first.
#pragma once

#include <cstddef>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/binary.hpp>
#include <warpwright/model/configuration.hpp>

namespace warpwright::tuning {

// Thread-compatible.
class KeptBinaries {
 public:
  // No more than so many, and images of so many bytes in all; the best one is kept whatever its size.
  KeptBinaries(std::size_t most, Bytes limit) : most_(most), limit_(limit) {}

  // `objective` is to be minimised. Replaces what was kept for the configuration.
  void keep(const Configuration& configuration, Binary binary, double objective);
  // Null if it is not kept. Valid until the next keep().
  const Binary* find(const Configuration& configuration) const;
  std::size_t count() const { return kept_.size(); }
  Bytes size() const { return size_; }

 private:
  struct Kept {
    Configuration configuration;
    Binary binary;
    double objective = 0;
  };
  void forget(std::vector<Kept>::iterator kept);

  std::size_t most_;
  Bytes limit_, size_{};
  std::vector<Kept> kept_;
};

}  // namespace warpwright::tuning
