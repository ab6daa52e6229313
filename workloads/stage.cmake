# warpwright_workload_stage(NAME)
#   Adds the folder NAME to the library and declares its tests: workloads_NAME_test, workloads_NAME_slow_test and
#   workloads_NAME_mutants, as far as their files exist.
function(warpwright_workload_stage name)
  set(folder "${CMAKE_CURRENT_SOURCE_DIR}/${name}")
  file(GLOB sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  # Headers that end with .h are the kernels'; one of them serves the host as well.
  file(GLOB headers CONFIGURE_DEPENDS "${folder}/*.hpp" "${folder}/philox.h")
  if(NOT sources)
    return()
  endif()
  target_sources(warpwright_workloads PRIVATE ${sources} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}"
    FILES ${headers})
  if(NOT WARPWRIGHT_BUILD_TESTS)
    return()
  endif()

  file(GLOB tests CONFIGURE_DEPENDS "${folder}/tests/*_test.cpp")
  file(GLOB slow_tests CONFIGURE_DEPENDS "${folder}/tests/*_slow_test.cpp")
  list(REMOVE_ITEM tests ${slow_tests})
  if(tests)
    warpwright_test(workloads_${name}_test LABELS unit SOURCES ${tests} LIBRARIES warpwright::workloads)
  endif()
  if(slow_tests)
    warpwright_test(workloads_${name}_slow_test LABELS slow SOURCES ${slow_tests} LIBRARIES warpwright::workloads)
  endif()

  # Whether tests reject a wrong oracle does not depend on a sanitizer, and the script links without one.
  file(GLOB mutants CONFIGURE_DEPENDS "${folder}/tests/mutants.txt")
  if(tests AND mutants AND NOT WARPWRIGHT_SANITIZE AND NOT WARPWRIGHT_COVERAGE)
    set(test workloads_${name}_test)
    add_test(NAME workloads_${name}_mutants
      COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/tests/check_mutants.py" "${mutants}"
        --program "$<TARGET_FILE:${test}>" --compiler "${CMAKE_CXX_COMPILER}" --include "${PROJECT_SOURCE_DIR}"
        --include "${PROJECT_SOURCE_DIR}/libs/base/include"
        --link "$<TARGET_OBJECTS:${test}>" --link "$<TARGET_FILE:warpwright_workloads>"
        --link "$<TARGET_FILE:warpwright_base>" --link "$<TARGET_FILE:GTest::gmock>" --link "$<TARGET_FILE:GTest::gtest>"
        --link "$<TARGET_FILE:GTest::gtest_main>" --link "$<TARGET_FILE:fmt::fmt>")
    set_tests_properties(workloads_${name}_mutants PROPERTIES LABELS slow TIMEOUT 900)
  endif()
endfunction()
