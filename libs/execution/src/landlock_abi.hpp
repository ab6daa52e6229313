// The part of Linux's Landlock that is used, in our own words: the vendors' header is missing or older than the kernel
// on many machines. A test compares it with <linux/landlock.h> where that is installed. Private to this library.
#pragma once

#include <cstdint>

namespace warpwright::execution::landlock {

// The same numbers on every architecture.
constexpr long create_ruleset_call = 444, add_rule_call = 445, restrict_self_call = 446;
constexpr std::uint32_t ask_version = 1;  // flag of create_ruleset
constexpr int path_beneath = 1;           // kind of rule

// Rights on files, as bits.
constexpr std::uint64_t write_file = 1u << 1, remove_folder = 1u << 4, remove_file = 1u << 5, make_character = 1u << 6,
                        make_folder = 1u << 7, make_file = 1u << 8, make_socket = 1u << 9, make_fifo = 1u << 10,
                        make_block = 1u << 11, make_symlink = 1u << 12;
constexpr std::uint64_t refer = 1u << 13;     // link or rename to another folder; since version 2
constexpr std::uint64_t truncate = 1u << 14;  // since version 3

// Version 1 forbids every rename to another folder, which caches cannot do without.
constexpr int least_version = 2;

struct Ruleset {  // its first version; the kernel takes it by its size
  std::uint64_t handled_access_fs;
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};

}  // namespace warpwright::execution::landlock
