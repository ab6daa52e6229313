// Particle swarm (Kennedy, Eberhart 1995, with inertia) on positions as real numbers, rounded and repaired to the
// nearest valid configuration.
#include <algorithm>
#include <cmath>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class ParticleSwarm final : public detail::GroupwiseStrategy {
 public:
  ParticleSwarm(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        size_(std::max<std::uint64_t>(1, detail::integer_option(settings, "particles", 16))),
        inertia_(detail::number_option(settings, "inertia", 0.5)),
        own_(detail::number_option(settings, "own", 2.0)),
        common_(detail::number_option(settings, "common", 1.0)) {}

 private:
  struct Particle {
    std::vector<double> position, velocity;
    std::uint64_t now = 0, best = 0;
  };

  std::vector<std::uint64_t> next_group() override {
    std::vector<std::uint64_t> group;
    if (particles_.empty()) {
      for (const std::uint64_t index : first_generation(size_)) {
        Particle particle;
        particle.position = detail::as_point(space_.choice_at(index));
        particle.velocity.assign(particle.position.size(), 0.0);
        particle.now = particle.best = index;
        particles_.push_back(std::move(particle));
        group.push_back(index);
      }
      return group;
    }
    for (Particle& particle : particles_)
      if (value(particle.now) < value(particle.best)) particle.best = particle.now;
    const std::vector<double> leader =
        detail::as_point(space_.choice_at(has_best() ? best() : particles_.front().best));
    for (Particle& particle : particles_) {
      const std::vector<double> own = detail::as_point(space_.choice_at(particle.best));
      for (std::size_t p = 0; p < particle.position.size(); ++p) {
        const auto last = static_cast<double>(space_.parameters()[p].values.size() - 1);
        double& velocity = particle.velocity[p];
        velocity = inertia_ * velocity + own_ * rng_.uniform() * (own[p] - particle.position[p]) +
                   common_ * rng_.uniform() * (leader[p] - particle.position[p]);
        velocity = std::clamp(velocity, -last, last);
        particle.position[p] = std::clamp(particle.position[p] + velocity, 0.0, last);
      }
      particle.now = repaired(detail::as_choice(space_, particle.position));
      group.push_back(particle.now);
    }
    return group;
  }

  std::uint64_t size_;
  double inertia_, own_, common_;
  std::vector<Particle> particles_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_particle_swarm(const Space& space, const StrategySettings& settings) {
  return std::make_unique<ParticleSwarm>(space, settings);
}

}  // namespace warpwright
