// What the CUDA driver says of an H100 SXM5, for the fake drivers of the tests.
#pragma once

#include <utility>

#include "cuda_abi.hpp"

namespace warpwright::cuda {

inline constexpr std::pair<abi::DeviceAttribute, int> h100_attributes[] = {
    {abi::max_threads_per_block, 1024},
    {abi::max_block_dim_x, 1024},
    {abi::max_block_dim_y, 1024},
    {abi::max_block_dim_z, 64},
    {abi::max_grid_dim_x, 2147483647},
    {abi::max_grid_dim_y, 65535},
    {abi::max_grid_dim_z, 65535},
    {abi::max_shared_memory_per_block, 49152},
    {abi::total_constant_memory, 65536},
    {abi::device_warp_size, 32},
    {abi::max_registers_per_block, 65536},
    {abi::clock_rate_khz, 1980000},
    {abi::multiprocessor_count, 132},
    {abi::memory_clock_rate_khz, 2619000},
    {abi::global_memory_bus_width, 5120},
    {abi::l2_cache_size, 52428800},
    {abi::max_threads_per_multiprocessor, 2048},
    {abi::async_engine_count, 3},
    {abi::compute_capability_major, 9},
    {abi::compute_capability_minor, 0},
    {abi::max_shared_memory_per_multiprocessor, 233472},
    {abi::max_registers_per_multiprocessor, 65536},
    {abi::cooperative_launch, 1},
    {abi::max_shared_memory_per_block_optin, 232448},
    {abi::max_blocks_per_multiprocessor, 32},
    {abi::reserved_shared_memory_per_block, 1024},
    {abi::cluster_launch, 1}};

}  // namespace warpwright::cuda
