# Build-wide switches. Presets in CMakePresets.json set them; nothing else should. What is set here holds in this
# project's folder only: a project that adds it with add_subdirectory() keeps its own flags, build type and tests.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(WARPWRIGHT_BACKEND_CUDA "Build the backend for NVIDIA GPUs (needs nothing of NVIDIA's)" ON)
option(WARPWRIGHT_BACKEND_OPENCL "Build the backend for OpenCL" ON)
option(WARPWRIGHT_BACKEND_SIM "Build the simulated backend" ON)
option(WARPWRIGHT_BUILD_APPS "Build the command warpwright and its worker" ${PROJECT_IS_TOP_LEVEL})
option(WARPWRIGHT_BUILD_EXAMPLES "Build the programs of examples/" ${PROJECT_IS_TOP_LEVEL})
option(WARPWRIGHT_BUILD_WORKLOADS "Build the reference workloads" ${PROJECT_IS_TOP_LEVEL})
option(WARPWRIGHT_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(WARPWRIGHT_INSTALL "Install what is built, with a CMake package" ${PROJECT_IS_TOP_LEVEL})
option(WARPWRIGHT_BUILD_BENCHMARKS "Build the programs of bench/" OFF)
option(WARPWRIGHT_BUILD_FUZZERS "Build the libFuzzer programs (clang)" OFF)
option(WARPWRIGHT_WERROR "Treat warnings as errors" OFF)
option(WARPWRIGHT_COVERAGE "Instrument for line coverage (gcov, or with clang llvm-cov)" OFF)
option(WARPWRIGHT_PRECOMPILE_HEADERS "Read the headers of GoogleTest once for all tests; ccache keeps nothing of such tests" OFF)
set(WARPWRIGHT_SANITIZE "" CACHE STRING "Sanitizers, comma separated: address,undefined or thread")
set(WARPWRIGHT_SANITIZE_LEAVE_OUT "" CACHE STRING "Checks of these sanitizers that are left out, comma separated")

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
  endif()
  find_program(WARPWRIGHT_CCACHE ccache)
  if(WARPWRIGHT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${WARPWRIGHT_CCACHE}")
  endif()
endif()

# What is built of others: warpwright::devices opens the best device of all backends, and what uses it needs them all.
set(WARPWRIGHT_ALL_BACKENDS ON)
foreach(backend CUDA OPENCL SIM)
  if(NOT WARPWRIGHT_BACKEND_${backend})
    set(WARPWRIGHT_ALL_BACKENDS OFF)
    foreach(part APPS EXAMPLES TESTS BENCHMARKS FUZZERS)
      if(WARPWRIGHT_BUILD_${part})
        message(FATAL_ERROR "WARPWRIGHT_BUILD_${part} needs every backend, and WARPWRIGHT_BACKEND_${backend} is OFF: "
          "set that ON, or WARPWRIGHT_BUILD_${part} OFF")
      endif()
    endforeach()
  endif()
endforeach()
foreach(part TESTS BENCHMARKS)
  foreach(needed APPS EXAMPLES)
    if(WARPWRIGHT_BUILD_${part} AND NOT WARPWRIGHT_BUILD_${needed})
      message(FATAL_ERROR "WARPWRIGHT_BUILD_${part} needs the programs of WARPWRIGHT_BUILD_${needed}: set both ON, or "
        "both OFF")
    endif()
  endforeach()
endforeach()

add_library(warpwright_build_flags INTERFACE)
target_compile_options(warpwright_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Wformat=2
  $<$<BOOL:${WARPWRIGHT_WERROR}>:-Werror>
  # Optimising, GCC 12 warns falsely of overlapping copies in operator+(const char*, std::string&&) (GCC bug 105651), and
  # of strings not initialised in copies of an optional variant; clang and GCC's debug builds still look for these.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>,$<NOT:$<CONFIG:Debug>>>:-Wno-restrict>
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>,$<NOT:$<CONFIG:Debug>>>:-Wno-maybe-uninitialized>
  # Where sources are compiled in groups, clang takes what one of them has in its unnamed namespace for a declaration that
  # locals of the others hide; GCC looks for hidden declarations in groups too.
  $<$<AND:$<CXX_COMPILER_ID:Clang>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-shadow>
  # Warnings that depend on what the optimiser happens to see are shown and stop no build: they differ between releases of
  # the compiler and between levels of optimisation.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized;-Wno-error=array-bounds;-Wno-error=stringop-overflow;-Wno-error=stringop-overread;-Wno-error=free-nonheap-object;-Wno-error=dangling-pointer;-Wno-error=use-after-free;-Wno-error=nonnull>)
if(WARPWRIGHT_SANITIZE)
  target_compile_options(warpwright_build_flags INTERFACE
    -fsanitize=${WARPWRIGHT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(WARPWRIGHT_SANITIZE_LEAVE_OUT)
    target_compile_options(warpwright_build_flags INTERFACE -fno-sanitize=${WARPWRIGHT_SANITIZE_LEAVE_OUT})
  endif()
  target_link_options(warpwright_build_flags INTERFACE -fsanitize=${WARPWRIGHT_SANITIZE})
endif()
if(WARPWRIGHT_COVERAGE)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(warpwright_build_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(warpwright_build_flags INTERFACE -fprofile-instr-generate)
  else()
    target_compile_options(warpwright_build_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(warpwright_build_flags INTERFACE --coverage)
  endif()
endif()
