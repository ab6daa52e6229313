#include "store_test_support.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace warpwright::store::test {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "warpwright-store-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Child::Child(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), WARPWRIGHT_STORE_HELPER);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot create a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int status = ::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  output_ = ends[0];
  if (status != 0) throw std::runtime_error("cannot start " + arguments[0]);
}

Child::~Child() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  if (output_ >= 0) ::close(output_);
}

std::string Child::read_line() {
  for (;;) {
    if (const auto newline = buffer_.find('\n'); newline != std::string::npos) {
      std::string line = buffer_.substr(0, newline);
      buffer_.erase(0, newline + 1);
      return line;
    }
    char bytes[4096];
    const ssize_t got = ::read(output_, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    buffer_.append(bytes, static_cast<std::size_t>(got));
  }
}

void Child::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

int Child::wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string read_text_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void write_text_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

KernelResources full_resources() {
  KernelResources resources;
  resources.entry = "gemm<4, true>";
  resources.registers_per_thread = 255;
  resources.static_shared = Bytes{49152};
  resources.dynamic_shared = Bytes{0};
  resources.local_per_thread = Bytes{16};
  resources.constant = Bytes{1} * (std::uint64_t{1} << 60);
  resources.max_threads_per_block = 1024;
  resources.barriers = 16;
  resources.spill_stores = Bytes{8};
  resources.spill_loads = Bytes{12};
  resources.required_block = {128, 2, 1};
  resources.required_cluster = {2, 1, 1};
  resources.max_cluster_blocks = 8;
  return resources;
}

Trial full_trial(std::uint64_t ordinal) {
  Trial trial;
  trial.ordinal = ordinal;
  trial.configuration = {{"block_x", static_cast<std::int64_t>(ordinal)},
                         {"scale", 1.0},
                         {"padded", true},
                         {"layout", std::string("row")}};
  trial.status = TrialStatus::wrong_result;
  trial.samples = {Nanoseconds{1250.5}, Nanoseconds{1e9 / 3}, Nanoseconds{0.1}};
  trial.median = Nanoseconds{1250.5};
  trial.spread = Nanoseconds{3.0};
  trial.metrics = {{"GFLOP/s", 1234.5678901234567}, {"occupancy", std::nan("")}};
  trial.message = "element 7 of 'c' is 1.5, expected 2";
  trial.log = "line 1\nline 2 \xE9\\x41 not UTF-8\n";
  trial.resources = {full_resources(), KernelResources{}};
  trial.occupancy = {{"gemm<4, true>", 3, 12, 64, {"registers", "shared_memory"}}, {"sum", 0, 0, 64, {}}};
  trial.mismatch = Mismatch{.argument = "c",
                            .index = (std::uint64_t{1} << 63) + 1,
                            .expected = "2",
                            .found = "1.5",
                            .wrong = 3,
                            .total = ~std::uint64_t{0}};
  trial.times = {.compile_wall = Nanoseconds{7e8},
                 .compile_cpu = Nanoseconds{6.5e8},
                 .copy = Nanoseconds{1},
                 .verify = Nanoseconds{2.25},
                 .measure = Nanoseconds{3e7}};
  trial.binary_from_cache = true;
  trial.finished_at = "2026-11-22T18:06:36Z";
  return trial;
}

DeviceInfo full_device() {
  DeviceInfo device;
  device.id = DeviceId::parse("opencl:0:1");
  device.kind = DeviceKind::accelerator;
  device.name = "Widget 9000";
  device.vendor = "Widgets";
  device.architecture = "wd_90";
  device.driver = "580.1";
  device.toolkit = "WidgetC 13.0";
  device.uuid = "GPU-1234";
  device.pci_bus_id = "0000:3b:00.0";
  device.multiprocessors = 132;
  device.warp_size = 32;
  device.max_threads_per_block = 1024;
  device.max_block = {1024, 1024, 64};
  device.max_grid = {2147483647, 65535, 65535};
  device.shared_per_block = Bytes{49152};
  device.shared_per_block_optin = Bytes{232448};
  device.shared_per_multiprocessor = Bytes{233472};
  device.reserved_shared_per_block = Bytes{1024};
  device.registers_per_block = 65536;
  device.registers_per_multiprocessor = 65537;
  device.max_threads_per_multiprocessor = 2048;
  device.max_blocks_per_multiprocessor = 32;
  device.global_memory = Bytes{std::uint64_t{80} << 30};
  device.constant_memory = Bytes{65536};
  device.l2_cache = Bytes{52428800};
  device.clock_mhz = 1980;
  device.memory_clock_mhz = 2619;
  device.memory_bus_bits = 5120;
  device.copy_engines = 3;
  device.supports_cooperative_launch = true;
  device.supports_clusters = true;
  device.supports_graphs = true;
  device.supports_float64 = true;
  device.supports_float16 = true;
  return device;
}

Problem full_problem() {
  const auto expression = [](std::string_view text) { return Expression::parse(text); };
  Problem problem;
  problem.name = "stencil5";
  problem.file = "specs/stencil.toml";
  problem.source.dialect = SourceText{.file = "stencil.kernel", .text = "// caf\xE9\nKERNEL void stencil5() {}\n"};
  problem.source.by_backend = {{"cuda", {.file = "a.cu", .text = "__global__ void stencil5() {}"}},
                               {"opencl", {.file = "a.cl", .text = "kernel void stencil5() {}"}}};
  problem.options = {{"cuda", {"-use_fast_math", "-maxrregcount=64"}}, {"opencl", {}}};
  problem.include_folders = {"include", "/usr/include/more"};
  problem.defines = {{"HALO", expression("tile + 2")}, {"NAME", Expression::constant(std::string("it's"))}};
  problem.dimensions = {{"width", std::int64_t{4096}}, {"alpha", 1.0}, {"seed", std::int64_t{9007199254740993}}};
  problem.device_dimensions = {{"opencl-cpu", {{"width", std::int64_t{1024}}}}};
  Parameter block;
  block.name = "block_x";
  block.values = {std::int64_t{16}, std::int64_t{32}};
  block.default_value = std::int64_t{32};
  block.role = ParameterRole::block;
  Parameter layout;
  layout.name = "layout";
  layout.values = {std::string("row"), std::string("nan"), std::string("")};
  layout.role = ParameterRole::template_argument;
  layout.ordered = false;
  Parameter scale;
  scale.name = "scale";
  scale.values = {1.0, 0.5, true};
  scale.role = ParameterRole::option;
  Parameter tile;
  tile.name = "tile";
  tile.values = {std::int64_t{1}};
  problem.parameters = {block, layout, scale, tile};
  problem.constraints = {Constraint::parse("block_x * tile <= 1024"),
                         Constraint::from("a C++ rule", [](const Configuration&) { return true; })};
  Argument in;
  in.name = "in";
  in.type = DataType::float16;
  in.components = 4;
  in.size = expression("width * width");
  in.fill = FillUniform{.low = -1, .high = 1.5, .seed = 18446744073709551615ULL};
  Argument coefficients;
  coefficients.name = "coeff";
  coefficients.access = Access::constant;
  coefficients.size = Expression::constant(std::int64_t{5});
  coefficients.fill = FillNpy{.file = "coeff.npy"};
  coefficients.symbol = "coeff_c";
  Argument out;
  out.name = "out";
  out.type = DataType::float64;
  out.access = Access::out;
  out.size = expression("width");
  out.fill = FillNormal{.mean = 0.1, .deviation = 2, .seed = 3};
  Argument state;
  state.name = "state";
  state.type = DataType::uint64;
  state.access = Access::inout;
  state.size = expression("width");
  state.fill = FillIota{.start = -3, .step = 0.25};
  Argument count;
  count.name = "count";
  count.type = DataType::int32;
  count.access = Access::scalar;
  count.value = Expression::constant(std::int64_t{-7});
  count.fill = FillConstant{.value = std::nan("")};
  problem.arguments = {in, coefficients, out, state, count};
  Launch launch;
  launch.entry = "stencil5";
  launch.block = {expression("block_x"), expression("1 if block_x > 16 else 2")};
  launch.grid = {expression("ceil_div(width, block_x * tile)")};
  launch.shared = expression("(block_x + 2) * 4");
  launch.args = {"in", "out", "width"};
  launch.repeat = Expression::constant(std::int64_t{10});
  launch.swap = {"in", "out"};
  launch.cooperative = true;
  launch.cluster = {expression("2"), expression("tile")};
  Launch second;
  second.entry = "finish";
  second.block = {Expression::constant(std::int64_t{1})};
  second.grid = {Expression::constant(std::int64_t{1})};
  problem.launches = {launch, second};
  Output output;
  output.argument = "out";
  output.rtol = 1e-5;
  output.atol = 1e-6;
  problem.outputs = {output};
  problem.reference = ReferenceKernel{.source = problem.source, .launches = {second}};
  problem.baseline = Configuration{{"block_x", std::int64_t{32}}, {"layout", std::string("row")}};
  problem.objective = {.metric = "GFLOP/s", .minimise = false};
  problem.metrics = {{.name = "GFLOP/s", .expression = expression("9 * width / time_ns")}};
  problem.verify_sizes = {{{"width", std::int64_t{1000}}}, {{"width", std::int64_t{777}}}};
  problem.warnings = {"key 'x' is ignored"};
  return problem;
}

JournalHeader sample_header() {
  JournalHeader header;
  header.kernel = "gemm";
  header.problem_hash = "0123456789abcdef0123456789abcdef";
  header.source_hash = "fedcba98";
  header.dimensions = {{"width", std::int64_t{4096}}, {"alpha", 1.5}};
  header.device = "Widget 9000";
  header.device_id = "cuda:0";
  header.cache_mode = "cold";
  header.toolkit = "NVRTC 13.0";
  header.driver = "580.65";
  header.sampling = JsonText(R"({"min_samples":5})");
  header.strategy = "random";
  header.seed = 18446744073709551557ULL;
  header.details = text_of({{"specification", "gemm.toml"}, {"started_at", "2026-11-22T18:00:00Z"}});
  return header;
}

ProfileKey sample_key(Configuration dimensions) {
  ProfileKey key;
  key.kernel = "gemm";
  key.source_hash = "0123456789abcdef0123456789abcdef";
  key.data_types = "float32,float32,int32";
  key.backend = "cuda";
  key.device = "NVIDIA RTX 4000";
  key.architecture = "sm_89";
  key.device_kind = "gpu";
  key.dimensions = std::move(dimensions);
  key.toolkit = "NVRTC 13.0";
  key.driver = "580.1";
  key.cache_mode = "cold";
  return key;
}

TuningProfile full_profile() {
  TuningProfile profile;
  profile.key = sample_key({{"m", std::int64_t{2048}}, {"alpha", 1.0}, {"layout", std::string("row")}});
  profile.configuration = {{"block_x", std::int64_t{32}}, {"scale", 1.0}, {"padded", true}};
  profile.median = Nanoseconds{1250.125};
  profile.spread = Nanoseconds{1.0 / 3};
  profile.samples = 31;
  profile.baseline = Configuration{{"block_x", std::int64_t{16}}};
  profile.baseline_median = Nanoseconds{4000.4};
  profile.paired_speedup = PairedRatio{3.2, {3.1, 10.0 / 3, 0.95}};
  profile.evaluations = 18446744073709551615ULL;
  profile.strategy = "random";
  profile.seed = 18446744073709551557ULL;
  profile.verification = "reference kernel; re-verified at 2 sizes";
  profile.created_at = "2026-11-22T18:06:36Z";
  profile.provenance = "warpwright";
  profile.details = text_of({{"note", "caf\u00e9"}, {"runs", {1, 2.5, true, nullptr}}});
  return profile;
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

namespace {

bool same(Nanoseconds a, Nanoseconds b) { return test::same(a.count(), b.count()); }

template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || same(*a, *b));
}

}  // namespace

