# Starting point for a GPU server: cmake -C cmake/gpu.cmake -G Ninja -S . -B build
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(LRIAD_REQUIRE_CUDA ON CACHE BOOL "Stop if no CUDA toolkit is found")
