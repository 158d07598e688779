# One test program per folder: tests/X/*_test.cpp. Labels: unit, slow (whole programs run), fuzz, and device (needs a GPU, or
# stands in for one): ctest -L unit.
include(GoogleTest)
# As for the library: libtorch's headers, here with GoogleTest's, are compiled once.
add_library(lriad_test_pch OBJECT cmake/torch_pch.cpp)
target_link_libraries(lriad_test_pch PRIVATE lriad_torch nlohmann_json::nlohmann_json GTest::gmock lriad_warnings)
target_compile_options(lriad_test_pch PRIVATE -fPIE)  # as executables are compiled
target_precompile_headers(lriad_test_pch PRIVATE cmake/torch_pch.h <gmock/gmock.h> <gtest/gtest.h>)
function(lriad_use_test_pch target)
  target_precompile_headers(${target} REUSE_FROM lriad_test_pch)
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${LRIAD_UNITY} UNITY_BUILD_BATCH_SIZE 6)
endfunction()
foreach(name IN ITEMS core config text vision dist model data generation grpo eval run health train)
  file(GLOB sources CONFIGURE_DEPENDS tests/${name}/*_test.cpp)
  if(sources)
    add_executable(${name}_test ${sources})
    target_include_directories(${name}_test PRIVATE "${CMAKE_SOURCE_DIR}" tests src)
    target_compile_definitions(${name}_test PRIVATE
      LRIAD_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden" LRIAD_BALL_SCREW="${CMAKE_SOURCE_DIR}/../shared/data/ball_screw"
      LRIAD_BIN_DIR="${CMAKE_BINARY_DIR}/bin" LRIAD_READS_GIF=$<BOOL:${GIF_FOUND}>)
    target_link_libraries(${name}_test PRIVATE lriad_${name} GTest::gmock_main lriad_warnings)
    if(NOT name MATCHES "^(core|config|text|vision|data)$")
      lriad_use_test_pch(${name}_test)
    endif()
    # Copy.*: what launcher tests start as processes of a world.
    gtest_discover_tests(${name}_test TEST_FILTER "-Copy.*" DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
endforeach()
# Our kernels on the host, against libtorch's operators; on a machine with a GPU kernels_gpu_test runs the real ones.
add_library(lriad_emulated_kernels OBJECT tests/kernels/emulated_kernels.cpp)
target_include_directories(lriad_emulated_kernels PRIVATE src tests src/kernels/cuda)
target_compile_definitions(lriad_emulated_kernels PRIVATE LRIAD_EMULATED)
target_link_libraries(lriad_emulated_kernels PRIVATE lriad_kernels lriad_warnings)
target_compile_options(lriad_emulated_kernels PRIVATE -Wno-unknown-pragmas)  # unroll
add_executable(kernels_test tests/kernels/emulation_test.cpp tests/kernels/kernels_test.cpp)
target_include_directories(kernels_test PRIVATE tests src)
target_compile_definitions(kernels_test PRIVATE LRIAD_EMULATED)
target_link_libraries(kernels_test PRIVATE lriad_emulated_kernels lriad_generation GTest::gmock_main lriad_warnings)
lriad_use_test_pch(kernels_test)
gtest_discover_tests(kernels_test DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300 LABELS unit)
if(LRIAD_KERNELS)
  add_executable(kernels_gpu_test tests/kernels/kernels_test.cpp)
  target_include_directories(kernels_gpu_test PRIVATE tests src)
  target_link_libraries(kernels_gpu_test PRIVATE lriad_generation lriad_dist GTest::gmock_main lriad_warnings)
  lriad_use_kernels(kernels_gpu_test)
  lriad_use_test_pch(kernels_gpu_test)
  # One test, as all of its cases need a GPU.
  add_test(NAME KernelsOnAGpu COMMAND kernels_gpu_test)
  set_tests_properties(KernelsOnAGpu PROPERTIES SKIP_REGULAR_EXPRESSION "no GPU" TIMEOUT 600 LABELS device)
endif()
file(GLOB sources CONFIGURE_DEPENDS tests/app/*_test.cpp)
add_executable(app_test ${sources})
target_include_directories(app_test PRIVATE "${CMAKE_SOURCE_DIR}" tests src)
target_compile_definitions(app_test PRIVATE LRIAD_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden"
  LRIAD_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
add_dependencies(app_test lriad-train lriad-eval lriad-tool)
target_link_libraries(app_test PRIVATE lriad_app GTest::gmock_main lriad_warnings)
lriad_use_test_pch(app_test)
gtest_discover_tests(app_test DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300 LABELS slow)
# Passes and whole runs on a stand-in for a GPU. It takes the place of libtorch_cuda, so it is a program of its own.
file(GLOB sources CONFIGURE_DEPENDS tests/fake_device/*_test.cpp tests/support/fake_device*.cpp)
add_executable(fake_device_test ${sources})
target_include_directories(fake_device_test PRIVATE "${CMAKE_SOURCE_DIR}" tests src)
target_compile_definitions(fake_device_test PRIVATE LRIAD_GOLDEN_DIR="${CMAKE_SOURCE_DIR}/tests/golden"
  LRIAD_BIN_DIR="${CMAKE_BINARY_DIR}/bin")
# Registers objects of unnamed classes with libtorch, which g++ takes for a fault in a source that is included.
set_source_files_properties(tests/support/fake_device.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
target_link_libraries(fake_device_test PRIVATE lriad_emulated_kernels lriad_app GTest::gmock_main lriad_warnings)
lriad_use_test_pch(fake_device_test)
gtest_discover_tests(fake_device_test DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 900 LABELS device)
add_test(NAME RealRunQuick COMMAND "${CMAKE_COMMAND}" -E env QUICK=1 "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
  "${CMAKE_SOURCE_DIR}/scripts/real_run.sh")
set_tests_properties(RealRunQuick PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS slow)
add_test(NAME BenchMapsQuick COMMAND "${CMAKE_COMMAND}" -E env QUICK=1 "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
  "${CMAKE_SOURCE_DIR}/scripts/bench_maps.sh")
set_tests_properties(BenchMapsQuick PROPERTIES TIMEOUT 300 LABELS slow)
add_test(NAME Format COMMAND "${CMAKE_SOURCE_DIR}/scripts/format.sh")
set_tests_properties(Format PROPERTIES SKIP_RETURN_CODE 77)
add_test(NAME GitVersion COMMAND "${CMAKE_SOURCE_DIR}/tests/core/git_version.sh")
add_test(NAME NeededLibraries COMMAND "${CMAKE_COMMAND}" -E env "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
  "${CMAKE_SOURCE_DIR}/tests/dist/needed_libraries.sh")
add_test(NAME Torchrun COMMAND "${CMAKE_COMMAND}" -E env "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
  "${CMAKE_SOURCE_DIR}/tests/dist/torchrun_check.sh")
set_tests_properties(Torchrun PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600 LABELS slow)
add_test(NAME Bundle COMMAND "${CMAKE_COMMAND}" -E env "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
  "${CMAKE_SOURCE_DIR}/tests/app/bundle_test.sh")
set_tests_properties(Bundle PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS slow)
find_package(Python3 COMPONENTS Interpreter QUIET)
if(Python3_FOUND)
  add_test(NAME BenchGpuDryRun COMMAND "${CMAKE_COMMAND}" -E env "BIN_DIR=${CMAKE_BINARY_DIR}/bin"
    "PYTHON=${Python3_EXECUTABLE}" "${CMAKE_SOURCE_DIR}/scripts/bench_gpu.sh" --dry-run
    --output "${CMAKE_BINARY_DIR}/bench_gpu_dry_run.json")
  set_tests_properties(BenchGpuDryRun PROPERTIES TIMEOUT 300 LABELS slow)
  # All faults, many times: tests/faults/campaign.py without these options.
  add_test(NAME Faults COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/tests/faults/campaign.py" --count 1
    --bin-dir "${CMAKE_BINARY_DIR}/bin" --faults kill-one,cut,file-limit,vanished)
  set_tests_properties(Faults PROPERTIES TIMEOUT 300 LABELS slow)
  add_test(NAME HouseRules COMMAND Python3::Interpreter "${CMAKE_SOURCE_DIR}/scripts/check_includes.py")
endif()

# Benchmarks, not run as tests: build the target bench_scaling, bench_stream or bench_resize.
add_executable(bench_scaling EXCLUDE_FROM_ALL tests/bench/scaling_bench.cpp)
target_include_directories(bench_scaling PRIVATE src)
target_compile_definitions(bench_scaling PRIVATE LRIAD_BENCH_DIR="${CMAKE_SOURCE_DIR}/tests/bench")
target_link_libraries(bench_scaling PRIVATE lriad_train lriad_warnings)
add_executable(bench_stream EXCLUDE_FROM_ALL tests/bench/stream_bench.cpp)
target_include_directories(bench_stream PRIVATE src tests)
target_link_libraries(bench_stream PRIVATE lriad_grpo lriad_warnings)
find_package(benchmark QUIET)
if(benchmark_FOUND)
  add_executable(bench_resize EXCLUDE_FROM_ALL tests/bench/resize_bench.cpp)
  target_link_libraries(bench_resize PRIVATE lriad_vision benchmark::benchmark lriad_warnings)
endif()
add_executable(bench_prefix EXCLUDE_FROM_ALL tests/bench/prefix_bench.cpp)
target_include_directories(bench_prefix PRIVATE tests)
target_link_libraries(bench_prefix PRIVATE lriad_grpo lriad_warnings)
# Built with the tests, as one of them runs scripts/bench_gpu.sh --dry-run.
add_executable(bench_gpu tests/bench/gpu_bench.cpp)
target_include_directories(bench_gpu PRIVATE tests)
target_link_libraries(bench_gpu PRIVATE lriad_run lriad_warnings)
lriad_use_kernels(bench_gpu)
