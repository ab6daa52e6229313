#include <csignal>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/confinement.hpp>
#include <warpwright/execution/worker.hpp>

#include "memory_limit.hpp"
#include "message_channel.hpp"
#include "read_ahead.hpp"
#include "scheduling.hpp"
#include "task_json.hpp"
#include "worker_process.hpp"

namespace warpwright::execution {
namespace {

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;

class Worker {
 public:
  Worker(const device::BackendRegistry& backends, MessageChannel channel)
      : backends_(backends), channel_(std::move(channel)) {}

  int serve() {
    while (auto message = channel_.receive()) {
      try {
        handle(std::move(*message));
      } catch (const Error& error) {
        // A lost context or a failed start: the coordinator replaces this process.
        channel_.send(to_message(error));
        return exit_failed;
      } catch (const std::exception& error) {
        channel_.send(to_message(Error(ErrorCode::internal, error.what())));
        return exit_failed;
      }
    }
    return exit_ok;
  }

 private:
  void handle(Message message) {
    const auto type = message.head.at("type").get<std::string>();
    if (type == "hello") {
      hello(message);
    } else if (type == "compile") {
      forget_failed_allocations();
      const CompileTask task = compile_task_from(message);
      channel_.send(to_message(compiler_->compile(task, [&](const char* phase) {
        channel_.send_in_passing({{{"type", "phase"}, {"phase", phase}}, {}});
      })));
    } else if (type == "run") {
      // The next task arrives while this one runs. Its answer is sent before that begins, which may be the end of all.
      const ReadAhead::Period period(*reader_);
      channel_.send(to_message(station_->run(run_task_from(std::move(message)))));
    } else if (type == "interleave") {
      channel_.send(to_message(station_->interleave(interleave_task_from(message))));
    } else {
      throw Error(ErrorCode::internal, "unknown message '" + type + "'");
    }
  }

  void hello(const Message& message) {
    const DeviceInfo device = store::device_from_json(message.head.at("device"));
    Problem problem = store::problem_from_json(message.head.at("problem"));
    EvaluatorOptions options;
    const auto cache = message.head.at("cache_folder").get<std::string>();
    if (!cache.empty()) options.cache_folder = cache;
    options.allow_commands = message.head.at("allow_commands").get<bool>();
    if (message.head.at("cache") == "warm") options.cache = measure::CacheMode::warm;
    options.log = [this](LogLevel level, std::string_view text) {
      channel_.send({{{"type", "log"}, {"level", static_cast<int>(level)}, {"text", std::string(text)}}, {}});
    };
    // Before a driver is opened, whose threads would not be confined.
    const bool runs_command = options.allow_commands && std::holds_alternative<ReferenceCommand>(problem.reference);
    if (message.head.contains("confined_to") && !runs_command) {
      std::vector<std::filesystem::path> folders;
      for (const auto& folder : message.head.at("confined_to")) folders.emplace_back(folder.get<std::string>());
      confine_this_thread(folders);
    }
    const device::Backend& backend = backends_.find(device.id);
    if (message.head.at("role") == "compile") {
      stand_back_as_compiler(message.head.at("yields").get<bool>());
      const Bytes memory{message.head.at("compile_memory").get<std::uint64_t>()};
      options.compile_memory = memory;
      compiler_ = std::make_unique<CompileStation>(backend, device, std::move(problem), clock_, std::move(options));
      // A driver with an open device reserves huge ranges of addresses: no limit there.
      if (memory.count > 0 && !compiler_->compiler().needs_device()) {
        limit_memory(memory);
        if (auto words = channel_.last_words({{{"type", "phase"}, {"phase", out_of_memory_phase}}, {}}))
          report_out_of_memory(words->descriptor, std::move(words->bytes));
      }
      channel_.send({{{"type", "ready"}}, {}});
    } else {
      station_ = std::make_unique<DeviceStation>(backend, device.id, std::move(problem), clock_, std::move(options));
      reader_.emplace(channel_);
      channel_.send(to_message(station_->info()));
    }
  }

  const device::BackendRegistry& backends_;
  MessageChannel channel_;
  SteadyClock clock_;
  std::unique_ptr<CompileStation> compiler_;
  std::unique_ptr<DeviceStation> station_;
  std::optional<ReadAhead> reader_;  // of the device worker
};

}  // namespace

int worker_main(const device::BackendRegistry& backends, int descriptor) {
  // Dies with the coordinator even in the middle of a driver call that never returns.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have died before that call. A closed channel tells.
  pollfd channel{descriptor, POLLIN | POLLRDHUP, 0};
  if (::poll(&channel, 1, 0) > 0 && (channel.revents & (POLLHUP | POLLRDHUP)) != 0) return exit_failed;
  try {
    const bool has_doorbell = ::fcntl(WorkerProcess::doorbell_descriptor, F_GETFD) >= 0;
    return Worker(backends, MessageChannel(descriptor, has_doorbell ? WorkerProcess::doorbell_descriptor : -1)).serve();
  } catch (const std::exception&) {
    return exit_failed;  // the channel is gone: nobody is left to tell
  }
}

}  // namespace warpwright::execution
