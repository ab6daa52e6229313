// Contract: compiling, binaries and modules.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <warpwright/testing/contract/fixture.hpp>

namespace warpwright::test {

TEST_P(DeviceContract, CompilingGivesABinary) {
  EXPECT_FALSE(compiler_->version().empty());
  EXPECT_FALSE(compiler_->target().empty());
  const Binary binary = compiler_->compile(job(GetParam().source, {}, {"contract_add", "contract_fill"}));
  EXPECT_EQ(binary.backend, backend_->name());
  EXPECT_EQ(binary.target, compiler_->target());
  EXPECT_FALSE(binary.format.empty());
  EXPECT_FALSE(binary.image.empty());
  for (const auto& resources : binary.resources) {
    EXPECT_THAT(resources.entry, ::testing::AnyOf("contract_add", "contract_fill"));
    if (resources.registers_per_thread) {
      EXPECT_GT(*resources.registers_per_thread, 0);
    }
  }
}

TEST_P(DeviceContract, CacheKeysTellJobsApart) {
  const auto base = job(GetParam().source);
  const std::string key = device::cache_key(base, *compiler_);
  EXPECT_EQ(key.size(), 32u);
  EXPECT_EQ(device::cache_key(base, *backend_->compiler(info_)), key) << "another compiler of the same device";
  EXPECT_NE(device::cache_key(job(GetParam().source + "\n"), *compiler_), key);
  EXPECT_NE(device::cache_key(job(GetParam().source, {{"A", "1"}}), *compiler_), key);
}

TEST_P(DeviceContract, ACompileErrorHasTheLog) {
  const Error error = error_of([&] { static_cast<void>(compiler_->compile(job(GetParam().broken_source))); });
  EXPECT_EQ(error.code(), ErrorCode::compile);
  EXPECT_THAT(error.message(), ::testing::HasSubstr(GetParam().broken_word));
  EXPECT_THAT(error.message(), ::testing::HasSubstr(GetParam().file_name));
  // The compiler goes on.
  EXPECT_FALSE(compile("contract_add").image.empty());
}

TEST_P(DeviceContract, DefinitionsReachTheSource) {
  for (const std::string value : {"42", "(3 + 4)"}) {
    if (backend_->name() == "sim" && value != "42") continue;  // its definitions are values, not text
    auto define = load("contract_define", {{"CONTRACT_VALUE", value}, {"CONTRACT_TYPE", "unsigned int"}});
    auto out = upload(std::vector<int>(2, -1));
    stream_->launch(*define.kernel, linear(1, 1), Arguments{out.get()});
    EXPECT_EQ(download<int>(*out), (std::vector<int>{value == "42" ? 42 : 7, 1})) << value;
  }
}

TEST_P(DeviceContract, AnUnknownEntryIsNotFound) {
  auto module = context_->load(compile("contract_add"));
  const Error error = error_of([&] { static_cast<void>(module->kernel("contract_ad")); });
  EXPECT_EQ(error.code(), ErrorCode::not_found) << error.what();
  EXPECT_THAT(error.what(), ::testing::HasSubstr("contract_ad"));
  EXPECT_EQ(module->kernel("contract_add")->name(), "contract_add");
}

TEST_P(DeviceContract, ABinaryRunsInAFreshContext) {
  // Only the plain data survives, as between processes.
  const Binary compiled = compile("contract_fill");
  Binary binary;
  binary.backend = compiled.backend;
  binary.target = compiled.target;
  binary.format = compiled.format;
  binary.image = std::string(compiled.image.begin(), compiled.image.end());
  binary.symbols = compiled.symbols;
  stream_.reset();
  compiler_.reset();
  context_.reset();
  backend_ = GetParam().backend();
  context_ = backend_->open(id_);
  stream_ = context_->create_stream();
  auto module = context_->load(binary);
  auto kernel = module->kernel("contract_fill");
  auto out = upload(std::vector<int>(100, 0));
  stream_->launch(*kernel, linear(4, 32), Arguments{out.get(), scalar(3), scalar(100)});
  EXPECT_EQ(download<int>(*out), std::vector<int>(100, 3));
}

TEST_P(DeviceContract, BinariesOfOthersAreRefused) {
  Binary binary = compile("contract_fill");
  binary.backend = "elsewhere";
  EXPECT_EQ(error_of([&] { static_cast<void>(context_->load(binary)); }).code(), ErrorCode::bad_input);
  binary.backend = backend_->name();
  for (const std::string image : {"", "this is no image of any device"}) {
    binary.image = image;
    EXPECT_THAT(error_of([&] { static_cast<void>(context_->load(binary)); }).code(),
                ::testing::AnyOf(ErrorCode::bad_input, ErrorCode::device))
        << "'" << image << "'";
  }
  expect_usable();
}

TEST_P(DeviceContract, KernelsTellTheirResources) {
  auto add = load("contract_add");
  const KernelResources resources = add.kernel->resources();
  EXPECT_EQ(resources.entry, "contract_add");
  if (resources.registers_per_thread) {
    EXPECT_GT(*resources.registers_per_thread, 0);
  }
  if (resources.max_threads_per_block) {
    EXPECT_GT(*resources.max_threads_per_block, 0);
    EXPECT_LE(*resources.max_threads_per_block, info_.max_threads_per_block);
  }
  if (resources.static_shared) {
    EXPECT_LE(*resources.static_shared, info_.shared_limit());
  }
  if (const auto blocks = add.kernel->max_active_blocks(128, Bytes{})) {
    EXPECT_GT(*blocks, 0);
    const auto with_all_shared = add.kernel->max_active_blocks(128, info_.shared_limit());
    ASSERT_TRUE(with_all_shared.has_value());
    EXPECT_LE(*with_all_shared, *blocks);
    EXPECT_GE(*with_all_shared, 1);
  }
}

TEST_P(DeviceContract, SymbolsAreBuffers) {
  auto module = context_->load(compile(GetParam().has_symbols ? "contract_symbol" : "contract_add"));
  EXPECT_EQ(module->symbol("contract_no_such_symbol"), nullptr);
  auto table = module->symbol("contract_table");
  if (!GetParam().has_symbols) {
    EXPECT_EQ(table, nullptr);
    return;
  }
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->size(), Bytes{4 * sizeof(float)});
  const std::vector<float> values{1.5f, -2, 3, 4};
  stream_->copy_to_device(*table, Bytes{}, std::as_bytes(std::span(values)));
  auto out = upload(std::vector<float>(10, 0));
  auto kernel = module->kernel("contract_symbol");
  stream_->launch(*kernel, linear(1, 32), Arguments{out.get(), scalar(10)});
  const auto found = download<float>(*out);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], values[i % 4]) << i;
  EXPECT_EQ(download<float>(*table), values);
  const std::vector<float> third{9};
  stream_->copy_to_device(*table, Bytes{8}, std::as_bytes(std::span(third)));
  EXPECT_EQ(download<float>(*table), (std::vector<float>{1.5f, -2, 9, 4}));
  EXPECT_EQ(error_of([&] { stream_->fill(*table, Bytes{12}, Bytes{8}, 0); }).code(), ErrorCode::bad_input);
}

TEST_P(DeviceContract, ModulesAreUnloaded) {
  const Binary binary = compile("contract_fill");
  const auto before = context_->memory_use();
  // Where growth cannot be seen, a few cycles show at least that they work.
  const int cycles = before ? 2000 : 20;
  for (int i = 0; i < cycles; ++i) {
    auto module = context_->load(binary);
    auto kernel = module->kernel("contract_fill");
    ASSERT_EQ(kernel->name(), "contract_fill");
  }
  if (before) {
    const auto after = context_->memory_use();
    ASSERT_TRUE(after.has_value());
    // The smallest growth that 2,000 kept modules could have, at a page of 4 KiB each, is 8 MiB.
    EXPECT_GE(after->free + Bytes{8 << 20}, before->free);
  }
  expect_usable();
}

}  // namespace warpwright::test
