# One test program per folder: tests/X/*_test.cpp.
include(GoogleTest)
foreach(name IN ITEMS core config text vision dist model data grpo eval train)
  file(GLOB sources CONFIGURE_DEPENDS tests/${name}/*_test.cpp)
  if(sources)
    add_executable(${name}_test ${sources})
    target_include_directories(${name}_test PRIVATE "${CMAKE_SOURCE_DIR}" tests src)
    target_compile_definitions(${name}_test PRIVATE
      LRIAD_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden" LRIAD_SHARED="${CMAKE_SOURCE_DIR}/../shared"
      LRIAD_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
    target_link_libraries(${name}_test PRIVATE lriad_${name} GTest::gmock_main lriad_warnings)
    gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300)
  endif()
endforeach()
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  add_test(NAME HouseRules COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/scripts/check_includes.py")
endif()
