# The body of configure_test: what the options of the build give, mostly by configuring alone. Variables: see
# CMakeLists.txt beside this file.
cmake_minimum_required(VERSION 3.25)

include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

# refuses(WHAT ERROR COMMAND...): it fails, and says so with ERROR.
function(refuses what error)
  message(STATUS "${what}")
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(status EQUAL 0 OR NOT output MATCHES "${error}")
    message(FATAL_ERROR "${what} should have failed with '${error}' (${status}):\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_FOLDER}")
set(generator -G Ninja "-DCMAKE_CXX_COMPILER=${CXX_COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${CXX_LAUNCHER}")
set(parent "${CMAKE_COMMAND}" -S "${SOURCE_FOLDER}" ${generator} "-DWARPWRIGHT_SOURCE=${PROJECT_FOLDER}")
set(top "${CMAKE_COMMAND}" -S "${PROJECT_FOLDER}" ${generator})

run("Adding it to a project" ${parent} -B "${WORK_FOLDER}/parent")
run("Looking for rules of installation" "${CMAKE_COMMAND}" --install "${WORK_FOLDER}/parent" --prefix "${WORK_FOLDER}/prefix")
file(GLOB_RECURSE installed "${WORK_FOLDER}/prefix/*")
if(installed)
  message(FATAL_ERROR "a project that adds Warpwright installs it: ${installed}")
endif()
run("Adding it with one backend" ${parent} -B "${WORK_FOLDER}/opencl" -DABSENT=cuda,sim -DWARPWRIGHT_BACKEND_CUDA=OFF
  -DWARPWRIGHT_BACKEND_SIM=OFF)
run("Adding it with the other backends" ${parent} -B "${WORK_FOLDER}/others" -DABSENT=opencl -DWARPWRIGHT_BACKEND_OPENCL=OFF)

run("Libraries alone, without a backend" ${top} -B "${WORK_FOLDER}/libraries" -DWARPWRIGHT_BUILD_TESTS=OFF
  -DWARPWRIGHT_BUILD_APPS=OFF -DWARPWRIGHT_BUILD_EXAMPLES=OFF -DWARPWRIGHT_BACKEND_CUDA=OFF
  -DWARPWRIGHT_BACKEND_OPENCL=OFF -DWARPWRIGHT_BACKEND_SIM=OFF)
run("The command without examples" ${top} -B "${WORK_FOLDER}/command" -DWARPWRIGHT_BUILD_TESTS=OFF
  -DWARPWRIGHT_BUILD_EXAMPLES=OFF)
refuses("The command without a backend" "WARPWRIGHT_BUILD_APPS needs every backend, and WARPWRIGHT_BACKEND_SIM is OFF"
  ${top} -B "${WORK_FOLDER}/refused" -DWARPWRIGHT_BUILD_TESTS=OFF -DWARPWRIGHT_BACKEND_SIM=OFF)
refuses("Tests without the command" "WARPWRIGHT_BUILD_TESTS needs the programs of WARPWRIGHT_BUILD_APPS"
  ${top} -B "${WORK_FOLDER}/refused" -DWARPWRIGHT_BUILD_TESTS=ON
  -DWARPWRIGHT_BUILD_APPS=OFF -DWARPWRIGHT_BACKEND_SIM=ON)

run("Adding it as shared libraries" ${parent} -B "${WORK_FOLDER}/shared" -DBUILD_SHARED_LIBS=ON -DCMAKE_UNITY_BUILD=ON)
run("Building a program with them" "${CMAKE_COMMAND}" --build "${WORK_FOLDER}/shared" --target consume --parallel 2)
foreach(library base model spec)
  if(NOT EXISTS "${WORK_FOLDER}/shared/warpwright/libs/${library}/libwarpwright_${library}.so")
    message(FATAL_ERROR "${library} is no shared library")
  endif()
endforeach()
run("Running it" "${WORK_FOLDER}/shared/consume" "${PROJECT_FOLDER}/examples/kernels/vector_add/vector_add.toml")
if(NOT output MATCHES "^vector_add: [1-9] parameters, not_found\n$")
  message(FATAL_ERROR "unexpected output:\n${output}")
endif()
