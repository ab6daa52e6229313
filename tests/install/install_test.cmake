# The body of install_test: every step must succeed. Variables: see CMakeLists.txt beside this file.
cmake_minimum_required(VERSION 3.25)

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${WORK_FOLDER}")
set(prefix "${WORK_FOLDER}/prefix")
# Link flags that an instrumented library asks of whoever links it.
set(flags "")
if(SANITIZE)
  set(flags "-fsanitize=${SANITIZE}")
elseif(COVERAGE)
  set(flags "--coverage")
endif()

run("Installing into an empty prefix" "${CMAKE_COMMAND}" --install "${BUILD_FOLDER}" --prefix "${prefix}")
# The code of README.md and of the pages that print whole programs, as it stands there.
set(snippets "${WORK_FOLDER}/snippets")
set(root "${EXAMPLES_FOLDER}/..")
run("Extracting the code of README.md and docs" "${PYTHON}" "${root}/tests/snippets/extract.py" "${snippets}"
  "${root}/README.md" "${root}/docs/memory.md" "${root}/docs/performance_tuner.md"
  "${root}/docs/validation.md")
set(options -G Ninja "-DCMAKE_PREFIX_PATH=${prefix}" "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}"
  "-DCMAKE_CXX_COMPILER_LAUNCHER=${CXX_LAUNCHER}" "-DCMAKE_EXE_LINKER_FLAGS=${flags}" "-DCMAKE_BUILD_TYPE=None")
run("Configuring the outside project" "${CMAKE_COMMAND}" -S "${SOURCE_FOLDER}" -B "${WORK_FOLDER}/build" ${options}
  "-DEXAMPLES_FOLDER=${EXAMPLES_FOLDER}" "-DSNIPPETS_FOLDER=${snippets}")
run("Building the outside project" "${CMAKE_COMMAND}" --build "${WORK_FOLDER}/build")

# Every public header is there.
file(GLOB_RECURSE installed RELATIVE "${prefix}/include" "${prefix}/include/*.h*")
foreach(folder libs backends)
  file(GLOB includes "${root}/${folder}/*/include")
  foreach(include IN LISTS includes)
    file(GLOB_RECURSE headers RELATIVE "${include}" "${include}/*.h*")
    list(REMOVE_ITEM headers ${installed})
    if(headers)
      message(FATAL_ERROR "these headers of ${include} were not installed: ${headers}")
    endif()
  endforeach()
endforeach()
# What the source tree looked like must not matter to those who use the installed package.
file(GLOB package_files "${prefix}/lib*/cmake/warpwright/*.cmake" "${prefix}/lib*/*/cmake/warpwright/*.cmake")
list(LENGTH package_files count)
if(count LESS 3)
  message(FATAL_ERROR "the CMake package is incomplete: ${package_files}")
endif()
foreach(file IN LISTS package_files)
  file(READ "${file}" text)
  string(FIND "${text}" "${BUILD_FOLDER}" in_build)
  string(FIND "${text}" "warpwright_build_flags" with_flags)
  if(NOT in_build EQUAL -1 OR NOT with_flags EQUAL -1)
    message(FATAL_ERROR "${file} refers to the build tree or to the build's own flags")
  endif()
endforeach()

run("Reading a specification through the installed libraries" "${WORK_FOLDER}/build/read_space"
  "${EXAMPLES_FOLDER}/kernels/vector_add/vector_add.toml")
if(NOT output MATCHES "vector_add: [1-9][0-9]* valid configurations")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()

# The installed command finds its worker in libexec and works away from the build tree.
run("Asking the installed command for its version" "${prefix}/bin/warpwright" --version)
if(NOT output MATCHES "warpwright ${VERSION}")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
if(NOT EXISTS "${prefix}/libexec/warpwright/warpwright-worker")
  message(FATAL_ERROR "the worker was not installed into libexec/warpwright")
endif()
run("Checking a kernel with the installed command on the simulated device or the CPU" "${CMAKE_COMMAND}" -E env
  "XDG_CACHE_HOME=${WORK_FOLDER}/cache" "XDG_DATA_HOME=${WORK_FOLDER}/data" "XDG_STATE_HOME=${WORK_FOLDER}/state"
  "${prefix}/bin/warpwright" check "${EXAMPLES_FOLDER}/kernels/vector_add/vector_add.toml")
if(NOT output MATCHES "result: +correct")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()

# The C++ example: tuned configuration for a size nearby, compiled at the first start, cached at the second.
set(specification "${EXAMPLES_FOLDER}/kernels/vector_add/vector_add.toml")
set(profiles "${WORK_FOLDER}/profiles.sqlite")
set(example "${WORK_FOLDER}/build/use_profile" "${specification}" "${profiles}" "${WORK_FOLDER}/binaries")
run("Running the C++ example without a profile" ${example})
if(NOT output MATCHES "default configuration" OR NOT output MATCHES "is not tuned")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
run("Tuning with the installed command" "${CMAKE_COMMAND}" -E env "XDG_CACHE_HOME=${WORK_FOLDER}/cache"
  "${prefix}/bin/warpwright" tune "${specification}" --profiles "${profiles}" --no-session --quiet --max-evaluations 6
  --problem n=1000000)
run("Running the C++ example with a profile" ${example})
if(NOT output MATCHES "tuned, match: exact" OR NOT output MATCHES "size 1000000 for 4194304" OR NOT output MATCHES "correct")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
run("Running the C++ example again" ${example})
if(NOT output MATCHES "binary from the cache" OR output MATCHES "n = 4194304[^\n]*\n[^\n]*compiled now")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()

# Tuning from a program, with the installed worker.
file(READ "${WORK_FOLDER}/build/worker.txt" worker)
run("Tuning from a program" "${CMAKE_COMMAND}" -E env "HOME=${WORK_FOLDER}/home" "XDG_CACHE_HOME=${WORK_FOLDER}/cache"
  "XDG_DATA_HOME=${WORK_FOLDER}/data" "XDG_STATE_HOME=${WORK_FOLDER}/state"
  "${WORK_FOLDER}/build/tune_kernel" "${specification}" "${worker}")
if(NOT output MATCHES "vector_add on [^\n]* takes [^\n]*s")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()

# README's own CMakeLists.txt, its first program and its first kernel.
run("Configuring README's project" "${CMAKE_COMMAND}" -S "${snippets}" -B "${snippets}/build" ${options})
run("Building README's project" "${CMAKE_COMMAND}" --build "${snippets}/build")
run("Running README's first program" "${CMAKE_COMMAND}" -E chdir "${snippets}" "${snippets}/build/first_program")
if(NOT output STREQUAL "3, with block_x=128, items=1\n")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
run("Running README's second program" "${CMAKE_COMMAND}" -E chdir "${snippets}" "${WORK_FOLDER}/build/tune_own_code")
if(NOT output MATCHES "^block_size=[0-9]+: [0-9.]+x\n$")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