bool same(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  const double* number = std::get_if<double>(&a);
  return number == nullptr ? a == b : same(*number, std::get<double>(b));
}

bool same(const Configuration& a, const Configuration& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
}

bool same(const KernelResources& a, const KernelResources& b) {
  return a.entry == b.entry && a.registers_per_thread == b.registers_per_thread && a.static_shared == b.static_shared &&
         a.dynamic_shared == b.dynamic_shared && a.local_per_thread == b.local_per_thread && a.constant == b.constant &&
         a.max_threads_per_block == b.max_threads_per_block && a.barriers == b.barriers &&
         a.spill_stores == b.spill_stores && a.spill_loads == b.spill_loads && a.required_block == b.required_block &&
         a.required_cluster == b.required_cluster && a.max_cluster_blocks == b.max_cluster_blocks;
}

bool same(const Trial& a, const Trial& b) {
  const auto same_mismatch = [&] {
    if (a.mismatch.has_value() != b.mismatch.has_value()) return false;
    return !a.mismatch || (a.mismatch->argument == b.mismatch->argument && a.mismatch->index == b.mismatch->index &&
                           a.mismatch->expected == b.mismatch->expected && a.mismatch->found == b.mismatch->found &&
                           a.mismatch->wrong == b.mismatch->wrong && a.mismatch->total == b.mismatch->total);
  };
  return a.ordinal == b.ordinal && same(a.configuration, b.configuration) && a.status == b.status &&
         std::equal(a.samples.begin(), a.samples.end(), b.samples.begin(), b.samples.end(),
                    [](Nanoseconds x, Nanoseconds y) { return same(x, y); }) &&
         same(a.median, b.median) && same(a.bound, b.bound) && same(a.spread, b.spread) &&
         a.conditions.sm_clock_mhz == b.conditions.sm_clock_mhz &&
         a.conditions.temperature_celsius == b.conditions.temperature_celsius &&
         a.conditions.throttling == b.conditions.throttling &&
         a.conditions.drift.has_value() == b.conditions.drift.has_value() &&
         (!a.conditions.drift || same(*a.conditions.drift, *b.conditions.drift)) &&
         std::equal(a.metrics.begin(), a.metrics.end(), b.metrics.begin(), b.metrics.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); }) &&
         a.message == b.message && a.log == b.log &&
         std::equal(a.resources.begin(), a.resources.end(), b.resources.begin(), b.resources.end(),
                    [](const KernelResources& x, const KernelResources& y) { return same(x, y); }) &&
         std::equal(a.occupancy.begin(), a.occupancy.end(), b.occupancy.begin(), b.occupancy.end(),
                    [](const LaunchOccupancy& x, const LaunchOccupancy& y) {
                      return x.entry == y.entry && x.blocks_per_sm == y.blocks_per_sm &&
                             x.active_warps_per_sm == y.active_warps_per_sm &&
                             x.max_warps_per_sm == y.max_warps_per_sm && x.limiting_factors == y.limiting_factors;
                    }) &&
         same_mismatch() && same(a.times.compile_wall, b.times.compile_wall) &&
         same(a.times.compile_cpu, b.times.compile_cpu) && same(a.times.copy, b.times.copy) &&
         same(a.times.verify, b.times.verify) && same(a.times.measure, b.times.measure) &&
         a.binary_from_cache == b.binary_from_cache && a.finished_at == b.finished_at;
}

