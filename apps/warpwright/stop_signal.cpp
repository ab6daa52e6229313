#include "stop_signal.hpp"

#include <csignal>

namespace warpwright::app {
namespace {

// A signal handler can reach nothing but static storage.
std::atomic<bool> stop_requested{false};
struct sigaction old_interrupt, old_terminate;

void on_signal(int signal) {
  if (stop_requested.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

StopSignal::StopSignal() {
  stop_requested = false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: waits end at once
  sigaction(SIGINT, &action, &old_interrupt);
  sigaction(SIGTERM, &action, &old_terminate);
}

StopSignal::~StopSignal() {
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
}

const std::atomic<bool>* StopSignal::flag() { return &stop_requested; }

}  // namespace warpwright::app
