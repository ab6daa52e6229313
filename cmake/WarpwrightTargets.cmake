# warpwright_unity(TARGET)
#   With CMAKE_UNITY_BUILD all sources of the target are one, which costs far less processor time than CMake's groups of
#   eight: headers are read and what they define is compiled once a library. It takes up to 1.5 GiB of memory. What all of
#   them begin with is read once for all libraries. (Other builds do without: it would hide what a source forgets to
#   include, and ccache does not know it.)
function(warpwright_unity target)
  if(NOT CMAKE_UNITY_BUILD)
    return()
  endif()
  if(NOT DEFINED CMAKE_UNITY_BUILD_BATCH_SIZE)
    set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE 0)
  endif()
  if(NOT TARGET warpwright_precompiled)
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cpp" CONTENT "// Nothing but what is precompiled.\n")
    add_library(warpwright_precompiled OBJECT "${PROJECT_BINARY_DIR}/precompiled.cpp")
    target_compile_features(warpwright_precompiled PUBLIC cxx_std_20)
    target_link_libraries(warpwright_precompiled PRIVATE fmt::fmt nlohmann_json::nlohmann_json Threads::Threads
      warpwright_build_flags)
    target_precompile_headers(warpwright_precompiled PRIVATE <algorithm> <array> <atomic> <chrono> <cmath> <cstdint>
      <filesystem> <fmt/format.h> <functional> <map> <memory> <mutex> <nlohmann/json.hpp> <optional> <set> <string>
      <string_view> <thread> <unordered_map> <utility> <variant> <vector>)
  endif()
  target_precompile_headers(${target} REUSE_FROM warpwright_precompiled)
endfunction()

# warpwright_cold(TARGET)
#   For what no user waits for: the arguments of a command, a specification that is read once. With -O1 it takes the compiler
#   two thirds of the time that -O2 takes, in which most of a first build goes.
function(warpwright_cold target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# warpwright_library(NAME SOURCES ... PUBLIC ... PRIVATE ...)
#   A library `warpwright_NAME` (alias warpwright::NAME), static unless BUILD_SHARED_LIBS says otherwise, with the include
#   root of its own folder, so that a library can include only what it names in PUBLIC or PRIVATE: an upward include does
#   not compile. Every header below include/ is public: it is installed, and all_verify_interface_header_sets compiles it
#   alone. Those below HEADERS_OF_OTHERS (what they need is not linked by this library) are installed only.
function(warpwright_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE;HEADERS_OF_OTHERS" ${ARGN})
  set(target warpwright_${name})
  add_library(${target} ${ARG_SOURCES})
  add_library(warpwright::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} DEFINE_SYMBOL "" VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} INSTALL_RPATH "$ORIGIN"
    VERIFY_INTERFACE_HEADER_SETS ${PROJECT_IS_TOP_LEVEL} INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
  warpwright_unity(${target})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/include/*.h*")
  set(unverified "")
  foreach(header IN LISTS headers)
    cmake_path(RELATIVE_PATH header BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}/include/warpwright" OUTPUT_VARIABLE place)
    foreach(other IN LISTS ARG_HEADERS_OF_OTHERS)
      cmake_path(IS_PREFIX other "${place}" is_there)
      if(is_there)
        list(APPEND unverified "${header}")
      endif()
    endforeach()
  endforeach()
  if(unverified)
    list(REMOVE_ITEM headers ${unverified})
    target_sources(${target} PUBLIC FILE_SET headers_of_others TYPE HEADERS BASE_DIRS include FILES ${unverified})
  endif()
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:warpwright_build_flags>)
  if(WARPWRIGHT_INSTALL)
    set(sets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    if(unverified)
      list(APPEND sets FILE_SET headers_of_others DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    endif()
    install(TARGETS ${target} EXPORT warpwright-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
      LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ${sets})
  endif()
endfunction()

# warpwright_program(TARGET DESTINATION)
#   Installs a program, which finds shared libraries of ours from where it lies.
function(warpwright_program target destination)
  if(NOT WARPWRIGHT_INSTALL)
    return()
  endif()
  file(RELATIVE_PATH libraries "/${destination}" "/${CMAKE_INSTALL_LIBDIR}")
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries}")
  install(TARGETS ${target} DESTINATION ${destination})
endfunction()

# warpwright_precompile_headers(TEST): with WARPWRIGHT_PRECOMPILE_HEADERS a test program reads GoogleTest and what of the
#   standard library nearly all tests use as a program compiled once has left it.
function(warpwright_precompile_headers name)
  if(NOT WARPWRIGHT_PRECOMPILE_HEADERS)
    return()
  endif()
  if(NOT TARGET warpwright_test_headers)
    # A program and no library: what it leaves can serve only what is compiled with the same flags.
    file(WRITE "${PROJECT_BINARY_DIR}/test_headers.cpp" "int main() {}\n")
    add_executable(warpwright_test_headers "${PROJECT_BINARY_DIR}/test_headers.cpp")
    target_link_libraries(warpwright_test_headers PRIVATE GTest::gmock warpwright_build_flags)
    target_precompile_headers(warpwright_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h> <algorithm> <chrono>
      <filesystem> <fstream> <functional> <map> <memory> <optional> <set> <string> <thread> <variant> <vector>)
  endif()
  target_precompile_headers(${name} REUSE_FROM warpwright_test_headers)
endfunction()

# warpwright_test(NAME [SERIAL] LABELS ... SOURCES ... LIBRARIES ... [TIMEOUT seconds] [ENVIRONMENT ...])
#   One GoogleTest program registered as one CTest test. Skipped tests are printed by tools/test with their reasons.
#   SERIAL: it measures wall time and runs alone, as every test of label gpu does (see tests/check_serial.py).
function(warpwright_test name)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "LABELS;SOURCES;LIBRARIES;ENVIRONMENT" ${ARGN})
  if(NOT WARPWRIGHT_BUILD_TESTS)
    return()
  endif()
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  # Helpers of the same name in the sources of one test program are its own business.
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests/support")
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main warpwright_build_flags)
  warpwright_precompile_headers(${name})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "${ARG_ENVIRONMENT}")
  if(ARG_SERIAL OR "gpu" IN_LIST ARG_LABELS)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()

# RapidCheck of Debian installs no CMake package of its own in every version; link it by name.
if(WARPWRIGHT_BUILD_TESTS)
  enable_testing()
  find_library(WARPWRIGHT_RAPIDCHECK_LIBRARY rapidcheck)
  find_path(WARPWRIGHT_RAPIDCHECK_INCLUDE rapidcheck.h)
  if(WARPWRIGHT_RAPIDCHECK_LIBRARY AND WARPWRIGHT_RAPIDCHECK_INCLUDE)
    add_library(warpwright_rapidcheck INTERFACE)
    target_link_libraries(warpwright_rapidcheck INTERFACE ${WARPWRIGHT_RAPIDCHECK_LIBRARY})
    target_include_directories(warpwright_rapidcheck SYSTEM INTERFACE ${WARPWRIGHT_RAPIDCHECK_INCLUDE})
  endif()
endif()

function(warpwright_install_package)
  include(CMakePackageConfigHelpers)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/warpwright-config.cmake.in
    ${PROJECT_BINARY_DIR}/warpwright-config.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warpwright)
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/warpwright-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(EXPORT warpwright-targets NAMESPACE warpwright:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warpwright)
  install(FILES ${PROJECT_BINARY_DIR}/warpwright-config.cmake ${PROJECT_BINARY_DIR}/warpwright-config-version.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/warpwright)
endfunction()