bool same(const TuningProfile& a, const TuningProfile& b) {
  const auto same_speedup = [&] {
    if (!a.paired_speedup || !b.paired_speedup) return a.paired_speedup.has_value() == b.paired_speedup.has_value();
    const auto &x = *a.paired_speedup, &y = *b.paired_speedup;
    return same(x.median, y.median) && same(x.interval.low, y.interval.low) && same(x.interval.high, y.interval.high) &&
           same(x.interval.confidence, y.interval.confidence);
  };
  const auto same_baseline = [&] {
    return a.baseline.has_value() == b.baseline.has_value() && (!a.baseline || same(*a.baseline, *b.baseline));
  };
  return a.key.kernel == b.key.kernel && a.key.source_hash == b.key.source_hash &&
         a.key.data_types == b.key.data_types && a.key.backend == b.key.backend && a.key.device == b.key.device &&
         a.key.architecture == b.key.architecture && a.key.device_kind == b.key.device_kind &&
         same(a.key.dimensions, b.key.dimensions) && a.key.toolkit == b.key.toolkit && a.key.driver == b.key.driver &&
         a.key.cache_mode == b.key.cache_mode && same(a.configuration, b.configuration) && same(a.median, b.median) &&
         same(a.spread, b.spread) && a.samples == b.samples && same_baseline() &&
         same(a.baseline_median, b.baseline_median) && same_speedup() && a.evaluations == b.evaluations &&
         a.strategy == b.strategy && a.seed == b.seed && a.verification == b.verification &&
         a.created_at == b.created_at && a.provenance == b.provenance && a.details == b.details;
}

void report_missing_error(const std::string& what) { ADD_FAILURE() << what; }

}  // namespace warpwright::store::test
